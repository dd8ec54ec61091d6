// A server that answers as a script says, with the page of a real one, so that tests know each byte of an answer.
import { createServer } from 'node:http';

// markdown holds one of each thing that the page renders, and text that must stay text.
export const markdown = `## Sorting in place

A *stable* sort keeps **equal elements** in order. See the [reference](https://pkg.go.dev/slices) or https://go.dev/ref/spec.

| Algorithm | Worst case | Stable |
|:--|--:|:-:|
| Merge sort | \`n log n\` | yes |
| Heapsort | \`n log n\` | no |
| Insertion sort | n² | yes |

1. Split the list
   - into *halves*
   - until one is left
2. Merge, with $O(n)$ space: $a_1 * b_2 * c_3$

\`\`\`go
// Sort sorts s in place.
func Sort(s []int) {
	for i := 1; i < len(s); i++ {
		for j := i; j > 0 && s[j] < s[j-1]; j-- {
			s[j], s[j-1] = s[j-1], s[j] // "swap"
		}
	}
}
\`\`\`

> Simple things first.

- [x] measured
- [ ] proven

---
Done.`;

// attack is what must never become markup or run.
export const attack = `<img src=x onerror="window.hacked=1"> <script>window.hacked=2</script>
[click](javascript:window.hacked=3) [data](data:text/html,<script>window.hacked=4</script>) ![pic](https://example.com/x.png)
<svg onload=window.hacked=5> <a href="javascript:window.hacked=6">a</a> **<b onclick=alert(1)>bold</b>** \`<i>code</i>\`

| <img src=x onerror=window.hacked=7> | b |
|---|---|
| <iframe src="//example.com"></iframe> | [x]( javascript:alert(1)) |

\`\`\`html
<script>window.hacked=8</script>
\`\`\`
`;

const call = {
  id: 'call_1', type: 'function', index: 0, function: { name: 'get_weather', arguments: '' },
};

// deltas are the pieces of the answer to a conversation.
function deltas(body) {
  const last = body.messages.at(-1);
  if (last.role === 'tool') return [{ content: 'It is ' }, { content: `sunny: ${last.content}` }];
  const text = last.content;
  if (text === 'Which simple sorts are stable?') return pieces(markdown);
  if (text === 'attack') return pieces(attack);
  if (text === 'think') return [{ reasoning_content: 'Let me see. ' }, { reasoning_content: '17 and 25 make 42.' }, { content: 'It is **42**.' }];
  if (text === 'weather') return [{ tool_calls: [call] }, ...['{"city":', ' "Par', 'is", "days": 2}'].map((a) => ({ tool_calls: [{ index: 0, function: { arguments: a } }] }))];
  if (text === 'slow') return Array.from({ length: 500 }, (_, i) => ({ content: `word${i} ` }));
  if (text === 'cut off') return [{ content: 'The first half, ' }];
  if (body.continue_final_message) return [{ content: 'and the second.' }];
  if (text === 'only thoughts') return [{ reasoning_content: 'Hm. ' }];
  if (text === 'echo') return [{ content: JSON.stringify(body) }];
  return [{ content: `You said: ${text}` }];
}

function pieces(text) {
  return text.match(/[^]{1,7}/g).map((content) => ({ content }));
}

// scripted starts the server; page is the address of the real one. loading is the number of health checks that fail.
export async function scripted(page, { loading = 0, key = null } = {}) {
  const seen = { bodies: [], aborted: 0 };
  const server = createServer(async (req, res) => {
    const json = (status, v) => { res.writeHead(status, { 'content-type': 'application/json' }); res.end(JSON.stringify(v)); };
    if (req.url === '/') {
      const r = await fetch(page, { headers: { accept: 'text/html' } });
      res.writeHead(r.status, Object.fromEntries([...r.headers].filter(([k]) => !['connection', 'date', 'transfer-encoding'].includes(k))));
      res.end(await r.text());
      return;
    }
    if (req.url === '/health') {
      if (loading-- > 0) json(503, { error: { message: 'the model is loading', type: 'service_unavailable', param: null, code: 'unavailable' } });
      else json(200, { status: 'ok' });
      return;
    }
    if (key && req.headers.authorization !== `Bearer ${key}`) {
      json(401, { error: { message: 'an API key is needed', type: 'authentication_error', param: null, code: 'invalid_api_key' } });
      return;
    }
    if (req.url === '/v1/models') {
      const model = (id, loaded) => ({ id, object: 'model', created: 7, owned_by: 'hipengine', aliases: [], loaded });
      json(200, { object: 'list', data: [model('first', true), model('org/second', false)] });
      return;
    }
    if (req.url.startsWith('/props?model=')) { json(200, { default_generation_settings: { n_ctx: 4096 } }); return; }
    if (req.url !== '/v1/chat/completions') { json(404, { error: { message: 'there is nothing here' } }); return; }
    let text = '';
    for await (const c of req) text += c;
    const body = JSON.parse(text);
    seen.bodies.push(body);
    const last = body.messages.at(-1).content;
    if (last === 'refuse') { json(400, { error: { message: 'the prompt has 5000 tokens, and the context 4096', type: 'invalid_request_error', param: null, code: 'context_length_exceeded' } }); return; }
    res.on('close', () => { if (!res.writableFinished) seen.aborted++; });
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    const event = (v) => res.write(`data: ${JSON.stringify(v)}\n\n`);
    const chunk = (delta, finish_reason = null, more = {}) => event({ id: 'c', object: 'chat.completion.chunk', created: 7, model: body.model, choices: [{ index: 0, delta, finish_reason, ...more }] });
    chunk({ role: 'assistant', content: '' });
    res.write(': ping\n\n');
    const list = deltas(body), wait = last === 'slow' ? 20 : 2;
    for (const d of list) {
      if (res.destroyed) return;
      chunk(d);
      await new Promise((done) => setTimeout(done, wait));
      if (last === 'break') { event({ error: { message: 'the model failed', type: 'server_error', param: null, code: null } }); res.end(); return; }
    }
    if (last === 'cut off') chunk({}, 'length');
    else if (last === 'only thoughts') chunk({}, 'length', { finish_details: { type: 'max_tokens', message: 'all went to thoughts' } });
    else chunk({}, list.some((d) => d.tool_calls) ? 'tool_calls' : 'stop');
    event({ id: 'c', object: 'chat.completion.chunk', created: 7, model: body.model, choices: [], usage: { prompt_tokens: 900, completion_tokens: list.length, total_tokens: 900 + list.length } });
    res.end('data: [DONE]\n\n');
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}/`, seen, close: () => { server.closeAllConnections(); server.close(); } };
}
