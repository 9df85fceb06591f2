// Results: numbers, and each kind of value there and back.
'use strict';
const {asked, client, execute, request, say, valueOf} = require('./client');

async function main() {
  const answer = await execute(request('add', {a: 2, b: 3}));
  say({value: valueOf(answer), kind: answer.result.type_url, success: answer.success, metadata: answer.metadata, spent: typeof answer.executionTimeMs});
  for (const value of asked.values) say({value: valueOf(await execute(request('echo', {value})))});
  client.close();
}

main();
