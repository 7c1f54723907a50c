// Logs: lines that the page's stream brings, search, following, pausing. Every text is put in as text, never as HTML.
'use strict';

(() => {
  const log = document.querySelector('[data-log]');
  if (!log) return;
  const list = log.querySelector('ol');
  const nothing = log.querySelector('[data-log-nothing]');
  const most = Number(log.dataset.logMax) || 10000;
  const search = document.querySelector('[data-log-search]');
  const found = document.querySelector('[data-log-found]');
  const followButton = document.querySelector('[data-log-follow]');
  const pauseButton = document.querySelector('[data-log-pause]');
  const tools = document.querySelector('[data-log-tools]');
  let follows = pauseButton !== null || log.hasAttribute('data-log-following');
  let waiting = null; // lines that came while it was paused

  const span = (className, text) => {
    const element = document.createElement('span');
    if (className) element.className = className;
    element.textContent = text;
    return element;
  };

  function line(row) {
    const item = document.createElement('li');
    if (row.stderr) item.className = 'stderr';
    item.dataset.live = '';
    if (row.at) {
      const time = document.createElement('time');
      time.dateTime = row.at;
      time.title = row.at;
      time.textContent = row.clock;
      item.append(time);
    }
    if (row.unit) item.append(span(`from hue${row.hue}`, row.unit));
    const text = span('text', '');
    for (const run of row.runs) text.append(run.c ? span(run.c, run.t) : document.createTextNode(run.t));
    item.append(text);
    return item;
  }

  const toEnd = () => { log.scrollTop = log.scrollHeight; };

  function add(rows) {
    const items = document.createDocumentFragment();
    for (const row of rows) {
      const item = line(row);
      mark(item);
      items.append(item);
    }
    list.append(items);
    while (list.childElementCount > most) list.firstElementChild.remove();
    if (nothing) nothing.hidden = list.childElementCount > 0;
    count();
    if (follows) toEnd();
  }

  // --- the stream ----------------------------------------------------------------------------------

  const known = new WeakSet();
  let streams = 0;
  document.addEventListener('htmx:sseOpen', (event) => {
    const source = event.detail.source;
    if (known.has(source)) return;
    known.add(source);
    streams += 1;
    // A stream that is made anew begins where the page's own lines end.
    if (streams > 1) list.querySelectorAll('[data-live]').forEach((item) => item.remove());
    source.addEventListener('log', (message) => {
      const rows = JSON.parse(message.data);
      if (waiting) waiting.push(...rows); else add(rows);
      if (waiting && waiting.length > most) waiting.splice(0, waiting.length - most);
    });
  });

  // --- search ----------------------------------------------------------------------------------------

  let wanted = '';
  let hits = 0;

  function mark(item) {
    const text = item.querySelector('.text');
    const is = wanted !== '' && text.textContent.toLowerCase().includes(wanted);
    item.hidden = wanted !== '' && !is;
    text.querySelectorAll('mark').forEach((old) => old.replaceWith(...old.childNodes));
    text.normalize();
    if (!is) return;
    hits += 1;
    const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
    const nodes = [];
    while (walker.nextNode()) nodes.push(walker.currentNode);
    for (let node of nodes) {
      for (;;) {
        const at = node.data.toLowerCase().indexOf(wanted);
        if (at < 0 || node.data.toLowerCase().length !== node.data.length) break;
        const hit = node.splitText(at);
        node = hit.splitText(wanted.length);
        const around = document.createElement('mark');
        hit.replaceWith(around);
        around.append(hit);
      }
    }
  }

  function count() {
    if (found) found.textContent = wanted === '' ? '' : `${hits} ${hits === 1 ? 'line' : 'lines'}`;
  }

  let soon = 0;
  search?.addEventListener('input', () => {
    clearTimeout(soon);
    soon = setTimeout(() => {
      wanted = search.value.trim().toLowerCase();
      hits = 0;
      for (const item of list.children) mark(item);
      count();
      if (wanted === '' && follows) toEnd();
    }, 120);
  });

  // --- following and pausing ---------------------------------------------------------------------------

  function follow(is) {
    follows = is;
    followButton?.setAttribute('aria-pressed', String(is));
    if (is) toEnd();
  }

  followButton?.addEventListener('click', () => follow(!follows));
  log.addEventListener('scroll', () => {
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 24;
    if (atEnd !== follows) {
      follows = atEnd;
      followButton?.setAttribute('aria-pressed', String(atEnd));
    }
  });

  pauseButton?.addEventListener('click', () => {
    const pauses = waiting === null;
    pauseButton.setAttribute('aria-pressed', String(pauses));
    if (pauses) {
      waiting = [];
    } else {
      const rows = waiting;
      waiting = null;
      add(rows);
      toEnd();
    }
  });

  if (tools) tools.hidden = false;
  followButton?.setAttribute('aria-pressed', String(follows));
  if (follows) toEnd();
})();
