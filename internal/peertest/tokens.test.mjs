// Texts that tokenizers trip over: llama.cpp and hipengine cut them alike.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import * as hipengine from './hipengine.mjs';
import * as llama from './llama.mjs';

const texts = [
  '', ' ', '  ', '\n', '\n\n', ' \n', '\n ', '\t\t\tx', '   x', 'x   ', 'a  b   c    d', '\r\n\r\nx\r', ' \n \n  \n x', '\u00a0x\u2003y\u3000z',
  'Hello world', 'Hello, World! How are you?', "I'll we've they'd it's DON'T CAN'T I'M o'clock 'tis ''s", 'HELLOworldHello', 'camelCaseAndPascalCase', 'snake_case__x',
  '0', '12', '123', '1234567890', '3.14159e-10', '1,000,000', '2026-11-23T10:05:00Z', '٣٤٥ ६७८ ⅷ ½ ²³', '192.168.0.1:8080',
  'for (int i = 0; i < n; i++) {\n\treturn a[i] != b[i] ? x : y;\n}\n', 'if x:\n    y = 1\n\n\n    z', '{"a": [1, 2.5, null], "b": "\\u00e9"}', '<a href="https://example.org/?q=1&r=2#x">', '!!! ??? ... --- === ///',
  'e\u0301 a\u0308o\u0302', 'naïve café résumé Ünïcödé', 'Größe Straße', 'Привет, мир!', 'Γειά σου Κόσμε', 'שלום עולם', 'مرحبا بالعالم', 'नमस्ते दुनिया', 'สวัสดีชาวโลก', 'こんにちは世界。カタカナ', '你好,世界!今天天气很好。', '안녕하세요 세계',
  '👋🌍', '👩‍👩‍👧‍👦 👍🏽 🇩🇪 ❤️', '𝒜𝓑𝓒 𐍈', '\u0000\u0001\u001f\u007f', '\ufeffx', '\u200b\u200d\u2060', '\ufffd', 'ﬁ ﬂ ™ ℃', '─│┌┐ ■□▲', '“quotes” ‘single’ – — …',
  '<|im_start|>user\nHi<|im_end|>\n', '<|endoftext|>', 'a<|im_end|>b', '<|im_start', '<|unused|> <|im_end|', '<think>\n\n</think>', '  <|im_end|>  ', 'word '.repeat(40), 'a'.repeat(300), '=-'.repeat(80), '\n'.repeat(20), ' '.repeat(100) + 'x',
];

const shared = hipengine.shared();
const tokenizers = shared && path.join(shared, 'tokenizers');
const dir = hipengine.folder();

before(() => llama.start());

// markup of gpt-oss is user-defined for llama.cpp, so that it is read even in plain text.
const markup = /<\|(start|message|end)\|>/;

// compare tokenizes texts with both. Without special, the names of special tokens are text. published holds what Hugging
// Face's library says of some texts: where llama.cpp departs from it and we do not, there is no fault of ours. It returns
// those texts.
async function compare(file, list, published = new Map()) {
  const model = await llama.Model.load(file, { vocabOnly: true });
  const input = list.map((text) => JSON.stringify({ text })).join('\n');
  const departed = new Set();
  for (const special of [true, false]) {
    const ours = hipengine.run(['tokenize', '--json', ...(special ? [] : ['--plain']), file], input).trim().split('\n').map((l) => JSON.parse(l).ids);
    const wrong = [];
    for (const [i, text] of list.entries()) {
      const theirs = [...ours[0], ...model.tokenize(text, special)]; // the first text is empty: what begins every text
      if (theirs.join() === ours[i].join()) continue;
      if (published.get(text)?.includes(ours[i].join()) || !special && markup.test(text)) departed.add(text);
      else wrong.push(`${JSON.stringify(text)}: ours ${ours[i]}, theirs ${theirs}`);
    }
    assert.equal(wrong.length, 0, `of ${list.length} texts differ, special tokens ${special ? 'read' : 'as text'}:\n${wrong.slice(0, 5).join('\n')}`);
  }
  await model.close();
  return [...departed];
}

// Qwen's tokenizers compose what is decomposed, and so do we; llama.cpp leaves it to its caller.
const composed = (list) => list.map((text) => text.normalize('NFC'));

test('Ember', async () => assert.deepEqual(await compare(hipengine.ember, composed(texts)), []));

// disguise writes a folder with a published tokenizer around a Llama of one layer whose weights are zero.
function disguise(name) {
  const folder = path.join(dir, name);
  mkdirSync(folder);
  const tokenizer = execFileSync('xz', ['-dc', path.join(tokenizers, `${name}.json.xz`)], { maxBuffer: 1 << 28 });
  writeFileSync(path.join(folder, 'tokenizer.json'), tokenizer);
  writeFileSync(path.join(folder, 'tokenizer_config.json'), '{}');
  const { model, added_tokens: added } = JSON.parse(tokenizer);
  const ids = Array.isArray(model.vocab) ? [model.vocab.length - 1] : Object.values(model.vocab);
  const vocab = 1 + [...ids, ...added.map((t) => t.id)].reduce((a, b) => Math.max(a, b));
  const hidden = 32;
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({
    architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_size: hidden, intermediate_size: hidden, num_hidden_layers: 1, num_attention_heads: 1,
    num_key_value_heads: 1, head_dim: hidden, vocab_size: vocab, max_position_embeddings: 4096, rms_norm_eps: 1e-6, rope_theta: 1e4, hidden_act: 'silu',
    tie_word_embeddings: true, bos_token_id: 0, eos_token_id: 1,
  }));
  const tensors = { 'model.embed_tokens.weight': [vocab, hidden], 'model.norm.weight': [hidden] };
  for (const t of ['input_layernorm', 'post_attention_layernorm']) tensors[`model.layers.0.${t}.weight`] = [hidden];
  for (const t of ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj', 'mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj']) tensors[`model.layers.0.${t}.weight`] = [hidden, hidden];
  const header = {};
  let at = 0;
  for (const [t, shape] of Object.entries(tensors)) header[t] = { dtype: 'BF16', shape, data_offsets: [at, at += 2 * shape.reduce((a, b) => a * b)] };
  const json = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  const weights = path.join(folder, 'model.safetensors');
  writeFileSync(weights, Buffer.concat([size, json]));
  truncateSync(weights, 8 + json.length + at);
  return folder;
}

test('published tokenizers', { skip: tokenizers ? false : 'NO PUBLISHED TOKENIZER WAS COMPARED: shared/ is not beside the repository' }, async (t) => {
  for (const name of readdirSync(tokenizers).flatMap((f) => f.match(/^(.*)\.json\.xz$/)?.[1] ?? [])) {
    await t.test(name, async (t) => {
      const file = path.join(dir, `${name}.gguf`);
      hipengine.run(['convert', disguise(name), file, '--type', 'q8_0']);
      const rows = JSON.parse(readFileSync(path.join(tokenizers, `${name}.expected.json`), 'utf8'));
      const published = new Map(rows.map((row) => [row.text, [row.ids, row.ids_special ?? row.ids].map(String)]));
      const list = [...new Set([...texts, ...published.keys()])];
      const departed = await compare(file, name.startsWith('qwen') ? composed(list) : list, published);
      t.diagnostic(`${list.length} texts; llama.cpp departs from the published ids in ${departed.length}: ${JSON.stringify(departed)}`);
    });
  }
});
