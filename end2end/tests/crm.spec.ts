// The console over a real Django REST framework backend: its sign-in, its rules, its refusals.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { Crm, SECRET } from '../support/crm.ts';
import { freePort, ROOT, Server } from '../support/server.ts';
import { alive, expect, test as base } from '../support/test.ts';

const CONTACTS = '/data/crm/contacts';
const DEALS = '/data/crm/deals';

const configuration = (port: number, crm: string) => `
[package.metadata.leptos]
output-name = "breezeway"
site-root = "${join(ROOT, 'target/site')}"
site-pkg-dir = "pkg"
site-addr = "127.0.0.1:${port}"
hash-files = true

[auth]
issuer = "${crm}/o"
client_id = "breezeway"
client_secret = "${SECRET}"
scopes = ["openid", "profile", "email", "crm:read", "crm:write"]
roles_claim = "roles"

[sandbox]
enabled = false

[backends.crm]
url = "${crm}"
auth = ["session"]

[resources.crm.contacts]
backend = "crm"
path = "/api/contacts/"
fields = [
  { name = "name", required = true, max_length = 80, sortable = true },
  { name = "email", type = "email", required = true, sortable = true },
  { name = "company", sortable = true, filterable = true },
  { name = "phone", type = "phone" },
  { name = "status", type = "choice", choices = ["lead", { value = "customer", tone = "good" }, "former"], filterable = true },
  { name = "is_vip", label = "VIP", type = "boolean", filterable = true },
  { name = "birthday", type = "date" },
  { name = "photo", type = "image", max_size = "1 MiB" },
  { name = "notes", type = "long-text" },
]

# Nothing is said of these: the backend tells.
[resources.crm.deals]
backend = "crm"
path = "/api/deals/"
`;

interface Fixtures {
  port: number;
  crm: Crm;
}

const test = base.extend<Fixtures>({
  port: async ({}, use) => use(await freePort()),

  crm: async ({ port }, use) => {
    const crm = await Crm.start(`http://127.0.0.1:${port}`);
    await use(crm);
    await crm.remove();
  },

  server: async ({ port, crm }, use, testInfo) => {
    const folder = await mkdtemp(join(tmpdir(), 'breezeway-config-'));
    const config = join(folder, 'Leptos.toml');
    await writeFile(config, configuration(port, crm.origin));
    const server = await Server.start({ config, port });
    await use(server);
    await server.remove();
    await rm(folder, { recursive: true });
    if (testInfo.status !== testInfo.expectedStatus) {
      await testInfo.attach('server log', { body: server.log, contentType: 'text/plain' });
    }
  },
});

