// llama.cpp's tests of its tokenizers: the vocabularies models/ggml-vocab-*.gguf of its sources, most with texts (.inp) and
// their ids (.out). node-llama-cpp's package carries the sources as a bundle of git; they are fetched for the test alone.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import * as hipengine from './hipengine.mjs';
import * as llama from './llama.mjs';

const source = 'node-llama-cpp@3.22.1';
const sha512 = 'bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw==';

// Rows in which we differ on purpose: Qwen's tokenizers compose what is decomposed (NFC), and so do we; llama.cpp leaves
// it to its caller. Composed before, they are equal.
const composed = { qwen2: [], qwen35: ['e\u0301', 're\u0301sume\u0301', 'a\u0300'.repeat(200)] };

// BERT's tokenizer knows no word of more than 100 characters, and neither do we; llama.cpp has no such limit.
const long = { 'bert-bge': ['a\u0300'.repeat(200)] };

const dir = hipengine.folder();
const tally = { files: 0, rows: 0, composed: 0, asked: 0, long: 0 };
let models;

// rows reads the texts of a vocabulary and their ids, undefined if there are none.
function rows(file) {
  if (!existsSync(`${file}.inp`)) return undefined;
  const ids = readFileSync(`${file}.out`, 'utf8').trimEnd().split('\n').map((line) => line.trim().split(' ').filter(Boolean).join());
  const texts = readFileSync(`${file}.inp`, 'utf8').split('\n__ggml_vocab_test__\n');
  if (texts.at(-1) === '') texts.pop(); // what follows the last separator
  assert.equal(texts.length, ids.length);
  return texts.map((text, i) => ({ text, ids: ids[i] }));
}

// tokenize returns our ids, without those that begin every text and without special tokens.
const tokenize = (file, texts) => hipengine.run(['tokenize', '--json', '--plain', file], texts.map((text) => JSON.stringify({ text })).join('\n'))
  .trim().split('\n').map((line) => JSON.parse(line).ids.join());

before(async () => {
  await llama.start();
  const [packed] = JSON.parse(execFileSync('npm', ['pack', '--json', '--silent', source], { cwd: dir, encoding: 'utf8' }));
  const archive = path.join(dir, packed.filename);
  assert.equal(createHash('sha512').update(readFileSync(archive)).digest('base64'), sha512, `${source} is another file`);
  execFileSync('tar', ['-xzf', archive, '-C', dir, 'package/llama/gitRelease.bundle']);
  execFileSync('git', ['-c', 'advice.detachedHead=false', 'clone', '--quiet', path.join(dir, 'package/llama/gitRelease.bundle'), path.join(dir, 'llama.cpp')]);
  models = path.join(dir, 'llama.cpp', 'models');
});

after(() => console.log(`vocabularies of llama.cpp: ids of ${tally.rows} texts in ${tally.files} are equal, ${tally.asked} more as llama.cpp says now; `
  + `${tally.composed} differ since we compose, ${tally.long} since a word is too long`));

test('vocabularies', async (t) => {
  const names = readdirSync(models).flatMap((f) => f.match(/^ggml-vocab-(.*)\.gguf$/)?.[1] ?? []);
  assert.equal(names.length, 19);
  const all = new Set(names.flatMap((name) => rows(path.join(models, `ggml-vocab-${name}.gguf`)) ?? []).map((row) => row.text));
  for (const name of names) {
    await t.test(name, async (t) => {
      const file = path.join(models, `ggml-vocab-${name}.gguf`);
      const known = rows(file);
      if (known) {
        const ours = tokenize(file, known.map((row) => row.text));
        const differ = known.filter((row, i) => row.ids !== ours[i]).map((row) => row.text);
        assert.deepEqual(differ, composed[name] ?? []);
        tally.files++;
        tally.rows += known.length - differ.length;
        tally.composed += differ.length;
      }
      // All texts of all vocabularies, by llama.cpp as it is.
      const others = [...all].map((text) => (composed[name] ? text.normalize('NFC') : text));
      const model = await llama.Model.load(file, { vocabOnly: true });
      const [begin, ...ours] = tokenize(file, ['', ...others]);
      assert.equal(begin, '');
      const wrong = others.filter((text, i) => model.tokenize(text, false).join() !== ours[i]);
      await model.close();
      assert.deepEqual(wrong, long[name] ?? []);
      tally.long += wrong.length;
      tally.asked += others.length - wrong.length;
    });
  }
});
