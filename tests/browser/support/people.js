// Who is in front of the browser. The first administrator is made once, by the link that `rivetr setup` printed.
import { Person } from './browser.js';
import { setting } from './setting.js';

export const ADMINISTRATOR = { login: 'ada@example.org', password: 'pelican brass umbrella' };

let signedIn;

/** The cookies of the first administrator. */
export function administrator() {
  signedIn ??= begin();
  return signedIn;
}

/** The first administrator has come in by hand, in this browser. */
export function cameIn(context) {
  signedIn = context.storageState();
}

/** The link that makes the first administrator. */
export const setupLink = () => setting.setup_url;

async function begin() {
  const person = await Person.begin();
  try {
    await claim(person.page, setting.setup_url, ADMINISTRATOR);
    return await person.context.storageState();
  } finally {
    await person.end();
  }
}

/** Takes what a one-time link offers: an account with this name and this password. */
export async function claim(page, link, { login, password }) {
  await page.goto(link);
  const name = page.getByLabel('Name', { exact: true });
  if (await name.count()) await name.fill(login);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.locator('main button[type="submit"]').click();
  await page.locator('header.bar').waitFor();
}

/** Fills the form of `/sign-in`, where the page is already. */
export async function fillSignIn(page, { login, password }) {
  await page.getByLabel('Name', { exact: true }).fill(login);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

export async function signIn(page, who) {
  await page.goto('/sign-in');
  await fillSignIn(page, who);
  await page.locator('header.bar').waitFor();
}
