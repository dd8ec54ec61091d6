'use strict';

// The settings of a conversation: a system prompt, sampling, tools and a form. An empty field is left to the model.
const Settings = (() => {
  // Each is a field of a chat request.
  const sampling = [
    { name: 'temperature', label: 'Temperature', min: 0, max: 5, step: 0.05, about: '0 takes the most likely token' },
    { name: 'top_p', label: 'Top P', min: 0, max: 1, step: 0.01, about: 'Keeps the likeliest tokens up to this share' },
    { name: 'top_k', label: 'Top K', min: 0, max: 1e6, step: 1, about: 'Keeps so many tokens; 0 keeps all' },
    { name: 'min_p', label: 'Min P', min: 0, max: 1, step: 0.01, about: 'Drops tokens less likely than this share of the likeliest' },
    { name: 'repeat_penalty', label: 'Repeat penalty', min: 0.01, max: 10, step: 0.01, about: '1 is none' },
    { name: 'repeat_last_n', label: 'Repeat window', min: -1, max: 1e6, step: 1, about: 'Tokens that penalties look back; -1 is all' },
    { name: 'presence_penalty', label: 'Presence penalty', min: -2, max: 2, step: 0.1, about: 'Against tokens that have come' },
    { name: 'frequency_penalty', label: 'Frequency penalty', min: -2, max: 2, step: 0.1, about: 'Against tokens that come often' },
    { name: 'seed', label: 'Seed', min: 0, max: Number.MAX_SAFE_INTEGER, step: 1, about: 'The same seed draws the same answer' },
    { name: 'max_tokens', label: 'Most tokens', min: 1, max: 1 << 20, step: 1, about: 'Of one answer' },
  ];
  const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'];

  // parsedTools returns the array of tools, bare functions wrapped, or undefined. An error says what is wrong.
  function parsedTools(text) {
    if (!text?.trim()) return undefined;
    let list;
    try {
      list = JSON.parse(text);
    } catch (e) {
      throw new Error(`This is not JSON: ${e.message}.`);
    }
    if (!Array.isArray(list)) list = [list];
    return list.map((t, i) => {
      if (typeof (t?.function ?? t)?.name !== 'string') throw new Error(`Tool ${i + 1} has no name.`);
      return t.function ? t : { type: 'function', function: t };
    });
  }

  function parsedSchema(text) {
    if (!text?.trim()) return undefined;
    try {
      return { type: 'json_schema', json_schema: { name: 'answer', schema: JSON.parse(text) } };
    } catch (e) {
      throw new Error(`This is not JSON: ${e.message}.`);
    }
  }

  // request returns the fields of a request that settings stand for.
  function request(s) {
    const r = {};
    for (const { name } of sampling) if (Number.isFinite(s[name])) r[name] = s[name];
    if (efforts.includes(s.reasoning_effort)) r.reasoning_effort = s.reasoning_effort;
    const stop = String(s.stop ?? '').split('\n').filter((l) => l !== '');
    if (stop.length) r.stop = stop;
    r.tools = parsedTools(s.tools);
    r.response_format = parsedSchema(s.schema);
    return r;
  }

  // bind fills the dialog from settings and calls change with each that the reader changes.
  function bind(change) {
    const fields = $('sampling');
    for (const f of sampling) {
      const input = h('input', { id: `s-${f.name}`, type: 'number', min: f.min, max: f.max, step: 'any', placeholder: 'default', inputMode: 'decimal' });
      input.addEventListener('input', () => {
        const n = input.value === '' ? undefined : Number(input.value);
        const bad = n !== undefined && !(n >= f.min && n <= f.max && (f.step < 1 || Number.isInteger(n)));
        input.setCustomValidity(bad ? `From ${f.min} to ${f.max}${f.step < 1 ? '' : ', a whole number'}` : '');
        input.setAttribute('aria-invalid', bad);
        if (bad) input.reportValidity();
        else change({ [f.name]: n });
      });
      fields.append(h('div', {}, h('label', { for: input.id, title: f.about }, f.label), input));
    }
    const effort = h('select', { id: 's-reasoning_effort' }, h('option', { value: '' }, 'default'), efforts.map((e) => h('option', { value: e }, e)));
    effort.addEventListener('change', () => change({ reasoning_effort: effort.value || undefined }));
    fields.append(h('div', {}, h('label', { for: effort.id, title: 'How much the model thinks, if it does' }, 'Reasoning effort'), effort));

    $('system').addEventListener('input', () => change({ system: $('system').value }));
    $('stops').addEventListener('input', () => change({ stop: $('stops').value }));
    for (const [id, parse] of [['tools', parsedTools], ['schema', parsedSchema]]) {
      $(id).addEventListener('input', () => { check(id, parse); change({ [id]: $(id).value }); });
    }
    const key = () => Store.setKey($('key').value.trim(), $('remember').checked);
    $('key').addEventListener('input', key);
    $('remember').addEventListener('change', key);
  }

  function check(id, parse) {
    const error = $(`${id}-error`);
    try {
      parse($(id).value);
      error.hidden = true;
    } catch (e) {
      error.textContent = e.message;
      error.hidden = false;
    }
    $(id).setAttribute('aria-invalid', !error.hidden);
  }

  function show(s) {
    for (const { name } of sampling) {
      $(`s-${name}`).value = Number.isFinite(s[name]) ? s[name] : '';
      $(`s-${name}`).setCustomValidity('');
    }
    $('s-reasoning_effort').value = s.reasoning_effort ?? '';
    $('system').value = s.system ?? '';
    $('stops').value = s.stop ?? '';
    $('tools').value = s.tools ?? '';
    $('schema').value = s.schema ?? '';
    check('tools', parsedTools);
    check('schema', parsedSchema);
    $('key').value = Store.key();
    $('remember').checked = Store.keyRemembered();
  }

  return { request, bind, show };
})();
