// A database from its form to the trash: created, its password shown, an app told of it, deleted, brought back.
import assert from 'node:assert/strict';

import { test } from './support/browser.js';
import { rivetr } from './support/host.js';
import { administrator } from './support/people.js';

test('a database: create, reveal, link, delete, bring back', { as: administrator }, async (page) => {
  await rivetr('apps', 'create', 'till', '--port', '8080');
  await page.goto('/databases/new');
  await page.getByLabel('PostgreSQL').check();
  await page.getByLabel('Name', { exact: true }).fill('Sales');
  await page.getByRole('button', { name: 'Create' }).click();
  await page.locator('#name-wrong:not(:empty)').waitFor();
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Sales');
  await page.getByLabel('Name', { exact: true }).fill('sales');
  await page.getByRole('button', { name: 'Create' }).click();
  await page.waitForURL('**/databases/sales');

  const shown = page.locator('section', { has: page.getByRole('heading', { name: 'Connect' }) });
  assert.match(await shown.innerText(), /postgres:\/\/sales:•+@sales:5432\/sales/);
  await shown.getByRole('button', { name: 'Show the password' }).click();
  await page.getByRole('heading', { name: 'Connect' }).waitFor();
  const [, password] = /postgres:\/\/sales:([0-9a-f]{32})@sales:5432\/sales/.exec(await shown.innerText());
  await page.goto('/audit');
  await page.getByText('database.credentials.revealed').first().waitFor();
  assert.ok(!(await page.content()).includes(password), 'the audit shows a password');

  await page.goto('/databases/sales');
  await page.getByLabel('Link an app').selectOption('till');
  await page.getByLabel('Its variables begin with').fill('sales db');
  await page.getByRole('button', { name: 'Link', exact: true }).click();
  await page.locator('#prefix-wrong:not(:empty)').waitFor();
  await page.getByLabel('Its variables begin with').fill('SALES');
  await page.getByRole('button', { name: 'Link', exact: true }).click();
  await page.getByText('SALES_URL').waitFor();
  await page.goto('/apps/till/variables');
  await page.getByText('SALES_PASSWORD').waitFor();
  assert.ok(!(await page.content()).includes(password), 'the variables show a password');

  await page.goto('/databases/sales/settings');
  await page.getByLabel('Type sales to confirm').fill('sale');
  await page.getByRole('button', { name: 'Delete the database' }).click();
  await page.locator('#confirm-wrong:not(:empty)').waitFor();
  await page.getByLabel('Type sales to confirm').fill('sales');
  await page.getByRole('button', { name: 'Delete the database' }).click();
  await page.waitForURL('**/databases#trash');
  await page.getByRole('button', { name: 'Bring back sales' }).click();
  await page.waitForURL('**/databases/sales');
  await page.getByText('None yet.').waitFor();
  await rivetr('databases', 'delete', 'sales', '--yes');
});

test('the pages of databases work without script', { as: administrator, script: false }, async (page) => {
  await page.goto('/databases/new');
  await page.getByLabel('Valkey').check();
  await page.getByLabel('Name', { exact: true }).fill('plain');
  await page.getByRole('button', { name: 'Create' }).click();
  await page.waitForURL('**/databases/plain');
  await page.getByRole('button', { name: 'Show the password' }).click();
  await page.getByText(/redis:\/\/default:[0-9a-f]{32}@plain:6379\/0/).waitFor();
  await page.goto('/databases/plain/settings');
  await page.getByLabel('Memory').fill('much');
  await page.getByRole('button', { name: 'Preview' }).click();
  await page.locator('#memory-wrong:not(:empty)').waitFor();
  await rivetr('databases', 'delete', 'plain', '--yes');
});
