// Small Hugging Face folders of many architectures, converted by hipengine: llama.cpp loads them and computes the same.
// They lie in shared/ beside the repository; without it there is nothing to convert.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import * as hipengine from './hipengine.mjs';
import { judge } from './judge.mjs';
import * as llama from './llama.mjs';

const shared = hipengine.shared();
const fixtures = shared && path.join(shared, 'fixtures');
// Of a second set, what llama.cpp computes like PyTorch. It does not know olmo_hybrid; it takes models without latent vectors
// of queries only with 27 layers (deepseek_v2_lite), and knows windows and layers without rotation of exaone4 only with 64.
const more = [
  'apertus', 'arcee', 'bamba', 'cohere', 'cohere2', 'deepseek_v3', 'ernie4_5', 'falcon_h1', 'gemma3_vl', 'glm4_moe', 'glm4_moe_lite', 'gpt_neox', 'granite4_attn', 'granite4_moe',
  'helium', 'hunyuan_dense', 'kimi_linear', 'lfm2', 'mamba2', 'minimax_m2', 'ministral', 'nemotron_h', 'olmo3', 'qwen35_vl', 'qwen3_vl', 'seed_oss', 'smollm3', 'stablelm', 'starcoder2',
];
const folders = fixtures
  ? [...readdirSync(fixtures, { withFileTypes: true }).filter((d) => d.isDirectory()).map((d) => path.join(fixtures, d.name)),
    ...more.map((name) => path.join(shared, 'fixtures2', name))]
  : [];
const dir = hipengine.folder();

// What llama.cpp rounds although the weights are F32: GELU comes from a table in F16, gpt-oss keeps experts in MXFP4, which it
// multiplies with 8 bits.
const rounded = { gemma2: 'f16', gemma3: 'f16', gemma3_vl: 'f16', gemma4: 'f16', gemma4moe: 'f16', gpt_neox: 'f16', gptoss: 'int8', starcoder2: 'f16' };

// Windows of 16 tokens that llama.cpp does not see: texts end before they do.
const tokens = { ministral: [8, 8], starcoder2: [8, 8] };

// A router that chooses other experts after rounding makes a step that no rounding bounds: of these Q8_0 logits llama.cpp's are
// off by 2.7, 2.07 and 5.7 times what ours are.
const stepped = { glm4_moe: 2, glm4_moe_lite: 1.5, minimax_m2: 4 };

// Without the AMX variant, whose Q8_0 logits of gemma4 are off by 0.9 of their RMS; the other variants' are off by 0.16.
before(() => llama.start({ without: ['sapphirerapids'] }));

test('folders', { skip: fixtures ? false : 'NO FOLDER WAS CONVERTED: shared/ is not beside the repository' }, () => assert.ok(folders.length > 0));

for (const from of folders) {
  const name = path.basename(from);
  test(name, (t) => judge(t, dir, from, { rounded: rounded[name], stepped: stepped[name], tokens: tokens[name] }));
}
