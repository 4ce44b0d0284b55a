// Every page at a phone's and a desk's width, light and dark. Pictures for people to judge go to
// end2end/shots/; what a machine can judge is that nothing sticks out sideways, and what axe finds.

import { resolve } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { Chat } from '../support/chat.ts';
import { choosePerson } from '../support/people.ts';
import { expect, hydrated, test } from '../support/test.ts';

const SHOTS = resolve(import.meta.dirname, '../shots');

async function shoot(page: Page, name: string): Promise<void> {
  for (const [width, height] of [[390, 844], [1280, 800]]) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.screenshot({ path: `${SHOTS}/${name}-${width}-${colorScheme}.png`, animations: 'disabled' });
      const { violations } = await new AxeBuilder({ page }).analyze();
      const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join('\n  ')}`);
      expect.soft(told, `${name} at ${width}, ${colorScheme}`).toEqual([]);
    }
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(sideways, `${name} at ${width} sticks out`).toBeLessThanOrEqual(0);
  }
}

test('every page', async ({ page, expectProblem }) => {
  test.setTimeout(480_000);
  expectProblem(/no-such-page/);

  await page.goto('/');
  await shoot(page, 'home-signed-out');
  await page.getByRole('link', { name: 'Sign in', exact: true }).first().click();
  await shoot(page, 'sign-in');
  await page.getByRole('button', { name: 'Ada Park' }).first().click();
  await shoot(page, 'consent');
  await page.getByRole('button', { name: 'Allow' }).click();
  await hydrated(page);
  await shoot(page, 'chat-empty');

  const chat = new Chat(page);
  await chat.ask('Open deals over 10000');
  await chat.expectGrowth(3);
  await shoot(page, 'chat-running');
  await chat.expectState('done');
  await chat.answered('show me some code');
  await shoot(page, 'chat');

  await page.keyboard.press('Control+k');
  await page.getByRole('searchbox', { name: 'Find a conversation' }).fill('deals');
  await expect(page.locator('#palette mark').first()).toBeVisible();
  await shoot(page, 'chat-palette');
  await page.keyboard.press('Escape');
  await chat.log.focus();
  await page.keyboard.press('?');
  await shoot(page, 'chat-shortcuts');
  await page.keyboard.press('Escape');
  await chat.reply.getByRole('button', { name: 'Bad reply' }).click();
  await chat.reply.getByText('Say why').click();
  await shoot(page, 'chat-rated');
  await page.getByRole('link', { name: 'Edit' }).last().click();
  await hydrated(page);
  await shoot(page, 'chat-editing');
  await page.getByRole('link', { name: 'Cancel' }).click();
  await hydrated(page);

  const menu = page.getByRole('button', { name: 'Change this conversation' });
  await menu.click();
  await page.getByRole('button', { name: 'Share a link' }).click();
  await menu.click();
  await shoot(page, 'chat-menu');
  const link = await page.getByLabel('Link for others').inputValue();
  const conversation = page.url();
  await page.goto(link);
  await shoot(page, 'shared');
  await page.goto('/chat/all');
  await shoot(page, 'all');
  await page.goto('/chat/all?q=deals');
  await shoot(page, 'found');
  await page.goto('/chat/all?q=nothing-like-it');
  await shoot(page, 'found-nothing');
  await page.goto(conversation);
  await hydrated(page);
  await menu.click();
  await page.getByRole('button', { name: 'Delete' }).click();
  await shoot(page, 'chat-deleted');
  await page.getByRole('button', { name: 'Undo' }).click();

  await page.goto('/');
  await shoot(page, 'home');
  for (const [path, name] of [
    ['/data', 'data'],
    ['/data/django-crm/contacts', 'contacts'],
    ['/data/django-crm/contacts?q=nobody-of-that-name', 'contacts-none'],
    ['/data/django-crm/deals', 'deals'],
    ['/data/django-crm/contacts/-/new', 'contact-new'],
    ['/data/django-crm/deals/3/edit', 'deal-edit'],
    ['/data/django-crm/contacts/-/import', 'contacts-import'],
    ['/data/analytics/traffic/-/summary', 'traffic-summary'],
    ['/data/analytics/overview/-/summary', 'overview-summary'],
    ['/data/-/changes', 'changes-none'],
    ['/data/-/history', 'history-none'],
    ['/data/django-crm/deals?f.stage=Won&f.stage=Lost&f.amount.from=9000&density=compact', 'deals-narrowed'],
    ['/settings/sessions', 'sessions'],
    ['/no-such-page', 'not-found'],
  ]) {
    await page.goto(path);
    await shoot(page, name);
  }
  await page.goto('/data/django-crm/deals');
  await page.getByRole('button', { name: 'Filter' }).click();
  await shoot(page, 'deals-filter');
  await page.goto('/data/django-crm/contacts');
  await page.locator('tbody a[href^="/data/django-crm/contacts/"]').first().click();
  await shoot(page, 'contact');
});

test('what is still to be done', async ({ page, visitor, expectProblem }) => {
  test.setTimeout(300_000);
  expectProblem(/422/);
  const contacts = '/data/django-crm/contacts';
  await page.goto(contacts);
  await choosePerson(page, 'Ada Park');
  await page.goto(`${contacts}/1/edit`);
  const other = await visitor();
  await other.goto(contacts);
  await choosePerson(other, 'Ben Ortiz');
  await other.goto(`${contacts}/1/edit`);
  await other.getByLabel('City').fill('Porto');
  await other.getByRole('button', { name: 'Save' }).click();
  await other.getByRole('button', { name: 'Save now' }).click();
  await page.getByLabel('City').fill('Faro');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: 'Save now' }).click();
  await expect(page.getByText('somebody else')).toBeVisible();
  await shoot(page, 'contact-conflict');
  await page.goto('/data/-/history');
  await shoot(page, 'history');

  await page.goto(contacts);
  await page.locator('tbody input[name=id]').nth(1).check();
  await shoot(page, 'contacts-chosen');
  await page.getByRole('button', { name: 'Change…' }).click();
  await shoot(page, 'contacts-change');
  await page.goto(`${contacts}/-/import`);
  const text = 'name,email,city,note\nZoë,zoe@z.example,Porto,x\nMax,no address,,\n';
  await page.getByLabel('CSV file').setInputFiles({ name: 'a.csv', mimeType: 'text/csv', buffer: Buffer.from(text) });
  await page.getByRole('button', { name: 'Preview' }).click();
  await shoot(page, 'import-preview');
  await page.getByRole('button', { name: 'Import 1 record' }).click();
  await expect(page.getByText('1 done')).toBeVisible();
  await shoot(page, 'import-done');
  await page.goto(contacts);
  await page.getByRole('button', { name: 'Views' }).click();
  await shoot(page, 'contacts-views');
});

test('a reply that was refused and one that broke off', async ({ page, expectProblem }) => {
  expectProblem(/50[0-4]/);
  await page.goto('/chat');
  await choosePerson(page, 'Ada Park');
  await hydrated(page);
  const chat = new Chat(page);
  await chat.ask('/break Open deals over 10000');
  await chat.expectState('interrupted');
  await chat.ask('/fail Open deals over 10000');
  await chat.expectState('failed');
  await shoot(page, 'chat-troubled');
  await chat.ask('/think /slow contacts at Globex');
  await expect(chat.reply.locator('.thought')).toContainText('Globex');
  await shoot(page, 'chat-thinking');
  await chat.stop.click();
  await chat.expectState('stopped');
});
