// The same without a line of script: forms, links and a page that arrives as it is written.

import type { Page } from '@playwright/test';
import { Chat, QUESTION } from '../support/chat.ts';
import { choosePerson, signIn, signOut } from '../support/people.ts';
import { expect, test } from '../support/test.ts';

// Chromium refuses to preload a script where scripts are off, and says so.
test.beforeEach(({ expectProblem }) => expectProblem(/\/pkg\/\S+\.js csp$/));

/** Sends a message and meets the page on which the reply arrives. */
async function send(page: Page, chat: Chat, message: string): Promise<string> {
  await chat.message.fill(message);
  await chat.send.click({ noWaitAfter: true });
  await page.waitForURL(/\/chat\/[\w-]+\/live$/, { waitUntil: 'commit' });
  return page.url().replace(/\/live$/, '');
}

test('signing in and out', async ({ page }) => {
  await page.goto('/chat');
  await choosePerson(page, 'Ada Park');
  await expect(page).toHaveURL(/\/chat$/);
  await signOut(page);
  expect((await page.request.get('/api/session')).status()).toBe(401);
});

test('a reply arrives while one watches, and stays', async ({ page }) => {
  const chat = new Chat(page);
  await signIn(page);
  const conversation = await send(page, chat, QUESTION);
  await chat.expectGrowth(3);
  await page.waitForLoadState('load', { timeout: 90_000 });
  const watched = await chat.text();
  expect(watched.length).toBeGreaterThan(100);

  await page.goto(conversation);
  await expect(chat.reply).toHaveAttribute('data-state', 'done');
  await expect(chat.replies).toHaveCount(1);
  await expect(chat.questions).toHaveCount(1);
  await expect(chat.reply.getByRole('table')).toBeVisible();
  expect(words(await chat.text())).toBe(words(watched));
});

test('what was thought arrives before the reply and can be folded away', async ({ page }) => {
  const chat = new Chat(page);
  await signIn(page);
  const conversation = await send(page, chat, '/think contacts at Globex');
  await expect(chat.reply.locator('.thought')).toContainText('not a language model');
  await page.waitForLoadState('load', { timeout: 90_000 });
  await expect(chat.reply.locator('.markdown')).toContainText('Globex');
  await page.goto(conversation);
  await expect(chat.reply.locator('.thought')).toBeHidden();
  await chat.reply.getByText('Thoughts', { exact: true }).click();
  await expect(chat.reply.locator('.thought')).toContainText('not a language model');
});

test('leaving while it is written loses nothing', async ({ page }) => {
  const chat = new Chat(page);
  await signIn(page);
  const conversation = await send(page, chat, QUESTION);
  await chat.expectGrowth(2);
  await page.goto('/data');
  await page.waitForTimeout(1_000);
  await page.goto(`${conversation}/live`, { waitUntil: 'commit' });
  await chat.expectGrowth(2);
  await page.waitForLoadState('load', { timeout: 90_000 });
  await page.goto(conversation);
  await chat.expectState('done');
  await expect(chat.replies).toHaveCount(1);
});

test('a reply can be stopped, and the conversation goes on', async ({ page }) => {
  const chat = new Chat(page);
  await signIn(page);
  await send(page, chat, `/slow ${QUESTION}`);
  await chat.expectGrowth(3);
  await chat.stop.first().click();
  await expect(page).toHaveURL(/\/chat\/[\w-]+$/);
  await expect(chat.reply).toHaveAttribute('data-state', 'stopped');
  expect((await chat.text()).trim().length).toBeGreaterThan(0);

  const conversation = await send(page, chat, 'contacts at Globex');
  await page.waitForLoadState('load', { timeout: 90_000 });
  await page.goto(conversation);
  await expect(chat.replies).toHaveCount(2);
  await expect(chat.reply).toHaveAttribute('data-state', 'done');
});

test('a reply that broke off is continued', async ({ page, expectProblem }) => {
  expectProblem(/50[0-4]/);
  const chat = new Chat(page);
  await signIn(page);
  const conversation = await send(page, chat, `/break ${QUESTION}`);
  await page.waitForLoadState('load', { timeout: 90_000 });
  await page.goto(conversation);
  await expect(chat.reply).toHaveAttribute('data-state', 'interrupted');

  await chat.button('Continue').click({ noWaitAfter: true });
  await page.waitForURL(/\/live$/, { waitUntil: 'commit' });
  await page.waitForLoadState('load', { timeout: 90_000 });
  await page.goto(conversation);
  await expect(chat.reply).toHaveAttribute('data-state', 'done');
  await expect(chat.reply.getByRole('table')).toBeVisible();
});

