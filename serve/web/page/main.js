'use strict';

// The page: which conversation is shown, what is being answered, and what the controls do.
(() => {
  let chat = null;
  let models = [];
  let ready = false;
  let live = null; // the element of the answer that is being written in the shown conversation
  const running = new Map(); // id of a conversation to {chat, controller}
  const contexts = new Map(); // id of a model to the most tokens of a conversation

  // --- conversations

  function newChat() {
    show(Store.fresh(chat?.settings ?? Store.common().settings ?? {}));
    $('prompt').focus();
  }

  function open(id) {
    if (id === chat.id) { closeSidebar(); return; } // the first click of two, which rename
    const c = running.get(id)?.chat ?? Store.load(id);
    if (c) show(c); else toast('This conversation is gone.');
  }

  function show(c) {
    chat = c;
    history.replaceState(null, '', c.messages.length ? `#${c.id}` : location.pathname);
    if (c.settings.model && models.some((m) => m.id === c.settings.model)) $('model').value = c.settings.model;
    Settings.show(c.settings);
    markSettings();
    closeSidebar();
    renderThread();
    toEnd();
    renderHistory();
  }

  function renderHistory() {
    Chats.render(Store.list(), chat?.id, (id) => running.has(id), {
      open,
      export: (c) => download(`${c.title.replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 40) || 'chat'}.json`, Store.exported([c])),
      rename(c, title) {
        const target = c.id === chat.id ? chat : running.get(c.id)?.chat ?? c;
        Object.assign(target, { title, named: true });
        Store.save(target);
        renderHistory();
      },
      remove(c) {
        running.get(c.id)?.controller.abort();
        Store.remove(c.id);
        if (c.id === chat.id) newChat(); else renderHistory();
        toast('Deleted.', 'Undo', () => { Store.save(c); renderHistory(); });
      },
    });
  }

  // --- thread

  const busy = () => running.has(chat.id);

  // cut removes the messages from i on, unless an answer is being written or cannot be asked for.
  function cut(i) {
    if (busy() || !ready) return false;
    chat.messages.length = i;
    return true;
  }

  function renderThread() {
    const results = new Map(chat.messages.filter((m) => m.role === 'tool').map((m) => [m.tool_call_id, m.content]));
    live = null;
    const nodes = chat.messages.map((m, i) => {
      const last = i === chat.messages.length - 1;
      if (m.role === 'tool') return null; // shown with its call
      if (m.role === 'user') {
        const el = View.user(m, { edit: () => !busy() && View.editor(el, m, 'Send', (text) => { if (cut(i)) ask(text); }) });
        return el;
      }
      const on = {
        results: () => sendResults(m),
        again: () => { if (cut(i)) answer(); },
        goOn: last && (() => answer(m)),
        edit: () => View.editor(el, m, 'Save', (text) => { m.content = text; Store.save(chat); renderThread(); }),
      };
      const writing = last && busy();
      const el = View.assistant(m, { results, open: last && !writing && m.finish === 'tool_calls', last }, on);
      el.update(writing);
      if (writing) live = el; else View.finish(el, m, on);
      return el;
    });
    if (!chat.messages.length) nodes.push(View.welcome(modelID(), ask));
    $('messages').replaceChildren(...nodes.filter(Boolean));
    $('thread').setAttribute('aria-busy', busy());
    $('stop').hidden = !busy();
    $('send').hidden = busy();
    showContext();
  }

  const near = () => $('thread').scrollHeight - $('thread').scrollTop - $('thread').clientHeight < 80;
  let follow = true; // the end stays in sight

  function toEnd() {
    follow = true;
    $('thread').scrollTop = $('thread').scrollHeight;
    $('to-end').hidden = true;
  }

  // update shows what has come of an answer, once a frame.
  function update(c) {
    if (c !== chat || !live || update.due) return;
    update.due = true;
    requestAnimationFrame(() => {
      update.due = false;
      live?.update(true);
      if (follow) toEnd(); else $('to-end').hidden = near();
    });
  }

  // --- asking

  const modelID = () => $('model').value;

  function ask(text) {
    if (!text.trim() || busy() || !ready) return;
    chat.messages.push({ role: 'user', content: text });
    answer();
  }

  function sendResults(msg) {
    if (busy()) return;
    for (const c of msg.tool_calls) {
      chat.messages.push({ role: 'tool', tool_call_id: c.id, content: c.draft ?? '' });
      delete c.draft;
    }
    answer();
  }

  // wire returns the messages as the API has them, without answers that never came.
  function wire(c) {
    const out = [];
    if (c.settings.system?.trim()) out.push({ role: 'system', content: c.settings.system });
    for (const m of c.messages) {
      const calls = m.tool_calls?.filter((t) => whole(t.function.arguments)) ?? []; // a stopped one may be cut off
      if (m.role === 'assistant' && !m.content && !calls.length) continue;
      const w = { role: m.role, content: m.content };
      if (m.role === 'tool') w.tool_call_id = m.tool_call_id;
      if (m.reasoning_content) w.reasoning_content = m.reasoning_content;
      if (calls.length) {
        w.tool_calls = calls.map(({ id, type, function: f }) => ({ id, type, function: f }));
        if (!m.content) w.content = null;
      }
      out.push(w);
    }
    return out;
  }

  // answer asks for an answer, or for more of one that was cut off, which is the last message.
  async function answer(cutOff) {
    if (busy() || !ready) return;
    const c = chat, controller = new AbortController();
    const msg = cutOff ?? { role: 'assistant', content: '', model: modelID() };
    c.settings.model = msg.model = modelID();
    const messages = wire(c);
    if (cutOff) {
      delete msg.stopped;
      delete msg.finish;
    } else c.messages.push(msg);
    c.updated = Date.now();
    running.set(c.id, { chat: c, controller });
    Store.save(c);
    show(c);
    announce('Answering');
    const clock = new Clock(msg);
    try {
      const body = { model: msg.model, messages, ...Settings.request(c.settings) };
      if (cutOff) body.continue_final_message = true;
      clock.start();
      for await (const chunk of API.chat(body, controller.signal)) {
        if (chunk.usage || chunk.timings) clock.usage(chunk.usage, chunk.timings);
        const choice = chunk.choices[0];
        if (!choice) continue;
        if (take(msg, choice)) clock.token();
        update(c);
      }
    } catch (e) {
      if (controller.signal.aborted) msg.stopped = true;
      else {
        msg.error = e.message;
        if (e.status === 401) askForKey();
      }
    }
    clock.stop();
    const model = models.find((m) => m.id === msg.model);
    if (model && msg.content) model.loaded = true;
    running.delete(c.id);
    if (c === chat || Store.load(c.id)) Store.save(c);
    if (c === chat) {
      const at = follow;
      renderThread();
      if (at) toEnd();
      if (msg.tool_calls) document.querySelector('.call textarea')?.focus();
    }
    renderHistory();
    announce(msg.error ? `Error: ${msg.error}` : msg.stopped ? 'Stopped' : 'The answer is complete');
  }

  // take adds a chunk to an answer and reports whether it held a part of it.
  function take(msg, choice) {
    const d = choice.delta ?? {};
    if (choice.finish_reason) msg.finish = choice.finish_reason;
    if (choice.finish_details) msg.why = choice.finish_details.message;
    const thought = d.reasoning_content ?? d.reasoning;
    if (thought) msg.reasoning_content = (msg.reasoning_content ?? '') + thought;
    if (d.content) msg.content += d.content;
    for (const t of d.tool_calls ?? []) {
      msg.tool_calls ??= [];
      const call = (msg.tool_calls[t.index] ??= { id: '', type: 'function', function: { name: '', arguments: '' } });
      if (t.id) call.id = t.id;
      if (t.function?.name) call.function.name = t.function.name;
      call.function.arguments += t.function?.arguments ?? '';
    }
    return Boolean(thought || d.content || d.tool_calls?.length);
  }

  // whole reports whether the text of arguments is complete.
  function whole(text) {
    try {
      return text === '' || typeof JSON.parse(text) === 'object';
    } catch {
      return false;
    }
  }

  // Clock measures an answer where the reader is, and takes the server's counts.
  class Clock {
    constructor(msg) { this.msg = msg; this.msg.stats = {}; }

    start() { this.began = performance.now(); }

    token() {
      const now = performance.now(), s = this.msg.stats;
      if (!this.first) s.first_ms = Math.round((this.first = now) - this.began);
      if (this.msg.reasoning_content && !this.msg.thought_ms && (this.msg.content || this.msg.tool_calls)) this.msg.thought_ms = Math.max(1, Math.round(now - this.first));
      this.last = now;
      this.pieces = (this.pieces ?? 0) + 1;
    }

    usage(u, timings) {
      const s = this.msg.stats;
      if (u) Object.assign(s, { prompt: u.prompt_tokens, completion: u.completion_tokens, cached: u.prompt_tokens_details?.cached_tokens });
      if (timings?.predicted_per_second) s.rate = timings.predicted_per_second;
    }

    stop() {
      const s = this.msg.stats, took = this.last - this.first;
      s.completion ??= this.pieces; // of an answer that was stopped; a piece is a token, nearly
      if (!s.rate && took > 0 && s.completion > 1) s.rate = (s.completion - 1) / took * 1000;
    }
  }

  // --- the server

  async function connect() {
    for (;;) {
      const why = await API.health();
      if (!why) break;
      notice(why, true);
      await new Promise((done) => setTimeout(done, 1000));
    }
    await loadModels();
  }

  async function loadModels() {
    try {
      models = await API.models();
    } catch (e) {
      ready = false;
      if (e.status === 401) askForKey();
      else notice(e.message, false, 'Try again', connect);
      return;
    }
    const wanted = chat?.settings.model ?? Store.common().model;
    $('model').replaceChildren(...models.map((m) => h('option', { value: m.id }, m.loaded === false ? `${m.id} (not loaded)` : m.id)));
    if (models.some((m) => m.id === wanted)) $('model').value = wanted;
    ready = models.length > 0;
    if (ready) notice(''); else notice('The server has no model.', false, 'Try again', connect);
    renderThread();
  }

  function askForKey() {
    ready = false;
    notice('This server asks for an API key.', false, 'Enter the key', () => { $('settings').showModal(); $('key').focus(); });
  }

  function notice(text, waiting, action, run) {
    const el = $('notice');
    if (el.dataset.text === text) return;
    el.dataset.text = text;
    el.hidden = !text;
    el.className = waiting ? 'waiting' : '';
    el.replaceChildren(h('span', {}, text));
    if (action) el.append(h('button', { type: 'button', className: 'plain', onclick: run }, action));
    $('send').disabled = Boolean(text);
  }

  // showContext shows how full the model's context is after the last answer.
  async function showContext() {
    const c = chat, model = models.find((m) => m.id === modelID());
    const s = c.messages.findLast((m) => m.stats?.prompt)?.stats;
    const used = s ? s.prompt + (s.completion ?? 0) : 0;
    // To ask about a model that is not loaded would load it.
    if (used && model?.loaded && !contexts.has(model.id)) contexts.set(model.id, API.contextOf(model));
    const most = await contexts.get(model?.id) ?? 0;
    if (c !== chat) return;
    const el = $('context');
    el.hidden = !used;
    if (!used) return;
    el.querySelector('.text').textContent = most ? `${number(used)} / ${number(most)} tokens` : `${number(used)} tokens`;
    el.title = 'Tokens of this conversation, and how many the model can take';
    el.querySelector('.bar').hidden = !most;
    const share = most ? Math.min(used / most, 1) : 0;
    el.querySelector('.bar span').style.width = `${share * 100}%`;
    el.classList.toggle('full', share > 0.85);
  }

  // --- controls

  const themes = ['system', 'light', 'dark'];

  function setTheme(theme) {
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const label = `Colours: ${theme === 'system' ? 'as the system has them' : theme}`;
    Object.assign($('theme'), { title: label, ariaLabel: label });
    $('theme').replaceChildren(icon(theme));
  }

  // markSettings shows that settings are not all the model's own.
  function markSettings() {
    const { model, ...own } = chat.settings;
    $('open-settings').classList.toggle('changed', Object.values(own).some((v) => v !== undefined && v !== ''));
  }

  function closeSidebar() {
    $('app').classList.remove('side');
    $('shade').hidden = true;
    $('open-sidebar').setAttribute('aria-expanded', 'false');
  }

  function submit() {
    const text = $('prompt').value;
    if (!text.trim() || busy() || !ready) return;
    $('prompt').value = '';
    View.fit($('prompt'));
    ask(text);
  }

  $('composer').addEventListener('submit', (e) => { e.preventDefault(); submit(); });
  $('prompt').addEventListener('input', () => View.fit($('prompt')));
  $('prompt').addEventListener('keydown', (e) => {
    if (e.key !== 'Enter' || e.shiftKey || e.isComposing) return;
    e.preventDefault();
    submit();
  });
  $('stop').addEventListener('click', () => { running.get(chat.id)?.controller.abort(); $('prompt').focus(); });
  $('new').addEventListener('click', newChat);
  $('to-end').addEventListener('click', toEnd);
  $('thread').addEventListener('scroll', () => { follow = near(); if (follow) $('to-end').hidden = true; }, { passive: true });
  $('model').addEventListener('change', () => {
    chat.settings.model = modelID();
    Store.setCommon({ model: modelID() });
    if (!chat.messages.length) renderThread(); else showContext();
  });
  $('theme').addEventListener('click', () => {
    const next = themes[(themes.indexOf(Store.common().theme ?? 'system') + 1) % themes.length];
    Store.setCommon({ theme: next });
    setTheme(next);
  });
  $('open-settings').addEventListener('click', () => $('settings').showModal());
  $('settings').addEventListener('click', (e) => { if (e.target === $('settings')) $('settings').close(); });
  $('settings').addEventListener('close', () => {
    Store.setCommon({ settings: chat.settings });
    if (!ready) connect();
  });
  $('open-sidebar').addEventListener('click', () => {
    $('app').classList.add('side');
    $('shade').hidden = false;
    $('open-sidebar').setAttribute('aria-expanded', 'true');
    $('new').focus();
  });
  for (const id of ['close-sidebar', 'shade']) $(id).addEventListener('click', closeSidebar);
  $('export').addEventListener('click', () => download('hipengine-chats.json', Store.exported(Store.list())));
  $('import').addEventListener('click', () => $('file').click());
  $('file').addEventListener('change', async () => {
    const [file] = $('file').files;
    $('file').value = '';
    if (!file) return;
    try {
      const n = Store.imported(await file.text());
      toast(n === 1 ? 'One conversation was imported.' : `${n} conversations were imported.`);
    } catch (e) {
      toast(`Not imported: ${e.message}.`);
    }
    renderHistory();
  });
  document.addEventListener('keydown', (e) => {
    if (e.altKey && !e.ctrlKey && !e.metaKey && e.code === 'KeyN') { e.preventDefault(); newChat(); }
    if (e.key === 'Escape' && !$('settings').open) {
      if ($('app').classList.contains('side')) closeSidebar();
      else running.get(chat.id)?.controller.abort();
    }
    if (e.key === '/' && !e.target.closest('input, textarea, select, dialog')) { e.preventDefault(); $('prompt').focus(); }
  });
  addEventListener('pagehide', () => { for (const r of running.values()) Store.save(r.chat); });
  addEventListener('hashchange', () => open(location.hash.slice(1)));
  Store.onChange(renderHistory);

  Settings.bind((change) => {
    Object.assign(chat.settings, change);
    markSettings();
    Store.save(chat);
  });
  setTheme(themes.includes(Store.common().theme) ? Store.common().theme : 'system');
  const kept = location.hash && Store.load(location.hash.slice(1));
  if (kept) show(kept); else newChat();
  connect();
})();
