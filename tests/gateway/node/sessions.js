// A session from its opening to its end: its metadata, its state from call to call, and what is told when it is over.
'use strict';
const {ask, client, execute, refusal, request, say, valueOf} = require('./client');

async function main() {
  const sessionId = 'user-1';
  const opened = await ask(client, 'initializeSession', {sessionId, metadata: {plan: 'gold'}});
  const {count} = opened.availableTools;
  say({success: opened.success, tool: {name: count.name, streams: count.supportsStreaming, takes: count.parameters.map(({name}) => name)}});
  await execute(request('remember', {value: 'kept'}, {sessionId}));
  say({value: valueOf(await execute(request('remember', {}, {sessionId}))), without: valueOf(await execute(request('remember')))});
  const {metadata, createdAt} = await ask(client, 'getSession', {sessionId});
  say({metadata, age: Date.now() / 1000 - createdAt.seconds, valid: (await ask(client, 'heartbeat', {sessionId})).sessionValid});
  say({cleaned: (await ask(client, 'cleanupSession', {sessionId})).success, again: (await ask(client, 'cleanupSession', {sessionId})).success});
  say({valid: (await ask(client, 'heartbeat', {sessionId})).sessionValid, lost: await refusal(ask(client, 'getSession', {sessionId}))});
  client.close();
}

main();
