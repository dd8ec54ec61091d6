// Our speed next to llama.cpp's on the same files and threads, in turns, so that both meet the same machine. It judges
// nothing: whatever the ratio, it ends with 0. The environment says what is measured:
//
//   PEER_MODELS   shapes and types of `hipengine synth`, or GGUF files (*.gguf)
//   PEER_DIR      folder that keeps the models (default out/peer)
//   PEER_ROUNDS   rounds (default 5), PEER_PP and PEER_TG tokens to read (512) and to write (64)
//   PEER_THREADS  threads (default: one for each core)
//   PEER_WITHOUT  a second llama.cpp leaves these variants of its CPU back end out (default sapphirerapids, the one with
//                 AMX); none for no second one
//   PEER_DETAILS  1 also measures what logits and sampling cost llama.cpp
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as hipengine from './hipengine.mjs';
import { peer } from './llama.mjs';

const env = (name, preset) => process.env[name] || preset;
const models = env('PEER_MODELS', 'qwen3-0.6b:q4_k_m qwen3-0.6b:q8_0 qwen3-0.6b:f16 qwen3-4b:q4_k_m').split(/\s+/);
const dir = env('PEER_DIR', path.join(hipengine.repository, 'out', 'peer'));
const rounds = Number(env('PEER_ROUNDS', 5));
const [pp, tg] = [Number(env('PEER_PP', 512)), Number(env('PEER_TG', 64))];
const threads = Number(env('PEER_THREADS', os.availableParallelism()));
const without = env('PEER_WITHOUT', 'sapphirerapids');
const details = env('PEER_DETAILS', '') !== '';

// busy is the share of the processors' time that others took, the hypervisor included, while this process slept.
async function busy(ms) {
  const read = () => readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/\s+/).slice(1, 9).map(Number);
  const before = read();
  await sleep(ms);
  const d = read().map((x, i) => x - before[i]);
  const total = d.reduce((a, b) => a + b);
  return total > 0 ? 1 - (d[3] + d[4]) / total : 0;
}

const median = (x) => {
  const s = [...x].sort((a, b) => a - b);
  return (s[(s.length - 1) >> 1] + s[s.length >> 1]) / 2;
};

class Peer {
  static async start(file, without) {
    const p = new Peer();
    p.child = fork(path.join(import.meta.dirname, 'bench-llama.mjs'), [file, String(threads), without], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    p.child.on('exit', (code, signal) => { throw new Error(`llama.cpp ended with ${code ?? signal}`); });
    Object.assign(p, await p.answer());
    p.label = `llama.cpp ${p.backend}`;
    p.pp = [], p.tg = [], p.silent = [], p.sampled = [];
    return p;
  }

  async answer() {
    const [answer] = await once(this.child, 'message');
    return answer;
  }

  stop() {
    this.child.removeAllListeners('exit');
    this.child.kill();
  }

  async rate(measure, n) {
    this.child.send({ measure, n });
    return n / (await this.answer()).seconds;
  }
}

const table = (rows) => {
  const width = rows[0].map((_, i) => Math.max(...rows.map((r) => r[i].length)));
  return rows.map((r) => r.map((c, i) => (i ? c.padStart(width[i]) : c.padEnd(width[i]))).join('  ')).join('\n');
};

const spread = (x) => `${median(x).toFixed(median(x) < 100 ? 2 : 0)} (${Math.min(...x).toFixed(1)}-${Math.max(...x).toFixed(1)})`;

const busiest = [];

async function measure(file) {
  const peers = [await Peer.start(file, '')];
  if (without !== 'none') {
    const second = await Peer.start(file, without);
    if (second.backend !== peers[0].backend) peers.push(second);
    else second.stop();
  }
  const ours = { pp: [], tg: [], bandwidth: [], share: [] };
  for (let round = 0; round < rounds; round++) {
    busiest.push(await busy(300));
    const r = JSON.parse(hipengine.run(['bench', file, '--device', 'cpu', '--threads', String(threads), '--pp', String(pp), '--tg', String(tg), '--reps', '1', '--json']));
    for (const row of r.rows) ours[row.test].push(...row.samples);
    ours.bandwidth.push(r.bandwidth);
    ours.bytes = r.rows.find((row) => row.test === 'tg').bytes_per_step;
    ours.chip = r.chip;
    for (const p of peers) {
      busiest.push(await busy(300));
      p.pp.push(await p.rate('prompt', pp));
      p.tg.push(await p.rate('decode', tg));
      if (!details) continue;
      p.silent.push(await p.rate('silent', tg));
      p.sampled.push(await p.rate('sampled', tg));
    }
  }
  for (const p of peers) p.stop();
  const bandwidth = Math.max(...ours.bandwidth);
  const share = (tg) => `${(100 * median(tg) * ours.bytes / bandwidth).toFixed(0)} %`;
  const ratio = (a, b) => `${(median(a) / median(b)).toFixed(2)}x`;
  console.log(`\n${hipengine.name(file)}: ${(statSync(file).size / 1e9).toFixed(2)} GB, ${(ours.bytes / 1e9).toFixed(2)} GB for each token, memory ${(bandwidth / 1e9).toFixed(1)} GB/s as measured`);
  for (const p of peers) console.log(`${p.label}: ${p.instructions}; ${p.buffers.join(', ')}`);
  console.log(table([
    ['tokens per second, median (range)', `pp${pp}`, 'ours/theirs', `tg${tg}`, 'ours/theirs', 'of memory'],
    [`hipengine ${ours.chip}`, spread(ours.pp), '', spread(ours.tg), '', share(ours.tg)],
    ...peers.map((p) => [p.label, spread(p.pp), ratio(ours.pp, p.pp), spread(p.tg), ratio(ours.tg, p.tg), share(p.tg)]),
    ...(details ? peers.flatMap((p) => [['without logits', p.silent], ['with sampling', p.sampled]].map(([what, x]) => [`${p.label} ${what}`, '', '', spread(x), ratio(ours.tg, x), ''])) : []),
  ]));
}

mkdirSync(dir, { recursive: true });
console.log(hipengine.run(['version']).split('\n').slice(0, 2).join(' '));
console.log(`${peer}, flash attention on, F16 keys and values, ${threads} threads of ${os.availableParallelism()}: ${os.cpus()[0].model}`);
console.log(`${rounds} rounds, in turns; load average ${os.loadavg().map((x) => x.toFixed(1)).join(' ')}`);
for (const m of models) {
  const [shape, type] = m.split(':');
  const file = type ? path.join(dir, `${shape}-${type}.gguf`) : m;
  if (!existsSync(file)) hipengine.run(['synth', shape, file, '--type', type]);
  await measure(file);
}
const loud = busiest.filter((b) => b > 0.05).length;
console.log(loud ? `\nTHE MACHINE WAS NOT QUIET: before ${loud} of ${busiest.length} measurements others took up to ${(100 * Math.max(...busiest)).toFixed(0)} % of the processors. Trust ratios of long runs only.` : '\nThe machine was quiet between measurements.');
