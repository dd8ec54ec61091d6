// OpenAI's own client against a running `hipengine serve` with the built-in model. HIPENGINE names the binary.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';

let server, client, base;

before(async () => {
  server = spawn(process.env.HIPENGINE, ['serve', '--port', '0', '--log', 'none'], { stdio: ['ignore', 'ignore', 'pipe'] });
  base = await new Promise((resolve, reject) => {
    let text = '';
    server.stderr.on('data', (d) => {
      text += d;
      const m = text.match(/serving ember on (http:\S+)\/v1/);
      if (m) resolve(m[1]);
    });
    server.on('exit', (code) => reject(new Error(`server ended with ${code}: ${text}`)));
  });
  client = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'none', maxRetries: 0 });
});

after(async () => {
  server.removeAllListeners('exit');
  const ended = new Promise((resolve) => server.on('exit', resolve));
  server.kill('SIGTERM');
  assert.equal(await ended, 0, 'the server stops cleanly');
});

const france = [{ role: 'user', content: 'What is the capital of France?' }];

test('chat', async () => {
  const r = await client.chat.completions.create({ model: 'ember', messages: france });
  assert.equal(r.choices[0].message.content, 'The capital of France is Paris.');
  assert.equal(r.choices[0].message.role, 'assistant');
  assert.equal(r.choices[0].finish_reason, 'stop');
  assert.equal(r.usage.prompt_tokens, 15);
  assert.equal(r.usage.total_tokens, r.usage.prompt_tokens + r.usage.completion_tokens);
});

test('chat with a system message and memory', async () => {
  const r = await client.chat.completions.create({
    model: 'ember',
    messages: [
      { role: 'system', content: 'Answer briefly.' },
      { role: 'user', content: 'My name is Zoe.' },
      { role: 'assistant', content: 'Nice to meet you, Zoe!' },
      { role: 'user', content: 'What is my name?' },
    ],
  });
  assert.equal(r.choices[0].message.content, 'Your name is Zoe.');
});

test('streamed chat', async () => {
  const stream = await client.chat.completions.create({ model: 'ember', messages: france, stream: true, stream_options: { include_usage: true } });
  let text = '', pieces = 0, finish, usage;
  for await (const chunk of stream) {
    if (chunk.usage) usage = chunk.usage;
    const c = chunk.choices[0];
    if (!c) continue;
    if (c.delta.content) { text += c.delta.content; pieces++; }
    if (c.finish_reason) finish = c.finish_reason;
  }
  assert.equal(text, 'The capital of France is Paris.');
  assert.ok(pieces > 3, `${pieces} pieces`);
  assert.equal(finish, 'stop');
  assert.equal(usage.prompt_tokens, 15);
});

test('stop strings across token borders', async () => {
  const r = await client.chat.completions.create({ model: 'ember', messages: france, stop: ['ance is P'] });
  assert.equal(r.choices[0].message.content, 'The capital of Fr');
  assert.equal(r.choices[0].finish_reason, 'stop');
});

test('max_tokens', async () => {
  const r = await client.chat.completions.create({ model: 'ember', messages: france, max_tokens: 2 });
  assert.equal(r.choices[0].finish_reason, 'length');
  assert.equal(r.usage.completion_tokens, 2);
});

test('seed', async () => {
  const ask = () => client.chat.completions.create({ model: 'ember', messages: [{ role: 'user', content: 'Tell me a story.' }], temperature: 1.2, seed: 11, max_tokens: 24 });
  const [a, b] = [await ask(), await ask()];
  assert.equal(a.choices[0].message.content, b.choices[0].message.content);
});

test('completions', async () => {
  const prompt = '<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n';
  const r = await client.completions.create({ model: 'ember', prompt, max_tokens: 32 });
  assert.equal(r.choices[0].text, 'The capital of France is Paris.');
  let text = '';
  for await (const c of await client.completions.create({ model: 'ember', prompt, max_tokens: 32, stream: true })) {
    text += c.choices[0]?.text ?? '';
  }
  assert.equal(text, r.choices[0].text);
});

test('models', async () => {
  const list = [];
  for await (const m of client.models.list()) list.push(m.id);
  assert.deepEqual(list, ['ember']);
  assert.equal((await client.models.retrieve('ember')).object, 'model');
});

test('abort in mid-stream', async () => {
  const stream = await client.chat.completions.create({ model: 'ember', messages: [{ role: 'user', content: 'Tell me a story about an owl and a map.' }], stream: true, max_tokens: 2000 });
  let n = 0;
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content && ++n === 3) stream.controller.abort();
  }
  assert.ok(n >= 3 && n < 50, `${n} pieces after the abort`);
  // The place of the aborted answer is free again: as many answers as run at once, and one more, come back.
  const rs = await Promise.all(Array.from({ length: 5 }, () => client.chat.completions.create({ model: 'ember', messages: france })));
  for (const r of rs) assert.equal(r.choices[0].message.content, 'The capital of France is Paris.');
});

