// Somebody who has never seen it: from the one-time link to a page of their own, on a phone, by keyboard alone.
import assert from 'node:assert/strict';

import { PHONE, test } from './support/browser.js';
import { Code, hostOf } from './support/host.js';
import { Keyboard } from './support/keyboard.js';
import { ADMINISTRATOR, cameIn, setupLink } from './support/people.js';

test('the first minute, on a phone and without a mouse', { size: PHONE }, async (page, person) => {
  const code = await Code.begin();
  await code.write('index.html', '<!doctype html><title>Mine</title><h1>My own page</h1>\n');
  await code.commit('My own page');
  const repository = await code.publish('mine');
  await code.end();

  const keys = new Keyboard(page);
  await page.goto('/');
  await page.waitForURL('**/sign-in*'); // nobody gets in before
  await page.goto(setupLink());
  await keys.fill(page.getByLabel('Name', { exact: true }), ADMINISTRATOR.login);
  await keys.fill(page.getByLabel('Password', { exact: true }), ADMINISTRATOR.password);
  await keys.press(page.locator('main button[type="submit"]'));
  await page.locator('header.bar').waitFor();
  await cameIn(person.context);

  await keys.press(page.getByRole('link', { name: 'From a Git repository' }));
  await keys.fill(page.getByLabel('Git repository or image'), repository);
  await keys.press(page.getByRole('button', { name: 'Deploy', exact: true }));
  await page.waitForURL('**/deployments/*');
  await page.locator('.state.good', { hasText: 'live' }).waitFor();

  person.mayVisit = (url) => url.hostname === hostOf('mine');
  const tab = person.context.waitForEvent('page');
  await keys.press(page.locator('#app-head a.where'));
  const own = await tab;
  await own.getByRole('heading', { name: 'My own page' }).waitFor();
  assert.equal(new URL(own.url()).hostname, hostOf('mine'));

  // The link was for once.
  await person.context.clearCookies();
  person.expect('status of 4');
  await page.goto(setupLink());
  await page.getByText('leads nowhere any more').waitFor();
  await page.goto('/');
  await page.waitForURL('**/sign-in*');
});
