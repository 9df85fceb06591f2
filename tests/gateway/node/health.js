// Health of the gateway, its service, a pool and a stranger; then a pool watched until it serves no more.
'use strict';
const {ask, asked, client, credentials, headers, refusal, say, standard} = require('./client');

const health = new standard.grpc.health.v1.Health(asked.address, credentials);

async function main() {
  for (const service of ['', 'snakepit.bridge.BridgeService', 'main']) say(await ask(health, 'check', {service}));
  say(await refusal(ask(health, 'check', {service: 'nobody'})));
  const watch = health.watch({service: 'main'}, headers());
  watch.on('error', () => {});
  for await (const {status} of watch) {
    say({watched: status});
    if (status === 'NOT_SERVING') break;
  }
  watch.cancel();
  health.close();
  client.close();
}

main();
