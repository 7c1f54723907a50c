// What axe-core finds on a page, in words; and what makes a page scroll sideways.
import { readFileSync } from 'node:fs';

import { DESK, PHONE } from './browser.js';
import { require } from './setting.js';

const source = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

/** Everything that axe-core finds, its rule for the size of targets too; `only` names the rules to follow. */
export async function axe(page, only) {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(source);
  const found = await page.evaluate(async (only) => {
    const runOnly = only ? { type: 'rule', values: only } : undefined;
    const options = { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } };
    const { violations } = await globalThis.axe.run(document, runOnly ? { ...options, runOnly } : options);
    return violations.map(({ id, nodes }) => nodes.map(({ html, failureSummary }) => {
      return `${id}: ${html.slice(0, 160)}\n    ${failureSummary.split('\n').slice(1, 3).join(' ').trim().slice(0, 300)}`;
    }));
  }, only);
  return found.flat();
}

/** What depends on the theme or the width; everything is looked at on a bright desk and on a dark phone. */
const LOOKS = ['color-contrast', 'target-size', 'link-in-text-block', 'scrollable-region-focusable'];
const VIEWS = [
  { name: 'desk', size: DESK, colorScheme: 'light' },
  { name: 'dark desk', size: DESK, colorScheme: 'dark', only: LOOKS },
  { name: 'dark phone', size: PHONE, colorScheme: 'dark' },
  { name: 'phone', size: PHONE, colorScheme: 'light', only: LOOKS },
];

/** What is wrong with a page as it stands, in both themes, on a desk and on a phone. */
export async function looks(page) {
  const wrong = [];
  for (const { name, size, colorScheme, only } of VIEWS) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const found = [...await axe(page, only), ...await tooWide(page)];
    wrong.push(...found.map((words) => `(${name}) ${words}`));
  }
  await page.setViewportSize(DESK);
  return wrong;
}

/** What is wider than the window, the deepest first; empty: the page does not scroll sideways. */
export function tooWide(page) {
  return page.evaluate(() => {
    const root = document.documentElement;
    if (root.scrollWidth <= innerWidth) return [];
    const wide = [...document.querySelectorAll('body *')].filter((element) => {
      return element.getBoundingClientRect().right > innerWidth + 1;
    });
    const deepest = wide.reverse().slice(0, 3).map((element) => element.outerHTML.slice(0, 120));
    return [`scrolls sideways: ${root.scrollWidth} px of ${innerWidth}`, ...deepest];
  });
}
