'use strict';

// Colours for code: comments, texts, numbers and words that most languages share. It need not be exact to help the eye.
const Colours = (() => {
  const words = new Set(('abstract and as assert async await bool break byte case catch char class const continue def defer del do ' +
    'double elif else enum except export extends false final finally float fn for from func function go if impl import in int ' +
    'interface is lambda let long loop match mod module mut new nil None not null or package pass private protected pub public ' +
    'raise range return select self short static string struct super switch this throw trait true True False try type typeof ' +
    'undefined union unsafe use using var void where while with yield echo then fi done esac local ' +
    'SELECT FROM WHERE JOIN LEFT INNER ON GROUP ORDER BY LIMIT INSERT INTO VALUES UPDATE SET DELETE CREATE TABLE AS AND OR NOT NULL').split(' '));
  const hash = new Set(['python', 'py', 'sh', 'bash', 'shell', 'zsh', 'console', 'ruby', 'rb', 'yaml', 'yml', 'toml', 'ini', 'make', 'makefile',
    'dockerfile', 'perl', 'r', 'elixir', 'nix']);
  const dash = new Set(['sql', 'lua', 'haskell', 'hs']);
  const plain = new Set(['', 'text', 'txt', 'plain', 'plaintext', 'markdown', 'md', 'output']);
  const maxBytes = 50000; // longer code stays plain: it would be read again with each token

  const texts = String.raw`"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|${'`'}(?:[^${'`'}\\]|\\.)*${'`'}?`;
  const rest = String.raw`|\b\d[\w.]*|[\p{L}_$][\p{L}\p{N}_$]*`;
  const comments = {
    c: String.raw`\/\/[^\n]*|\/\*[^]*?(?:\*\/|$)|`, hash: String.raw`#[^\n]*|`, dash: String.raw`--[^\n]*|`, xml: String.raw`<!--[^]*?(?:-->|$)|`,
  };

  function pattern(lang) {
    const kind = hash.has(lang) ? 'hash' : dash.has(lang) ? 'dash' : ['html', 'xml', 'svg'].includes(lang) ? 'xml' : 'c';
    return new RegExp(comments[kind] + texts + rest, 'gu');
  }

  function kindOf(token, next) {
    if (/^(?:\/\/|\/\*|#|--|<!--)/.test(token)) return 'comment';
    if (/^["'`]/.test(token)) return 'text';
    if (/^\d/.test(token)) return 'number';
    if (words.has(token)) return 'word';
    return next === '(' ? 'call' : '';
  }

  // into replaces the content of an element by code.
  function into(el, code, lang) {
    el.replaceChildren();
    if (plain.has(lang) || code.length > maxBytes) { el.textContent = code; return; }
    let at = 0;
    for (const m of code.matchAll(pattern(lang))) {
      const kind = kindOf(m[0], code[m.index + m[0].length]);
      if (!kind) continue;
      const span = document.createElement('span');
      span.className = `c-${kind}`;
      span.textContent = m[0];
      el.append(code.slice(at, m.index), span);
      at = m.index + m[0].length;
    }
    el.append(code.slice(at));
  }

  return { into };
})();
