// Cancels a call whose tool sleeps, when told so, and a stream after its first chunk; each time the only worker serves again.
'use strict';
const {client, execute, grpc, headers, refusal, request, say, told, valueOf} = require('./client');

const soon = () => execute(request('add', {a: 1}), {options: {deadline: Date.now() + 5000}});

async function main() {
  let call;
  const ended = refusal(execute(request('nap', {seconds: 30}), {started: (begun) => (call = begun)}));
  await told();
  call.cancel();
  say({...(await ended), next: valueOf(await soon())});

  const stream = client.executeStreamingTool(request('ticks'), headers());
  stream.once('data', () => stream.cancel());
  const error = await new Promise((resolve) => stream.once('error', resolve));
  say({status: grpc.status[error.code], next: valueOf(await soon())});
  client.close();
}

main();
