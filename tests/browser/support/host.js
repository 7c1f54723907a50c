// The throw-away host: commands in it, repositories on its Git server, pushes to its rivetr.
import { execFile } from 'node:child_process';
import { appendFile, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { sample, setting } from './setting.js';

const execute = promisify(execFile);

/** Runs a command in the host as root and returns what it printed. */
export async function run(...command) {
  const { stdout } = await execute(`${setting.repository}/tests/host/host`, ['exec', setting.name, '--', ...command]);
  return stdout;
}

/** The same as the user whose containers they are. */
export async function asOwner(...command) {
  const host = ['exec', setting.name, '--user', 'rivetr', '--', ...command];
  return (await execute(`${setting.repository}/tests/host/host`, host)).stdout;
}

/** `rivetr` on the command line of the host. */
export const rivetr = (...words) => run('rivetr', ...words);

/** The host under which an app is found without a domain. */
export const hostOf = (app) => `${app}.${setting.address}.sslip.io`;

/** What an app answers through the proxy. */
export const ask = (app) => run('curl', '--silent', '--fail', '--header', `Host: ${hostOf(app)}`, 'http://127.0.0.1/');

const identity = {
  GIT_AUTHOR_NAME: 'Ada', GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada', GIT_COMMITTER_EMAIL: 'ada@example.org',
  GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null', GIT_TERMINAL_PROMPT: '0', no_proxy: '*',
};

/** A repository on this machine with the sample app; ends with `await code.end()`. */
export class Code {
  static async begin() {
    const folder = await mkdtemp(join(tmpdir(), 'rivetr-code-'));
    const code = new Code(folder);
    await cp(sample, folder, { recursive: true });
    await code.git('init', '--quiet', '--initial-branch', 'main');
    return code;
  }

  constructor(folder) { this.folder = folder; }

  git(...words) {
    return execute('git', words, { cwd: this.folder, env: { ...process.env, ...identity } });
  }

  write(name, text) { return writeFile(join(this.folder, name), text); }

  append(name, text) { return appendFile(join(this.folder, name), text); }

  async commit(message) {
    await this.git('add', '.');
    await this.git('commit', '--quiet', '--allow-empty', '--message', message);
    return (await this.git('rev-parse', 'HEAD')).stdout.trim();
  }

  /** Pushes to an app and waits until it is live; a push that fails is an error. */
  push(app) {
    return this.git('push', '--quiet', `http://x:${setting.token}@${setting.address}/git/${app}.git`, 'main');
  }

  /** Puts all of it on the host's own Git server, and returns where it is found there. */
  async publish(name) {
    if (!(await run('sh', '-c', `ls /srv/git`)).split('\n').includes(`${name}.git`)) await run('git-new', name);
    await this.git('bundle', 'create', '--quiet', `${setting.root}/srv/${name}.bundle`, '--all');
    await run('setpriv', '--reuid', 'git', '--regid', 'git', '--init-groups', 'git', `--git-dir=/srv/git/${name}.git`,
      'fetch', '--quiet', '--update-head-ok', `/srv/${name}.bundle`, '+refs/*:refs/*');
    return `http://127.0.0.1:3000/${name}.git`;
  }

  end() { return rm(this.folder, { recursive: true, force: true }); }
}
