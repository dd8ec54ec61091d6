'use strict';

const $ = (id) => document.getElementById(id);

// h makes an element with properties and children. Strings become text; null children are left out. A property that
// begins with "on" is a listener, "aria-*", "role" and "for" are attributes.
function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith('on')) el.addEventListener(name.slice(2), value);
    else if (name.includes('-') || name === 'role' || name === 'for') el.setAttribute(name, value);
    else el[name] = value;
  }
  el.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return el;
}

function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

// iconButton makes a button that shows an icon and is called label.
function iconButton(name, label, onclick) {
  return h('button', { type: 'button', className: 'icon small', title: label, 'aria-label': label, onclick }, icon(name));
}

// copyButton copies what get returns, and shows that it did.
function copyButton(get) {
  const b = iconButton('copy', 'Copy', async () => {
    try {
      await copy(get());
    } catch {
      toast('The browser does not let the page copy.');
      return;
    }
    b.replaceChildren(icon('done'));
    b.setAttribute('aria-label', 'Copied');
    setTimeout(() => { b.replaceChildren(icon('copy')); b.setAttribute('aria-label', 'Copy'); }, 1500);
  });
  b.classList.add('copy');
  return b;
}

// copy puts text on the clipboard, also where a page without TLS has no navigator.clipboard.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = h('textarea', { value: text, className: 'sr' });
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  if (!done) throw new Error('refused');
}

// toast shows a short message, with an action if one is given.
function toast(text, action, run) {
  const el = $('toast');
  clearTimeout(toast.timer);
  el.replaceChildren(text);
  const hide = () => el.replaceChildren();
  if (action) el.append(h('button', { type: 'button', className: 'plain', onclick: () => { hide(); run(); } }, action));
  toast.timer = setTimeout(hide, 6000);
}

// announce tells screen readers what only the eye would see.
function announce(text) { $('announce').textContent = text; }

// download hands the browser a file.
function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

const number = (n, digits = 0) => n.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });
