// Parameters that are no JSON, in a call and in a stream.
'use strict';
const {client, execute, failure, headers, refusal, say} = require('./client');

async function main() {
  for (const text of ['{"cut', '', "{'a': 1}", 'undefined', '\xff']) {
    const value = Buffer.from(text, 'latin1');
    say(await refusal(execute({toolName: 'add', parameters: {a: {value: Buffer.from('1')}, b: {value}}})));
  }
  const stream = client.executeStreamingTool({toolName: 'count', parameters: {to: {value: Buffer.from('3]')}}}, headers());
  stream.on('data', say);
  stream.on('error', (error) => {
    say(failure(error));
    client.close();
  });
}

main();
