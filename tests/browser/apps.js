// An app from its repository to its end: deploy, watch, roll back, variables, domains, settings.
import assert from 'node:assert/strict';

import { SOON, test } from './support/browser.js';
import { Code, ask, hostOf, rivetr, run } from './support/host.js';
import { administrator } from './support/people.js';
import { NASTY } from './support/seed.js';

const live = (page) => page.locator('#state .state.good', { hasText: 'live' }).waitFor();
const deploy = (page) => page.locator('#app-head').getByRole('button', { name: 'Deploy' }).click();

/** A repository on the host's Git server with one page, and an app that comes from it. */
async function appOf(page, name, words) {
  const code = await Code.begin();
  await code.write('index.html', `${words}\n`);
  await code.commit(words);
  const repository = await code.publish(name);
  await page.goto('/apps/new');
  await page.getByLabel('Git repository or image').fill(repository);
  await page.getByRole('button', { name: 'Deploy', exact: true }).click();
  await page.waitForURL('**/deployments/*');
  return code;
}

test('create, deploy, watch the log, roll back', { as: administrator }, async (page) => {
  const code = await appOf(page, 'journal', 'one');
  const first = page.url();
  // Lines come while it runs, without loading the page again.
  await page.locator('[data-log] li', { hasText: 'COPY index.html' }).waitFor();
  await live(page);
  assert.equal(await ask('journal'), 'one\n');

  await code.write('index.html', 'two\n');
  await code.commit(`Two ${NASTY}`);
  await code.publish('journal');
  await code.end();
  await deploy(page);
  await page.waitForURL((url) => url.pathname.startsWith('/deployments/') && url.href !== first);
  const second = page.url();
  await live(page);
  assert.equal(await ask('journal'), 'two\n');
  await page.getByLabel('Search in these lines').fill('httpd');
  await page.locator('[data-log] mark', { hasText: 'httpd' }).first().waitFor();
  const [file] = await Promise.all([
    page.waitForEvent('download'), page.locator('.logbar').getByRole('link', { name: 'Download' }).click(),
  ]);
  const text = await (await file.createReadStream()).toArray();
  assert.match(Buffer.concat(text).toString(), /COPY index\.html/);

  await page.goto('/apps/journal/deployments');
  await page.getByRole('link', { name: '#1', exact: true }).click();
  assert.equal(page.url(), first);
  await page.getByRole('button', { name: 'Roll back to this' }).click();
  await page.waitForURL((url) => ![first, second].includes(url.href));
  await live(page);
  assert.equal(await ask('journal'), 'one\n');

  // Going back in the browser shows the page again, and reloading changes nothing.
  await page.goBack();
  assert.equal(page.url(), first);
  await page.reload();
  await page.getByRole('heading', { name: 'Deployment #1' }).waitFor();
});

test('mistakes stay on the page with what was typed', { as: administrator }, async (page) => {
  await page.goto('/apps/new');
  await page.getByLabel('Git repository or image').fill('not an address at all');
  await page.getByRole('button', { name: 'Deploy', exact: true }).click();
  const source = page.getByLabel('Git repository or image');
  await page.locator('#source-wrong:not(:empty)').waitFor();
  assert.equal(await source.inputValue(), 'not an address at all');
  assert.equal(await source.getAttribute('aria-invalid'), 'true');
});

test('variables: plain, secret, pasted, wrong, removed', { as: administrator }, async (page) => {
  await rivetr('apps', 'create', 'varied', '--port', '8080');
  const code = await Code.begin();
  await code.commit('Varied');
  await code.push('varied');
  await code.end();
  await page.goto('/apps/varied/variables');
  const level = page.locator('section[aria-labelledby="level-1"]');
  const add = async (key, value, secret) => {
    const form = level.locator('details', { hasText: 'Add a variable' });
    if (!(await form.evaluate((details) => details.open))) await form.locator('summary').click();
    await form.getByLabel('Name', { exact: true }).fill(key);
    await form.getByLabel('Value', { exact: true }).fill(value);
    await form.getByLabel(/^Secret/).setChecked(secret);
    await form.getByRole('button', { name: 'Add', exact: true }).click();
  };
  await add('1 WRONG', 'kept', false);
  await level.locator('[aria-invalid="true"]').waitFor();
  assert.equal(await level.getByLabel('Value', { exact: true }).first().inputValue(), 'kept');
  await add('GREETING', NASTY, false);
  await level.locator('code.name', { hasText: 'GREETING' }).waitFor();
  await add('PASSWORD', 'canary', true);
  await level.locator('code.name', { hasText: 'PASSWORD' }).waitFor();
  assert.ok(!(await page.content()).includes('canary'), 'a secret is shown');

  await level.locator('summary', { hasText: 'Paste a .env file' }).click();
  const paste = level.locator('details', { hasText: 'Paste a .env file' });
  await paste.getByLabel('Its text').fill('ONE=1\nTWO="two words"\n');
  await paste.getByLabel('All of them are secret').uncheck();
  await paste.getByRole('button', { name: 'Set them' }).click();
  await level.locator('code.name', { hasText: 'TWO' }).waitFor();
  await level.locator('summary', { hasText: /ONE\s+1/ }).click();
  await level.getByRole('button', { name: 'Remove ONE' }).click();
  await level.getByText('ONE', { exact: true }).waitFor({ state: 'detached' });

  await deploy(page);
  await page.waitForURL('**/deployments/*');
  await live(page);
  const there = await rivetr('exec', 'varied', '--', 'env');
  for (const line of [`GREETING=${NASTY}`, 'PASSWORD=canary', 'TWO=two words']) assert.ok(there.includes(line), line);
  assert.ok(!there.includes('ONE='), 'a variable that was removed is there');
});

