// Backups of a database, by hand and by schedule, restored beside and in place; and where they may lie.
import assert from 'node:assert/strict';

import { test } from './support/browser.js';
import { asOwner, rivetr } from './support/host.js';
import { ADMINISTRATOR, administrator, signIn } from './support/people.js';

const NAME = 'parcels';

/** Somebody who has just shown the password: nothing below asks for it again. */
async function comeIn(page) {
  await administrator();
  await signIn(page, ADMINISTRATOR);
}

/** What a statement gives, asked in the container of a database made of the first one. */
const ask = async (database, sql) =>
  (await asOwner('podman', 'exec', `rivetr-db-${database}`, 'psql', '-qXAt', '-U', NAME, '-d', NAME, '-c', sql)).trim();
const WORDS = 'SELECT word FROM words';

test('a backup of a database: taken, scheduled, restored beside and in place, deleted', {}, async (page) => {
  await comeIn(page);
  await rivetr('databases', 'create', NAME, '--kind', 'postgres');
  await ask(NAME, "CREATE TABLE words (word text); INSERT INTO words VALUES ('first')");

  await page.goto(`/databases/${NAME}`);
  await page.getByRole('link', { name: 'Backups' }).last().click();
  await page.getByText('There is none yet.').waitFor();
  await page.getByText('It is backed up by hand alone.').waitFor();
  await page.getByRole('button', { name: 'Back up now' }).click();
  // It shows by itself what has become of it.
  const row = page.locator('tbody tr').first();
  await row.getByRole('link').click();
  await page.getByRole('button', { name: 'Restore beside' }).waitFor();
  await page.goBack();
  await row.getByText('done').waitFor();
  assert.match(await row.innerText(), /disk/);

  await page.getByLabel('When').fill('now and then');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.locator('#at-wrong:not(:empty)').waitFor();
  assert.equal(await page.getByLabel('When').inputValue(), 'now and then');
  await page.getByLabel('When').fill('daily 04:30');
  await page.getByLabel('How many are kept').fill('9');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  assert.match(await asOwner('systemctl', '--user', 'cat', `rivetr-backup-${NAME}.timer`), /OnCalendar=.*04:30/);

  await ask(NAME, "INSERT INTO words VALUES ('second')");
  await page.getByRole('link', { name: /^Backup \d+$/ }).first().click();
  await page.getByRole('heading', { name: /^Backup \d+$/ }).waitFor();
  await page.getByRole('button', { name: 'Check it' }).click();
  await page.locator('#facts + dl .state.good').waitFor();

  const fetched = page.waitForEvent('download');
  await page.getByRole('link', { name: 'In clear' }).click();
  assert.match((await fetched).suggestedFilename(), /\.pgdump$|\.dump$/);

  await page.getByLabel('Name of the new database').fill('Parcels Again');
  await page.getByRole('button', { name: 'Restore beside' }).click();
  await page.locator('#name-wrong:not(:empty)').waitFor();
  await page.getByLabel('Name of the new database').fill('parcels-again');
  await page.getByRole('button', { name: 'Restore beside' }).click();
  await page.getByRole('link', { name: 'into parcels-again' }).waitFor();
  assert.equal(await ask('parcels-again', WORDS), 'first');

  await page.getByLabel(`Type ${NAME} to confirm`).fill('parcel');
  await page.getByRole('button', { name: 'Restore in place' }).click();
  await page.locator('#confirm-wrong:not(:empty)').waitFor();
  assert.equal(await ask(NAME, WORDS), 'first\nsecond');
  await page.getByLabel(`Type ${NAME} to confirm`).fill(NAME);
  await page.getByRole('button', { name: 'Restore in place' }).click();
  const own = page.getByRole('cell', { name: `into ${NAME}`, exact: true });
  await page.getByRole('row').filter({ has: own }).getByText('done').waitFor();
  assert.equal(await ask(NAME, WORDS), 'first');

  const number = /(\d+)$/.exec(page.url())[1];
  await page.getByLabel(`Type ${number} to confirm`).fill(number);
  await page.getByRole('button', { name: 'Delete the backup' }).click();
  await page.waitForURL('**/backups');
  await page.getByRole('button', { name: 'Turn it off' }).click();
  await page.getByText('It is backed up by hand alone.').waitFor();
  for (const name of [NAME, 'parcels-again']) await rivetr('databases', 'delete', name, '--yes');
});

test('a storage that does not answer is not kept, and the key is shown to whom may see it', {}, async (page) => {
  await comeIn(page);
  await page.goto('/backups');
  await page.getByRole('link', { name: 'Storages and key' }).click();
  await page.getByLabel('Name', { exact: true }).fill('offsite');
  await page.getByLabel('Address').fill('http://127.0.0.1:1');
  await page.getByLabel('Region').fill('eu-central-1');
  await page.getByLabel('Bucket', { exact: true }).fill('backups');
  await page.getByLabel('Access key').fill('someone');
  await page.getByLabel('Its secret').fill('hush-hush');
  await page.getByRole('button', { name: 'Try it and keep it' }).click();
  await page.locator('.note.bad, .wrong:not(:empty)').first().waitFor();
  assert.equal(await page.getByLabel('Address').inputValue(), 'http://127.0.0.1:1');
  assert.ok(!(await page.content()).includes('hush-hush'), 'the secret came back');
  assert.equal((await rivetr('backups', 'destinations', 'list', '--json')).includes('offsite'), false);

  await page.getByRole('button', { name: 'Show the key' }).click();
  await page.getByText(/AGE-SECRET-KEY-1/).waitFor();
  await page.goto('/audit');
  await page.getByText('backup_key.revealed').first().waitFor();
  assert.ok(!(await page.content()).includes('AGE-SECRET-KEY'), 'the audit shows the key');
});
