'use strict';

// The list of conversations beside the thread.
const Chats = (() => {
  const day = 24 * 3600 * 1000;

  function group(time) {
    const today = new Date().setHours(0, 0, 0, 0);
    if (time >= today) return 'Today';
    if (time >= today - day) return 'Yesterday';
    return time >= today - 7 * day ? 'This week' : 'Earlier';
  }

  function render(chats, current, running, on) {
    let last = '';
    const items = [];
    for (const c of chats) {
      const g = group(c.updated);
      if (g !== last) items.push(h('li', { className: 'group' }, g));
      last = g;
      items.push(item(c, c.id === current, running(c.id), on));
    }
    if (!items.length) items.push(h('li', { className: 'empty' }, 'Conversations are kept here, in this browser.'));
    $('chats').replaceChildren(...items);
  }

  function item(c, current, running, on) {
    const open = h('button', { type: 'button', className: 'title', 'aria-current': current ? 'page' : null, title: c.title, onclick: () => on.open(c.id) },
      c.title || 'Untitled');
    const li = h('li', { className: `chat${current ? ' current' : ''}${running ? ' running' : ''}` }, open, h('span', { className: 'row-actions' },
      iconButton('edit', 'Rename', () => rename(li, c, on)), iconButton('export', 'Export', () => on.export(c)),
      iconButton('delete', 'Delete', () => on.remove(c))));
    open.addEventListener('dblclick', () => rename(li, c, on));
    return li;
  }

  function rename(li, c, on) {
    const was = [...li.childNodes];
    const field = h('input', { value: c.title, maxLength: 200, 'aria-label': 'Name of the conversation' });
    let over = false;
    const finish = (keep) => {
      if (over) return;
      over = true;
      li.replaceChildren(...was);
      if (keep && field.value.trim()) on.rename(c, field.value.trim());
    };
    field.addEventListener('keydown', (e) => {
      if (e.key === 'Enter') finish(true);
      if (e.key === 'Escape') { e.stopPropagation(); finish(false); }
    });
    field.addEventListener('blur', () => finish(true));
    li.replaceChildren(field);
    field.select();
  }

  return { render };
})();
