// Knows nothing of the service but its name: asks what is served, builds a client from the descriptors told, and calls with it.
'use strict';
const {ask, asked, client, credentials, grpc, headers, loader, parameters, say, shapes, standard, valueOf} = require('./client');

const reflection = new standard.grpc.reflection.v1alpha.ServerReflection(asked.address, credentials);

// The answers to some questions, over one stream.
async function answers(...questions) {
  const stream = reflection.serverReflectionInfo(headers());
  for (const question of questions) stream.write(question);
  stream.end();
  const found = [];
  for await (const answer of stream) found.push(answer);
  return found;
}

async function main() {
  const [{list_services_response}] = await answers({list_services: ''});
  say({services: list_services_response.service.map(({name}) => name)});
  const [known, unknown] = await answers({file_containing_symbol: asked.symbol}, {file_containing_symbol: 'no.such.Service'});
  // A FileDescriptorResponse has the very bytes of a FileDescriptorSet: field 1 is each file.
  const files = standard.grpc.reflection.v1alpha.FileDescriptorResponse.serialize(known.file_descriptor_response);
  const definition = loader.loadFileDescriptorSetFromBuffer(files, shapes);
  const Reflected = grpc.loadPackageDefinition(definition).snakepit.bridge.BridgeService;
  const methods = Object.values(Reflected.service).map(({path, responseStream}) => [path, responseStream]);
  say({methods, unknown: grpc.status[unknown.error_response.error_code]});
  // In descriptors a map is what it is on the wire: a list of entries.
  const entries = Object.entries(parameters({a: 20, b: 22})).map(([key, value]) => ({key, value}));
  const found = new Reflected(asked.address, credentials);
  say({value: valueOf(await ask(found, 'executeTool', {tool_name: 'add', parameters: entries}))});
  for (const used of [found, reflection, client]) used.close();
}

main();
