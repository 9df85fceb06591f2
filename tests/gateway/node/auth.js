// What each token gets: a tool that `known` may call, one that it may not, health, and reflection.
'use strict';
const {ask, asked, client, credentials, execute, headers, refusal, request, say, standard} = require('./client');

const health = new standard.grpc.health.v1.Health(asked.address, credentials);
const reflection = new standard.grpc.reflection.v1alpha.ServerReflection(asked.address, credentials);

function listed(metadata) {
  return new Promise((resolve, reject) => {
    const stream = reflection.serverReflectionInfo(metadata);
    stream.on('data', ({list_services_response: services}) => (services ? resolve(services) : reject(new Error('no list came'))));
    stream.on('error', reject);
    stream.end({list_services: ''});
  });
}

async function main() {
  for (const token of [undefined, 'not the token of anybody', asked.known]) {
    const metadata = headers(token);
    const allowed = await refusal(execute(request('add', {a: 1}), {metadata}));
    const denied = await refusal(execute(request('echo', {value: 1}), {metadata}));
    const checked = await refusal(ask(health, 'check', {service: ''}, {metadata}));
    say({allowed, denied, checked, listed: await refusal(listed(metadata))});
  }
  for (const used of [client, health, reflection]) used.close();
}

main();
