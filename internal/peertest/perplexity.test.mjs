// Both engines score the same text, Ember's conversations and some of its stories: the mean negative log-likelihood of
// its tokens.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { Difference, near } from './compare.mjs';
import * as hipengine from './hipengine.mjs';
import * as llama from './llama.mjs';

const chunk = 256, chunks = 5;
const dir = hipengine.folder();
const scratch = path.join(dir, 'logits');
const text = path.join(dir, 'text');

before(async () => {
  await llama.start();
  const talks = JSON.parse(readFileSync(path.join(hipengine.repository, 'testdata', 'ember', 'prompts.json'), 'utf8'));
  const model = await llama.Model.load(hipengine.ember);
  const context = await model.context();
  const stories = [];
  for (const animal of ['cat', 'dog', 'bear', 'mouse', 'frog', 'horse']) {
    stories.push(model.detokenize(await context.greedy(model.tokenize(`<|im_start|>user\nTell me a story about a ${animal} and a kite.<|im_end|>\n<|im_start|>assistant\n`), 192)));
  }
  writeFileSync(text, [...talks.map((t) => t.prompt + t.reply), ...stories].join('\n').replaceAll(/<\|im_\w+\|>/g, ''));
  await context.close();
  await model.close();
});

for (const type of ['f32', 'f16', 'q8_0']) {
  test(`perplexity of Ember in ${type}`, async (t) => {
    const file = path.join(dir, `ember-${type}.gguf`);
    hipengine.run(['quantize', hipengine.ember, file, '--type', type, '--allow-requantize']);
    const model = await llama.Model.load(file);
    const context = await model.context({ size: chunk, flashAttention: false, f32: true });
    const ids = model.tokenize(readFileSync(text, 'utf8'), false);
    const losses = [];
    let theirs = 0;
    for (let c = 0; c < chunks && (c + 1) * chunk <= ids.length; c++) {
      const tokens = ids.slice(c * chunk, (c + 1) * chunk);
      context.clear();
      const predictions = await context.predictions(tokens);
      if (c === 0) theirs = new Difference(hipengine.logits(file, tokens, scratch), predictions.map((p) => p.top)).absolute;
      for (const p of predictions.slice(chunk / 2, -1)) losses.push(p.lse - p.want);
    }
    const mean = losses.reduce((a, b) => a + b) / losses.length;
    for (const device of ['ref', 'cpu']) {
      const ours = JSON.parse(hipengine.run(['perplexity', '--json', '--device', device, '--chunk', String(chunk), '--chunks', String(chunks), file, text]));
      assert.equal(ours.tokens, losses.length);
      // Each loss is a difference of logits, whose errors are independent; the reference makes none. The addon adds up
      // the vocabulary in float32.
      const limit = near(theirs, device === 'ref' ? 0 : theirs) / Math.sqrt(losses.length) + model.vocabulary() * 2 ** -24;
      t.diagnostic(`${device}: ${ours.nll.toFixed(6)}, llama.cpp ${mean.toFixed(6)} nats over ${losses.length} tokens: difference ${(ours.nll - mean).toExponential(1)}, limit ${limit.toExponential(1)}`);
      assert.ok(Math.abs(ours.nll - mean) <= limit, `${ours.nll} and ${mean} nats are more than ${limit} apart`);
    }
    await context.close();
    await model.close();
  });
}
