// Anthropic's own client against a running `hipengine serve` with the built-in model.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { start } from './server.mjs';

let server, client;

before(async () => {
  server = await start();
  client = new Anthropic({ baseURL: server.base, apiKey: 'none', maxRetries: 0 });
});

after(() => server.stop());

const model = 'ember';
const france = [{ role: 'user', content: 'What is the capital of France?' }];
const weather = { name: 'get_weather', description: 'Get the weather in a city.', input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } };

test('a message', async () => {
  const m = await client.messages.create({ model, max_tokens: 100, messages: france });
  assert.deepEqual(m.content, [{ type: 'text', text: 'The capital of France is Paris.' }]);
  assert.equal(m.stop_reason, 'end_turn');
  assert.equal(m.usage.input_tokens + m.usage.cache_read_input_tokens, (await client.messages.countTokens({ model, messages: france })).input_tokens);
});

test('a stream', async () => {
  const stream = client.messages.stream({ model, max_tokens: 100, messages: france, system: [{ type: 'text', text: 'Answer briefly.', cache_control: { type: 'ephemeral' } }] });
  let text = '';
  stream.on('text', (t) => { text += t; });
  const m = await stream.finalMessage();
  assert.equal(m.content[0].text, text);
  assert.match(text, /Paris/);
  assert.ok(m.usage.output_tokens > 3);
});

test('a stop sequence', async () => {
  const m = await client.messages.create({ model, max_tokens: 100, messages: france, stop_sequences: ['ance is P'] });
  assert.equal(m.content[0].text, 'The capital of Fr');
  assert.equal(m.stop_reason, 'stop_sequence');
  assert.equal(m.stop_sequence, 'ance is P');
});

test('an answer that is begun', async () => {
  const m = await client.messages.create({ model, max_tokens: 100, messages: [...france, { role: 'assistant', content: 'The capital of' }] });
  assert.equal(m.content[0].text, ' France is Paris.');
});

test('tool loop', async () => {
  const messages = [{ role: 'user', content: 'What is the weather in Paris?' }];
  const first = await client.messages.stream({ model, max_tokens: 200, messages, tools: [weather], temperature: 0 }).finalMessage();
  assert.equal(first.stop_reason, 'tool_use');
  const call = first.content.find((b) => b.type === 'tool_use');
  assert.deepEqual(call.input, { city: 'Paris' });
  messages.push({ role: 'assistant', content: first.content },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: '{"weather": "sunny", "degrees": 21}' }] });
  const last = await client.messages.create({ model, max_tokens: 200, messages, tools: [weather], temperature: 0 });
  assert.equal(last.content[0].text, 'It is sunny in Paris, with 21 degrees.');
  assert.ok(last.usage.cache_read_input_tokens > 50, `${last.usage.cache_read_input_tokens} tokens were kept`);
});

test('tool runner', async () => {
  const cities = [];
  const run = ({ city }) => { cities.push(city); return '{"weather": "sunny", "degrees": 21}'; };
  const last = await client.beta.messages.toolRunner({
    model, max_tokens: 200, temperature: 0, messages: [{ role: 'user', content: 'What is the weather in Paris?' }], tools: [{ ...weather, run, parse: (x) => x }],
  });
  assert.deepEqual(cities, ['Paris']);
  assert.match(last.content[0].text, /sunny/);
});

test('what Claude Code asks for', async () => {
  const ask = async (header) => client.beta.messages.create({
    model, max_tokens: 100, temperature: 0, thinking: { type: 'adaptive' }, output_config: { effort: 'high' }, metadata: { user_id: '{"session_id":"x"}' },
    system: [{ type: 'text', text: `x-anthropic-billing-header: cc_version=2.1; ${header};` }, { type: 'text', text: 'Be brief. '.repeat(40), cache_control: { type: 'ephemeral' } }],
    messages: [{ role: 'user', content: [{ type: 'text', text: 'What is the capital of France?' }] }, { role: 'system', content: 'Today is Sunday.' }],
    tools: [weather], context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] }, betas: ['context-management-2025-06-27'],
  });
  const first = await ask('cch=1'), second = await ask('cch=2');
  const prompt = (m) => m.usage.input_tokens + m.usage.cache_read_input_tokens;
  assert.equal(prompt(first), prompt(second));
  assert.ok(second.usage.cache_read_input_tokens > 0.8 * prompt(second), JSON.stringify(second.usage));
});

test('a forced call', async () => {
  const m = await client.messages.create({ model, max_tokens: 200, messages: france, tools: [weather], tool_choice: { type: 'tool', name: 'get_weather' } });
  assert.equal(m.stop_reason, 'tool_use');
  assert.equal(typeof m.content[0].input.city, 'string');
});

test('errors', async () => {
  await assert.rejects(client.messages.create({ model: 'nobody', max_tokens: 9, messages: france }),
    (e) => e instanceof Anthropic.NotFoundError && e.error.error.type === 'not_found_error' && e.requestID?.length > 0);
  await assert.rejects(client.messages.create({ model, max_tokens: 9, messages: [{ role: 'user', content: 'word '.repeat(5000) }] }),
    (e) => e instanceof Anthropic.BadRequestError && /prompt is too long: \d+ tokens > \d+ maximum/.test(e.message));
  await assert.rejects(client.messages.create({ model, max_tokens: 9, messages: france, thread: { type: 'create' } }),
    (e) => e.status === 400 && e.error.error.details.error_code === 'thread_unsupported_request');
});
