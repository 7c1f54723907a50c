// What `./dev browser` says of this run: the host, what `rivetr setup` printed in it, where modules and findings lie.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const file = process.env.RIVETR_BROWSER;
if (!file) throw new Error('these tests are run by ./dev browser');

/** name, address, root, url, token, setup_url, modules, findings, repository. */
export const setting = JSON.parse(readFileSync(file, 'utf8'));

/** What package-lock.json names; it lies in the cache and not here. */
export const require = createRequire(`${setting.modules}/package.json`);

export const sample = `${setting.repository}/tests/apps/hello`;