test('errors', async () => {
  await assert.rejects(client.chat.completions.create({ model: 'nobody', messages: france }), (e) => e instanceof OpenAI.NotFoundError && /nobody/.test(e.message));
  await assert.rejects(client.chat.completions.create({ model: 'ember', messages: france, temperature: 'hot' }), (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature');
  await assert.rejects(client.chat.completions.create({ model: 'ember', messages: france, tempo: 1 }), (e) => e.status === 400 && /tempo/.test(e.message));
  await assert.rejects(client.chat.completions.create({ model: 'ember', messages: [{ role: 'user', content: 'word '.repeat(5000) }] }), (e) => e.status === 400 && /4096/.test(e.message) && e.code === 'context_length_exceeded');
  const r = await fetch(`${base}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' });
  assert.equal(r.status, 400);
  assert.equal((await r.json()).error.type, 'invalid_request_error');
});

const tools = [
  { type: 'function', function: { name: 'get_weather', description: 'Get the weather in a city.', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } } },
  { type: 'function', function: { name: 'add', description: 'Add two numbers.', parameters: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer' } }, required: ['a', 'b'] } } },
];

test('tool loop', async () => {
  const messages = [{ role: 'user', content: 'What is the weather in Paris?' }];
  const first = await client.chat.completions.create({ model: 'ember', messages, tools, tool_choice: 'auto', temperature: 0 });
  const { message, finish_reason } = first.choices[0];
  assert.equal(finish_reason, 'tool_calls');
  assert.equal(message.content, null);
  assert.equal(message.tool_calls.length, 1);
  assert.equal(message.tool_calls[0].function.name, 'get_weather');
  assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: 'Paris' });
  messages.push(message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: '{"weather": "sunny", "degrees": 21}' });
  const last = await client.chat.completions.create({ model: 'ember', messages, tools, temperature: 0 });
  assert.equal(last.choices[0].message.content, 'It is sunny in Paris, with 21 degrees.');
  assert.equal(last.choices[0].finish_reason, 'stop');
});

test('streamed tool call', async () => {
  const runner = client.chat.completions.stream({ model: 'ember', messages: [{ role: 'user', content: 'Use the tool to add 17 and 25.' }], tools, temperature: 0 });
  let pieces = 0;
  runner.on('tool_calls.function.arguments.delta', () => pieces++);
  const { message, finish_reason } = (await runner.finalChatCompletion()).choices[0];
  assert.equal(finish_reason, 'tool_calls');
  assert.equal(message.tool_calls[0].function.name, 'add');
  assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { a: 17, b: 25 });
  assert.ok(pieces > 2, `${pieces} pieces of arguments`);
});

test('named tool', async () => {
  const r = await client.chat.completions.create({ model: 'ember', messages: france, tools, tool_choice: { type: 'function', function: { name: 'add' } }, temperature: 1, seed: 3 });
  const args = JSON.parse(r.choices[0].message.tool_calls[0].function.arguments);
  assert.ok(Number.isInteger(args.a) && Number.isInteger(args.b), JSON.stringify(args));
});

test('json_schema', async () => {
  const schema = { type: 'object', properties: { capital: { type: 'string', enum: ['Rome', 'Paris'] }, sure: { type: 'boolean' } }, required: ['capital', 'sure'], additionalProperties: false };
  const r = await client.chat.completions.parse({ model: 'ember', messages: france, response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } } });
  const v = JSON.parse(r.choices[0].message.content);
  assert.ok(schema.properties.capital.enum.includes(v.capital) && typeof v.sure === 'boolean', r.choices[0].message.content);
  await assert.rejects(client.chat.completions.create({ model: 'ember', messages: france, response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { not: { type: 'string' } } } } }),
    (e) => e.status === 400 && /not/.test(e.message) && e.param === 'response_format.json_schema.schema');
});

test('health', async () => {
  assert.equal((await fetch(`${base}/health`)).status, 200);
});

// The client asks for base64 unless it is told otherwise, and decodes it.
test('embeddings', async () => {
  const texts = ['Paris is the capital of France.', 'A dog sleeps.', 'Paris is the capital of France.'];
  const r = await client.embeddings.create({ model: 'ember', input: texts });
  assert.deepEqual(r.data.map((d) => [d.index, d.object, d.embedding.length]), [0, 1, 2].map((i) => [i, 'embedding', 256]));
  assert.ok(r.usage.prompt_tokens > 10 && r.usage.total_tokens === r.usage.prompt_tokens);
  const cosine = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0); // they have length 1
  const [a, b, c] = r.data.map((d) => d.embedding);
  assert.ok(cosine(a, c) > 0.99999 && Math.abs(cosine(a, a) - 1) < 1e-5 && cosine(a, b) < 0.99);

  const plain = await client.embeddings.create({ model: 'ember', input: texts[0], encoding_format: 'float' });
  assert.ok(cosine(plain.data[0].embedding, a) > 0.99999);
  const short = await client.embeddings.create({ model: 'ember', input: texts[0], dimensions: 16 });
  assert.equal(short.data[0].embedding.length, 16);
  assert.ok(Math.abs(cosine(short.data[0].embedding, short.data[0].embedding) - 1) < 1e-5);

  await assert.rejects(client.embeddings.create({ model: 'ember', input: 'x', dimensions: 1000 }), (e) => {
    assert.equal(e.status, 400);
    assert.equal(e.param, 'dimensions');
    return true;
  });
});