async function signIn(page: Page, person: string): Promise<void> {
  await page.goto('/');
  await page.getByRole('link', { name: 'Sign in', exact: true }).first().click();
  await page.getByLabel('Username').fill(person);
  await page.getByLabel('Password').fill('sandbox');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.locator('header details summary')).toBeVisible();
}

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? 'with a script' : 'without a script', () => {
    test.use({ javaScriptEnabled });
    test.beforeEach(({ expectProblem }) => javaScriptEnabled || expectProblem(/\/pkg\/\S+\.js csp$/));

    test('a contact is made, refused, corrected, changed and deleted', async ({ page, expectProblem }) => {
      expectProblem(/422/);
      await signIn(page, 'ada');
      await page.goto(`${CONTACTS}?sort=name`);
      const taken = await page.locator('tbody tr').first().locator('[data-label=Email]').innerText();
      await page.getByRole('link', { name: 'New contact' }).click();
      await page.getByLabel('Name').fill('Zoë Quist');
      await page.getByLabel('Email').fill(taken);
      await page.getByLabel('Birthday').fill('1990-02-28');
      await page.getByRole('button', { name: 'Create' }).click();
      // Only the backend knows, and says it at the field.
      await expect(page.getByText('contact with this email already exists.')).toBeVisible();
      await expect(page.getByLabel('Name')).toHaveValue('Zoë Quist');
      await page.getByLabel('Email').fill('zoe@quist.example');
      await page.getByRole('button', { name: 'Create' }).click();
      await expect(page.getByRole('heading', { name: 'Zoë Quist' })).toBeVisible();

      await page.getByRole('link', { name: 'Edit' }).click();
      await page.getByLabel('Email').fill(taken);
      await page.getByLabel('Company').fill('Quist & Co');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByRole('button', { name: 'Save now' }).click();
      await expect(page.getByText('contact with this email already exists.')).toBeVisible();
      await page.getByRole('link', { name: 'Correct it' }).click();
      await expect(page.getByLabel('Company')).toHaveValue('Quist & Co');
      await page.getByLabel('Email').fill('zq@quist.example');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByRole('button', { name: 'Save now' }).click();
      await expect(page.getByText('will be saved')).toBeHidden();
      await expect(page.locator('dl.record')).toContainText('zq@quist.example');

      await page.getByRole('button', { name: 'Delete' }).click();
      await page.getByRole('button', { name: 'Undo' }).click();
      await page.goto(`${CONTACTS}?q=quist`);
      await page.getByRole('link', { name: 'Zoë Quist' }).click();
      await page.getByRole('button', { name: 'Delete' }).click();
      await page.getByRole('button', { name: 'Delete now' }).click();
      await page.goto(`${CONTACTS}?q=quist`);
      await expect(page.getByText('Nothing matches')).toBeVisible();
    });

    test('what belongs to others is not deleted, and the backend says why', async ({ page }) => {
      await signIn(page, 'ada');
      await page.goto(`${CONTACTS}/1`);
      await page.getByRole('button', { name: 'Delete' }).click();
      await page.getByRole('button', { name: 'Delete now' }).click();
      await expect(page.getByText('was not deleted')).toBeVisible();
      await expect(page.getByText(/has \d+ deals? and cannot be deleted/)).toBeVisible();
      await page.getByRole('button', { name: 'Discard' }).click();
      await expect(page.getByText('was not deleted')).toBeHidden();
    });

    test('fields that nobody declared are known, and rules over several are told', async ({ page }) => {
      await signIn(page, 'ada');
      await page.goto(`${DEALS}/1/edit`);
      await page.getByLabel('Stage').selectOption('won');
      await page.getByLabel('Closes on').fill('');
      await page.getByLabel('Amount').fill('1234.50');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByRole('button', { name: 'Save now' }).click();
      await expect(page.getByText('A won deal needs the date it closes on.')).toBeVisible();
      await page.getByRole('link', { name: 'Correct it' }).click();
      await page.getByLabel('Closes on').fill('2026-12-24');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByRole('button', { name: 'Save now' }).click();
      await expect(page.locator('dl.record')).toContainText('Dec 24, 2026');
      await expect(page.locator('dl.record')).toContainText('1,234.50');
    });
  });
}

// Contacts have ETags, deals have none: both ways of noticing.
for (const [list, field] of [[CONTACTS, 'Company'], [DEALS, 'Title']] as const) {
  test(`of two who change the same of ${list}, the second is asked`, async ({ page, visitor }) => {
    const other = await visitor();
    await signIn(page, 'ada');
    await signIn(other, 'ben');
    for (const [person, text] of [[page, 'Of Ada'], [other, 'Of Ben']] as const) {
      await person.goto(`${list}/2/edit`);
      await person.getByLabel(field).fill(text);
    }
    for (const person of [page, other]) {
      await person.getByRole('button', { name: 'Save' }).click();
      await person.getByRole('button', { name: 'Save now' }).click();
    }
    const row = other.getByRole('row', { name: field });
    await expect(row).toContainText('Of Ada');
    await expect(row).toContainText('Of Ben');
    await row.getByRole('radio', { name: 'Theirs' }).check();
    await other.getByRole('button', { name: 'Save what I chose' }).click();
    await expect(other.getByText('somebody else')).toBeHidden();
    await expect(other.locator('main')).toContainText('Of Ada');
    await expect(other.locator('main')).not.toContainText('Of Ben');
  });
}

test('who may only read is told so, and loses nothing', async ({ page }) => {
  await signIn(page, 'vera');
  await page.goto(`${CONTACTS}/3/edit`);
  await page.getByLabel('Company').fill('Mine');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: 'Save now' }).click();
  await expect(page.getByText('Viewers may read, but not change anything.')).toBeVisible();
});

test('a backend that stops and starts again', async ({ page, crm, expectProblem }) => {
  expectProblem(/50[234]/);
  await signIn(page, 'ada');
  await page.goto(`${CONTACTS}?sort=name`);
  const first = await page.locator('tbody th').first().innerText();
  await page.goto(`${CONTACTS}/4/edit`);
  await alive(page);
  await page.getByLabel('Company').fill('Kept Ltd');
  await crm.stop();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.goto('/data/-/changes');
  await page.getByRole('button', { name: 'Save now' }).click();
  await expect(page.getByText('was not saved')).toBeVisible();
  await page.goto(`${CONTACTS}?sort=name`);
  await expect(page.getByText(/Showing data from \d+:\d\d/)).toBeVisible();
  await expect(page.locator('tbody th').first()).toHaveText(first);
  await expect(page.getByRole('link', { name: 'New contact' })).toBeHidden();

  await crm.resume();
  await page.goto('/data/-/changes');
  await page.getByRole('button', { name: 'Send again' }).click();
  await expect(page.getByText('Everything is done')).toBeVisible();
  await page.goto(`${CONTACTS}/4`);
  await expect(page.locator('dl.record')).toContainText('Kept Ltd');
});

