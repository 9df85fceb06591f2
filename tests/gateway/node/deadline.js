// A call and a stream that would last longer than their deadlines; each time the only worker serves again.
'use strict';
const {client, execute, failure, headers, refusal, request, say, valueOf} = require('./client');

const within = (milliseconds) => ({deadline: Date.now() + milliseconds});
const soon = async () => valueOf(await execute(request('add', {a: 1}), {options: within(5000)}));

async function main() {
  const began = Date.now();
  const {status} = await refusal(execute(request('nap', {seconds: 30}), {options: within(300)}));
  say({status, after: Date.now() - began, next: await soon()});

  let chunks = 0;
  const stream = client.executeStreamingTool(request('ticks'), headers(), within(500));
  stream.on('data', () => (chunks += 1));
  const error = await new Promise((resolve) => stream.once('error', resolve));
  say({status: failure(error).status, chunks, next: await soon()});
  client.close();
}

main();
