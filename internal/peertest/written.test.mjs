// Architectures of which nobody publishes small models: folders with random weights, written here. They have a tokenizer of
// shared/, beside the repository; without it there is nothing to convert.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import * as hipengine from './hipengine.mjs';
import { judge } from './judge.mjs';
import * as llama from './llama.mjs';

const shared = hipengine.shared();
const skip = shared ? false : 'NO FOLDER WAS WRITTEN: shared/ is not beside the repository';
const dir = hipengine.folder();

before(() => llama.start({ without: ['sapphirerapids'] }));

// normals returns a source of numbers from a normal distribution, the same ones each time.
function normals(seed) {
  const uniform = () => {
    seed = seed + 0x6d2b79f5 | 0;
    let x = Math.imul(seed ^ seed >>> 15, 1 | seed);
    x = x + Math.imul(x ^ x >>> 7, 61 | x) ^ x;
    return ((x ^ x >>> 14) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

// Without a mean, of each column or of a vector.
function centred(x, columns = 1) {
  const rows = x.length / columns;
  for (let c = 0; c < columns; c++) {
    let mean = 0;
    for (let r = 0; r < rows; r++) mean += x[r * columns + c] / rows;
    for (let r = 0; r < rows; r++) x[r * columns + c] -= mean;
  }
}

// globals are the tensors beside the layers of most models.
const globals = { 'model.embed_tokens.weight': [512, 128], 'model.norm.weight': [128], 'lm_head.weight': [512, 128] };

// write makes a folder. tensors holds shapes; change may change what a tensor got.
function write(name, config, tensors, change = () => {}) {
  const folder = path.join(dir, name);
  mkdirSync(folder);
  for (const f of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json']) copyFileSync(path.join(shared, 'fixtures', 'llama', f), path.join(folder, f));
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({
    model_type: name, dtype: 'float32', vocab_size: 512, hidden_size: 128, num_attention_heads: 4, num_key_value_heads: 4, num_hidden_layers: 2, max_position_embeddings: 4096,
    rms_norm_eps: 1e-6, hidden_act: 'silu', tie_word_embeddings: false, bos_token_id: 0, eos_token_id: 2, ...config,
  }));
  const header = {}, data = [], normal = normals(1);
  let at = 0;
  for (const [t, shape] of Object.entries(tensors)) {
    const x = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, normal);
    const scale = shape.length > 1 ? shape.at(-1) ** -0.5 : 0.2;
    for (const i of x.keys()) x[i] = x[i] * scale + (t.endsWith('norm.weight') ? 1 : 0);
    change(t, x, shape);
    header[t] = { dtype: 'F32', shape, data_offsets: [at, at += x.byteLength] };
    data.push(Buffer.from(x.buffer));
  }
  const json = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path.join(folder, 'model.safetensors'), Buffer.concat([size, json, ...data]));
  return folder;
}

const attention = (l, bias) => Object.fromEntries(['q', 'k', 'v', 'o'].flatMap((n) => [
  [`${l}self_attn.${n}_proj.weight`, [128, 128]], ...(bias ? [[`${l}self_attn.${n}_proj.bias`, [128]]] : []),
]));

const experts = (dir, gate, up, down) => Object.fromEntries(Array.from({ length: 6 }, (_, k) => [
  [`${dir}${k}.${gate}.weight`, [64, 128]], [`${dir}${k}.${up}.weight`, [64, 128]], [`${dir}${k}.${down}.weight`, [128, 64]],
]).flat());

const mlp = (l, ff) => ({ [`${l}gate_proj.weight`]: [ff, 128], [`${l}up_proj.weight`]: [ff, 128], [`${l}down_proj.weight`]: [128, ff] });

test('dots1', { skip }, async (t) => {
  const tensors = { ...globals };
  for (const i of [0, 1]) {
    const l = `model.layers.${i}.`;
    Object.assign(tensors, attention(l, false), {
      [`${l}input_layernorm.weight`]: [128], [`${l}post_attention_layernorm.weight`]: [128], [`${l}self_attn.q_norm.weight`]: [32], [`${l}self_attn.k_norm.weight`]: [32],
    }, i === 0 ? mlp(`${l}mlp.`, 192) : {
      [`${l}mlp.gate.weight`]: [6, 128], [`${l}mlp.gate.e_score_correction_bias`]: [6], ...mlp(`${l}mlp.shared_experts.`, 128),
      ...experts(`${l}mlp.experts.`, 'gate_proj', 'up_proj', 'down_proj'),
    });
  }
  await judge(t, dir, write('dots1', {
    architectures: ['Dots1ForCausalLM'], head_dim: 32, intermediate_size: 192, moe_intermediate_size: 64, n_routed_experts: 6, num_experts_per_tok: 2, n_shared_experts: 2,
    first_k_dense_replace: 1, norm_topk_prob: true, routed_scaling_factor: 2.5, n_group: 1, topk_group: 1, scoring_func: 'noaux_tc', rope_theta: 1e6,
  }, tensors));
});

// Original contexts of 16 tokens: queries grow, and frequencies are stretched, within the prompt.
test('ministral3', { skip }, async (t) => {
  const tensors = { ...globals };
  for (const i of [0, 1]) {
    const l = `model.layers.${i}.`;
    Object.assign(tensors, attention(l, false), mlp(`${l}mlp.`, 192), { [`${l}input_layernorm.weight`]: [128], [`${l}post_attention_layernorm.weight`]: [128] });
  }
  await judge(t, dir, write('ministral3', {
    architectures: ['Ministral3ForCausalLM'], head_dim: 32, intermediate_size: 192,
    rope_parameters: { rope_type: 'yarn', rope_theta: 1e6, factor: 16, original_max_position_embeddings: 16, beta_fast: 32, beta_slow: 1, mscale: 1, mscale_all_dim: 1, llama_4_scaling_beta: 0.1 },
  }, tensors));
});

// The folder of nemotron_h with mixtures in the place of its networks.
test('nemotron_h_moe', { skip }, async (t) => {
  const folder = path.join(shared, 'fixtures2', 'nemotron_h');
  const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8'));
  const file = readFileSync(path.join(folder, 'model.safetensors'));
  const stored = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE())));
  delete stored.__metadata__;
  const tensors = Object.fromEntries(Object.entries(stored).filter(([n]) => !/mixer\.(up|down)_proj/.test(n)).map(([n, { shape }]) => [n, shape]));
  for (const [i, kind] of config.layers_block_type.entries()) {
    if (kind !== 'mlp') continue;
    const l = `backbone.layers.${i}.mixer.`;
    Object.assign(tensors, {
      [`${l}gate.weight`]: [6, 128], [`${l}gate.e_score_correction_bias`]: [6], [`${l}shared_experts.up_proj.weight`]: [96, 128], [`${l}shared_experts.down_proj.weight`]: [128, 96],
    });
    for (let k = 0; k < 6; k++) Object.assign(tensors, { [`${l}experts.${k}.up_proj.weight`]: [64, 128], [`${l}experts.${k}.down_proj.weight`]: [128, 64] });
  }
  await judge(t, dir, write('nemotron_h_moe', {
    ...config, dtype: 'float32', layers_block_type: config.layers_block_type.map((kind) => kind === 'mlp' ? 'moe' : kind), n_routed_experts: 6, num_experts_per_tok: 2,
    moe_intermediate_size: 64, moe_shared_expert_intermediate_size: 96, n_shared_experts: 1, norm_topk_prob: true, routed_scaling_factor: 2.5, n_group: 1, topk_group: 1,
  }, tensors));
});

