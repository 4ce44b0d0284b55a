// The console over the sandbox's collections, with a script and without.

import { signIn } from '../support/people.ts';
import { expect, alive, test } from '../support/test.ts';

const CONTACTS = '/data/django-crm/contacts';
const DEALS = '/data/django-crm/deals';

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? 'with a script' : 'without a script', () => {
    test.use({ javaScriptEnabled });
    // Chromium refuses to preload a script where scripts are off, and says so.
    test.beforeEach(({ expectProblem }) => javaScriptEnabled || expectProblem(/\/pkg\/\S+\.js csp$/));

    test('a list is narrowed, and what it is narrowed by taken away again', async ({ page }) => {
      await signIn(page);
      await page.goto(DEALS);
      await page.getByRole('button', { name: 'Filter' }).click();
      const sheet = page.locator('#filters');
      await sheet.getByRole('checkbox', { name: 'Won' }).check();
      await sheet.getByRole('group', { name: 'Amount' }).getByLabel('From').fill('20000');
      await sheet.getByRole('button', { name: 'Show' }).click();

      await expect(page).toHaveURL(/f\.stage=Won.*f\.amount\.from=20000/);
      await expect(page.locator('tbody .pill').first()).toHaveText('Won');
      const some = await page.locator('.count').innerText();
      await page.getByRole('link', { name: 'Amount from 20,000' }).click();
      await expect(page).not.toHaveURL(/amount/);
      await expect(page.locator('.count')).not.toHaveText(some);
      await page.getByRole('link', { name: 'Clear all' }).first().click();
      await expect(page.locator('.count')).toHaveText('120 records');
    });

    test('columns are chosen, and the order of the list stays', async ({ page }) => {
      await signIn(page);
      await page.goto(`${DEALS}?sort=-amount`);
      await page.getByRole('button', { name: 'Columns' }).click();
      const sheet = page.locator('#columns');
      await sheet.getByRole('checkbox', { name: 'Owner' }).uncheck();
      await sheet.getByRole('checkbox', { name: 'Source' }).check();
      await sheet.getByRole('radio', { name: 'Compact' }).check();
      await sheet.getByRole('button', { name: 'Show' }).click();

      const header = page.getByRole('columnheader');
      await expect(header.filter({ hasText: 'Source' })).toHaveCount(1);
      await expect(header.filter({ hasText: 'Owner' })).toHaveCount(0);
      await expect(header.filter({ hasText: 'Amount' })).toHaveAttribute('aria-sort', 'descending');
      await page.getByRole('link', { name: 'Page 2' }).click();
      await expect(page.locator('table')).toHaveAttribute('data-density', 'compact');
      await expect(header.filter({ hasText: 'Source' })).toHaveCount(1);
    });
  });
}

test.describe('in another zone', () => {
  test.use({ timezoneId: 'America/New_York', locale: 'en-US' });

  test('times are the reader’s, of every season and from the first page on', async ({ page }) => {
    await signIn(page);
    await page.context().clearCookies({ name: 'tz' });
    for (const times of ['told by the script', 'written by the server']) {
      await page.goto(`${CONTACTS}/1`);
      const time = page.locator('dl.record time');
      const [iso, text] = [await time.getAttribute('datetime'), await time.innerText()];
      const there = { timeZone: 'America/New_York', dateStyle: 'medium', timeStyle: 'short' } as const;
      const expected = new Date(iso!).toLocaleString('en-US', there);
      expect(text.replace(/\s/g, ' '), times).toBe(expected.replace(/\s/g, ' '));
    }
    await expect(page.context().cookies()).resolves.toContainEqual(expect.objectContaining({ value: 'America/New_York' }));
  });
});

