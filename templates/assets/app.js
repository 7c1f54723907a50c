// What pages do beyond what they say: the palette, the notice of a lost connection, copying, logs that follow.
// Nothing here is needed to use a page.
'use strict';

const each = (selector, act, root = document) => root.querySelectorAll(selector).forEach(act);

// --- the palette: Ctrl or Cmd and K -------------------------------------------------------------

const palette = document.querySelector('[data-palette-dialog]');

function openPalette() {
  if (!palette || palette.open) return;
  palette.showModal();
  const input = palette.querySelector('input');
  input.value = '';
  input.dispatchEvent(new Event('palette-open'));
}

function choose(step) {
  const options = [...palette.querySelectorAll('[role="option"]')];
  if (options.length === 0) return;
  const now = options.findIndex((option) => option.getAttribute('aria-selected') === 'true');
  const next = (now + step + options.length) % options.length;
  options.forEach((option, index) => option.setAttribute('aria-selected', String(index === next)));
  options[next].scrollIntoView({ block: 'nearest' });
  palette.querySelector('input').setAttribute('aria-activedescendant', options[next].id);
}

if (palette) {
  each('[data-palette]', (button) => {
    button.hidden = false;
    button.addEventListener('click', openPalette);
  });
  document.addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      openPalette();
    }
  });
  palette.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      choose(event.key === 'ArrowDown' ? 1 : -1);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      palette.querySelector('[aria-selected="true"]')?.click();
    }
  });
  palette.addEventListener('click', (event) => {
    if (event.target === palette) palette.close();
  });
  palette.addEventListener('htmx:afterSwap', () => choose(1));
}

// --- a lost connection is shown, and heals ---------------------------------------------------------

const offline = document.querySelector('[data-offline]');
document.addEventListener('htmx:sseError', () => { if (offline) offline.hidden = false; });
document.addEventListener('htmx:sseOpen', () => { if (offline) offline.hidden = true; });
document.addEventListener('htmx:sendError', () => { if (offline) offline.hidden = false; });
document.addEventListener('htmx:afterRequest', (event) => {
  if (offline && event.detail.xhr?.status) offline.hidden = true;
});

// --- menus close when one looks elsewhere -----------------------------------------------------------

document.addEventListener('click', (event) => {
  each('details.me[open], details.menu-phone[open]', (menu) => { if (!menu.contains(event.target)) menu.open = false; });
});
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  each('details.me[open], details.menu-phone[open]', (menu) => {
    menu.open = false;
    menu.querySelector('summary').focus();
  });
});

// --- copying -------------------------------------------------------------------------------------------

document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const words = button.querySelector('span') ?? button;
  const before = words.textContent;
  words.textContent = 'Copied';
  setTimeout(() => { words.textContent = before; }, 1500);
});
