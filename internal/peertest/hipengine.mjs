// hipengine as its users run it. HIPENGINE names the binary.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export const repository = path.resolve(import.meta.dirname, '..', '..');
export const ember = path.join(repository, 'internal', 'ember', 'ember-Q8_0.gguf');

const binary = process.env.HIPENGINE ?? path.join(repository, 'bin', 'hipengine');

// run executes a command and returns what it prints.
export const run = (args, input) => execFileSync(binary, args, { input, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['pipe', 'pipe', 'pipe'] });

// start executes a command in the background.
export const start = (args) => spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] });

// folder makes a folder for files that are gone when the process ends.
export function folder() {
  const dir = mkdtempSync(path.join(process.env.PEER_DIR ?? os.tmpdir(), 'hipengine-peer-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

// logits returns the logits after each token, a Float32Array each. The CPU reads few tokens at a time, as when it writes:
// all CPUs have activations of 8 bits then, as llama.cpp has, while some read prompts with more.
export function logits(file, tokens, out, device = 'ref') {
  const chunk = device === 'cpu' ? ['--chunk', '8'] : [];
  run(['logits', '--device', device, ...chunk, '--tokens', tokens.join(','), '--out', out, file]);
  const b = readFileSync(out);
  const all = new Float32Array(b.buffer, b.byteOffset, b.length / 4);
  const vocab = all.length / tokens.length;
  return tokens.map((_, i) => all.subarray(i * vocab, (i + 1) * vocab));
}

// serve runs a server for files. complete asks it for the n most likely tokens after a prompt of ids, as text.
export async function serve(files, device = 'cpu', context = 512) {
  const server = start(['serve', '--port', '0', '--log', 'none', '--device', device, '--ctx', String(context), ...files]);
  const base = await new Promise((resolve, reject) => {
    let text = '';
    server.stderr.on('data', (d) => {
      text += d;
      const m = text.match(/serving .* on (http:\S+)\/v1/);
      if (m) resolve(m[1]);
    });
    server.on('exit', (code) => reject(new Error(`the server ended with ${code}: ${text}`)));
  });
  return {
    async complete(model, prompt, n) {
      const r = await fetch(`${base}/v1/completions`, {
        method: 'POST', headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model, prompt, max_tokens: n, temperature: 0 }),
      });
      const body = await r.json();
      if (!r.ok) throw new Error(`${model}: ${JSON.stringify(body)}`);
      return body.choices[0].text;
    },
    // rank returns the relevance of documents.
    async rank(model, query, documents) {
      const r = await fetch(`${base}/v1/rerank`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model, query, documents }) });
      const body = await r.json();
      if (!r.ok) throw new Error(`${model}: ${JSON.stringify(body)}`);
      return { scores: body.results.toSorted((a, b) => a.index - b.index).map((x) => x.relevance_score), tokens: body.usage.prompt_tokens };
    },
    close: () => server.kill('SIGTERM'),
  };
}

// shared returns the folder of large fixtures beside the repository, undefined without one.
export function shared() {
  for (let d = repository; d !== path.dirname(d); d = path.dirname(d)) {
    const s = path.join(d, 'shared');
    if (existsSync(path.join(s, 'README.md')) && existsSync(path.join(s, 'fixtures'))) return s;
  }
  return undefined;
}

export const name = (file) => path.basename(file, '.gguf');
