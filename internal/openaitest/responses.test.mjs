// OpenAI's own client and the responses of a running `hipengine serve` with the built-in model.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { start } from './server.mjs';

let server, client;

before(async () => {
  server = await start();
  client = new OpenAI({ baseURL: `${server.base}/v1`, apiKey: 'none', maxRetries: 0 });
});

after(() => server.stop());

const model = 'ember';
const france = 'What is the capital of France?';
const weather = {
  type: 'function', name: 'get_weather', description: 'Get the weather in a city.', strict: true,
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
};

test('a response', async () => {
  const r = await client.responses.create({ model, input: france });
  assert.equal(r.output_text, 'The capital of France is Paris.');
  assert.equal(r.status, 'completed');
  assert.equal(r.usage.input_tokens, 15);
  assert.equal(r.usage.total_tokens, r.usage.input_tokens + r.usage.output_tokens);
});

test('a stream', async () => {
  const stream = client.responses.stream({ model, input: france, instructions: 'Answer briefly.' });
  let text = '', number = 0;
  for await (const e of stream) {
    assert.equal(e.sequence_number, number++);
    if (e.type === 'response.output_text.delta') text += e.delta;
  }
  const r = await stream.finalResponse();
  assert.equal(text, r.output_text);
  assert.match(text, /Paris/);
});

test('tool loop', async () => {
  const input = [{ role: 'user', content: 'What is the weather in Paris?' }];
  const first = await client.responses.create({ model, input, tools: [weather], temperature: 0 });
  const call = first.output.find((i) => i.type === 'function_call');
  assert.equal(call.name, 'get_weather');
  assert.deepEqual(JSON.parse(call.arguments), { city: 'Paris' });
  const output = { type: 'function_call_output', call_id: call.call_id, output: '{"weather": "sunny", "degrees": 21}' };
  const sent = await client.responses.create({ model, input: [...input, ...first.output, output], tools: [weather], temperature: 0 });
  assert.equal(sent.output_text, 'It is sunny in Paris, with 21 degrees.');
  const kept = await client.responses.create({ model, previous_response_id: first.id, input: [output], tools: [weather], temperature: 0 });
  assert.equal(kept.output_text, sent.output_text);
  assert.equal(kept.usage.input_tokens, sent.usage.input_tokens);
  assert.ok(kept.usage.input_tokens_details.cached_tokens > 100, `${kept.usage.input_tokens_details.cached_tokens} tokens were kept`);
});

test('streamed tool call', async () => {
  const stream = client.responses.stream({ model, input: 'What is the weather in Paris?', tools: [weather], temperature: 0 });
  let pieces = 0;
  stream.on('response.function_call_arguments.delta', () => pieces++);
  const r = await stream.finalResponse();
  assert.deepEqual(r.output[0].parsed_arguments ?? JSON.parse(r.output[0].arguments), { city: 'Paris' });
  assert.ok(pieces > 1, `${pieces} pieces`);
});

test('a custom tool with a grammar', async () => {
  const definition = 'start: "*** Begin Patch\\n" "*** Delete File: " NAME "\\n*** End Patch\\n"\nNAME: /[a-z]{1,8}\\.txt/';
  const r = await client.responses.create({
    model, input: 'Delete the file a.txt.', temperature: 1,
    tools: [{ type: 'custom', name: 'apply_patch', description: 'Edit files.', format: { type: 'grammar', syntax: 'lark', definition } }],
    tool_choice: 'required',
  });
  assert.equal(r.output[0].type, 'custom_tool_call');
  assert.match(r.output[0].input, /^\*\*\* Begin Patch\n\*\*\* Delete File: [a-z]{1,8}\.txt\n\*\*\* End Patch\n$/);
});

test('structured text', async () => {
  const schema = { type: 'object', properties: { capital: { type: 'string', enum: ['Rome', 'Paris'] } }, required: ['capital'], additionalProperties: false };
  const r = await client.responses.parse({ model, input: france, text: { format: { type: 'json_schema', name: 'answer', strict: true, schema } } });
  assert.ok(schema.properties.capital.enum.includes(JSON.parse(r.output_text).capital), r.output_text);
});

test('stored responses', async () => {
  const r = await client.responses.create({ model, input: 'My name is Zoe.' });
  const next = await client.responses.create({ model, input: 'What is my name?', previous_response_id: r.id });
  assert.equal(next.output_text, 'Your name is Zoe.');
  assert.equal((await client.responses.retrieve(r.id)).output_text, r.output_text);
  const roles = [];
  for await (const item of client.responses.inputItems.list(next.id, { order: 'asc', limit: 2 })) roles.push(item.role);
  assert.deepEqual(roles, ['user', 'assistant', 'user']);
  await client.responses.delete(r.id);
  await assert.rejects(client.responses.retrieve(r.id), (e) => e instanceof OpenAI.NotFoundError);
  await assert.rejects(client.responses.create({ model, input: 'x', previous_response_id: r.id }), (e) => e.status === 404 && e.param === 'previous_response_id');
});

test('what Codex asks for', async () => {
  const probe = await client.responses.create({ model, input: [], max_output_tokens: 1 });
  assert.equal(probe.status, 'incomplete');
  assert.equal(probe.incomplete_details.reason, 'max_output_tokens');
  const r = await client.responses.create({
    model, store: false, parallel_tool_calls: true, include: ['reasoning.encrypted_content'], reasoning: { effort: 'none' }, tool_choice: 'auto',
    tools: [{ type: 'web_search' }, { type: 'image_generation' }, { type: 'namespace', name: 'mcp', description: 'Tools.', tools: [weather] }],
    input: [{ type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'Be brief.' }] },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: france }] },
      { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'Answer now.' }] }],
  });
  assert.equal(r.status, 'completed');
  const { models } = await (await fetch(`${server.base}/v1/models?client_version=1`)).json();
  assert.equal(models[0].slug, 'ember');
});

test('errors', async () => {
  await assert.rejects(client.responses.create({ model, input: 'word '.repeat(5000) }), (e) => e.code === 'context_length_exceeded' && /4096/.test(e.message));
  await assert.rejects(client.responses.create({ model, input: 'x', background: true }), (e) => e.status === 400 && e.param === 'background');
});
