// Chunks, as they come: a tool that returns something, and one whose chunks are of each kind.
'use strict';
const {client, headers, request, say} = require('./client');

async function show(message) {
  for await (const chunk of client.executeStreamingTool(message, headers())) {
    const data = chunk.metadata.kind === 'binary' ? [...chunk.data] : chunk.metadata.kind === 'text' ? chunk.data.toString() : JSON.parse(chunk.data);
    say({id: chunk.chunkId, data, final: chunk.isFinal, metadata: chunk.metadata});
  }
}

async function main() {
  await show(request('count', {to: 3}));
  await show(request('mixed'));
  await show(request('steps', {count: 2}));
  client.close();
}

main();
