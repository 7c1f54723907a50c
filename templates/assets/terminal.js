// The terminal of an app: xterm.js over a WebSocket. Loaded before xterm.js, and by its page alone.
'use strict';

// --- xterm.js under a strict policy ---------------------------------------------------------------------
// It writes style sheets as elements and colours as attributes, both of which the page's policy refuses. The same
// rules as style sheets of the document's own and as properties are fine, so they are led there.

const makeElement = document.createElement.bind(document);

document.createElement = (name, options) => {
  if (name !== 'style') return makeElement(name, options);
  const stand = makeElement('template');
  const sheet = new CSSStyleSheet();
  const rules = { get: () => '', set: (text) => sheet.replaceSync(text) };
  Object.defineProperties(stand, { textContent: rules, innerText: rules, sheet: { value: sheet } });
  stand.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    Element.prototype.remove.call(stand);
  };
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  return stand;
};

HTMLSpanElement.prototype.setAttribute = function setAttribute(name, value) {
  if (name === 'style') this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
};

// --- the terminal -----------------------------------------------------------------------------------------

const PIECE = 16 * 1024; // the most of a paste in one message
const TELL_AFTER = 64 * 1024; // bytes shown until rivetr is told

document.addEventListener('DOMContentLoaded', () => {
  const part = document.querySelector('[data-terminal]');
  if (!part) return;
  part.hidden = false;
  const form = part.querySelector('form');
  const screen = part.querySelector('[data-screen]');
  const standing = part.querySelector('[data-standing]');
  const bytes = new TextEncoder();
  const terminal = new Terminal({
    fontFamily: getComputedStyle(screen).fontFamily,
    fontSize: 14,
    minimumContrastRatio: 4.5,
    screenReaderMode: true,
    scrollback: 5000,
    theme: colours(screen.parentElement),
  });
  const fit = new FitAddon.FitAddon();
  let socket = null;

  terminal.loadAddon(fit);
  terminal.open(screen);
  fit.fit();
  new ResizeObserver(() => fit.fit()).observe(screen);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    terminal.options.theme = colours(screen.parentElement);
  });
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.key !== 'F6') return true;
    if (event.type === 'keydown') form.querySelector('button').focus();
    event.preventDefault();
    return false;
  });
  terminal.onResize(({ rows, cols }) => tell({ size: [rows, cols] }));
  terminal.onData((text) => send(bytes.encode(text)));
  terminal.onBinary((text) => send(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    connect();
  });
  addEventListener('pagehide', () => socket?.close());
  connect();

  function connect() {
    socket?.close();
    const asked = new URLSearchParams(new FormData(form));
    asked.set('rows', terminal.rows);
    asked.set('columns', terminal.cols);
    const address = new URL(`${part.dataset.terminal}?${asked}`, location.href);
    address.protocol = address.protocol.replace('http', 'ws');
    const own = new WebSocket(address);
    let shown = 0;
    let told = 0;
    let words = '';
    socket = own;
    own.binaryType = 'arraybuffer';
    say('Connecting…', 'moving');
    terminal.reset();
    own.addEventListener('open', () => {
      say('Connected', 'good');
      terminal.focus();
    });
    own.addEventListener('message', ({ data }) => {
      if (typeof data === 'string') {
        words = JSON.parse(data).ended;
        return;
      }
      terminal.write(new Uint8Array(data), () => {
        shown += data.byteLength;
        if (shown - told < TELL_AFTER || own !== socket) return;
        told = shown;
        tell({ shown });
      });
    });
    own.addEventListener('close', () => {
      if (own !== socket) return;
      socket = null;
      say(words || 'The connection was lost.', words ? '' : 'bad');
      if (screen.contains(document.activeElement)) form.querySelector('button').focus();
    });
  }

  function send(data) {
    if (socket?.readyState !== WebSocket.OPEN) return;
    for (let from = 0; from < data.length; from += PIECE) socket.send(data.subarray(from, from + PIECE));
  }

  function tell(what) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(what));
  }

  function say(words, kind) {
    standing.textContent = words;
    standing.className = `standing state ${kind}`;
    part.dataset.state = kind;
  }
});

/** The page's own colours, in the one form that xterm.js reads everywhere. */
function colours(frame) {
  const canvas = makeElement('canvas').getContext('2d', { willReadFrequently: true });
  canvas.canvas.width = canvas.canvas.height = 1;
  const plain = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
    return `#${[red, green, blue].map((part) => part.toString(16).padStart(2, '0')).join('')}`;
  };
  const { color, backgroundColor, caretColor, outlineColor } = getComputedStyle(frame);
  return {
    foreground: plain(color),
    background: plain(backgroundColor),
    cursor: plain(caretColor),
    cursorAccent: plain(backgroundColor),
    selectionBackground: plain(outlineColor),
  };
}
