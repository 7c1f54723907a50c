// Text of YAML with line numbers, colours and the lines that are wrong. What is typed stays in the form's own field, which
// lies over the coloured text; without this script it is that field alone.
'use strict';

(() => {
  const KEY = /^(\s*(?:-\s+)*)("[^"]*"|'[^']*'|[^\s:#[\]{},&*!|>'"%@`-][^:#]*)(:)(?=\s|$)(.*)$/;
  const VALUE = /(\$\{[^}]*\}|\$\w+|"(?:[^"\\]|\\.)*"|'[^']*'|(?<=\s|^)[&*!][\w.<-]+)/;
  const plain = (text) => document.createTextNode(text);

  function span(kind, text) {
    const element = document.createElement('span');
    element.className = `y-${kind}`;
    element.textContent = text;
    return element;
  }

  /** Where a comment begins in a line: at a # that stands free and in no quotes. */
  function commentOf(line) {
    let quote = '';
    for (let at = 0; at < line.length; at += 1) {
      const letter = line[at];
      if (quote) {
        if (letter === '\\' && quote === '"') at += 1;
        else if (letter === quote) quote = '';
      } else if (letter === '#' && (at === 0 || /\s/.test(line[at - 1]))) return at;
      else if ((letter === '"' || letter === "'") && (at === 0 || /[\s[{,:]/.test(line[at - 1]))) quote = letter;
    }
    return line.length;
  }

  /** The parts of a line: its key, its value with what is put in by ${…}, its comment. Text is put in as text. */
  function coloured(line) {
    const end = commentOf(line);
    const [text, comment] = [line.slice(0, end), span('comment', line.slice(end))];
    const [, before, key, colon, value] = KEY.exec(text) ?? [];
    if (key === undefined) return [...values(text), comment];
    return [plain(before), span('key', key), plain(colon), ...values(value), comment];
  }

  function values(text) {
    return text.split(VALUE).map((piece, at) => {
      if (at % 2 === 0) return plain(piece);
      if (piece.startsWith('$')) return span('variable', piece);
      return span(/^["']/.test(piece) ? 'text' : 'mark', piece);
    });
  }

  for (const field of document.querySelectorAll('textarea[data-editor]')) {
    const wrong = new Set((field.dataset.wrongLines ?? '').split(' ').filter(Boolean).map(Number));
    const frame = document.createElement('div');
    const gutter = document.createElement('div');
    const shown = document.createElement('pre');
    frame.className = field.rows > 10 ? 'editor' : 'editor low';
    gutter.className = 'gutter';
    for (const part of [gutter, shown]) part.setAttribute('aria-hidden', 'true');
    field.replaceWith(frame);
    frame.append(gutter, shown, field);
    const isYaml = /\.ya?ml$/.test(field.dataset.editor);

    const show = () => {
      const lines = field.value.split('\n');
      shown.replaceChildren(...lines.flatMap((line) => [...(isYaml ? coloured(line) : [plain(line)]), plain('\n')]));
      gutter.replaceChildren(...lines.map((_, at) => {
        const number = document.createElement('span');
        number.textContent = at + 1;
        if (wrong.has(at + 1)) number.className = 'wrong';
        return number;
      }));
      follow();
    };
    const follow = () => {
      shown.scrollTop = field.scrollTop;
      shown.scrollLeft = field.scrollLeft;
      gutter.scrollTop = field.scrollTop;
    };
    field.addEventListener('input', () => { wrong.clear(); show(); });
    field.addEventListener('scroll', follow);
    show();
  }

  // What is wrong leads to its line.
  for (const link of document.querySelectorAll('a[data-line]')) {
    link.addEventListener('click', (event) => {
      const field = document.getElementById(link.hash.slice(1));
      if (!field) return;
      event.preventDefault();
      const lines = field.value.split('\n');
      const at = Math.min(Number(link.dataset.line), lines.length) - 1;
      const begin = lines.slice(0, at).reduce((sum, line) => sum + line.length + 1, 0);
      field.focus();
      field.setSelectionRange(begin, begin + lines[at].length);
      field.scrollTop = Math.max(0, (at - 4) * parseFloat(getComputedStyle(field).lineHeight));
    });
  }
})();
