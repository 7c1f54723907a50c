// Every page that links lead to from the overview, in both themes, on a desk and on a phone.
import assert from 'node:assert/strict';

import { looks } from './support/axe.js';
import { test } from './support/browser.js';
import { administrator } from './support/people.js';
import { seed } from './support/seed.js';
import { setting } from './support/setting.js';

/** Pages of one kind that are looked at: they differ by what they show. */
const OF_A_KIND_MAX = 3;
/** What comes over the wire for the overview when nothing is in the browser's memory yet. */
const FIRST_LOAD_MAX = 60 * 1024;
/** Their pages are about one thing, which the address names. */
const NOUNS = ['apps', 'backups', 'deployments', 'domains', 'projects', 'teams', 'users', 'volumes', 'databases', 'routes', 'services', 'certificates', 'host'];
test('every page, in both themes, on a desk and on a phone', { as: administrator }, async (page, person) => {
  await seed();
  const wrong = [];
  const waiting = ['/'];
  const known = new Set(waiting);
  const kinds = new Map();
  const seen = [];
  while (waiting.length > 0) {
    const path = waiting.shift();
    const before = person.faults.length;
    const answer = await page.goto(path).catch((error) => {
      if (/Download is starting/.test(error.message)) return null;
      throw error;
    });
    if (answer === null) continue;
    seen.push(path);
    if (answer.status() !== 200) {
      wrong.push(`${path}: ${answer.status()}`);
      continue;
    }
    if (!(answer.headers()['content-type'] ?? '').startsWith('text/html')) continue;
    wrong.push(...(await looks(page)).map((words) => `${path} ${words}`));
    wrong.push(...person.faults.slice(before).map((words) => `${path}: ${words}`));
    for (const link of await links(page)) {
      const kind = kindOf(link);
      if (known.has(link) || (kinds.get(kind) ?? 0) >= OF_A_KIND_MAX) continue;
      known.add(link);
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      waiting.push(link);
    }
  }
  person.faults.length = 0; // they are among what is wrong
  const told = wrong.join('\n');
  assert.equal(told, '', `${wrong.length} things are wrong on ${seen.length} pages:\n${told}`);
  assert.ok(seen.length >= 30, `only ${seen.length} pages were found: ${seen.join(' ')}`);
});

/** Where the links of a page lead below rivetr's own address. */
async function links(page) {
  const all = await page.evaluate(() => [...document.querySelectorAll('a[href]:not([download])')].map((a) => a.href));
  const own = all.map((link) => new URL(link)).filter(({ origin }) => origin === new URL(setting.url).origin);
  return [...new Set(own.map(({ pathname, search }) => `${pathname}${search}`))];
}

/** Pages that differ only in what they are about, or in what is asked for, are of one kind. */
function kindOf(path) {
  const { pathname, searchParams } = new URL(path, setting.url);
  const [, noun, thing, ...rest] = pathname.split('/');
  const what = NOUNS.includes(noun) && thing !== 'new' ? 'ONE' : thing;
  return `${[noun, what, ...rest].join('/').replace(/\d+/g, 'N')}?${[...searchParams.keys()].sort().join('&')}`;
}

test('the first load of the overview is light', { as: administrator }, async (page, person) => {
  const session = await person.context.newCDPSession(page);
  await session.send('Network.enable');
  const sizes = new Map();
  const names = new Map();
  session.on('Network.responseReceived', ({ requestId, response }) => names.set(requestId, response.url));
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => sizes.set(requestId, encodedDataLength));
  await page.goto('/', { waitUntil: 'load' });
  const list = [...sizes].map(([id, size]) => `${size} ${names.get(id)}`).join('\n');
  const whole = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  assert.ok(sizes.size >= 4 && whole <= FIRST_LOAD_MAX, `${whole} bytes:\n${list}`);
});
