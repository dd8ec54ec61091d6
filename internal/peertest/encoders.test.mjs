// Small Hugging Face folders of models for embeddings and ranking, converted by hipengine: llama.cpp makes the same vectors
// and scores. They lie in shared/ beside the repository; without it there is nothing to convert. llama.cpp gives all tokens
// the first type, so that cross-encoders of BERT are not among them; its scores of a Qwen 3 with one label are all 1.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import * as hipengine from './hipengine.mjs';
import * as llama from './llama.mjs';

const shared = hipengine.shared();
const skip = shared ? false : 'NO ENCODER WAS CONVERTED: shared/ is not beside the repository';
const dir = hipengine.folder();
const texts = ['Hello world', 'x', 'The cat sat on the mat, and the dog did not care about it at all; nobody else did either, in that long sentence.'];

before(() => llama.start({ without: ['sapphirerapids'] }));

// convert writes a fixture in a type, and opens it. llama.cpp gets our ids.
async function convert(name, type, ranking, folder = path.join(shared, 'fixtures2', name)) {
  const file = path.join(dir, `${name}-${type}.gguf`);
  hipengine.run(['convert', folder, file, '--type', type]);
  const model = await llama.Model.load(file);
  const context = await model.context({ flashAttention: false, f32: true, embeddings: true, ranking });
  const tokenize = (list) => hipengine.run(['tokenize', '--json', file], list.map((text) => JSON.stringify({ text })).join('\n')).trim().split('\n').map((l) => JSON.parse(l).ids);
  return { file, context, tokenize, close: async () => { await context.close(); await model.close(); } };
}

function cosine(a, b) {
  assert.equal(a.length, b.length);
  const dot = (x, y) => x.reduce((sum, v, i) => sum + v * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

// Activations of 8 bits move vectors of Q8_0, the reference's not.
const nearest = { f32: 1 - 1e-6, q8_0: 1 - 5e-4 };

for (const name of ['emb_bert', 'emb_xlm_roberta', 'emb_modernbert', 'emb_gemma3', 'emb_qwen3']) {
  test(name, { skip }, async (t) => {
    for (const type of ['f32', 'q8_0']) {
      const m = await convert(name, type, false);
      const ours = hipengine.run(['embed', '--device', 'ref', m.file, ...texts]).trim().split('\n').map((l) => JSON.parse(l).embedding);
      const cosines = [];
      for (const [i, ids] of m.tokenize(texts).entries()) cosines.push(cosine(ours[i], await m.context.embedding(ids)));
      t.diagnostic(`${type}: cosines 1 - ${cosines.map((c) => (1 - c).toExponential(1)).join(', 1 - ')}`);
      for (const c of cosines) assert.ok(c >= nearest[type], `${type}: a cosine of ${c}`);
      assert.ok(cosine(ours[0], ours[2]) < 0.99, 'all texts have one vector');
      await m.close();
    }
  });
}

// llama.cpp takes the GELU with a hyperbolic tangent, from a table in F16.
test('rerank_xlm_roberta', { skip }, async (t) => {
  for (const [type, limit] of [['f32', 2e-4], ['q8_0', 3e-3]]) {
    const m = await convert('rerank_xlm_roberta', type, true);
    const server = await hipengine.serve([m.file], 'ref', 96);
    try {
      const [query, documents] = [texts[0], texts.slice(1)];
      const ours = await server.rank(hipengine.name(m.file), query, documents);
      const [head, ...tails] = m.tokenize([query, ...documents]);
      const pairs = tails.map((tail) => [...head, ...tail]); // this tokenizer puts nothing round texts
      assert.equal(ours.tokens, pairs.flat().length);
      for (const [i, ids] of pairs.entries()) {
        const [logit] = await m.context.embedding(ids);
        const off = Math.abs(ours.scores[i] - 1 / (1 + Math.exp(-logit)));
        t.diagnostic(`${type}: score ${ours.scores[i].toFixed(4)}, off by ${off.toExponential(1)}`);
        assert.ok(off <= limit, `${type}: score ${ours.scores[i]} of logit ${logit}`);
      }
    } finally {
      server.close();
    }
    await m.close();
  }
});

// A Qwen 3 that ranks by words, whose vocabulary gets them: files have a head of their rows.
test('rerank_qwen3_yesno', { skip }, async (t) => {
  const folder = path.join(dir, 'rerank_qwen3_yesno');
  cpSync(path.join(shared, 'fixtures2', 'rerank_qwen3_yesno'), folder, { recursive: true });
  const file = path.join(folder, 'tokenizer.json');
  const tokenizer = JSON.parse(readFileSync(file, 'utf8'));
  const { vocab, merges } = tokenizer.model;
  const words = { yes: 300, no: 301 };
  const gone = Object.keys(vocab).filter((w) => Object.values(words).includes(vocab[w]));
  for (const w of gone) delete vocab[w];
  Object.assign(vocab, words);
  tokenizer.model.merges = merges.filter(([a, b]) => !gone.some((w) => a === w || b === w || a + b === w));
  tokenizer.model.ignore_merges = true; // words of the vocabulary are tokens
  writeFileSync(file, JSON.stringify(tokenizer));
  writeFileSync(path.join(folder, 'README.md'), '---\npipeline_tag: text-ranking\n---\n');
  for (const [type, limit] of [['f32', 1e-6], ['q8_0', 3e-2]]) {
    const m = await convert('rerank_qwen3_yesno', type, true, folder);
    const server = await hipengine.serve([m.file], 'ref');
    try {
      const [query, ...documents] = texts;
      const ours = await server.rank(hipengine.name(m.file), query, documents);
      const prompt = (document) => `<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n`
        + `<|im_start|>user\n<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n\n<Query>: ${query}\n\n<Document>: ${document}<|im_end|>\n`
        + '<|im_start|>assistant\n<think>\n\n</think>\n\n';
      const prompts = m.tokenize(documents.map(prompt));
      assert.equal(ours.tokens, prompts.flat().length);
      for (const [i, ids] of prompts.entries()) {
        const [yes, no] = await m.context.embedding(ids);
        assert.ok(Math.abs(yes + no - 1) < 1e-5, `${yes} and ${no} are not all`);
        const off = Math.abs(ours.scores[i] - yes);
        t.diagnostic(`${type}: score ${ours.scores[i].toFixed(4)}, off by ${off.toExponential(1)}`);
        assert.ok(off <= limit, `${type}: score ${ours.scores[i]}, theirs ${yes}`);
      }
    } finally {
      server.close();
    }
    await m.close();
  }
});
