// Texts that tokenizers trip over: llama.cpp and hipengine cut them alike.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, readdirSync, writeFileSync, mkdirSync, openSync, writeSync, ftruncateSync, closeSync } from 'node:fs';
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
const dir = hipengine.folder();

before(() => llama.start());

// compare tokenizes texts with both. Qwen's tokenizers compose what is decomposed; llama.cpp leaves that to its caller. Without special, the names of special tokens are text.
async function compare(file, list) {
  const model = await llama.Model.load(file, { vocabOnly: true });
  for (const special of [true, false]) {
    const lines = list.map((text) => JSON.stringify({ text })).join('\n');
    const ours = hipengine.run(['tokenize', '--json', ...(special ? [] : ['--plain']), file], lines).trim().split('\n').map((l) => JSON.parse(l).ids);
    const wrong = [];
    for (const [i, text] of list.entries()) {
      const theirs = model.tokenize(text.normalize('NFC'), special);
      if (theirs.join() !== ours[i].join()) wrong.push(`${JSON.stringify(text)}: ours ${ours[i]}, theirs ${theirs}`);
    }
    assert.deepEqual(wrong, [], `${wrong.length} of ${list.length} texts differ, special tokens ${special ? 'read' : 'as text'}`);
  }
  await model.close();
}

test('Ember', () => compare(hipengine.ember, texts));
