// Many streams over one connection. The first is paused after its first chunk, until all others have ended.
'use strict';
const {asked, client, failure, headers, request, say} = require('./client');

// One stream: its numbers must come without a gap, and a final chunk after the last.
function counted(begun = () => {}) {
  return new Promise((resolve) => {
    let next = 0;
    let ended = null;
    const stream = client.executeStreamingTool(request('count', {to: asked.chunks, size: asked.size}), headers());
    stream.on('data', ({data, isFinal}) => {
      const value = JSON.parse(data);
      if (isFinal) ended = value.counted;
      else if (value.number === next) next += 1;
      else stream.destroy(new Error(`chunk ${value.number} came in the place of ${next}`));
      if (next === 1 && !isFinal) begun(stream, () => next);
    });
    stream.on('error', (error) => resolve({failed: error.metadata ? failure(error) : error.message}));
    stream.on('end', () => resolve({chunks: next, ended}));
  });
}

async function main() {
  let paused;
  let soFar;
  const held = new Promise((resolve) => {
    paused = {promise: counted((stream, count) => {
      stream.pause();
      soFar = count;
      resolve(stream);
    })};
  });
  const stream = await held;
  const others = await Promise.all(Array.from({length: asked.streams - 1}, () => counted()));
  const whole = others.filter(({chunks, ended}) => chunks === asked.chunks && ended === asked.chunks).length;
  say({others: whole, failed: others.filter(({failed}) => failed).slice(0, 3), meanwhile: soFar()});
  stream.resume();
  say(await paused.promise);
  client.close();
}

main();
