// Ember in every type that needs no importance matrix: llama.cpp loads our files and says what we say.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Difference, Limits, argmax, near, parted } from './compare.mjs';
import * as hipengine from './hipengine.mjs';
import * as llama from './llama.mjs';

const types = (process.env.PEER_TYPES ?? 'f32 f16 bf16 q8_0 q6_k q5_k_m q4_k_m q4_0 q3_k_m q2_k').split(' ');
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
const scratch = path.join(dir, 'logits');
let server, limits;

// equal and ties count texts that are the same to the end, and others.
let equal = 0, ties = 0;
const count = (tie) => tie ? ties++ : equal++;

before(async () => {
  await llama.start();
  console.log(`${llama.peer}: ${llama.backend()}; ${llama.instructions()}`);
  hipengine.run(['quantize', hipengine.ember, file('f32'), '--type', 'f32', '--allow-requantize']);
  for (const t of types.filter((t) => t !== 'f32')) hipengine.run(['quantize', file('f32'), file(t), '--type', t]);
  const some = Array.from({ length: 48 }, (_, i) => 300 + 7 * i);
  const [reference, fast] = ['ref', 'cpu'].map((device) => hipengine.logits(hipengine.ember, some, scratch, device));
  limits = new Limits(new Difference(reference, fast.map((row) => row.entries())).relative);
  server = await hipengine.serve(types.map(file));
});

after(() => {
  server?.close();
  console.log(`texts of ${tokens} tokens by the reference and by the server: ${equal} equal to llama.cpp's, ${ties} part at near ties`);
});

for (const type of types) {
  test(`Ember in ${type}`, async (t) => {
    const model = await llama.Model.load(file(type));
    const context = await model.context({ flashAttention: false, f32: true });
    const show = (ids) => JSON.stringify(model.detokenize(ids));
    let worst = 0;
    for (const prompt of prompts) {
      const ids = model.tokenize(prompt);
      const text = await context.greedy(ids, tokens);
      assert.equal(text.length, tokens, 'the text has ended early');
      const fed = [...ids, ...text.slice(0, -1)];
      context.clear();
      const predictions = await context.predictions(fed);
      const reference = hipengine.logits(file(type), fed, scratch);
      const fast = hipengine.logits(file(type), fed, scratch, 'cpu');
      const theirs = new Difference(reference, predictions.map((p) => p.top));
      const own = new Difference(reference, fast.map((row) => row.entries()));
      const limit = limits.of(type, own.relative);
      worst = Math.max(worst, theirs.relative / limit);
      assert.ok(theirs.relative <= limit, `logits are off by ${theirs.relative}, more than ${limit}`);

      // The reference, which reads the text in one go, prefers the same tokens.
      const partings = parted(reference, ids, text);
      for (const p of partings) {
        t.diagnostic(`token ${p.at}: the reference prefers ${show([p.best])} to ${show([p.token])} by ${p.margin.toFixed(4)}; llama.cpp's logits are off by ${theirs.absolute.toFixed(4)}`);
        assert.ok(p.margin <= near(theirs.absolute), `token ${p.at}: ${p.margin} is no near tie`);
      }
      count(partings.length);

      // The server, with the CPU's fast kernels, writes the same text.
      const ours = await server.complete(hipengine.name(file(type)), ids, tokens);
      const same = text.findIndex((_, i) => !ours.startsWith(model.detokenize(text.slice(0, i + 1))));
      if (same >= 0) {
        const row = fast[ids.length - 1 + same];
        const margin = row[argmax(row)] - row[text[same]];
        t.diagnostic(`token ${same}: the server prefers ${show([argmax(row)])} to ${show([text[same]])} by ${margin.toFixed(4)}; logits are off by ${theirs.absolute.toFixed(4)} and ${own.absolute.toFixed(4)}`);
        assert.ok(margin <= near(theirs.absolute, own.absolute), `token ${same}: ${margin} is no near tie; the server writes ${JSON.stringify(ours)}`);
      } else {
        assert.equal(ours, model.detokenize(text));
      }
      count(same >= 0);
    }
    t.diagnostic(`logits are off by at most ${worst.toFixed(2)} of the limit`);
    await context.close();
    await model.close();
  });
}
