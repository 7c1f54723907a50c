// What people hand in: a key for a private repository, a sign-in at a registry, a webhook and its deliveries, a certificate.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { test } from './support/browser.js';
import { Code, ask, rivetr, run } from './support/host.js';
import { administrator } from './support/people.js';
import { setting } from './support/setting.js';

const execute = promisify(execFile);
const live = (page) => page.locator('#state .state.good', { hasText: 'live' }).waitFor();

test('a private repository is opened by a key that is made here', { as: administrator }, async (page) => {
  const code = await Code.begin();
  await code.write('index.html', 'behind a key\n');
  await code.commit('Behind a key');
  await code.publish('vault');
  await code.end();

  await page.goto('/keys');
  const details = page.locator('details', { hasText: 'Make or hand in a key' });
  if (!(await details.evaluate((one) => one.open))) await details.locator('summary').click();
  await details.getByLabel('Name', { exact: true }).fill('No Name');
  await details.getByRole('button', { name: 'Keep it' }).click();
  await page.locator('#name-wrong:not(:empty)').waitFor();
  await page.locator('#name').fill('vault');
  await page.getByRole('button', { name: 'Keep it' }).first().click();
  await page.waitForURL('**/keys/vault');
  const half = (await page.locator('pre.wraps').textContent()).trim();
  assert.match(half, /^ssh-ed25519 /);
  await run('sh', '-c', 'printf "%s\\n" "$1" >>/srv/git/.ssh/authorized_keys && chown git:git /srv/git/.ssh/authorized_keys', 'sh', half);

  await page.goto('/apps/new');
  await page.getByLabel('Git repository or image').fill('ssh://git@127.0.0.1/srv/git/vault.git');
  await page.locator('summary', { hasText: 'private repositories' }).click();
  await page.getByLabel('Key, for SSH').fill('vault');
  await page.getByRole('button', { name: 'Deploy', exact: true }).click();
  await page.waitForURL('**/deployments/*');
  await live(page);
  assert.equal(await ask('vault'), 'behind a key\n');

  // A key that an app needs is kept, whatever is typed.
  await page.goto('/keys/vault');
  await page.getByRole('link', { name: 'vault', exact: true }).waitFor();
  await page.getByLabel(/^Type/).fill('vault');
  await page.getByRole('button', { name: 'Delete the key' }).click();
  await page.locator('[role="alert"], .wrong:not(:empty)', { hasText: 'vault' }).first().waitFor();
  assert.ok((await rivetr('keys', 'list')).includes('vault'));
  // The server is known from now on, until that is taken back.
  await page.goto('/keys');
  await page.getByRole('button', { name: /^Forget 127\.0\.0\.1/ }).click();
  await page.getByText('None was met yet.').waitFor();
});

test('a sign-in at a registry is kept, replaced and removed, and never shown', { as: administrator }, async (page) => {
  const handIn = async (host, password) => {
    await page.goto('/keys');
    const details = page.locator('details', { hasText: 'Sign in at a registry' });
    if (!(await details.evaluate((one) => one.open))) await details.locator('summary').click();
    await page.getByLabel('Registry', { exact: true }).fill(host);
    await page.getByLabel('User name', { exact: true }).fill('ada');
    await page.getByLabel('Password or token', { exact: true }).fill(password);
    await details.getByRole('button', { name: 'Keep it' }).click();
  };
  await handIn('no registry', 'canary');
  await page.locator('#host-wrong:not(:empty)').waitFor();
  assert.equal(await page.getByLabel('Registry', { exact: true }).inputValue(), 'no registry');
  await handIn('registry.example', 'canary');
  await page.getByRole('button', { name: 'Remove registry.example' }).waitFor();
  assert.ok(!(await page.content()).includes('canary'), 'a password is shown');
  assert.ok((await rivetr('registries', 'list')).includes('registry.example'));
  await page.getByRole('button', { name: 'Remove registry.example' }).click();
  await page.getByRole('button', { name: 'Remove registry.example' }).waitFor({ state: 'detached' });
  assert.ok(!(await rivetr('registries', 'list')).includes('registry.example'));
});

