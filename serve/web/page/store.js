'use strict';

// What the browser keeps: conversations, one entry each, and what is the same for all of them. A conversation is
// {id, title, named, updated, settings, messages}; messages are those of the API, with what was measured beside them.
const Store = (() => {
  const chatPrefix = 'hipengine.chat.', commonName = 'hipengine.common', keyName = 'hipengine.key';
  const formatName = 'hipengine chats', formatVersion = 1;
  const roles = ['user', 'assistant', 'tool'];

  function read(storage, name) {
    try {
      return JSON.parse(storage.getItem(name));
    } catch {
      return null; // not ours, or cut off
    }
  }

  function write(storage, name, value) {
    try {
      storage.setItem(name, JSON.stringify(value));
      return true;
    } catch {
      toast('The browser has no room for more: export conversations and delete some.');
      return false;
    }
  }

  const newID = () => crypto.getRandomValues(new Uint32Array(4)).reduce((s, n) => s + n.toString(36), '');

  function fresh(settings = {}) {
    return { id: newID(), title: '', named: false, updated: Date.now(), settings: structuredClone(settings), messages: [] };
  }

  function list() {
    const chats = [];
    for (let i = 0; i < localStorage.length; i++) {
      const name = localStorage.key(i);
      if (!name.startsWith(chatPrefix)) continue;
      const chat = valid(read(localStorage, name));
      if (chat) chats.push(chat);
    }
    return chats.sort((a, b) => b.updated - a.updated);
  }

  const load = (id) => valid(read(localStorage, chatPrefix + id));

  // save keeps a conversation, unless nothing was said in it.
  function save(chat) {
    if (!chat.messages.length) return;
    if (!chat.named) {
      const first = chat.messages.find((m) => m.role === 'user')?.content ?? '';
      chat.title = first.replace(/\s+/g, ' ').trim().slice(0, 80);
    }
    write(localStorage, chatPrefix + chat.id, chat);
  }

  const remove = (id) => localStorage.removeItem(chatPrefix + id);

  // valid returns a conversation whose fields have the types that the page counts on, or null. Files come from anywhere.
  function valid(c) {
    if (typeof c !== 'object' || c === null || typeof c.id !== 'string' || !Array.isArray(c.messages)) return null;
    const messages = [];
    for (const m of c.messages) {
      if (typeof m !== 'object' || m === null || !roles.includes(m.role) || typeof (m.content ?? '') !== 'string') return null;
      if (typeof (m.reasoning_content ?? '') !== 'string' || typeof (m.tool_call_id ?? '') !== 'string') return null;
      const calls = m.tool_calls ?? [];
      if (!Array.isArray(calls)) return null;
      if (calls.some((t) => typeof t?.id !== 'string' || typeof t.function?.name !== 'string' || typeof t.function.arguments !== 'string')) return null;
      if (m.error !== undefined && typeof m.error !== 'string') return null;
      messages.push(m);
    }
    const object = (v) => (typeof v === 'object' && v !== null && !Array.isArray(v) ? v : {});
    return {
      id: c.id.slice(0, 64), title: String(c.title ?? '').slice(0, 200), named: c.named === true, updated: Number(c.updated) || 0,
      settings: object(c.settings), messages,
    };
  }

  function exported(chats) {
    return JSON.stringify({ format: formatName, version: formatVersion, chats }, null, 1);
  }

  // imported adds the conversations of an exported file and returns how many; an error says what is wrong with it.
  function imported(text) {
    let file;
    try {
      file = JSON.parse(text);
    } catch {
      throw new Error('the file is not JSON');
    }
    if (file?.format !== formatName || !Array.isArray(file.chats)) throw new Error('the file holds no conversations of this page');
    if (file.version !== formatVersion) throw new Error(`the file has version ${Number(file.version)}, not ${formatVersion}`);
    const chats = file.chats.map(valid);
    const bad = chats.indexOf(null);
    if (bad >= 0) throw new Error(`conversation ${bad + 1} of the file is damaged`);
    for (const chat of chats) {
      if (localStorage.getItem(chatPrefix + chat.id) !== null) chat.id = newID();
      if (!write(localStorage, chatPrefix + chat.id, chat)) throw new Error('the browser has no room for all of them');
    }
    return chats.length;
  }

  const common = () => read(localStorage, commonName) ?? {};
  const setCommon = (change) => write(localStorage, commonName, { ...common(), ...change });

  const key = () => sessionStorage.getItem(keyName) ?? localStorage.getItem(keyName) ?? '';
  const keyRemembered = () => localStorage.getItem(keyName) !== null;

  // setKey keeps the API key for this tab, or for the browser. It is never part of an export.
  function setKey(value, remember) {
    sessionStorage.removeItem(keyName);
    localStorage.removeItem(keyName);
    if (value) (remember ? localStorage : sessionStorage).setItem(keyName, value);
  }

  // onChange calls f when another tab has changed a conversation.
  function onChange(f) {
    addEventListener('storage', (e) => { if (e.key === null || e.key.startsWith(chatPrefix)) f(); });
  }

  return { fresh, list, load, save, remove, exported, imported, common, setCommon, key, keyRemembered, setKey, onChange };
})();