test('5,000 contacts come from a file and leave as one', async ({ page }) => {
  test.setTimeout(400_000);
  await signIn(page, 'ada');
  const line = (at: number) => `Person ${at},person${at}@import.example,"Ltd, ${at % 7}",customer,${at % 2 ? 'yes' : 'no'}`;
  const lines = Array.from({ length: 5_000 }, (_, at) => line(at));
  // One that the rules here refuse, and one that only the backend can.
  lines.push('Nobody,no address,,lead,no', 'Twice,person1@import.example,,lead,no');
  const csv = ['name,email,company,status,is_vip', ...lines].join('\r\n');
  await page.goto(CONTACTS);
  await page.getByRole('link', { name: 'Import' }).click();
  await page.getByLabel('CSV file').setInputFiles({ name: 'people.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) });
  await page.getByRole('button', { name: 'Preview' }).click();
  await expect(page.getByRole('heading', { name: /nothing is written yet/ })).toBeVisible();
  await expect(page.getByText('Email: Write an address such as ada@example.com.')).toBeVisible();
  await expect(page.getByRole('table').last()).toContainText('Person 0');
  await page.getByRole('button', { name: 'Import 5001 records' }).click();
  await expect(page.getByRole('progressbar')).toBeVisible();
  await expect(page.getByText('0 left')).toBeHidden();
  await expect(page.getByText(/5,000 done · 1 did not work out · 1 left out/)).toBeVisible({ timeout: 300_000 });
  await expect(page.getByText('contact with this email already exists.')).toBeVisible();

  await page.goto(`${CONTACTS}?q=import.example`);
  await expect(page.locator('.count')).toHaveText('5,000 matches');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Export' }).click(),
  ]);
  const { readFile } = await import('node:fs/promises');
  const text = await readFile(await download.path(), 'utf8');
  expect(text.trimEnd().split('\r\n')).toHaveLength(5_001);
  expect(text).toContain('Person 4999,person4999@import.example,"Ltd, 1",');
});

test('many are changed and deleted at once, and had back', async ({ page }) => {
  await signIn(page, 'ada');
  await page.goto(`${CONTACTS}?sort=name`);
  await alive(page);
  const boxes = page.locator('tbody input[name=id]');
  await expect(page.locator('.bulk')).toBeHidden();
  await boxes.nth(0).check();
  await boxes.nth(3).click({ modifiers: ['Shift'] });
  await expect(page.getByText('4 chosen:')).toBeVisible();
  await page.getByRole('button', { name: 'Change…' }).click();
  await page.getByLabel(/^Company/).fill('Together Ltd');
  await expect(page.getByRole('checkbox', { name: 'Change company' })).toBeChecked();
  await page.getByRole('button', { name: 'Change them' }).click();
  await page.getByRole('link', { name: 'Details' }).click();
  await page.getByRole('button', { name: 'Do it now' }).click();
  await expect(page.getByText('4 done')).toBeVisible();
  await page.getByRole('button', { name: 'Close' }).click();
  await page.goto(`${CONTACTS}?q=together`);
  await expect(page.locator('.count')).toHaveText('4 matches');

  await alive(page);
  await page.getByRole('checkbox', { name: 'Choose all on this page' }).check();
  await page.getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('Deleting 4 contacts')).toBeVisible();
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(page.getByText('Deleting 4 contacts')).toBeHidden();
  await expect(page.locator('.count')).toHaveText('4 matches');
});

test('a photo is put in its place, and the backend may refuse it', async ({ page, expectProblem }) => {
  expectProblem(/400|415/);
  await signIn(page, 'ada');
  await page.goto(`${CONTACTS}/5`);
  await alive(page);
  const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  const file = page.getByLabel('File for Photo');
  await file.setInputFiles({ name: 'fake.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
  await page.getByRole('button', { name: 'Upload' }).click();
  await expect(page.getByText('A photo must be a GIF, JPEG, PNG or WebP image.')).toBeVisible();
  await file.setInputFiles({ name: 'real.png', mimeType: 'image/png', buffer: Buffer.from(pixel, 'base64') });
  await page.getByRole('button', { name: 'Upload' }).click();
  await expect(page.getByRole('button', { name: 'Replace' })).toBeVisible();
  await page.getByRole('button', { name: 'Remove' }).click();
  await page.getByRole('button', { name: 'Save now' }).click();
  await expect(page.getByRole('button', { name: 'Upload' })).toBeVisible();
});
