'use strict';

// The server's API, as far as the page needs it.
const API = (() => {
  class Failure extends Error {
    constructor(message, status, error) {
      super(message);
      this.status = status; // 0 if there was no answer
      this.code = error?.code ?? null;
    }
  }

  const headers = () => (Store.key() ? { Authorization: `Bearer ${Store.key()}` } : {});

  async function request(path, options = {}) {
    let r;
    try {
      r = await fetch(path, { ...options, headers: { ...headers(), ...options.headers }, credentials: 'omit', cache: 'no-store' });
    } catch (e) {
      if (e.name === 'AbortError') throw e;
      throw new Failure('The server cannot be reached.', 0);
    }
    if (!r.ok) {
      const error = await r.json().then((v) => v.error, () => null);
      throw new Failure(error?.message ?? `The server answered with status ${r.status}.`, r.status, error);
    }
    return r;
  }

  const json = async (path) => (await request(path)).json();

  const models = async () => (await json('/v1/models')).data;

  // contextOf returns how many tokens a conversation with a model may have, or 0 if the server does not say.
  async function contextOf(model) {
    const known = model.max_model_len ?? model.meta?.n_ctx;
    if (known) return known;
    try {
      return (await json(`/props?model=${encodeURIComponent(model.id)}&autoload=false`)).default_generation_settings?.n_ctx ?? 0;
    } catch {
      return 0;
    }
  }

  // events yields the values of a stream of server-sent events, up to [DONE].
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '', data = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Failure('The connection ended before the answer was complete.', 0);
      text += value;
      const lines = text.split(/\r?\n/);
      text = lines.pop();
      for (const line of lines) {
        if (line.startsWith('data:')) data += line.slice(5).trimStart();
        if (line !== '' || !data) continue; // comments keep the connection alive
        if (data === '[DONE]') return;
        const v = JSON.parse(data);
        data = '';
        if (v.error) throw new Failure(v.error.message, 200, v.error);
        yield v;
      }
    }
  }

  // chat yields the chunks of an answer.
  async function* chat(body, signal) {
    const r = await request('/v1/chat/completions', {
      method: 'POST', signal, headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    });
    yield* events(r.body);
  }

  // health returns null if the server takes requests, else a sentence why not.
  async function health() {
    try {
      await request('/health');
      return null;
    } catch (e) {
      return e.status === 503 ? `Not ready yet: ${e.message}.` : e.message;
    }
  }

  return { Failure, models, contextOf, chat, health };
})();
