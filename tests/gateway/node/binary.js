// Bytes that never pass through JSON: as parameters, as a result, as what another parameter counts.
'use strict';
const {asked, client, execute, refusal, request, say, valueOf} = require('./client');

async function main() {
  const data = Buffer.alloc(asked.size, Buffer.from([0, 1, 254, 255]));
  const {binaryResult} = await execute(request('reverse', {}, {binaryParameters: {data}}));
  say({length: binaryResult.length, equal: Buffer.from(binaryResult).reverse().equals(data)});
  say({size: valueOf(await execute(request('size_of', {}, {binaryParameters: {data: Buffer.alloc(0)}})))});
  say(await refusal(execute(request('add', {a: 1}, {binaryParameters: {b: data.subarray(0, 4)}}))));
  client.close();
}

main();
