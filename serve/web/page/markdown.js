'use strict';

// The Markdown that models write, as DOM nodes. Text becomes text nodes and attributes get values of our own alone, so
// that nothing in it can become markup. Mathematics is left as it is written.
const Markdown = (() => {
  const maxDepth = 12; // of blocks in blocks and of spans in spans; what is deeper stays text
  const fence = /^( {0,3})(`{3,}|~{3,}) *([^`]*)$/;
  const heading = /^ {0,3}(#{1,6})(?: +(.*?))?(?: +#+)? *$/;
  const rule = /^ {0,3}([-*_])(?: *\1){2,} *$/;
  const quote = /^ {0,3}> ?/;
  const marker = /^( *)([-*+]|\d{1,9}[.)])( +|$)/;
  const tableRule = /^ *\|? *:?-+:? *(?:\| *:?-+:? *)*\|? *$/;

  // blocks cuts lines into blocks: {kind, lines} and what the kind needs.
  function blocks(lines) {
    const out = [];
    for (let i = 0; i < lines.length;) {
      if (!lines[i].trim()) { i++; continue; }
      const from = i, b = block(lines, i);
      i = b.end;
      b.source = lines.slice(from, i).join('\n');
      out.push(b);
    }
    return out;
  }

  function block(lines, i) {
    const line = lines[i];
    let m;
    if ((m = line.match(fence))) return code(lines, i, m);
    if ((m = line.match(heading))) return { kind: 'heading', level: m[1].length, text: m[2] ?? '', end: i + 1 };
    if (rule.test(line)) return { kind: 'rule', end: i + 1 };
    if (quote.test(line)) {
      let end = i;
      while (end < lines.length && quote.test(lines[end])) end++;
      return { kind: 'quote', lines: lines.slice(i, end).map((l) => l.replace(quote, '')), end };
    }
    if (isTable(lines, i)) return table(lines, i);
    if ((m = line.match(marker)) && m[1].length < 4) return list(lines, i, m);
    let end = i + 1;
    while (end < lines.length && lines[end].trim() && !interrupts(lines, end)) end++;
    return { kind: 'paragraph', text: lines.slice(i, end).map((l) => l.trimStart()).join('\n').trimEnd(), end };
  }

  // interrupts reports whether a line ends the paragraph before it.
  function interrupts(lines, i) {
    const line = lines[i], m = line.match(marker);
    return fence.test(line) || heading.test(line) || rule.test(line) || quote.test(line) || isTable(lines, i) ||
      m && m[3] && (m[2].length === 1 || parseInt(m[2], 10) === 1);
  }

  function code(lines, i, m) {
    const [, indent, ticks, info] = m;
    const text = [];
    let end = i + 1, open = true;
    for (; end < lines.length && open; end++) {
      const l = lines[end].trim();
      if (l.length >= ticks.length && l === ticks[0].repeat(l.length)) open = false;
      else text.push(lines[end].replace(new RegExp(`^ {0,${indent.length}}`), ''));
    }
    return { kind: 'code', lang: info.trim().split(/[\s{]/)[0].toLowerCase(), text: text.join('\n'), end };
  }

  const isTable = (lines, i) => lines[i].includes('|') && i + 1 < lines.length && lines[i + 1].includes('-') &&
    tableRule.test(lines[i + 1]) && cells(lines[i]).length === cells(lines[i + 1]).length;

  // cells cuts a row at its bars, but not at those that are escaped or in code.
  function cells(row) {
    const out = [];
    let cell = '', ticks = false;
    row = row.trim().replace(/^\|/, '');
    for (let i = 0; i < row.length; i++) {
      if (row[i] === '\\' && row[i + 1] === '|') { cell += '|'; i++; continue; }
      if (row[i] === '`') ticks = !ticks && row.includes('`', i + 1);
      if (row[i] === '|' && !ticks) { out.push(cell.trim()); cell = ''; } else cell += row[i];
    }
    if (cell.trim() || !out.length) out.push(cell.trim());
    return out;
  }

  function table(lines, i) {
    const align = cells(lines[i + 1]).map((c) => (c.endsWith(':') ? (c.startsWith(':') ? 'center' : 'right') : 'left'));
    const rows = [];
    let end = i + 2;
    for (; end < lines.length && lines[end].trim() && lines[end].includes('|'); end++) rows.push(cells(lines[end]));
    return { kind: 'table', head: cells(lines[i]), align, rows, end };
  }

  // list collects the items of one list. What is indented belongs to the item before it, deeper lists too.
  function list(lines, i, first) {
    const ordered = first[2].length > 1, style = first[2].at(-1), margin = first[1].length;
    const items = [];
    let loose = false, blank = false, offset = 0;
    for (; i < lines.length; i++) {
      const line = lines[i], m = line.match(marker), indent = line.search(/\S|$/);
      if (!line.trim()) { blank = true; continue; }
      if (m && indent < margin + 2 && m[2].at(-1) === style && m[2].length > 1 === ordered && !rule.test(line)) {
        loose ||= blank && items.length > 0;
        offset = indent + m[2].length + Math.min(m[3].length || 1, 4);
        items.push([line.slice(offset)]);
      } else if (indent >= margin + 2) {
        if (blank) { loose ||= !m; items.at(-1).push(''); }
        items.at(-1).push(line.slice(Math.min(indent, offset)));
      } else if (!blank && !interrupts(lines, i)) {
        items.at(-1).push(line.trimStart());
      } else break;
      blank = false;
    }
    return { kind: 'list', ordered, start: parseInt(first[2], 10) || 1, items, loose, end: i };
  }

  // node makes the element of a block.
  function node(b, depth) {
    switch (b.kind) {
      case 'heading': return spans(document.createElement(`h${Math.min(b.level + 1, 6)}`), b.text);
      case 'rule': return document.createElement('hr');
      case 'paragraph': return spans(document.createElement('p'), b.text);
      case 'code': return codeNode(b);
      case 'table': return tableNode(b);
      case 'quote': return nested(document.createElement('blockquote'), b.lines, depth);
      case 'list': return listNode(b, depth);
    }
    throw new Error(`no block ${b.kind}`);
  }

  function nested(into, lines, depth) {
    if (depth >= maxDepth) into.append(lines.join('\n'));
    else for (const b of blocks(lines)) into.append(node(b, depth + 1));
    return into;
  }

  function listNode(b, depth) {
    const el = document.createElement(b.ordered ? 'ol' : 'ul');
    if (b.ordered && b.start !== 1) el.start = b.start;
    for (const lines of b.items) {
      const li = document.createElement('li');
      const task = lines[0].match(/^\[([ xX])\] +/);
      if (task) lines[0] = lines[0].slice(task[0].length);
      nested(li, lines, depth);
      if (!b.loose) for (const p of [...li.children].filter((c) => c.tagName === 'P')) p.replaceWith(...p.childNodes);
      if (task) {
        const box = document.createElement('input');
        Object.assign(box, { type: 'checkbox', disabled: true, checked: task[1] !== ' ' });
        box.setAttribute('aria-label', task[1] === ' ' ? 'open' : 'done');
        li.className = 'task';
        li.prepend(box);
      }
      el.append(li);
    }
    return el;
  }

  function tableNode(b) {
    const row = (cells, tag) => {
      const tr = document.createElement('tr');
      b.head.forEach((_, i) => {
        const cell = spans(document.createElement(tag), cells[i] ?? '');
        if (b.align[i] !== 'left') cell.className = b.align[i];
        tr.append(cell);
      });
      return tr;
    };
    const wrap = document.createElement('div'), el = wrap.appendChild(document.createElement('table'));
    wrap.className = 'table';
    wrap.tabIndex = 0; // so that wide ones can be scrolled by keys
    wrap.setAttribute('role', 'region');
    wrap.setAttribute('aria-label', 'Table');
    el.createTHead().append(row(b.head, 'th'));
    const body = el.createTBody();
    for (const r of b.rows) body.append(row(r, 'td'));
    return wrap;
  }

  function codeNode(b) {
    const el = document.createElement('figure'), head = document.createElement('figcaption');
    const lang = document.createElement('span'), pre = document.createElement('pre'), text = document.createElement('code');
    el.className = 'code';
    lang.textContent = b.lang || 'text';
    pre.tabIndex = 0;
    pre.append(text);
    Colours.into(text, b.text, b.lang);
    head.append(lang, copyButton(() => text.textContent));
    el.append(head, pre);
    return el;
  }

  const punctuation = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';
  const word = /[\p{L}\p{N}_]/u;
  const destination = /\(\s*<?([^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/y;
  const bareURL = /https?:\/\/[^\s<>"`]+/y;
  const angleURL = /<((?:https?:\/\/|mailto:)[^\s<>]+)>/y;
  const math = [['$$', '$$'], ['\\(', '\\)'], ['\\[', '\\]']];

  // safe returns the address of a link if its scheme can do no harm, or null.
  function safe(url) {
    try {
      const u = new URL(url);
      return ['http:', 'https:', 'mailto:'].includes(u.protocol) ? u.href : null;
    } catch {
      return null;
    }
  }

  function link(url, fill) {
    const a = document.createElement('a');
    Object.assign(a, { href: url, target: '_blank', rel: 'noopener noreferrer nofollow' });
    fill(a);
    return a;
  }

  // spans appends the text of a paragraph to an element: code, emphasis, links and line breaks.
  function spans(into, s, depth = 0) {
    if (depth >= maxDepth) { into.append(s); return into; }
    let text = '', i = 0;
    const absent = new Set(); // marks that do not come again, so that they are looked for once
    const add = (el, end) => {
      if (text) into.append(text);
      text = '';
      into.append(el);
      i = end;
    };
    const wrap = (tag, inner, end) => add(spans(document.createElement(tag), inner, depth + 1), end);
    const seek = (mark, from, ok) => {
      if (absent.has(mark)) return -1;
      for (let k = s.indexOf(mark, from); k >= 0; k = s.indexOf(mark, k + 1)) if (ok(k)) return k;
      absent.add(mark);
      return -1;
    };
    while (i < s.length) {
      const c = s[i], start = i;
      const formula = math.find(([open]) => s.startsWith(open, i));
      if (formula) {
        const end = seek(formula[1], i + 2, () => true);
        if (end >= 0) { text += s.slice(i, end + 2); i = end + 2; continue; }
      }
      if (c === '$' && /\S/.test(s[i + 1] ?? ' ')) {
        const end = s.indexOf('$', i + 1);
        if (end > 0 && !/\s/.test(s[end - 1]) && !/\d/.test(s[end + 1] ?? '') && !s.slice(i, end).includes('\n')) {
          text += s.slice(i, end + 1);
          i = end + 1;
          continue;
        }
      }
      switch (c) {
        case '\\':
          if (s[i + 1] === '\n') add(document.createElement('br'), i + 2);
          else if (i + 1 < s.length && punctuation.includes(s[i + 1])) { text += s[i + 1]; i += 2; }
          break;
        case '\n':
          text = text.trimEnd();
          add(document.createElement('br'), i + 1);
          break;
        case '`': {
          const ticks = s.slice(i).match(/^`+/)[0], n = ticks.length;
          const end = seek(ticks, i + n, (k) => s[k - 1] !== '`' && s[k + n] !== '`');
          if (end < 0) { text += ticks; i += n; break; }
          const el = document.createElement('code');
          el.textContent = s.slice(i + n, end).replace(/\n/g, ' ').replace(/^ (.*\S.*) $/, '$1');
          add(el, end + n);
          break;
        }
        case '*': case '_': {
          const n = s[i + 1] !== c ? 1 : s[i + 2] !== c ? 2 : 3, mark = c.repeat(n);
          const opens = /\S/.test(s[i + n] ?? ' ') && (c === '*' || !word.test(s[i - 1] ?? ' '));
          const end = !opens ? -1 : seek(mark, i + n + 1, (k) => /\S/.test(s[k - 1]) && s[k - 1] !== '\\' &&
            (n > 1 || s[k - 1] !== c && s[k + 1] !== c) && (c === '*' || !word.test(s[k + n] ?? ' ')));
          if (end < 0) { text += mark; i += n; break; }
          const inner = s.slice(i + n, end);
          if (n < 3) wrap(n === 2 ? 'strong' : 'em', inner, end + n);
          else {
            const strong = document.createElement('strong');
            strong.append(spans(document.createElement('em'), inner, depth + 2));
            add(strong, end + n);
          }
          break;
        }
        case '~': {
          const end = s[i + 1] === '~' ? seek('~~', i + 2, (k) => k > i + 2) : -1;
          if (end >= 0) wrap('del', s.slice(i + 2, end), end + 2);
          break;
        }
        case '!': case '[': { // an image is a link: nothing is loaded from elsewhere
          const open = c === '!' ? i + 1 : i;
          const close = s[open] === '[' ? seek('](', open + 1, () => true) : -1;
          if (close < 0 || s.slice(open + 1, close).includes('[')) break;
          destination.lastIndex = close + 1;
          const m = destination.exec(s), url = m && safe(m[1]);
          if (url) add(link(url, (a) => spans(a, s.slice(open + 1, close) || m[1], depth + 1)), destination.lastIndex);
          break;
        }
        case '<': {
          angleURL.lastIndex = i;
          const m = angleURL.exec(s), url = m && safe(m[1]);
          if (url) add(link(url, (a) => a.append(m[1])), angleURL.lastIndex);
          break;
        }
        case 'h': {
          bareURL.lastIndex = i;
          const m = !word.test(s[i - 1] ?? ' ') && bareURL.exec(s);
          if (!m) break;
          let url = m[0].replace(/[.,;:!?'*_~]+$/, '');
          if (url.endsWith(')') && !url.includes('(')) url = url.slice(0, -1);
          if (safe(url)) add(link(safe(url), (a) => a.append(url)), i + url.length);
          break;
        }
      }
      if (i === start) { text += c; i++; }
    }
    if (text) into.append(text);
    return into;
  }

  // render shows text in an element. What was shown there before is kept up to the first block that differs, so that a
  // growing text costs its last block, and selections above it stay.
  function render(el, text) {
    const old = el.shown ?? [], now = blocks(text.replace(/\r\n?/g, '\n').replace(/\t/g, '    ').split('\n'));
    let same = 0;
    while (same < old.length && same < now.length && old[same].source === now[same].source) {
      now[same].node = old[same].node;
      same++;
    }
    const [was, is] = [old[same], now[same]];
    if (was && is && same === now.length - 1 && was.kind === 'code' && is.kind === 'code' && was.lang === is.lang) {
      Colours.into(was.node.querySelector('code'), is.text, is.lang);
      is.node = was.node;
      same++;
    }
    for (const b of old.slice(same)) b.node.remove();
    for (const b of now.slice(same)) el.append((b.node = node(b, 0)));
    el.shown = now;
  }

  return { render };
})();
