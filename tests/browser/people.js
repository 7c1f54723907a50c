// People: invitations, roles, the second factor, sessions, tokens, the audit log.
import assert from 'node:assert/strict';

import { Person, SOON, test } from './support/browser.js';
import { ADMINISTRATOR, administrator, claim, fillSignIn, signIn } from './support/people.js';
import { setting } from './support/setting.js';
import { totp } from './support/totp.js';

const GRACE = { login: 'grace@example.org', password: 'lantern gravel seventeen' };

/** Makes a team and a link into it; returns the link. */
async function invite(page, team, { login }, role) {
  await page.goto('/teams');
  await page.getByLabel('Name', { exact: true }).fill(team);
  await page.getByRole('button', { name: 'Make it' }).click();
  await page.goto('/teams');
  await page.getByRole('link', { name: team, exact: true }).click();
  const form = page.locator('section', { hasText: 'Invite somebody' }).last();
  await form.locator('[name="login"]').fill(login);
  await form.locator('[name="role"]').selectOption(role);
  await form.getByRole('button', { name: 'Make a link' }).click();
  return (await page.getByRole('status').locator('pre').textContent()).trim();
}

test('a second person comes in by a link, sees only their team, and turns the second factor on', { as: administrator }, async (page) => {
  const link = await invite(page, 'night-shift', GRACE, 'viewer');
  const grace = await Person.begin();
  try {
    const her = grace.page;
    await claim(her, link, GRACE);
    await her.getByText('There are no apps yet').waitFor(); // those of the first administrator are another team's
    grace.expect('status of 40');
    const refuses = async (path) => {
      const answer = await her.goto(path);
      assert.ok([403, 404].includes(answer.status()), `${path}: ${answer.status()}`);
      const words = await her.locator('main').innerText();
      return `${answer.status()} ${words.replace(/Request \S+/, '').replace(path.split('/').at(-1), 'it')}`;
    };
    for (const path of ['/apps/new', '/host', '/users']) await refuses(path);
    // What another team has and what nobody has are not to be told apart.
    assert.equal(await refuses('/apps/mine'), await refuses('/apps/nobodys'));
    assert.equal(await refuses('/projects/default'), await refuses('/projects/nobodys'));
    await her.goto('/');
    assert.equal(await her.getByRole('link', { name: 'Host' }).count(), 0);

    await her.goto('/me');
    await her.locator('#second-factor').getByLabel('Password').fill(GRACE.password);
    await her.getByRole('button', { name: 'Turn it on' }).click();
    const key = (await her.locator('main code').first().textContent()).trim();
    await her.getByLabel('Code').fill('000000');
    await her.getByRole('button', { name: 'Turn it on' }).click();
    await her.locator('#code-wrong:not(:empty)').waitFor();
    await her.getByLabel('Code').fill(totp(key));
    await her.getByRole('button', { name: 'Turn it on' }).click();
    const codes = (await her.locator('main pre').textContent()).trim().split(/\s+/);
    assert.equal(codes.length, 10);
    await her.getByRole('link', { name: 'I have kept them' }).click();

    await her.locator('details.me summary').click();
    await her.getByRole('button', { name: 'Sign out' }).click();
    await her.waitForURL('**/sign-in*');
    await her.goto('/me');
    await her.waitForURL('**/sign-in?next=*');
    await fillSignIn(her, { ...GRACE, password: 'not the password' });
    await her.locator('.note.bad, .wrong:not(:empty)').first().waitFor();
    await fillSignIn(her, GRACE);
    await her.getByLabel('Code of your authenticator').waitFor();
    await her.goto('/'); // half signed in is not signed in
    await her.waitForURL('**/sign-in/code*');
    // A code counts once; the next one is good already.
    await her.getByLabel('Code of your authenticator').fill(totp(key, 1));
    await her.getByRole('button', { name: 'Sign in' }).click();
    await her.locator('header.bar').waitFor();

    // Whose account is disabled is out at once.
    await page.goto('/users');
    await page.getByRole('button', { name: `Keep out: ${GRACE.login}` }).click();
    await her.goto('/');
    await her.waitForURL('**/sign-in*', { timeout: SOON });
    assert.deepEqual(grace.faults, []);
  } catch (error) {
    await grace.keep('second-person', error);
    throw error;
  } finally {
    await grace.end();
  }
});

