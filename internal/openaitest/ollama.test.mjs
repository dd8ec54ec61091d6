// Ollama's own client against a running `hipengine serve` with the built-in model. HIPENGINE names the binary.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { Ollama } from 'ollama';

let server, client;

before(async () => {
  server = spawn(process.env.HIPENGINE, ['serve', '--port', '0', '--log', 'none'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const host = await new Promise((resolve, reject) => {
    let text = '';
    server.stderr.on('data', (d) => {
      text += d;
      const m = text.match(/serving ember on (http:\S+)\/v1/);
      if (m) resolve(m[1]);
    });
    server.on('exit', (code) => reject(new Error(`server ended with ${code}: ${text}`)));
  });
  client = new Ollama({ host });
});

after(async () => {
  server.removeAllListeners('exit');
  const ended = new Promise((resolve) => server.on('exit', resolve));
  server.kill('SIGTERM');
  assert.equal(await ended, 0, 'the server stops cleanly');
});

const france = [{ role: 'user', content: 'What is the capital of France?' }];
const paris = 'The capital of France is Paris.';

test('chat', async () => {
  const r = await client.chat({ model: 'ember', messages: france });
  assert.equal(r.message.content, paris);
  assert.equal(r.message.role, 'assistant');
  assert.ok(r.done && r.done_reason === 'stop' && r.prompt_eval_count === 15 && r.eval_count > 3);
  assert.ok(r.total_duration > 0 && r.eval_duration > 0 && r.prompt_eval_duration > 0);
});

test('streamed chat', async () => {
  let text = '', pieces = 0, last;
  for await (const part of await client.chat({ model: 'ember:latest', messages: france, stream: true })) {
    text += part.message.content;
    pieces++;
    last = part;
  }
  assert.equal(text, paris);
  assert.ok(pieces > 3 && last.done && last.done_reason === 'stop' && last.eval_count > 3);
});

test('abort', async () => {
  const stream = await client.chat({ model: 'ember', messages: [{ role: 'user', content: 'Tell me a story.' }], stream: true });
  await assert.rejects(async () => {
    for await (const _ of stream) stream.abort();
  }, { name: 'AbortError' });
});

test('generate', async () => {
  const chat = await client.generate({ model: 'ember', prompt: france[0].content, options: { temperature: 0, num_predict: 3 } });
  assert.equal(chat.done_reason, 'length');
  assert.ok(paris.startsWith(chat.response) && chat.eval_count === 3);
  const raw = await client.generate({
    model: 'ember', raw: true, prompt: '<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n', options: { stop: ['Paris'] },
  });
  assert.ok(raw.response.endsWith('The capital of France is '), raw.response);
  const loaded = await client.generate({ model: 'ember', prompt: '' });
  assert.equal(loaded.done_reason, 'load');
});

const tools = [
  { type: 'function', function: { name: 'get_weather', description: 'Get the weather in a city.', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } } },
  { type: 'function', function: { name: 'add', description: 'Add two numbers.', parameters: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer' } }, required: ['a', 'b'] } } },
];

test('tool loop', async () => {
  const messages = [{ role: 'user', content: 'What is the weather in Paris?' }];
  const first = await client.chat({ model: 'ember', messages, tools });
  assert.deepEqual(first.message.tool_calls.map((c) => [c.function.name, c.function.arguments]), [['get_weather', { city: 'Paris' }]]);
  let streamed, content = '';
  for await (const part of await client.chat({ model: 'ember', messages, tools, stream: true })) {
    streamed ??= part.message.tool_calls;
    content += part.message.content;
  }
  assert.deepEqual(streamed.map((c) => c.function), first.message.tool_calls.map((c) => c.function));
  assert.equal(content, first.message.content);
  messages.push(first.message, { role: 'tool', tool_name: 'get_weather', content: '{"weather": "sunny", "degrees": 21}' });
  const last = await client.chat({ model: 'ember', messages, tools });
  assert.equal(last.message.content, 'It is sunny in Paris, with 21 degrees.');
});

test('format', async () => {
  const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
  const r = await client.chat({ model: 'ember', messages: france, format: schema, options: { num_predict: 200 } });
  assert.equal(typeof JSON.parse(r.message.content).city, 'string');
  const free = await client.generate({ model: 'ember', prompt: 'Answer with JSON.', format: 'json', options: { num_predict: 200, temperature: 0 } });
  if (free.done_reason === 'stop') assert.equal(typeof JSON.parse(free.response), 'object');
});

test('embed', async () => {
  const r = await client.embed({ model: 'ember', input: ['Paris is a city.', 'A dog sleeps.', 'Paris is a city.'] });
  const cosine = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const [a, b, c] = r.embeddings;
  assert.ok(a.length === 256 && cosine(a, c) > 0.99999 && cosine(a, b) < 0.99 && Math.abs(cosine(a, a) - 1) < 1e-5);
  assert.ok(r.prompt_eval_count > 5);
  const short = await client.embed({ model: 'ember', input: 'Paris is a city.', dimensions: 8 });
  assert.equal(short.embeddings[0].length, 8);
  const old = await client.embeddings({ model: 'ember', prompt: 'Paris is a city.' });
  assert.equal(old.embedding.length, 256);
});

test('models', async () => {
  const { models } = await client.list();
  assert.deepEqual(models.map((m) => m.name), ['ember']);
  assert.equal(models[0].details.family, 'qwen35');
  const show = await client.show({ model: 'ember' });
  assert.ok(show.capabilities.includes('completion') && show.capabilities.includes('tools'));
  assert.ok(show.model_info['qwen35.context_length'] > 0 && show.model_info['general.parameter_count'] > 1e7);
  assert.equal((await client.ps()).models[0].name, 'ember');
  assert.match((await client.version()).version, /^\d+\.\d+\.\d+$/);
});

test('errors', async () => {
  const fails = (promise, status, message) => assert.rejects(promise, (e) => {
    assert.equal(e.status_code, status);
    assert.match(e.message, message);
    return true;
  });
  await fails(client.chat({ model: 'nothing', messages: france }), 404, /not found/);
  await fails(client.chat({ model: 'ember', messages: france, options: { temperature: -1 } }), 400, /options\.temperature/);
  await fails(client.generate({ model: 'ember', prompt: 'x', images: ['aGk='] }), 400, /images/);
  await fails(client.pull({ model: 'llama3' }), 501, /hipengine pull/);
  await fails(client.delete({ model: 'ember' }), 501, /hipengine rm/);
});
