// Pictures of the main pages for the README, of a host with something to show: ./dev screenshots.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { promisify } from 'node:util';

import { PHONE, Person, test } from './support/browser.js';
import { Code, rivetr, run } from './support/host.js';
import { administrator } from './support/people.js';
import { setting } from './support/setting.js';

const execute = promisify(execFile);
const FOLDER = `${setting.repository}/docs/screenshots`;
/** A picture is looked at on phones, too. */
const BYTES_MAX = 150 * 1000;
const VIEWS = [
  { name: 'light', size: { width: 1280, height: 800 }, dark: false, scale: 1.5 },
  { name: 'dark', size: { width: 1280, height: 800 }, dark: true, scale: 1.5 },
  { name: 'phone', size: PHONE, dark: false, scale: 2 },
];

const APPS = [
  { name: 'journal', project: 'site', domain: 'journal.example.org',
    commits: ['Begin', 'Show the date of each entry', 'Link to the archive', 'Larger type on phones'] },
  { name: 'archive', project: 'site', domain: 'archive.example.org', commits: ['Every entry since 2011', 'Search by year'] },
  { name: 'storefront', project: 'shop', domain: 'shop.example.org', options: ['--replicas', '2', '--memory', '256M'],
    commits: ['A window to look through', 'Prices with and without tax'] },
  { name: 'checkout', project: 'shop', domain: 'pay.example.org', commits: ['Pay by card', 'Say what went wrong'] },
  { name: 'invoices', project: 'shop', domain: 'invoices.example.org', commits: ['Print on both sides'], stopped: true },
  { name: 'stock', project: 'shop', domain: 'stock.example.org', commits: ['Count what is there'],
    broken: 'Count what is not there either' },
];

async function sow() {
  for (const project of ['site', 'shop']) await rivetr('projects', 'create', project);
  await Promise.all(APPS.map(async ({ name, project, domain, options = [], commits, stopped, broken }) => {
    await rivetr('apps', 'create', name, '--port', '8080', '--project', project, '--health-path', '/', ...options);
    if (domain) await rivetr('domains', 'add', name, domain);
    if (name === 'journal') {
      await rivetr('env', 'set', name, 'LANG=en_GB.UTF-8', 'ENTRIES_A_PAGE=20', 'FEED=on');
    }
    const code = await Code.begin();
    for (const [index, message] of commits.entries()) {
      await code.append('index.html', `<p>${message}</p>\n`);
      await code.append('Containerfile', `LABEL version=${index + 1}\nRUN echo "checked ${18 + index} entries, all fine"\n`);
      await code.commit(message);
      if (name === 'journal' && index === 3) await rivetr('env', 'set', name, 'ENTRIES_A_PAGE=30');
      await code.push(name);
    }
    if (broken) {
      await code.append('Containerfile', 'RUN echo "error: nothing to count" >&2; exit 1\n');
      await code.commit(broken);
      await code.push(name).then(() => assert.fail('it went live'), () => {});
    }
    await code.end();
    if (stopped) await rivetr('stop', name);
    // What the next deployment would change is marked beside the settings.
    if (name === 'journal') await rivetr('apps', 'set', name, '--stop-timeout', '30', '--tmpfs', '/tmp:size=64M', '--read-only');
    // Somebody comes by.
    if (domain && !stopped) await run('sh', '-c', `for i in $(seq 40); do curl -s -o /dev/null -H 'Host: ${domain}' http://127.0.0.1/; done`);
  }));
}

test('pictures of the main pages', {}, async () => {
  const as = await administrator();
  await sow();
  mkdirSync(FOLDER, { recursive: true });
  const { items } = JSON.parse(await rivetr('deployments', 'journal', '--json'));
  const newest = Math.max(...items.map(({ id }) => id));
  const pages = {
    overview: '/', app: '/apps/journal', deployment: `/deployments/${newest}`, settings: '/apps/journal/settings',
  };
  for (const { name, size, dark, scale } of VIEWS) {
    const person = await Person.begin({ as, size, dark, scale });
    for (const [page, path] of Object.entries(pages)) {
      const file = `${FOLDER}/${page}-${name}.png`;
      await person.page.goto(path, { waitUntil: 'load' });
      await person.page.evaluate((isSettings) => {
        const change = isSettings && document.querySelector('.diff .plus');
        if (change && change.getBoundingClientRect().bottom > innerHeight) change.scrollIntoView({ block: 'center' });
        return document.fonts.ready;
      }, page === 'settings');
      await person.page.screenshot({ path: file });
      await execute('pngquant', ['--force', '--strip', '--speed', '1', '--output', file, '256', file]);
      const { size: bytes } = statSync(file);
      assert.ok(bytes <= BYTES_MAX, `${file} has ${bytes} bytes`);
    }
    assert.deepEqual(person.faults, []);
    await person.end();
  }
});
