// llama.cpp through the addon of node-llama-cpp's prebuilt package: its calls are llama.cpp's own, with no queue, no
// sampler and no chat layer between. The package is pinned, since the addon's interface is the package's own business.
import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { getBinsDir } from '@node-llama-cpp/linux-x64';

const { binsDir, packageVersion } = getBinsDir();
const dir = path.join(binsDir, 'linux-x64');
export const peer = `llama.cpp of @node-llama-cpp/linux-x64 ${packageVersion}`;

const log = [];
let addon;

// backends lists the variants of the CPU back end; llama.cpp takes the one with the most instructions that the CPU has.
export const backends = () => readdirSync(dir).map((f) => f.match(/^libggml-cpu-(.*)\.so$/)?.[1]).filter(Boolean);

// start loads the library. without drops variants of the CPU back end by name.
export async function start({ without = [] } = {}) {
  addon = createRequire(import.meta.url)(path.join(dir, 'llama-addon.node'));
  addon.markLoaded();
  addon.setLogger((level, text) => log.push(text));
  addon.setLoggerLogLevel(5);
  if (without.length === 0) {
    addon.loadBackends(dir);
  } else {
    const chosen = mkdtempSync(path.join(os.tmpdir(), 'hipengine-peer-'));
    for (const b of backends().filter((b) => !without.includes(b))) {
      const f = `libggml-cpu-${b}.so`;
      symlinkSync(path.join(dir, f), path.join(chosen, f));
    }
    addon.loadBackends(chosen);
    rmSync(chosen, { recursive: true });
  }
  await addon.init();
}

// backend returns the variant that was loaded.
export const backend = () => readFileSync('/proc/self/maps', 'utf8').match(/libggml-cpu-(\w+)\.so/)?.[1] ?? 'unknown';

// instructions returns the instruction sets that the loaded variant uses.
export const instructions = () => addon.systemInfo().trim();

// delivered waits until messages of other threads have reached log.
const delivered = () => sleep(20);

// logged returns what llama.cpp has logged so far, and forgets it.
export async function logged() {
  await delivered();
  return log.splice(0).join('');
}

export class Model {
  // load reads a file. Options are those of the addon: vocabOnly, useMmap, noAlloc.
  static async load(file, options = {}) {
    const m = new Model();
    log.length = 0;
    m.model = new addon.AddonModel(file, { gpuLayers: 0, useMmap: true, ...options, addonExports: addon });
    const ok = await m.model.init().catch((e) => { throw new Error(`llama.cpp does not load ${file}: ${e.message}\n${tail()}`); });
    if (!ok) throw new Error(`llama.cpp does not load ${file}\n${tail()}`);
    await delivered();
    m.log = log.join('');
    return m;
  }

  tokenize(text, special = true) { return Array.from(this.model.tokenize(text, special)); }

  detokenize(tokens) { return this.model.detokenize(Uint32Array.from(tokens), false); }

  // vocabulary returns the number of tokens.
  vocabulary() { return Number(this.log.match(/n_vocab\s+=\s+(\d+)/)[1]); }

  isEnd(token) { return this.model.isEogToken(token); }

  // context makes a context with one sequence, with embeddings and perhaps ranking for encoders. One thread is the default: several wait for each other by spinning, which
  // takes forever on a busy machine.
  async context({ size = 512, batch = size, threads = 1, flashAttention = true, f32 = false, embeddings = false, ranking = false } = {}) {
    const c = new Context();
    c.model = this;
    c.context = new addon.AddonContext(this.model, {
      contextSize: size, batchSize: batch, sequences: 1, threads, flashAttention, swaFullCache: true, embeddings, ranking,
      ...(f32 ? { kvCacheKeyType: addon.getGgmlType('F32'), kvCacheValueType: addon.getGgmlType('F32') } : {}),
    });
    if (!await c.context.init()) throw new Error(`llama.cpp makes no context\n${tail()}`);
    c.sampler = new addon.AddonSampler(this.model);
    c.sampler.applyConfig({ temperature: 0 });
    return c;
  }

  async close() { await this.model.dispose(); }
}

export class Context {
  length = 0;

  clear() {
    if (this.length > 0) this.context.disposeSequence(0);
    this.length = 0;
  }

  // feed decodes tokens as one batch: one call of llama_decode. Logits of the positions in rows can be read until the
  // next call; llama.cpp computes no others.
  async feed(tokens, rows = [tokens.length - 1]) {
    this.context.initBatch(tokens.length);
    const at = this.context.addToBatch(0, this.length, Uint32Array.from(tokens), Uint32Array.from(rows));
    await this.context.decodeBatch();
    this.length += tokens.length;
    return at;
  }

  // predictions feeds tokens and returns what follows each of them: token, the most likely one, top, the logits of the
  // likeliest tokens, want, the logit of the token that the text goes on with, and lse, the logarithm of the sum of e to
  // all logits. The addon returns numbers one by one, so that all logits of all positions would take seconds.
  async predictions(tokens, count = 64) {
    const at = await this.feed(tokens, tokens.keys());
    const out = [];
    for (const [i, j] of at.entries()) {
      const want = tokens[i + 1] ?? 0;
      const [token, , , pairs, sum] = await this.context.sampleToken(j, this.sampler, false, false, [[want], false, false, false, count], true);
      const top = new Map();
      for (let k = 0; k < pairs.length; k += 2) top.set(pairs[k], pairs[k + 1]);
      out.push({ token, top, want: top.get(want), lse: Math.max(...top.values()) + Math.log(sum) });
    }
    return out;
  }

  // next feeds tokens and returns the most likely token after them.
  async next(tokens) {
    const at = await this.feed(tokens);
    return this.context.sampleToken(at[at.length - 1], this.sampler);
  }

  // greedy feeds a prompt and returns up to n tokens, one after the other, the most likely one each; an end is the last.
  async greedy(prompt, n) {
    this.clear();
    const out = [await this.next(prompt)];
    while (out.length < n && !this.model.isEnd(out.at(-1))) out.push(await this.next(out.slice(-1)));
    return out;
  }

  // embedding returns the vector of a text, or the scores of a model that ranks.
  async embedding(tokens) {
    this.clear();
    await this.feed(tokens, tokens.keys());
    return Array.from(this.context.getEmbedding(tokens.length));
  }

  async close() {
    this.sampler.dispose();
    await this.context.dispose();
  }
}

const tail = () => log.join('').split('\n').slice(-12).join('\n');
