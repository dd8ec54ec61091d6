// Ember in every type that needs no importance matrix: llama.cpp loads our files and says what we say.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { follow, limit } from './compare.mjs';
import * as hipengine from './hipengine.mjs';
import * as llama from './llama.mjs';

const types = (process.env.PEER_TYPES ?? 'f32 f16 bf16 q8_0 q6_k q5_k_m q4_k_m q4_0 q3_k_m q2_k').split(' ');
const layers = 8;
const tokens = 48;

const user = (text) => `<|im_start|>user\n${text}<|im_end|>\n<|im_start|>assistant\n`;

// The first two prompts leave no choice between words: the margins of their logits are above 5. The third does.
const prompts = [
  user('List the months of the year.'),
  `${user('Tell me a story about a fox and a kite.')}Once upon a time, there was a kind fox named Leo. Leo loved to play with his red kite.\n\nOne day, a bear named Mia came to the river. "May I play with your kite?" asked Mia.`,
  `${user('Tell me a story about an owl and a map.')}Once upon a time, there was a sad owl named Adam.`,
];

const dir = hipengine.folder();
const file = (type) => path.join(dir, `ember-${type}.gguf`);
const counts = { texts: 0, equal: 0, near: 0 };
let server;

before(async () => {
  await llama.start();
  console.log(`${llama.peer}: ${llama.backend()}; ${llama.instructions()}`);
  hipengine.run(['quantize', hipengine.ember, file('f32'), '--type', 'f32', '--allow-requantize']);
  for (const t of types.filter((t) => t !== 'f32')) hipengine.run(['quantize', file('f32'), file(t), '--type', t]);
  server = await hipengine.serve(types.map(file));
});

after(() => {
  server?.close();
  console.log(`${counts.texts} texts of ${tokens} tokens by two devices of ours: ${counts.equal} equal, ${counts.near} part at a near tie`);
});

for (const type of types) {
  test(`Ember in ${type}`, async (t) => {
    const model = await llama.Model.load(file(type));
    const context = await model.context({ flashAttention: false, f32: true });
    let worst = 0;
    for (const prompt of prompts) {
      const ids = model.tokenize(prompt);
      assert.deepEqual(ids, JSON.parse(hipengine.run(['tokenize', '--json', file(type)], JSON.stringify({ text: prompt }))).ids);
      const text = await context.greedy(ids, tokens);
      assert.equal(text.length, tokens, 'the text has ended early');
      const fed = [...ids, ...text.slice(0, -1)];
      context.clear();
      const rows = hipengine.logits(file(type), fed, path.join(dir, 'logits'));
      const { difference, parted } = follow(rows, await context.predictions(fed), ids, text);
      worst = Math.max(worst, difference.relative);
      assert.ok(difference.relative <= limit(type, layers), `logits are off by ${difference.relative}, more than ${limit(type, layers)}`);
      for (const p of parted) {
        t.diagnostic(`token ${p.at}: the reference prefers ${JSON.stringify(model.detokenize([p.best]))} to ${JSON.stringify(model.detokenize([p.token]))}, logits ${p.margin.toFixed(4)} apart; RMS difference ${difference.absolute.toFixed(4)}`);
        assert.ok(p.near, `token ${p.at}: ${p.margin} is no near tie at an RMS difference of ${difference.absolute}`);
      }
      counts.texts += 2;
      counts[parted.length ? 'near' : 'equal']++;

      // The fast kernels of the CPU, through the server.
      const ours = await server.complete(hipengine.name(file(type)), ids, tokens);
      const theirs = model.detokenize(text);
      if (ours === theirs) {
        counts.equal++;
        continue;
      }
      let same = 0;
      while (ours[same] === theirs[same]) same++;
      const at = text.findIndex((_, i) => model.detokenize(text.slice(0, i + 1)).length > same);
      const row = hipengine.logits(file(type), fed, path.join(dir, 'logits'), 'cpu')[ids.length - 1 + at];
      const margin = Math.max(...row) - row[text[at]];
      t.diagnostic(`token ${at}: the server goes on with ${JSON.stringify(ours.slice(same, same + 16))}, llama.cpp with ${JSON.stringify(theirs.slice(same, same + 16))}, logits ${margin.toFixed(4)} apart`);
      // Both sides round to 8 bits, so that their errors add up.
      assert.ok(margin <= 2 * 4 * Math.SQRT2 * difference.absolute, `the server parts from llama.cpp at token ${at}: ${JSON.stringify(ours)}, not ${JSON.stringify(theirs)}`);
      counts.near++;
    }
    t.diagnostic(`relative RMS of the logits' difference ${worst.toExponential(1)}, limit ${limit(type, layers).toExponential(1)}`);
    await context.close();
    await model.close();
  });
}

