// stream.mjs STREAMS TOKENS [MODEL]: what door_bench does, by the Node package's generators.
import { createEngine } from "../../bindings/node/dist/esm/index.js";

const [streams, tokens, model] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const engine = await createEngine({ loadDefault: true, maxSequences: streams, ...(model ? { model } : {}) });

async function read(number, maxTokens) {
  let count = 0;
  const request = { prompt: `stream ${number}`, temperature: 0, ignoreEos: true, maxTokens };
  for await (const event of engine.createGenerator(request)) if (event.type === "delta") count += event.tokenIds.length;
  return count;
}

const all = (maxTokens) => Promise.all(Array.from({ length: streams }, (_, number) => read(number, maxTokens)));
await all(4);
const start = performance.now();
const counts = await all(tokens);
const seconds = (performance.now() - start) / 1000;
console.log(JSON.stringify({ tokens: counts.reduce((sum, count) => sum + count, 0), seconds }));
await engine.dispose();