test('tokens are shown once, reach as far as they say, and end', { as: administrator }, async (page, person) => {
  await page.goto('/tokens');
  await page.getByLabel('What it is for').fill('browser test');
  await page.locator('input[name="scope"][value="read"]').check();
  await page.getByRole('button', { name: 'Make it' }).click();
  const secret = (await page.getByRole('status').locator('pre').textContent()).trim();
  const ask = (method, path) => fetch(`${setting.url}${path}`, { method, headers: { authorization: `Bearer ${secret}` } });
  assert.equal((await ask('GET', '/api/apps')).status, 200);
  assert.equal((await ask('DELETE', '/api/apps/mine')).status, 403);
  await page.goto('/tokens');
  assert.ok(!(await page.content()).includes(secret), 'a token is shown again');
  await page.getByRole('button', { name: 'Revoke browser test' }).click();
  await page.getByRole('button', { name: 'Revoke browser test' }).waitFor({ state: 'detached' });
  assert.equal((await ask('GET', '/api/apps')).status, 401);
  // A cookie is no token.
  const answer = await person.context.request.delete('/api/apps/mine');
  assert.ok([401, 403].includes(answer.status()), `${answer.status()}`);
});

test('the audit log tells who did what, and can be taken along', { as: administrator }, async (page) => {
  await page.goto('/audit');
  await page.getByRole('row').nth(1).waitFor();
  await page.getByLabel('Of what').fill('night-shift');
  await page.getByRole('button', { name: 'Filter' }).click();
  await page.getByRole('cell', { name: /night-shift/ }).first().waitFor();
  await page.goto('/audit');
  const [file] = await Promise.all([
    page.waitForEvent('download'), page.getByRole('link', { name: 'Download as JSON lines' }).click(),
  ]);
  const text = Buffer.concat(await (await file.createReadStream()).toArray()).toString();
  const entries = text.trim().split('\n').map((line) => JSON.parse(line));
  assert.ok(entries.length > 5, text);
  for (const action of ['app.created', 'token.', 'invitation.']) {
    assert.ok(entries.some((entry) => entry.action.startsWith(action)), `${action}: ${text}`);
  }
});

test('a session is listed and can be ended from another one', { as: administrator }, async (page) => {
  const other = await Person.begin();
  try {
    await signIn(other.page, ADMINISTRATOR);
    await page.goto('/me');
    await page.locator('#sessions').getByRole('button', { name: 'End it' }).first().click();
    await other.page.goto('/');
    await other.page.waitForURL('**/sign-in*');
  } finally {
    await other.end();
  }
});

test('the theme is kept', { as: administrator }, async (page) => {
  await page.goto('/projects');
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await paper();
  await page.locator('details.me summary').click();
  await page.getByRole('button', { name: 'Dark' }).click();
  await page.locator('html[data-theme="dark"]').waitFor();
  assert.equal(new URL(page.url()).pathname, '/projects');
  assert.notEqual(await paper(), before);
  await page.reload();
  assert.notEqual(await paper(), before);
});

test('an account is deleted by who types its name, and what it could open with it', { as: administrator }, async (page) => {
  const LEAVING = { login: 'leaving@example.org', password: 'marble kettle ninety' };
  const link = await invite(page, 'leavers', LEAVING, 'viewer');
  const leaving = await Person.begin();
  try {
    await claim(leaving.page, link, LEAVING);
    await page.goto('/users');
    await page.getByRole('link', { name: `Delete: ${LEAVING.login}` }).click();
    await page.getByLabel(/^Type/).fill('somebody else');
    await page.getByRole('button', { name: 'Delete the account' }).click();
    await page.locator('#confirm-wrong:not(:empty)').waitFor();
    await page.getByLabel(/^Type/).fill(LEAVING.login);
    await page.getByRole('button', { name: 'Delete the account' }).click();
    await page.waitForURL('**/users');
    assert.equal(await page.getByText(LEAVING.login).count(), 0);
    await leaving.page.goto('/me');
    await leaving.page.waitForURL('**/sign-in*');
  } finally {
    await leaving.end();
  }
});