test('a webhook is made, its deliveries are judged and replayed', { as: administrator }, async (page) => {
  const code = await Code.begin();
  await code.commit('Told');
  const repository = await code.publish('told');
  await code.end();
  await rivetr('apps', 'create', 'told', '--port', '8080', '--git', repository);
  await page.goto('/apps/told/webhooks');
  await page.getByLabel('Who sends').selectOption('github');
  await page.getByRole('button', { name: 'Make it' }).click();
  const made = page.locator('section[aria-labelledby="made"]');
  const secret = (await made.locator('dd', { has: page.locator('[data-copy]') }).nth(1).locator('code').textContent()).trim();

  const recorded = JSON.parse(await readFile(`${setting.repository}/tests/data/webhooks/github/push.json`, 'utf8'));
  recorded.ref = 'refs/heads/main';
  recorded.repository.clone_url = repository;
  const deliver = async (key) => {
    const body = JSON.stringify(recorded);
    const answer = await fetch(`http://${setting.address}/webhooks/github/told`, {
      method: 'POST', body,
      headers: {
        'content-type': 'application/json', 'x-github-event': 'push', 'x-github-delivery': crypto.randomUUID(),
        'x-hub-signature-256': `sha256=${createHmac('sha256', key).update(body).digest('hex')}`,
      },
    });
    return answer.status;
  };
  assert.equal(await deliver('another secret'), 401);
  assert.equal(await deliver(secret), 202);
  await page.goto('/apps/told/webhooks');
  const rows = page.locator('section[aria-labelledby="deliveries"] tbody tr');
  await rows.first().getByRole('link', { name: 'Deployment', exact: true }).click();
  await live(page);
  await page.goto('/apps/told/webhooks');
  await rows.first().getByRole('link', { name: /push/ }).click();
  await page.getByRole('heading', { name: /^Delivery/ }).waitFor();
  const first = page.url();
  await page.getByRole('button', { name: 'Replay' }).click();
  await page.waitForURL((url) => url.href !== first);
  await page.goto('/apps/told/webhooks');
  await page.getByRole('button', { name: /^End it/ }).click();
  await page.getByText('Nobody yet.').waitFor();
  assert.equal(await deliver(secret), 401); // it is not told from one that never was
});

test('a certificate is handed in, shown to whom asks for its name, and taken back', { as: administrator }, async (page) => {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-certificate-'));
  const made = (name) => join(folder, name);
  await execute('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30',
    '-subj', '/CN=handed.example.org', '-addext', 'subjectAltName=DNS:handed.example.org', '-keyout', made('key'), '-out', made('chain')]);
  const [chain, key] = await Promise.all(['chain', 'key'].map((name) => readFile(made(name), 'utf8')));
  await rm(folder, { recursive: true, force: true });
  await rivetr('apps', 'create', 'handed', '--port', '8080');
  await rivetr('domains', 'add', 'handed', 'handed.example.org');

  await page.goto('/routes');
  await page.getByRole('link', { name: 'Hand one in' }).click();
  await page.locator('#chain').fill(chain);
  await page.locator('#key').fill('no key at all');
  await page.getByRole('button', { name: 'Hand it in' }).click();
  await page.locator('#key-wrong:not(:empty)').waitFor();
  assert.equal((await page.locator('#chain').inputValue()).trim(), chain.trim());
  await page.locator('#key').fill(key);
  await page.getByRole('button', { name: 'Hand it in' }).click();
  const row = page.locator('section[aria-labelledby="certificates"] tr', { hasText: 'handed.example.org' });
  await row.getByText('handed in').waitFor();
  assert.ok(!(await page.content()).includes('PRIVATE KEY'), 'a key is shown');
  const subject = async () => {
    const shown = execute('openssl', ['s_client', '-connect', `${setting.address}:443`, '-servername', 'handed.example.org'], { timeout: 10_000 });
    shown.child.stdin.end();
    return /subject=.*/.exec((await shown).stdout)?.[0] ?? '';
  };
  assert.match(await subject(), /handed\.example\.org/);

  await row.getByRole('link', { name: 'Remove handed.example.org' }).click();
  await page.getByLabel(/^Type/).fill('another');
  await page.getByRole('button', { name: 'Take it back' }).click();
  await page.locator('#confirm-wrong:not(:empty)').waitFor();
  await page.getByLabel(/^Type/).fill('handed.example.org');
  await page.getByRole('button', { name: 'Take it back' }).click();
  await page.waitForURL('**/routes*');
  assert.equal(await row.getByText('handed in').count(), 0);
});
