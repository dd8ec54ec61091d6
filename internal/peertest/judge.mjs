// Folders that hipengine converts: llama.cpp loads the files and computes the same.
import assert from 'node:assert/strict';
import { readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { Difference, Limits, near, parted } from './compare.mjs';
import * as hipengine from './hipengine.mjs';
import * as llama from './llama.mjs';

let number = 0;

// judge converts a folder to Q8_0 and F32 in dir. rounded is what llama.cpp rounds to although the weights are F32, stepped
// a factor on the limit in Q8_0. tokens is how many are read and then written. change, if it is there, changes a file before
// both read it.
export async function judge(t, dir, from, { rounded, stepped = 1, tokens = [48, 24], change = () => {} } = {}) {
  const name = path.basename(from);
  const folder = path.join(dir, `tiny-${number++}`); // the name that the file gets: llama.cpp wants more tokens of a model named phi3
  symlinkSync(from, folder);
  const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8'));
  const vocab = (config.text_config ?? config).vocab_size;
  const prompt = Array.from({ length: tokens[0] }, (_, i) => 10 + (i * i * 31 + 7 * i) % (vocab - 10));
  const scratch = path.join(dir, 'logits');
  let limits;
  for (const type of ['q8_0', 'f32']) {
    const file = path.join(dir, `${name}-${type}.gguf`);
    hipengine.run(['convert', folder, file, '--type', type]);
    change(file);
    const model = await llama.Model.load(file);
    const context = await model.context({ flashAttention: false, f32: true });
    const text = await context.greedy(prompt, tokens[1]);
    const fed = [...prompt, ...text.slice(0, -1)];
    context.clear();
    const predictions = await context.predictions(fed);
    const reference = hipengine.logits(file, fed, scratch);
    const own = new Difference(reference, hipengine.logits(file, fed, scratch, 'cpu').map((row) => row.entries()));
    const theirs = new Difference(reference, predictions.map((p) => p.top));
    limits ??= new Limits(own.relative);
    const limit = limits.of(type === 'f32' ? rounded ?? type : type, own.relative) * (type === 'q8_0' ? stepped : 1);
    const partings = parted(reference, prompt, text);
    t.diagnostic(`${type}: logits are off by ${theirs.relative.toExponential(1)} (ours by ${own.relative.toExponential(1)}, limit ${limit.toExponential(1)}); of ${text.length} tokens ${partings.length} are near ties`);
    assert.ok(theirs.relative <= limit, `${type}: logits are off by ${theirs.relative}, more than ${limit}`);
    for (const p of partings) assert.ok(p.margin <= near(theirs.absolute), `${type}: token ${p.at}: ${p.margin} is no near tie; logits are off by ${theirs.absolute}`);
    await context.close();
    await model.close();
  }
}
