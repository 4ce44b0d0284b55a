// The console over the sandbox's collections, with a script and without.

import { signIn } from '../support/people.ts';
import { expect, test } from '../support/test.ts';

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

test.describe('in another language', () => {
  test.use({ locale: 'de-DE' });

  test('figures and days are written as the reader does', async ({ page }) => {
    await signIn(page);
    await page.goto(`${DEALS}?sort=-amount`);
    const row = page.locator('tbody tr').first();
    await expect(row.locator('[data-label=Amount]')).toHaveText(/^\d+\.\d{3},\d{2}$/);
    await expect(row.locator('[data-label=Closes]')).toHaveText(/^\d{2}\.\d{2}\.\d{4}$/);
  });
});
