// What the programs of this folder share: a client as the gateway's users write it, and answers as lines of JSON.
'use strict';

const fs = require('node:fs');
const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

// What the test asks for: {address, proto, standard, token?, ...}.
const asked = JSON.parse(process.argv[2]);
const shapes = {defaults: true, enums: String, longs: Number};

const api = grpc.loadPackageDefinition(loader.loadSync(asked.proto, shapes)).snakepit.bridge;
// The services and messages that are not Snakepit's own: health, reflection, google.rpc.Status. Descriptors keep names as they are written.
const standard = grpc.loadPackageDefinition(loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(asked.standard), shapes));

const credentials = grpc.credentials.createInsecure();
// Left alone, the library takes answers of 4 MiB at most.
const client = new api.BridgeService(asked.address, credentials, {'grpc.max_receive_message_length': -1});

function headers(token = asked.token) {
  const metadata = new grpc.Metadata();
  if (token) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

// Arguments as they travel: JSON in an Any.
function parameters(values) {
  const packed = Object.entries(values).map(([name, value]) => [name, {value: Buffer.from(JSON.stringify(value))}]);
  return Object.fromEntries(packed);
}

function request(toolName, values = {}, more = {}) {
  return {toolName, parameters: parameters(values), ...more};
}

// A unary method as a promise: its answer. `started` is given the call, to cancel it.
function ask(service, method, message, {options = {}, metadata = headers(), started = () => {}} = {}) {
  return new Promise((resolve, reject) => {
    started(service[method](message, metadata, options, (error, answer) => (error ? reject(error) : resolve(answer))));
  });
}

const execute = (message, more) => ask(client, 'executeTool', message, more);
const valueOf = (answer) => JSON.parse(answer.result.value);

// What a failed call tells: its status, and the ErrorInfo in its details.
function failure(error) {
  const told = {status: grpc.status[error.code], message: error.details};
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  if (bytes === undefined) return told;
  const details = standard.google.rpc.Status.deserialize(bytes).details;
  const info = details.find((item) => item.type_url === 'type.googleapis.com/google.rpc.ErrorInfo');
  const {reason, domain, metadata} = standard.google.rpc.ErrorInfo.deserialize(info.value);
  // In descriptors a map is what it is on the wire: a list of entries.
  return {...told, reason, domain, metadata: Object.fromEntries(metadata.map(({key, value}) => [key, value]))};
}

// The failure of a call that must fail.
async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return failure(error);
  }
  return {status: 'OK'};
}

const say = (answer) => console.log(JSON.stringify(answer));

// The next line that the test writes.
async function told() {
  const lines = readline.createInterface({input: process.stdin});
  const [line] = await new Promise((resolve) => lines.once('line', (text) => resolve([text])));
  lines.close();
  return line;
}

module.exports = {ask, asked, client, credentials, execute, failure, grpc, headers, loader, parameters, refusal, request, say, shapes, standard, told, valueOf};
