'use strict';

// Messages as elements. An assistant's element has a method update, for text that still comes.
const View = (() => {
  const seconds = (ms) => `${number(ms / 1000, ms < 9950 ? 1 : 0)} s`;

  // pretty returns JSON with indents, or the text as it is while it is not whole.
  function pretty(text) {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  }

  function actions(...buttons) {
    return h('div', { className: 'actions', role: 'group', 'aria-label': 'Message' }, buttons);
  }

  function user(msg, on) {
    const bubble = h('div', { className: 'bubble' }, msg.content);
    return h('article', { className: 'message user', 'aria-label': 'You' }, bubble,
      actions(copyButton(() => msg.content), iconButton('edit', 'Edit and send again', on.edit)));
  }

  // editor replaces the text of a message by a field.
  function editor(el, msg, verb, done) {
    const field = h('textarea', { value: msg.content, className: 'edit', 'aria-label': 'Text of the message' });
    const finish = (text) => { form.remove(); for (const c of hidden) c.hidden = false; if (text !== null) done(text); };
    const hidden = [...el.children].filter((c) => !c.hidden);
    const form = h('form', { className: 'editor', onsubmit: (e) => { e.preventDefault(); finish(field.value); } }, field,
      h('div', { className: 'row' }, h('button', { type: 'button', className: 'plain', onclick: () => finish(null) }, 'Cancel'),
        h('button', { className: 'solid' }, verb)));
    field.addEventListener('keydown', (e) => {
      if (e.key === 'Escape') { e.stopPropagation(); finish(null); }
      if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); form.requestSubmit(); }
    });
    for (const c of hidden) c.hidden = true;
    el.append(form);
    field.focus();
    fit(field);
    field.addEventListener('input', () => fit(field));
  }

  // fit makes a field as high as its text, in browsers that do not.
  function fit(field) {
    if (CSS.supports('field-sizing', 'content')) return;
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight + 2}px`;
  }

  function thoughts(msg) {
    const label = h('span'), body = h('div', { className: 'md quiet' });
    const el = h('details', { className: 'thoughts' }, h('summary', {}, label), body);
    let touched = false;
    el.querySelector('summary').addEventListener('click', () => { touched = true; });
    const update = (live) => {
      const thinking = live && !msg.content && !msg.tool_calls?.length;
      label.textContent = thinking ? 'Thinking' : msg.thought_ms ? `Thought for ${seconds(msg.thought_ms)}` : 'Thoughts';
      el.classList.toggle('live', thinking);
      if (!touched) el.open = thinking;
      Markdown.render(body, msg.reasoning_content);
    };
    return { el, update };
  }

  // call shows a call of a tool, and its result or a field for one.
  function call(c, result, open, live, on) {
    const args = h('code');
    const el = h('section', { className: 'call', 'aria-label': `Call of ${c.function.name}` },
      h('div', { className: 'call-head' }, icon('tool'), h('strong', {}, c.function.name), copyButton(() => c.function.arguments)),
      h('pre', { tabIndex: 0, 'aria-label': 'Arguments' }, args));
    Colours.into(args, live ? c.function.arguments : pretty(c.function.arguments), 'json');
    if (result !== undefined) {
      const text = h('code');
      Colours.into(text, pretty(result), 'json');
      el.append(h('div', { className: 'call-label' }, 'Result'), h('pre', { tabIndex: 0 }, text));
    } else if (open) {
      const field = h('textarea', { rows: 2, className: 'mono', placeholder: 'What the function returns', value: c.draft ?? '' });
      field.addEventListener('input', () => { c.draft = field.value; });
      field.addEventListener('keydown', (e) => {
        if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) { e.preventDefault(); on.results(); }
      });
      el.append(h('label', {}, h('span', { className: 'call-label' }, 'Result'), field));
    }
    return el;
  }

  function stats(msg) {
    const s = msg.stats;
    if (!s) return null;
    const parts = [];
    if (s.completion) parts.push(`${number(s.completion)} ${s.completion === 1 ? 'token' : 'tokens'}`);
    if (s.rate) parts.push(`${number(s.rate, s.rate < 100 ? 1 : 0)} tok/s`);
    if (s.first_ms) parts.push(`first after ${number(s.first_ms / 1000, 2)} s`);
    const more = [msg.model, s.prompt && `${number(s.prompt)} tokens read`, s.cached && `${number(s.cached)} of them kept from before`];
    return h('span', { className: 'stats', title: more.filter(Boolean).join('\n') }, parts.join(' · '));
  }

  const finishNotes = {
    length: 'The answer was cut off: it reached the most tokens that it may have.',
    content_filter: 'The answer was held back.',
  };

  // assistant shows an answer. results maps ids of calls to what was returned; open says that calls wait for results.
  function assistant(msg, { results, open, last }, on) {
    const el = h('article', { className: `message assistant${last ? ' last' : ''}`, 'aria-label': 'Answer' });
    const text = h('div', { className: 'md' });
    let thought = null, calls = null;
    const update = (live) => {
      el.setAttribute('aria-busy', live);
      if (msg.reasoning_content) {
        if (!thought) el.prepend((thought = thoughts(msg)).el);
        thought.update(live);
      }
      Markdown.render(text, msg.content);
      el.classList.toggle('waiting', live && !msg.content && !msg.reasoning_content && !msg.tool_calls?.length);
      el.classList.toggle('writing', live && msg.content !== '');
      if (!msg.tool_calls?.length) return;
      const now = h('div', { className: 'calls' }, msg.tool_calls.map((c) => call(c, results.get(c.id), open, live, on)));
      if (open) now.append(h('div', { className: 'row' }, h('button', { type: 'button', className: 'solid', onclick: on.results },
        msg.tool_calls.length > 1 ? 'Send the results' : 'Send the result')));
      if (calls) calls.replaceWith(now); else text.after(now);
      calls = now;
    };
    el.append(text);
    el.update = update;
    return el;
  }

  // finish adds what is known when an answer is over: why it ended, what it cost, and what can be done with it.
  function finish(el, msg, on) {
    const note = msg.stopped ? 'Stopped.' : msg.why ? `There is no text: ${msg.why}.` : finishNotes[msg.finish];
    if (note) el.append(h('p', { className: 'note' }, note));
    if (note && on.goOn && msg.content && !msg.tool_calls && !msg.error) {
      el.append(h('div', { className: 'row' }, h('button', { type: 'button', className: 'plain', onclick: on.goOn }, 'Go on')));
    }
    if (msg.error) {
      el.append(h('div', { className: 'failure', role: 'alert' }, icon('warn'), h('p', {}, msg.error),
        h('button', { type: 'button', className: 'plain', onclick: on.again }, 'Try again')));
    }
    el.append(h('div', { className: 'under' }, actions(msg.content && copyButton(() => msg.content),
      !msg.error && iconButton('again', 'Answer again', on.again), msg.content && iconButton('edit', 'Edit the answer', on.edit)), stats(msg)));
  }

  function welcome(model, ask) {
    const ideas = ['What is the capital of France?', 'What is 17 plus 25?', 'Tell me a story about an owl.'];
    return h('div', { className: 'welcome' }, h('h1', {}, 'What would you like to know?'),
      h('p', {}, model ? `${model} answers, on this server.` : 'No model is loaded yet.'),
      model && h('div', { className: 'ideas' }, ideas.map((t) => h('button', { type: 'button', onclick: () => ask(t) }, t))));
  }

  return { user, assistant, finish, editor, welcome, fit };
})();
