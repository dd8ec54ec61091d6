// Small Hugging Face folders of many architectures, converted by hipengine: llama.cpp loads them and computes the same.
// They lie in shared/ beside the repository; without it there is nothing to convert.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { Difference, Limits, near, parted } from './compare.mjs';
import * as hipengine from './hipengine.mjs';
import * as llama from './llama.mjs';

const shared = hipengine.shared();
const fixtures = shared && path.join(shared, 'fixtures');
// Of a second set, what llama.cpp loads: without latent vectors of queries it takes models of 27 layers alone, so that
// deepseek_v2_lite is not among them.
const more = ['deepseek_v3', 'glm4_moe_lite', 'kimi_linear'];
const folders = fixtures
  ? [...readdirSync(fixtures, { withFileTypes: true }).filter((d) => d.isDirectory()).map((d) => path.join(fixtures, d.name)),
    ...more.map((name) => path.join(shared, 'fixtures2', name))]
  : [];
const dir = hipengine.folder();
const scratch = path.join(dir, 'logits');

// What llama.cpp rounds although the weights are F32: GELU comes from a table in F16, gpt-oss keeps experts in MXFP4, which it
// multiplies with 8 bits.
const rounded = { gemma2: 'f16', gemma3: 'f16', gemma4: 'f16', gemma4moe: 'f16', gptoss: 'int8' };

// A router that chooses other experts after rounding makes a step that no rounding bounds: of these Q8_0 logits llama.cpp's are
// off by 2.07 times what ours are.
const stepped = { glm4_moe_lite: 1.5 };

// Without the AMX variant, whose Q8_0 logits of gemma4 are off by 0.9 of their RMS; the other variants' are off by 0.16.
before(() => llama.start({ without: ['sapphirerapids'] }));

test('folders', { skip: fixtures ? false : 'NO FOLDER WAS CONVERTED: shared/ is not beside the repository' }, () => assert.ok(folders.length > 0));

for (const [number, from] of folders.entries()) {
  const name = path.basename(from);
  test(name, async (t) => {
    const folder = path.join(dir, `tiny-${number}`); // the name that the file gets: llama.cpp wants more tokens of a model named phi3
    symlinkSync(from, folder);
    const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8'));
    const vocab = (config.text_config ?? config).vocab_size;
    const prompt = Array.from({ length: 48 }, (_, i) => 10 + (i * i * 31 + 7 * i) % (vocab - 10));
    let limits;
    for (const type of ['q8_0', 'f32']) {
      const file = path.join(dir, `${name}-${type}.gguf`);
      hipengine.run(['convert', folder, file, '--type', type]);
      const model = await llama.Model.load(file);
      const context = await model.context({ flashAttention: false, f32: true });
      const text = await context.greedy(prompt, 24);
      const fed = [...prompt, ...text.slice(0, -1)];
      context.clear();
      const predictions = await context.predictions(fed);
      const reference = hipengine.logits(file, fed, scratch);
      const own = new Difference(reference, hipengine.logits(file, fed, scratch, 'cpu').map((row) => row.entries()));
      const theirs = new Difference(reference, predictions.map((p) => p.top));
      limits ??= new Limits(own.relative);
      const limit = limits.of(type === 'f32' ? rounded[name] ?? type : type, own.relative) * (type === 'q8_0' ? stepped[name] ?? 1 : 1);
      const partings = parted(reference, prompt, text);
      t.diagnostic(`${type}: logits are off by ${theirs.relative.toExponential(1)} (ours by ${own.relative.toExponential(1)}, limit ${limit.toExponential(1)}); of ${text.length} tokens ${partings.length} are near ties`);
      assert.ok(theirs.relative <= limit, `${type}: logits are off by ${theirs.relative}, more than ${limit}`);
      for (const p of partings) assert.ok(p.margin <= near(theirs.absolute), `${type}: token ${p.at}: ${p.margin} is no near tie; logits are off by ${theirs.absolute}`);
      await context.close();
      await model.close();
    }
  });
}
