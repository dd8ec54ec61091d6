// Starts the server of the tests.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';

// start runs `hipengine serve` on a free port and returns its address, and what stops it.
export async function start() {
  const server = spawn(process.env.HIPENGINE, ['serve', '--port', '0', '--log', 'none'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const base = await new Promise((resolve, reject) => {
    let text = '';
    server.stderr.on('data', (d) => {
      text += d;
      const m = text.match(/serving ember on (http:\S+)\/v1/);
      if (m) resolve(m[1]);
    });
    server.on('exit', (code) => reject(new Error(`server ended with ${code}: ${text}`)));
  });
  return {
    base,
    async stop() {
      server.removeAllListeners('exit');
      const ended = new Promise((resolve) => server.on('exit', resolve));
      server.kill('SIGTERM');
      assert.equal(await ended, 0, 'the server stops cleanly');
    },
  };
}
