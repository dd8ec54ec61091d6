// Vercel's AI SDK with its provider for servers that speak OpenAI's language. HIPENGINE names the binary.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, jsonSchema, stepCountIs, streamObject, streamText, tool } from 'ai';
import { start } from './server.mjs';

let server, model;

before(async () => {
  server = await start();
  const provider = createOpenAICompatible({ name: 'hipengine', baseURL: `${server.base}/v1`, includeUsage: true, supportsStructuredOutputs: true });
  model = provider('ember');
});

after(() => server.stop());

const city = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
const numbers = { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer' } }, required: ['a', 'b'], additionalProperties: false };
const capital = {
  type: 'object', properties: { capital: { type: 'string', enum: ['Rome', 'Paris'] }, sure: { type: 'boolean' } }, required: ['capital', 'sure'],
  additionalProperties: false,
};

// tools returns tools that note their calls.
function tools(calls) {
  const note = (name, answer) => async (args) => { calls.push([name, args]); return answer(args); };
  return {
    get_weather: tool({
      description: 'Get the weather in a city.', inputSchema: jsonSchema(city), execute: note('get_weather', () => '{"weather": "sunny", "degrees": 21}'),
      toModelOutput: ({ output }) => ({ type: 'text', value: output }), // with spaces, as Ember has learned to read JSON
    }),
    add: tool({ description: 'Add two numbers.', inputSchema: jsonSchema(numbers), execute: note('add', ({ a, b }) => ({ sum: a + b })) }),
  };
}

test('streamText with a tool loop', async () => {
  const calls = [], kinds = new Set();
  const result = streamText({
    model, tools: tools(calls), stopWhen: stepCountIs(3), temperature: 0, maxRetries: 0, prompt: 'What is the weather in Paris?',
    onError: ({ error }) => { throw error; },
  });
  let pieces = 0;
  for await (const part of result.fullStream) {
    kinds.add(part.type);
    if (part.type === 'text-delta') pieces++;
  }
  assert.deepEqual(calls, [['get_weather', { city: 'Paris' }]]);
  assert.equal(await result.text, 'It is sunny in Paris, with 21 degrees.');
  assert.ok(pieces > 3, `${pieces} pieces`);
  for (const kind of ['tool-input-start', 'tool-input-delta', 'tool-input-end', 'tool-call', 'tool-result', 'finish']) assert.ok(kinds.has(kind), kind);
  const steps = await result.steps;
  assert.deepEqual(steps.map((s) => s.finishReason), ['tool-calls', 'stop']);
  const usage = await result.totalUsage;
  assert.ok(usage.inputTokens > 0 && usage.outputTokens > 10 && usage.totalTokens === usage.inputTokens + usage.outputTokens, JSON.stringify(usage));
});

test('generateText with a tool that is required', async () => {
  const calls = [];
  const { toolCalls, finishReason } = await generateText({
    model, tools: tools(calls), toolChoice: 'required', temperature: 0, maxRetries: 0, prompt: 'Use the tool to add 17 and 25.',
  });
  assert.equal(finishReason, 'tool-calls');
  assert.deepEqual(toolCalls.map((c) => [c.toolName, c.input]), [['add', { a: 17, b: 25 }]]);
  assert.deepEqual(calls, [['add', { a: 17, b: 25 }]]);
});

test('generateObject', async () => {
  const { object, usage } = await generateObject({
    model, schema: jsonSchema(capital), schemaName: 'answer', temperature: 0, maxRetries: 0, prompt: 'What is the capital of France?',
  });
  assert.ok(capital.properties.capital.enum.includes(object.capital) && typeof object.sure === 'boolean', JSON.stringify(object));
  assert.ok(usage.outputTokens > 5);
});

test('generateObject of an enumeration and of an array', async () => {
  const one = await generateObject({ model, output: 'enum', enum: ['sunny', 'rainy'], temperature: 0, maxRetries: 0, prompt: 'What is the weather?' });
  assert.ok(['sunny', 'rainy'].includes(one.object), one.object);
  const list = await generateObject({
    model, output: 'array', schema: jsonSchema({ ...city, properties: { city: { type: 'string', maxLength: 12 } } }), maxOutputTokens: 400, temperature: 0, maxRetries: 0, prompt: 'Name the capital of France.',
  });
  assert.ok(Array.isArray(list.object) && list.object.every((e) => typeof e.city === 'string'), JSON.stringify(list.object));
});

test('streamObject', async () => {
  const { partialObjectStream, object } = streamObject({
    model, schema: jsonSchema(capital), temperature: 0, maxRetries: 0, prompt: 'What is the capital of France?', onError: ({ error }) => { throw error; },
  });
  let partial = 0;
  for await (const _ of partialObjectStream) partial++;
  assert.ok(partial > 1, `${partial} states`);
  assert.ok(capital.properties.capital.enum.includes((await object).capital));
});

test('messages with a system prompt, and abort', async () => {
  const { text } = await generateText({
    model, temperature: 0, maxRetries: 0, system: 'Answer briefly.',
    messages: [{ role: 'user', content: 'My name is Zoe.' }, { role: 'assistant', content: 'Nice to meet you, Zoe!' }, { role: 'user', content: [{ type: 'text', text: 'What is my name?' }] }],
  });
  assert.equal(text, 'Your name is Zoe.');
  const abort = new AbortController();
  let pieces = 0, aborted = false;
  const result = streamText({ model, abortSignal: abort.signal, maxOutputTokens: 2000, maxRetries: 0, prompt: 'Tell me a story about an owl and a map.', onAbort: () => { aborted = true; } });
  for await (const part of result.fullStream) if (part.type === 'text-delta' && ++pieces === 3) abort.abort();
  assert.ok(aborted && pieces < 50, `${pieces} pieces after the abort`);
});

test('errors name the field', async () => {
  await assert.rejects(generateText({ model, temperature: 9, maxRetries: 0, prompt: 'x' }), (e) => e.statusCode === 400 && /temperature/.test(e.message));
});