test('a question is put in other words, and both versions are paged through', async ({ page }) => {
  const chat = new Chat(page);
  await signIn(page);
  const conversation = await send(page, chat, 'contacts at Globex');
  await page.waitForLoadState('load', { timeout: 90_000 });
  await page.goto(conversation);
  await page.getByRole('link', { name: 'Edit' }).click();
  await expect(chat.message).toHaveValue('contacts at Globex');
  await send(page, chat, 'contacts at Initech');
  await page.waitForLoadState('load', { timeout: 90_000 });
  await page.goto(conversation);
  await expect(chat.questions).toHaveText(/contacts at Initech/);
  await page.getByRole('button', { name: 'Previous version' }).first().click();
  await expect(chat.questions).toHaveText(/contacts at Globex/);
  await expect(chat.reply).toContainText('Globex');

  await page.getByRole('button', { name: 'Ask again' }).click({ noWaitAfter: true });
  await page.waitForURL(/\/live$/, { waitUntil: 'commit' });
  await page.waitForLoadState('load', { timeout: 90_000 });
  await page.goto(conversation);
  await expect(chat.reply).toContainText('2/2');
});

test('conversations are found, exported, shared and rated, and files are sent', async ({ page }) => {
  const chat = new Chat(page);
  await signIn(page);
  await page.getByLabel('Add files').setInputFiles({
    name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('one\ntwo\n'),
  });
  const conversation = await send(page, chat, 'What is this?');
  await page.waitForLoadState('load', { timeout: 90_000 });
  await page.goto(conversation);
  await expect(chat.reply).toContainText('notes.txt');
  await expect(page.locator('article[data-role=user]').getByRole('link', { name: 'notes.txt' })).toBeVisible();

  await chat.reply.getByRole('button', { name: 'Good reply' }).click();
  await expect(chat.reply.getByRole('button', { name: 'Good reply' })).toHaveAttribute('aria-pressed', 'true');
  await chat.reply.getByRole('link', { name: 'Quote' }).click();
  await expect(chat.message).toHaveValue(/^> You sent me/);
  for (const hidden of ['Copy', 'Read aloud', 'Dictate']) {
    await expect(page.getByRole('button', { name: hidden })).toHaveCount(0);
  }

  const menu = page.getByRole('button', { name: 'Change this conversation' });
  await menu.click();
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: 'JSON' }).click();
  expect((await download).suggestedFilename()).toBe('conversation.json');
  await page.getByRole('button', { name: 'Share a link' }).click();
  await menu.click();
  await expect(page.getByLabel('Link for others')).toHaveValue(/\/shared\/\w{32}$/);
  await page.keyboard.press('Escape');

  await page.getByRole('searchbox', { name: 'Search conversations' }).fill('what');
  await page.keyboard.press('Enter');
  await expect(page.getByText('Found in one conversation.')).toBeVisible();
  await page.locator('.hits a').first().click();
  await expect(chat.questions).toHaveText('What is this?');
});

test('a conversation is renamed, deleted and had back', async ({ page }) => {
  const chat = new Chat(page);
  await signIn(page);
  const conversation = await send(page, chat, 'contacts at Globex');
  await page.waitForLoadState('load', { timeout: 90_000 });
  await page.goto(conversation);
  const menu = page.getByRole('button', { name: 'Change this conversation' });
  await menu.click();
  await page.getByLabel('Title').fill('All of Globex');
  await page.getByRole('button', { name: 'Rename' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('All of Globex');
  await menu.click();
  await page.getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('“All of Globex” was deleted')).toBeVisible();
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(chat.questions).toHaveText('contacts at Globex');
});

test('contacts can be searched, sorted, paged and opened', async ({ page }) => {
  await signIn(page);
  await page.getByRole('navigation').getByRole('link', { name: 'Data', exact: true }).click();
  await page.getByRole('link', { name: 'Contacts', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'Contacts' })).toBeVisible();
  const rows = page.locator('tbody tr');
  const first = await rows.first().innerText();

  await page.getByRole('link', { name: 'Next' }).click();
  await expect(page).toHaveURL(/[?&]page=2/);
  await expect(rows.first()).not.toHaveText(first);

  const header = page.getByRole('columnheader').filter({ has: page.getByRole('link') }).first();
  await header.getByRole('link').click();
  await expect(header).toHaveAttribute('aria-sort', 'ascending');
  await header.getByRole('link').click();
  await expect(header).toHaveAttribute('aria-sort', 'descending');

  await page.getByRole('searchbox', { name: 'Search' }).fill('globex');
  await page.getByRole('searchbox', { name: 'Search' }).press('Enter');
  await expect(page).toHaveURL(/[?&]q=globex/);
  await expect(rows.first()).toContainText(/globex/i);

  await rows.first().getByRole('link').first().click();
  await expect(page).toHaveURL(/\/data\/django-crm\/contacts\/\d+/);
  await expect(page.getByRole('main')).toContainText(/globex/i);
});

const words = (text: string) => text.replaceAll(/\s+/g, ' ').trim();
