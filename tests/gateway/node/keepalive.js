// Pings over a connection without calls, as keepalive does in all languages, and tells whether the server had enough of them.
'use strict';
const http2 = require('node:http2');

const asked = JSON.parse(process.argv[2]);
const session = http2.connect(`http://${asked.address}`);
let answered = 0;
let goaway = null;

function leave() {
  clearInterval(pinging);
  console.log(JSON.stringify({answered, goaway}));
  session.destroy();
}

const pinging = setInterval(() => {
  session.ping((error) => {
    answered += error ? 0 : 1;
    if (answered === asked.pings) leave();
  });
}, asked.every);
session.on('goaway', (code, last, data) => {
  goaway = data.toString();
  leave();
});
session.on('error', () => {});