test.describe('in another language', () => {
  test.use({ locale: 'de-DE' });

  test('figures and days are written as the reader does', async ({ page }) => {
    await signIn(page);
    await page.goto(`${DEALS}?sort=-amount`);
    const row = page.locator('tbody tr').first();
    await expect(row.locator('[data-label=Amount]')).toHaveText(/^\d+\.\d{3},\d{2} EUR$/);
    await expect(row.locator('[data-label=Closes]')).toHaveText(/^\d{2}\.\d{2}\.\d{4}$/);
  });
});

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? 'changing, with a script' : 'changing, without a script', () => {
    test.use({ javaScriptEnabled });
    test.beforeEach(({ expectProblem }) => javaScriptEnabled || expectProblem(/\/pkg\/\S+\.js csp$/));

    test('a record is made, changed, deleted and had back', async ({ page }) => {
      await signIn(page);
      await page.goto(CONTACTS);
      await page.getByRole('link', { name: 'New contact' }).click();
      if (javaScriptEnabled) await alive(page);
      await page.getByLabel('Name').fill('Zoë Quist');
      await page.getByLabel('E-mail').fill('zoe');
      if (javaScriptEnabled) {
        await page.getByLabel('City').focus();
        await expect(page.getByText('Write an address such as ada@example.com.')).toBeVisible();
        await page.getByRole('button', { name: 'Create' }).click();
        await expect(page.getByLabel('E-mail')).toBeFocused();
      }
      await page.getByLabel('E-mail').fill('zoe@quist.example');
      await expect(page.getByText('Write an address such as ada@example.com.')).toBeHidden();
      await page.getByRole('button', { name: 'Create' }).click();

      await expect(page.getByRole('heading', { name: 'Zoë Quist' })).toBeVisible();
      await page.getByRole('link', { name: 'Edit' }).click();
      await page.getByLabel('City').fill('Porto');
      await page.getByLabel('Status').selectOption('Customer');
      await page.getByRole('button', { name: 'Save' }).click();
      await expect(page.getByText('will be saved')).toBeVisible();
      await expect(page.getByText('Porto')).toBeVisible();
      await page.getByRole('button', { name: 'Save now' }).click();
      await expect(page.getByText('will be saved')).toBeHidden();
      await expect(page.getByRole('region', { name: 'History' })).toContainText('Ada Park changed it');

      await page.getByRole('button', { name: 'Delete' }).click();
      await expect(page).toHaveURL(/contacts$/);
      await expect(page.getByText('“Zoë Quist” will be deleted')).toBeVisible();
      await page.getByRole('button', { name: 'Undo' }).click();
      await expect(page.getByText('will be deleted')).toBeHidden();
      await page.goto(`${CONTACTS}?q=quist`);
      await page.getByRole('link', { name: 'Zoë Quist' }).click();
      await page.getByRole('button', { name: 'Delete' }).click();
      await page.getByRole('button', { name: 'Delete now' }).click();
      await page.goto(`${CONTACTS}?q=quist`);
      await expect(page.getByText('Nothing matches “quist”')).toBeVisible();
    });

    test('of two who change the same, the second is asked', async ({ page, visitor }) => {
      const other = await visitor();
      await signIn(page);
      await signIn(other, 'Ben Ortiz');
      for (const [person, city] of [[page, 'Porto'], [other, 'Faro']] as const) {
        await person.goto(`${CONTACTS}/1/edit`);
        await person.getByLabel('City').fill(city);
      }
      for (const person of [page, other]) {
        await person.getByRole('button', { name: 'Save' }).click();
        await person.getByRole('button', { name: 'Save now' }).click();
      }
      await expect(other.getByText('somebody else has changed it since')).toBeVisible();
      const row = other.getByRole('row', { name: 'City' });
      await expect(row).toContainText('Porto');
      await expect(row).toContainText('Faro');
      await row.getByRole('radio', { name: 'Mine' }).check();
      await other.getByRole('button', { name: 'Save what I chose' }).click();
      await other.getByRole('button', { name: 'Save now' }).click();
      await expect(other.getByText('will be saved')).toBeHidden();
      await page.goto(`${CONTACTS}/1`);
      await expect(page.locator('dl.record')).toContainText('Faro');
      await expect(page.getByRole('region', { name: 'History' })).toContainText('Ben Ortiz');
    });
  });
}

test('a change is done by itself, is seen to be, and can be taken back after the tab was closed', async ({ page, context }) => {
  await signIn(page);
  await page.goto(`${CONTACTS}/2/edit`);
  await alive(page);
  await page.getByLabel('City').fill('Coimbra');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText(/will be saved in \d+ s/)).toBeVisible();
  await expect(page.getByText('will be saved')).toBeHidden();
  await expect(page.getByRole('region', { name: 'History' })).toContainText('Coimbra');

  await page.getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('will be deleted')).toBeVisible();
  const again = await context.newPage();
  await page.close();
  await again.goto('/data/-/changes');
  await again.getByRole('button', { name: 'Undo' }).click();
  await expect(again.getByText('Everything is done')).toBeVisible();
  await again.goto(`${CONTACTS}/2`);
  await expect(again.locator('dl.record')).toContainText('Coimbra');
});

test('who leaves with something written is asked, and keys lead through lists', async ({ page }) => {
  await signIn(page);
  await page.goto(CONTACTS);
  await alive(page);
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  const second = page.locator('tbody th a').nth(1);
  await expect(second).toBeFocused();
  await page.keyboard.press('k');
  await expect(page.locator('tbody th a').first()).toBeFocused();
  await page.keyboard.press('/');
  await expect(page.getByRole('searchbox')).toBeFocused();
  await page.keyboard.press('n');
  await expect(page.getByRole('searchbox')).toHaveValue('n');
  await second.focus();
  await page.keyboard.press('e');
  await expect(page).toHaveURL(/\/edit$/);
  await alive(page);
  await page.getByLabel('City').fill('Elsewhere');
  let asked = 0;
  page.on('dialog', async (dialog) => {
    asked += 1;
    await dialog.dismiss();
  });
  await page.getByRole('link', { name: 'Cancel' }).click();
  await expect.poll(() => asked).toBe(1);
  await expect(page.getByLabel('City')).toHaveValue('Elsewhere');
});

test('a list is kept under a name, summed up, and a relation found by typing', async ({ page }) => {
  await signIn(page);
  await page.goto(`${DEALS}?f.stage=Won&sort=-amount`);
  await alive(page);
  await page.getByRole('button', { name: 'Views' }).click();
  await page.getByLabel('Save this list as').fill('Won deals');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.goto(DEALS);
  await page.getByRole('button', { name: 'Views' }).click();
  await page.getByRole('link', { name: 'Won deals' }).click();
  await expect(page).toHaveURL(/f\.stage=Won&sort=-amount/);
  await page.getByRole('button', { name: 'Views' }).click();
  await page.getByRole('button', { name: 'Pin to the first page' }).click();
  await page.goto('/');
  await expect(page.getByRole('heading', { name: 'Pinned' })).toBeVisible();

  await page.goto(`${DEALS}/2/edit`);
  await alive(page);
  const contact = page.getByLabel(/^Contact/);
  await contact.fill('lukasz');
  await expect(page.locator('datalist option').first()).toHaveAttribute('value', /ukasz/);

  await page.goto('/data/analytics/traffic');
  await page.getByRole('link', { name: 'Summary' }).click();
  await expect(page.getByRole('img', { name: /Sessions/ }).first()).toBeVisible();
  await page.getByText('The numbers').first().click();
  await expect(page.getByRole('table').first()).toBeVisible();
});
