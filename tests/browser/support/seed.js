// Apps in every state, for the pages to show: live, with replicas, stopped, failed, never deployed. Among their words
// are some that would be a script if a page did not escape them.
import { Code, rivetr, run } from './host.js';

export const NASTY = '<img src=x onerror=alert(1)>';

let sown;

export function seed() {
  sown ??= sow();
  return sown;
}

async function sow() {
  await rivetr('projects', 'create', 'shop');
  await Promise.all([blog(), storefront(), worker(), invoices(), databases(), services(),
    rivetr('apps', 'create', 'empty', '--port', '8080')]);
}

async function deployed(app, messages) {
  const code = await Code.begin();
  for (const message of messages) {
    await code.append('index.html', `<p>${message}</p>\n`);
    await code.commit(message);
    await code.push(app);
  }
  await code.end();
}

async function blog() {
  await rivetr('apps', 'create', 'blog', '--port', '8080', '--env', 'LOG_LEVEL=info', '--env', `NASTY=${NASTY}`,
    '--volume', 'data:/data');
  await deployed('blog', ['The first page', 'Say good evening', `Link to the archive ${NASTY}`]);
  await rivetr('domains', 'add', 'blog', 'blog.example.org');
  await rivetr('env', 'set', 'blog', `GREETING=${NASTY}`);
}

async function storefront() {
  await rivetr('apps', 'create', 'storefront', '--port', '8080', '--project', 'shop', '--replicas', '2',
    '--health-path', '/', '--memory', '128M');
  await deployed('storefront', ['The window']);
}

async function worker() {
  await rivetr('apps', 'create', 'worker', '--port', '8080', '--project', 'shop');
  await deployed('worker', ['Work through the queue']);
  await rivetr('stop', 'worker');
}

async function invoices() {
  await rivetr('apps', 'create', 'invoices', '--port', '8080', '--project', 'shop');
  const code = await Code.begin();
  await code.append('Containerfile', 'RUN echo no paper >&2; false\n');
  await code.commit('Print on both sides');
  await code.push('invoices').then(
    () => { throw new Error('a build that fails went live'); },
    (error) => { if (!String(error.stderr).includes('failed while building')) throw error; },
  );
  await code.end();
}

/** One that was asked for and is linked, one that cannot be fetched, and one in the trash: each has its own look. */
async function databases() {
  await rivetr('apps', 'create', 'ledger', '--port', '8080');
  await rivetr('databases', 'create', 'accounts', '--kind', 'postgres', '--memory', '256M', '--no-wait');
  await rivetr('link', 'ledger', 'accounts');
  await rivetr('databases', 'create', 'open-to-all', '--kind', 'valkey', '--image', 'registry.invalid/valkey:1',
    '--public-port', '16379', '--allow', '0.0.0.0/0', '--no-wait');
  await rivetr('databases', 'create', 'thrown-away', '--kind', 'redis', '--no-wait');
  await rivetr('databases', 'delete', 'thrown-away', '--yes');
}

/** One that runs, with a domain, and one whose new version does not come up. */
async function services() {
  const image = 'image: docker.io/library/busybox:stable\n    stop_signal: SIGKILL\n    command: ';
  const pair = `services:\n  web:\n    ${image}httpd -f -p 8080 -h /etc\n  worker:\n    ${image}sleep 1000000\n`;
  await run('mkdir', '-p', '/srv/forum');
  const write = (text) => run('sh', '-c', 'printf %s "$1" > /srv/forum/compose.yaml', 'write', text);
  await write(pair);
  await rivetr('services', 'create', 'forum', '--file', '/srv/forum/compose.yaml');
  await rivetr('services', 'domains', 'add', 'forum', 'forum.example.org', '--container', 'web', '--port', '8080');
  await write(pair.replace('sleep 1000000', `sh -c "echo '${NASTY}'; exit 3"`));
  await rivetr('services', 'update', 'forum', '--file', '/srv/forum/compose.yaml').then(
    () => { throw new Error('a revision whose container ends went live'); },
    (error) => { if (!String(error.stderr).includes('did not come up')) throw error; },
  );
}