test('a domain leads to its app as soon as it is added, and no longer once it is taken away', { as: administrator }, async (page) => {
  await rivetr('apps', 'create', 'placed', '--port', '8080');
  const code = await Code.begin();
  await code.commit('Placed');
  await code.push('placed');
  await code.end();
  await page.goto('/apps/placed/domains');
  await page.getByLabel('Host', { exact: true }).fill('no host!');
  await page.getByRole('button', { name: 'Add the domain' }).click();
  await page.locator('#host-wrong:not(:empty)').waitFor();
  await page.getByLabel('Host', { exact: true }).fill('placed.example.org');
  await page.getByRole('button', { name: 'Add the domain' }).click();
  await page.locator('.lines', { hasText: 'placed.example.org' }).waitFor();
  const there = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', 'Host: placed.example.org', 'http://127.0.0.1/'];
  assert.equal(await run(...there), '200');

  await page.getByRole('link', { name: 'Change placed.example.org' }).click();
  await page.getByLabel(/^Type/).fill('another.example.org');
  await page.getByRole('button', { name: 'Take the domain away' }).click();
  await page.locator('#confirm-wrong:not(:empty)').waitFor();
  await page.getByLabel(/^Type/).fill('placed.example.org');
  await page.getByRole('button', { name: 'Take the domain away' }).click();
  await page.waitForURL('**/apps/placed/domains*');
  assert.equal(await page.getByText('placed.example.org').count(), 0);
  assert.equal(await run(...there), '404');
});

test('a job goes with its history once its name is typed', { as: administrator }, async (page) => {
  await rivetr('apps', 'create', 'worked', '--port', '8080');
  await rivetr('jobs', 'create', 'worked', 'nightly', '--schedule', '0 3 * * *', '--', 'true');
  await page.goto('/apps/worked/jobs/nightly');
  await page.getByLabel('Type nightly to confirm').fill('night');
  await page.getByRole('button', { name: 'Delete the job' }).click();
  await page.locator('#confirm-wrong:not(:empty)').waitFor();
  await page.getByLabel('Type nightly to confirm').fill('nightly');
  await page.getByRole('button', { name: 'Delete the job' }).click();
  await page.waitForURL('**/apps/worked/jobs');
  assert.ok(!(await rivetr('jobs', 'list', 'worked')).includes('nightly'));
});

test('stop, start, and delete an app, whose page shows it at once', { as: administrator }, async (page) => {
  await rivetr('apps', 'create', 'passing', '--port', '8080');
  const code = await Code.begin();
  await code.commit('Passing');
  await code.push('passing');
  await code.end();
  await page.goto('/apps/passing');
  const head = page.locator('#app-head');
  await head.locator('.state', { hasText: 'running' }).waitFor();
  await head.getByRole('button', { name: 'Stop' }).click();
  await head.locator('.state', { hasText: 'stopped' }).waitFor();
  await head.getByRole('button', { name: 'Start' }).click();
  await head.locator('.state', { hasText: 'running' }).waitFor();
  // What happens elsewhere is shown without loading the page again.
  await rivetr('stop', 'passing');
  await head.locator('.state', { hasText: 'stopped' }).waitFor();

  await page.goto('/apps/passing/settings');
  await page.getByRole('link', { name: /Delete/ }).first().click();
  await page.getByLabel(/^Type/).fill('passing');
  await page.getByRole('button', { name: 'Delete the app' }).click();
  await page.waitForURL((url) => !url.pathname.startsWith('/apps/passing/'));
  await page.goto('/');
  await page.getByRole('link', { name: 'passing', exact: true }).waitFor({ state: 'detached', timeout: SOON });
});

test('the palette leads to an app by keyboard', { as: administrator }, async (page) => {
  await page.goto('/');
  await page.keyboard.press('Control+k');
  await page.locator('dialog.palette').waitFor();
  await page.keyboard.type('journal');
  await page.locator('[role="option"][aria-selected="true"]', { hasText: 'journal' }).waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL('**/apps/journal');
});
