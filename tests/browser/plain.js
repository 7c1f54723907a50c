// Without JavaScript the core works: sign in, create, deploy, see the log, roll back, variables.
import assert from 'node:assert/strict';

import { test } from './support/browser.js';
import { Code, ask } from './support/host.js';
import { ADMINISTRATOR, administrator, signIn } from './support/people.js';

/** Loads the page again, as one has to, until it says so. */
async function until(page, locator) {
  await assert.doesNotReject(async () => {
    for (let again = 0; again < 100; again += 1) {
      if (await locator.count()) return;
      await page.reload();
    }
    throw new Error(`${locator} does not come at ${page.url()}`);
  });
}

test('without script: sign in, create, deploy, see the log, roll back, variables', { script: false }, async (page) => {
  await administrator(); // there is one
  await signIn(page, ADMINISTRATOR);
  const code = await Code.begin();
  await code.write('index.html', 'plain one\n');
  await code.commit('One');
  const repository = await code.publish('plain');
  await page.goto('/apps/new');
  await page.getByLabel('Git repository or image').fill(repository);
  await page.getByRole('button', { name: 'Deploy', exact: true }).click();
  await page.waitForURL('**/deployments/*');
  const live = page.locator('#state .state.good', { hasText: 'live' });
  await until(page, live);
  assert.match(await page.locator('[data-log]').textContent(), /COPY index\.html/);

  await page.getByRole('link', { name: 'Variables', exact: true }).click();
  const form = page.locator('details', { hasText: 'Add a variable' }).first();
  if (!(await form.evaluate((details) => details.open))) await form.locator('summary').click();
  await form.getByLabel('Name', { exact: true }).fill('PLAIN');
  await form.getByLabel('Value', { exact: true }).fill('yes');
  await form.getByRole('button', { name: 'Add', exact: true }).click();
  await page.locator('code.name', { hasText: 'PLAIN' }).waitFor();

  await code.write('index.html', 'plain two\n');
  await code.commit('Two');
  await code.publish('plain');
  await code.end();
  await page.locator('#app-head').getByRole('button', { name: 'Deploy' }).click();
  await page.waitForURL('**/deployments/*');
  await until(page, live);
  assert.equal(await ask('plain'), 'plain two\n');

  await page.getByRole('link', { name: 'Deployments', exact: true }).click();
  await page.getByRole('link', { name: '#1', exact: true }).click();
  await page.getByRole('button', { name: 'Roll back to this' }).click();
  await page.getByRole('heading', { name: 'Deployment #3' }).waitFor();
  await until(page, live);
  assert.equal(await ask('plain'), 'plain one\n');
});
