// A service from its form to its end: a file that is wrong is told by its line, containers are seen, looked into and changed.
import assert from 'node:assert/strict';

import { test } from './support/browser.js';
import { rivetr } from './support/host.js';
import { administrator } from './support/people.js';

const FILE = `services:
  web:
    image: docker.io/library/busybox:stable
    command: sh -c 'echo hello from web; exec httpd -f -p 8080 -h /etc'
    stop_signal: SIGKILL
  worker:
    image: docker.io/library/busybox:stable
    command: sh -c 'echo hello from worker; exec sleep 1000000'
    stop_signal: SIGKILL
`;

const panel = (page, name) => page.locator('section', { has: page.getByRole('heading', { name, exact: true }) });

const tab = (page, name) => page.getByRole('navigation', { name: 'pair' }).getByRole('link', { name });

test('a service: create, log, terminal, change, bring back, delete', { as: administrator }, async (page) => {
  await page.goto('/services/new');
  await page.getByLabel('Name', { exact: true }).fill('pair');
  await page.getByLabel('compose.yaml').fill(FILE.replace('image:', 'imago:'));
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('link', { name: /compose\.yaml:3: services\.web\.imago/ }).click();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'compose');
  assert.equal(await page.evaluate(() => getSelection().toString().trim()), FILE.split('\n')[2].trim().replace('image', 'imago'));
  assert.equal(await page.locator('.editor .gutter .wrong').first().innerText(), '3');
  assert.equal(await page.locator('.editor pre .y-key').first().innerText(), 'services');
  await page.getByLabel('compose.yaml').fill(FILE);
  await page.getByRole('button', { name: 'Create' }).click();
  await page.waitForURL('**/services/pair');
  // It comes up while the page is looked at.
  await page.locator('#service-head').getByText('live', { exact: true }).waitFor();
  await panel(page, 'Containers').getByText('active (running)').first().waitFor();

  await tab(page, 'Logs').click();
  await page.getByText('hello from worker').waitFor();
  await page.getByText('hello from web').waitFor();

  await tab(page, 'Overview').click();
  await panel(page, 'Containers').getByRole('row', { name: /worker/ }).getByRole('link', { name: 'Terminal' }).click();
  await page.getByRole('status').filter({ hasText: 'Connected' }).waitFor();
  assert.equal(await page.getByLabel('Container').inputValue(), 'worker');
  await page.keyboard.type('tr "\\0" " " </proc/1/cmdline; echo at-$((6 * 7))');
  await page.keyboard.press('Enter');
  await page.locator('.xterm-rows', { hasText: 'at-42' }).waitFor();
  await page.locator('.xterm-rows', { hasText: 'sleep 1000000' }).waitFor();

  await tab(page, 'Settings').click();
  const text = page.getByLabel('compose.yaml');
  assert.equal(await text.inputValue(), FILE);
  await text.fill(FILE.replace('hello from worker', 'good evening'));
  await page.getByRole('button', { name: 'Preview' }).click();
  await panel(page, 'What an update would do').getByText('stop rivetr-svc-pair-worker.service').waitFor();
  await page.getByRole('button', { name: 'Update' }).click();
  await page.waitForURL('**/services/pair');
  // The table of revisions follows while it is looked at.
  await panel(page, 'Revisions').getByRole('row', { name: /^2 live/ }).waitFor();
  await panel(page, 'Revisions').getByRole('row', { name: /^1 superseded/ }).waitFor();
  await page.locator('#service-head').getByText('live', { exact: true }).waitFor();
  await panel(page, 'In use').getByRole('row', { name: /rivetr-svc-pair-web/ }).waitFor();

  await tab(page, 'Domains').click();
  await page.getByLabel('Host', { exact: true }).fill('pair.example.org');
  await page.getByLabel('Container', { exact: true }).selectOption('web');
  await page.getByRole('button', { name: 'Add the domain' }).click();
  await page.locator('#port-wrong:not(:empty)').waitFor();
  await page.getByLabel('Port in the container').fill('80');
  await page.getByRole('button', { name: 'Add the domain' }).click();
  await page.getByText('web, port 80').waitFor();
  await page.goto('/services/pair/logs');
  await page.getByText('good evening').waitFor();

  await page.goto('/services/pair');
  await panel(page, 'Revisions').getByRole('row', { name: /^1 / }).getByRole('button', { name: 'Bring back' }).click();
  await panel(page, 'Revisions').getByText('(brings back 1)').waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('stopped', { exact: true }).first().waitFor();
  await page.getByLabel('Type pair to confirm').fill('pear');
  await page.getByRole('button', { name: 'Delete the service' }).click();
  await page.locator('#confirm-wrong:not(:empty)').waitFor();
  await page.getByLabel('Type pair to confirm').fill('pair');
  await page.getByRole('button', { name: 'Delete the service' }).click();
  await page.waitForURL('**/services');
  assert.ok(!(await rivetr('services', 'list')).includes('pair'));
});

test('templates are found, and their form is kept when it is wrong', { as: administrator }, async (page) => {
  await page.goto('/templates');
  await page.getByRole('searchbox').first().fill('dashboards');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByRole('link', { name: 'Grafana' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Not A Name');
  await page.getByRole('button', { name: 'Create' }).click();
  await page.locator('#name-wrong:not(:empty)').waitFor();
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Not A Name');
});