test('granitemoe', { skip }, async (t) => {
  const tensors = { ...globals };
  for (const i of [0, 1]) {
    const l = `model.layers.${i}.`, e = `${l}block_sparse_moe.`;
    Object.assign(tensors, attention(l, false), { [`${l}input_layernorm.weight`]: [128], [`${l}post_attention_layernorm.weight`]: [128] }, {
      [`${e}router.layer.weight`]: [6, 128], [`${e}input_linear.weight`]: [6, 128, 128], [`${e}output_linear.weight`]: [6, 128, 64],
    });
  }
  await judge(t, dir, write('granitemoe', {
    architectures: ['GraniteMoeForCausalLM'], intermediate_size: 64, num_local_experts: 6, num_experts_per_tok: 2, rope_theta: 1e4,
    attention_multiplier: 0.1, embedding_multiplier: 2, residual_multiplier: 0.5, logits_scaling: 2,
  }, tensors));
});

test('qwen3vlmoe', { skip }, async (t) => {
  const tensors = { ...globals };
  for (const i of [0, 1]) {
    const l = `model.layers.${i}.`;
    Object.assign(tensors, attention(l, false), {
      [`${l}input_layernorm.weight`]: [128], [`${l}post_attention_layernorm.weight`]: [128], [`${l}self_attn.q_norm.weight`]: [32], [`${l}self_attn.k_norm.weight`]: [32],
      [`${l}mlp.gate.weight`]: [6, 128], [`${l}mlp.experts.gate_up_proj`]: [6, 128, 128], [`${l}mlp.experts.down_proj`]: [6, 64, 128],
    });
  }
  await judge(t, dir, write('qwen3vlmoe', {
    architectures: ['Qwen3VLMoeForConditionalGeneration'], head_dim: 32, intermediate_size: 192, moe_intermediate_size: 64, num_experts: 6, num_experts_per_tok: 2, norm_topk_prob: true,
    rope_theta: 5e6, rope_scaling: { rope_type: 'default', mrope_interleaved: true, mrope_section: [6, 5, 5] }, vision_config: { deepstack_visual_indexes: [8] },
  }, tensors));
});

