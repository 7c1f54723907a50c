// A shell in a container, typed at in the browser.
import assert from 'node:assert/strict';

import { axe } from './support/axe.js';
import { Person, test } from './support/browser.js';
import { run } from './support/host.js';
import { ADMINISTRATOR, administrator, signIn } from './support/people.js';
import { seed } from './support/seed.js';

/** Types a line and waits until the terminal shows what it leads to; the line itself must not hold it. */
async function types(page, line, shows) {
  await page.keyboard.type(line);
  await page.keyboard.press('Enter');
  await page.locator('.xterm-rows', { hasText: shows }).waitFor();
}

const connected = (page) => page.getByRole('status').filter({ hasText: 'Connected' }).waitFor();

test('a terminal: typing, colours, a flood, its size, its end and the next one', { as: administrator }, async (page) => {
  await seed();
  await page.goto('/apps/blog/terminal');
  await connected(page);
  await types(page, 'echo rivet$((6 * 7))', 'rivet42');
  await types(page, "printf '\\033[38;2;200;0;0mr\\033[1;32me\\033[48;5;17md\\033[0m%s\\n' $((6 * 6))", 'red36');
  assert.deepEqual(await axe(page), []);

  // More than may be on its way at a time; the command waits, and nothing is lost.
  await types(page, 'yes rivets | head -n 120000; echo end$((5 * 5))', 'end25');

  await page.keyboard.type('stty size');
  await page.keyboard.press('Enter');
  const before = await page.locator('.xterm-rows').evaluate((rows) => rows.childElementCount);
  await page.locator('.xterm-rows', { hasText: `${before} ` }).waitFor();
  await page.setViewportSize({ width: 700, height: 500 });
  await page.locator('.xterm-rows').evaluate(async (rows, before) => {
    while (rows.childElementCount === before) await new Promise(requestAnimationFrame);
  }, before);
  const after = await page.locator('.xterm-rows').evaluate((rows) => rows.childElementCount);
  assert.notEqual(after, before);
  // The size reaches the container a moment after the browser has it.
  await types(page, `until stty size | grep "^${after} "; do :; done; echo fits$((2 * 2))`, 'fits4');

  // By keyboard one gets out of it.
  await page.keyboard.press('F6');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Connect again');
  await page.locator('[data-screen]').click();

  await page.keyboard.type('exit 7');
  await page.keyboard.press('Enter');
  await page.getByRole('status').filter({ hasText: 'The command has ended with status 7.' }).waitFor();
  await page.keyboard.press('Enter'); // the focus is on the button
  await connected(page);
  await types(page, 'echo again$((3 * 3))', 'again9');
});

test('a terminal in each replica, and none where nothing runs', { as: administrator }, async (page) => {
  await seed();
  await page.goto('/apps/storefront/terminal');
  await connected(page);
  await types(page, 'echo at-$(hostname)-', /at-\w+-/);
  const first = await page.locator('.xterm-rows').textContent();
  await page.getByLabel('Container').selectOption('2');
  await page.getByRole('button', { name: 'Connect again' }).click();
  await connected(page);
  await types(page, 'echo at-$(hostname)-', /at-\w+-/);
  const second = await page.locator('.xterm-rows').textContent();
  assert.notEqual(first.match(/at-(\w+)-/)[1], second.match(/at-(\w+)-/)[1]);

  await page.getByLabel('Command').fill('/no/such/program');
  await page.getByRole('button', { name: 'Connect again' }).click();
  await page.getByRole('status').filter({ hasText: 'The command has ended with status 127.' }).waitFor();

  await page.goto('/apps/empty/terminal');
  await page.getByText('No container of empty runs').waitFor();
});

test('who leaves a terminal leaves nothing running', { as: administrator }, async (page) => {
  await seed();
  await page.goto('/apps/blog/terminal');
  await connected(page);
  await types(page, 'echo begun$((4 * 4)); sleep 4712', 'begun16');
  await page.goto('about:blank');
  await run('timeout', '20', 'sh', '-c', "while pgrep -f '^sleep 4712$' >/dev/null; do sleep 0.1; done");
  const journal = await run('journalctl', '-u', 'rivetr.service', '--output=cat');
  assert.match(journal, /terminal\.opened/);
  await run('timeout', '20', 'sh', '-c', "until journalctl -u rivetr.service --output=cat | grep -q 'terminal[.]closed'; do sleep 0.1; done");
});

test('a terminal closes when its person is signed out', { as: administrator }, async (page) => {
  await seed();
  const other = await Person.begin();
  try {
    await signIn(other.page, ADMINISTRATOR);
    await other.page.goto('/apps/blog/terminal');
    await connected(other.page);
    await page.goto('/me');
    await page.locator('#sessions').getByRole('button', { name: 'End it' }).first().click();
    await other.page.getByRole('status').filter({ hasText: 'You are no longer signed in' }).waitFor();
  } finally {
    await other.end();
  }
});
