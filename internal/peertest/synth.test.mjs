// The files of `hipengine synth`: llama.cpp knows every shape, and computes with those that are written in full.
import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { before, test } from 'node:test';
import { Difference, Limits } from './compare.mjs';
import * as hipengine from './hipengine.mjs';
import * as llama from './llama.mjs';

const shapes = ['qwen3-0.6b', 'qwen3-4b', 'qwen3-8b', 'qwen3.6-27b', 'qwen3.6-35b-a3b', 'llama-3.1-8b', 'llama-3.1-70b', 'deepseek-v3-lite'];
const full = (process.env.PEER_SYNTH ?? 'qwen3-0.6b:q8_0 qwen3-0.6b:q4_k_m').split(' ').filter(Boolean);
const dir = hipengine.folder();

before(() => llama.start());

// head writes the beginning of a shape's file, with the metadata and all names, shapes and types of tensors, and a hole
// for the rest.
async function head(shape, file) {
  const size = 64 << 20;
  const own = path.join(dir, shape);
  const synth = hipengine.start(['synth', shape, `${own}.gguf`, '--type', 'q4_k_m']);
  const ended = new Promise((resolve) => synth.on('exit', resolve));
  for (;;) {
    const part = readdirSync(dir).find((f) => f.startsWith(`.${shape}.gguf`));
    if (part && statSync(path.join(dir, part)).size >= size) {
      synth.kill('SIGSTOP');
      copyFileSync(path.join(dir, part), file);
      break;
    }
    assert.equal(synth.exitCode, null, 'synth has ended before its file is long enough');
    await sleep(10);
  }
  synth.kill('SIGCONT');
  synth.kill('SIGTERM');
  await ended;
  truncateSync(file, size);
  truncateSync(file, 200e9);
}

for (const shape of shapes) {
  test(`${shape} without weights`, async (t) => {
    const file = path.join(dir, `${shape}-head.gguf`);
    await head(shape, file);
    const model = await llama.Model.load(file, { noAlloc: true });
    const context = await model.context({ size: 512 }); // lays out the graph
    const [, size] = model.log.match(/file size\s+=\s+(.*)/);
    const [, params] = model.log.match(/model params\s+=\s+(.*)/);
    t.diagnostic(`${params} parameters, ${size}, a graph of ${(await llama.logged()).match(/nodes = (\d+)/)[1]} nodes`);
    await context.close();
    await model.close();
    rmSync(file);
  });
}

let limits;
for (const [shape, type] of full.map((f) => f.split(':'))) {
  test(`${shape} in ${type}`, async (t) => {
    const file = path.join(dir, `${shape}-${type}.gguf`);
    hipengine.run(['synth', shape, file, '--type', type]);
    const model = await llama.Model.load(file);
    const context = await model.context({ size: 64, flashAttention: false, f32: true });
    const tokens = [100, 20000, 3, 4711];
    const predictions = await context.predictions(tokens);
    const reference = hipengine.logits(file, tokens, path.join(dir, 'logits'));
    const own = new Difference(reference, hipengine.logits(file, tokens, path.join(dir, 'logits'), 'cpu').map((row) => row.entries()));
    const theirs = new Difference(reference, predictions.map((p) => p.top));
    if (type === 'q8_0') limits = new Limits(own.relative);
    const limit = limits ? limits.of(type, own.relative) : 2 * own.relative;
    t.diagnostic(`logits are off by ${theirs.relative.toExponential(1)} (ours by ${own.relative.toExponential(1)}, limit ${limit.toExponential(1)})`);
    assert.ok(theirs.relative <= limit, `logits are off by ${theirs.relative}, more than ${limit}`);
    await context.close();
    await model.close();
    rmSync(file);
  });
}