// llama.cpp normalizes without subtracting the mean, and routes by softmax: other than the model's authors. So nothing that
// enters the residual stream has a mean here, and the key of our routing becomes one that says softmax.
test('phimoe', { skip }, async (t) => {
  const tensors = { ...globals, 'model.norm.bias': [128], 'lm_head.bias': [512] };
  for (const i of [0, 1]) {
    const l = `model.layers.${i}.`;
    Object.assign(tensors, attention(l, true), { [`${l}block_sparse_moe.gate.weight`]: [6, 128] }, experts(`${l}block_sparse_moe.experts.`, 'w1', 'w3', 'w2'));
    for (const n of ['input_layernorm', 'post_attention_layernorm']) Object.assign(tensors, { [`${l}${n}.weight`]: [128], [`${l}${n}.bias`]: [128] });
  }
  const change = (name, x, shape) => {
    if (/embed_tokens/.test(name)) for (let i = 0; i < x.length; i += 128) centred(x.subarray(i, i + 128));
    else if (/o_proj|w2/.test(name)) centred(x, shape[1] ?? 1);
  };
  const factors = (by) => Array.from({ length: 16 }, (_, i) => 1 + by * i);
  await judge(t, dir, write('phimoe', {
    architectures: ['PhiMoEForCausalLM'], intermediate_size: 64, num_local_experts: 6, num_experts_per_tok: 2, router_jitter_noise: 0.01, original_max_position_embeddings: 32,
    rope_theta: 1e4, attention_bias: true, lm_head_bias: true,
    rope_scaling: { type: 'longrope', short_factor: factors(0.1), long_factor: factors(0.5), short_mscale: 1.25, long_mscale: 1.25, original_max_position_embeddings: 32 },
  }, tensors, change), { change: softmax });
});

// softmax puts a key in the place of one that is a byte longer, which the model's name gets.
function softmax(file) {
  const b = readFileSync(file);
  const after = (key) => {
    const at = b.indexOf(key);
    assert.ok(at > 0, `the file has no ${key}`);
    return at + key.length;
  };
  const ours = 'phimoe.router_jitter_noise', theirs = 'phimoe.expert_gating_func';
  const name = after('general.name') + 4, key = after(ours) - ours.length - 8;
  const entry = Buffer.alloc(8 + theirs.length + 8);
  entry.writeBigUInt64LE(BigInt(theirs.length));
  entry.write(theirs, 8);
  entry.writeUInt32LE(4, 8 + theirs.length); // a uint32,
  entry.writeUInt32LE(1, 12 + theirs.length); // softmax
  b.writeBigUInt64LE(b.readBigUInt64LE(name) + 1n, name);
  writeFileSync(file, Buffer.concat([b.subarray(0, name + 8), Buffer.from('-'), b.subarray(name + 8, key), entry, b.subarray(key + 8 + ours.length + 8)]));
}
