// One llama.cpp with one model, measured on demand: bench.mjs starts it and sends what to measure.
import * as llama from './llama.mjs';

const [file, threads, without] = process.argv.slice(2);
await llama.start({ without: without ? without.split(',') : [] });
const model = await llama.Model.load(file);
const context = await model.context({ size: 2048, batch: 512, threads: Number(threads) });
const vocab = model.vocabulary();
const random = (n) => Array.from({ length: n }, () => Math.floor(Math.random() * vocab));

// measures are in seconds. Those of prompt and decode are calls of llama_decode alone, as in llama-bench: the logits of
// the last token are computed, nothing is sampled.
const measures = {
  async prompt(n) {
    context.clear();
    const tokens = random(n);
    const start = performance.now();
    for (let i = 0; i < n; i += 512) await context.feed(tokens.slice(i, i + 512), i + 512 >= n ? [Math.min(512, n - i) - 1] : []);
    return (performance.now() - start) / 1e3;
  },
  async decode(n, rows = [0]) {
    context.clear();
    const tokens = random(n);
    const start = performance.now();
    for (const t of tokens) await context.feed([t], rows);
    return (performance.now() - start) / 1e3;
  },

  // Without logits, so that the product with the output matrix falls away.
  silent: (n) => measures.decode(n, []),

  // With a greedy sampler, and its way through JavaScript.
  async sampled(n) {
    context.clear();
    let [t] = random(1);
    const start = performance.now();
    for (let i = 0; i < n; i++) t = await context.next([t]);
    return (performance.now() - start) / 1e3;
  },
};

await measures.prompt(512);
await measures.decode(8);
process.on('message', async ({ measure, n }) => process.send({ seconds: await measures[measure](n) }));
process.send({ backend: llama.backend(), instructions: llama.instructions(), buffers: [...model.log.matchAll(/(\S+) model buffer size =\s+(\S+ \S+)/g)].map((m) => `${m[1]} ${m[2]}`) });
