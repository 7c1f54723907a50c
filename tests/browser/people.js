// People: invitations, roles, the second factor, sessions, tokens, the audit log.
import assert from 'node:assert/strict';

import { looks } from './support/axe.js';
import { Person, SOON, test } from './support/browser.js';
import { rivetr } from './support/host.js';
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

test('the page that asks for the password again keeps what was entered', { as: administrator }, async (page) => {
  await page.goto('/tokens');
  await page.getByLabel('What it is for').fill('asked again');
  await page.locator('input[name="scope"][value="read"]').check();
  // A password that is shown is looked at, also where none is asked for yet.
  await page.evaluate(() => {
    const proof = document.createElement('input');
    Object.assign(proof, { type: 'hidden', name: 'proof', value: 'not this one' });
    document.querySelector('form[action="/tokens"]').append(proof);
  });
  await page.getByRole('button', { name: 'Make it' }).click();
  await page.getByRole('heading', { name: 'Your password, once more' }).waitFor();
  await page.locator('#proof-wrong:not(:empty)').waitFor();
  assert.deepEqual(await looks(page), []);
  assert.equal(await page.locator('main [autocomplete="username"]').inputValue(), ADMINISTRATOR.login);
  await page.getByLabel('Password').fill(ADMINISTRATOR.password);
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByRole('status').locator('pre').waitFor();
  await page.getByRole('button', { name: 'Revoke asked again' }).click();
  await page.getByRole('button', { name: 'Revoke asked again' }).waitFor({ state: 'detached' });
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

test('a team that asks for a second factor is closed to who has none, who is led to set it up', { as: administrator }, async () => {
  const HEDY = { login: 'hedy@example.org', password: 'copper meadow twenty' };
  // Nobody else is in it: an administrator who was would administer nothing from then on.
  await rivetr('teams', 'create', 'careful');
  const link = (await rivetr('teams', 'invite', 'careful', HEDY.login, 'owner')).trim();
  const hedy = await Person.begin();
  try {
    const hers = hedy.page;
    await claim(hers, link, HEDY);
    await hers.goto('/teams');
    await hers.getByRole('link', { name: 'careful', exact: true }).click();
    await hers.locator('#second-factor').getByRole('button', { name: 'Ask for it' }).waitFor();
    const team = new URL(hers.url()).pathname;
    assert.deepEqual(await looks(hers), []);
    await hers.locator('#second-factor').getByRole('button', { name: 'Ask for it' }).click();
    // Who asks it of others has one.
    await hers.locator('#second-factor').getByRole('link', { name: 'Set it up' }).waitFor();
    assert.deepEqual(await looks(hers), []);
    await rivetr('teams', 'second-factor', 'careful', 'required');
    await hers.goto('/');
    await hers.getByText('A team of yours asks for a second factor.').waitFor();
    assert.deepEqual(await looks(hers), []);
    await hers.goto(team);
    await hers.waitForURL('**/me#second-factor');
    await hers.getByText('careful asks for it').waitFor();
    assert.deepEqual(await looks(hers), []);
    await hers.locator('#second-factor').getByLabel('Password').fill(HEDY.password);
    await hers.getByRole('button', { name: 'Turn it on' }).click();
    const key = (await hers.locator('main code').first().textContent()).trim();
    await hers.getByLabel('Code').fill(totp(key));
    await hers.getByRole('button', { name: 'Turn it on' }).click();
    await hers.getByRole('link', { name: 'I have kept them' }).click();
    await hers.goto(team);
    await hers.getByRole('heading', { name: 'careful', level: 1 }).waitFor();
    assert.deepEqual(hedy.faults, []);
  } catch (error) {
    await hedy.keep('second-factor-asked', error);
    throw error;
  } finally {
    await hedy.end();
  }
});

test('an administrator limits what a team may use', { as: administrator }, async (page) => {
  await page.goto('/teams');
  await page.getByRole('link', { name: 'careful', exact: true }).click();
  const form = page.locator('#limits');
  await form.getByLabel('Memory').fill('lots');
  await form.getByRole('button', { name: 'Save the limits' }).click();
  await form.locator('#memory-wrong:not(:empty)').waitFor();
  assert.deepEqual(await looks(page), []);
  await form.getByLabel('Apps').fill('3');
  await form.getByLabel('Memory').fill('2G');
  await form.getByRole('button', { name: 'Save the limits' }).click();
  await page.locator('#memory-wrong:empty').waitFor({ state: 'attached' });
  assert.equal(await form.getByLabel('Memory').inputValue(), '2G');
  const listed = await rivetr('teams', 'list');
  assert.match(listed, /careful .* 3 apps, 2G of memory/);
});

test('an account is deleted by who types its name, and what it could open with it', { as: administrator }, async (page) => {
  const LEAVING = { login: 'leaving@example.org', password: 'marble kettle ninety' };
  const link = await invite(page, 'leavers', LEAVING, 'viewer');
  const leaving = await Person.begin();
  try {
    await claim(leaving.page, link, LEAVING);
    await page.goto('/users');
    await page.getByRole('link', { name: `Delete: ${LEAVING.login}` }).click();
    assert.deepEqual(await looks(page), []);
    await page.getByLabel(/^Type/).fill('somebody else');
    await page.getByRole('button', { name: 'Delete the account' }).click();
    await page.locator('#confirm-wrong:not(:empty)').waitFor();
    assert.deepEqual(await looks(page), []);
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
