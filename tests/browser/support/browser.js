// A person in front of a browser. What no page may do is noticed whatever the test looks at: an error in the console, a
// report of the content security policy, a request to elsewhere, a dialog. A test that fails leaves what was seen.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, test as nodeTest } from 'node:test';

import { require, setting } from './setting.js';

const { chromium } = require('playwright-core');

/** How long anything may take that a person waits for: a deployment on a busy machine is the longest. */
export const SOON = 60_000;
export const DESK = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };

let started;

function browser() {
  started ??= chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--no-proxy-server', `--host-resolver-rules=MAP *.sslip.io ${setting.address}`],
  });
  return started;
}

after(async () => { if (started) await (await started).close(); });

/**
 * A test of one person at a fresh browser: `body(page, person)`. Options: `as` (cookies and storage, or a function that
 * returns them), `size`, `dark`, `script: false`.
 */
export function test(name, { as, size = DESK, dark = false, script = true } = {}, body) {
  nodeTest(name, { timeout: 10 * SOON }, async () => {
    const person = await Person.begin({ as: typeof as === 'function' ? await as() : as, size, dark, script });
    try {
      await body(person.page, person);
      assert.deepEqual(person.faults, [], 'what no page may do');
    } catch (error) {
      await person.keep(name, error);
      throw error;
    } finally {
      await person.end();
    }
  });
}

export class Person {
  static async begin({ as, size = DESK, dark = false, script = true, scale = 1 } = {}) {
    const context = await (await browser()).newContext({
      baseURL: setting.url, storageState: as, viewport: size, deviceScaleFactor: scale, colorScheme: dark ? 'dark' : 'light',
      javaScriptEnabled: script, reducedMotion: 'reduce', hasTouch: false,
    });
    context.setDefaultTimeout(SOON);
    const person = new Person(context);
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
      });
    });
    person.page = await person.open();
    return person;
  }

  constructor(context) {
    this.context = context;
    this.faults = [];
    this.console = [];
    this.origin = new URL(setting.url).origin;
  }

  /** One more tab. */
  async open() {
    const page = await this.context.newPage();
    page.on('console', (message) => {
      const line = `${message.type()}: ${message.text()} (${message.location().url})`;
      this.console.push(line);
      if (message.type() === 'error' && !this.expected(line)) this.faults.push(line);
    });
    page.on('pageerror', (error) => this.faults.push(`thrown on ${page.url()}: ${error.stack ?? error}`));
    page.on('dialog', async (dialog) => {
      this.faults.push(`a dialog on ${page.url()}: ${dialog.message()}`);
      await dialog.dismiss();
    });
    page.on('request', (request) => {
      const url = new URL(request.url());
      const here = url.origin === this.origin || url.protocol === 'data:' || url.protocol === 'blob:';
      if (!here && !this.mayVisit?.(url)) this.faults.push(`a request to ${url}`);
    });
    return page;
  }

  /** A mistake in a form is answered with 422, of which Chromium tells in the console, too. */
  expected(line) {
    return line.includes('status of 422') || this.expects?.some((words) => line.includes(words));
  }

  /** From here on this is not a fault: a console message with these words. */
  expect(words) { (this.expects ??= []).push(words); }

  /** What was seen when a test failed. */
  async keep(name, error) {
    mkdirSync(setting.findings, { recursive: true });
    const file = `${setting.findings}/${name.replace(/[^a-z0-9]+/gi, '-').slice(0, 80)}`;
    const pages = this.context.pages();
    for (const [index, page] of pages.entries()) {
      await page.screenshot({ path: `${file}-${index + 1}.png`, fullPage: true, timeout: 10_000 }).catch(() => {});
      const html = await page.content().catch(() => '');
      writeFileSync(`${file}-${index + 1}.html`, html);
    }
    const lines = [String(error?.stack ?? error), '', ...pages.map((page) => `at ${page.url()}`), '', ...this.console];
    writeFileSync(`${file}.txt`, `${lines.join('\n')}\n`);
    error.message = `${error.message}\n(seen: ${file}*)`;
  }

  end() { return this.context.close(); }
}
