// Assistants with tools: what was looked at is folded into the reply, and what is proposed is written
// when the person says so. With scripts and without a line of one.

import type { Locator, Page } from '@playwright/test';
import { Chat, enterChat } from '../support/chat.ts';
import { signIn } from '../support/people.ts';
import { expect, test } from '../support/test.ts';

const ORDER = 'make a contact Kim Roe, kim@roe.example, city Porto';
const CHANGE = 'set the amount of deal 3 to 4321';

const step = (chat: Chat) => chat.reply.locator('details.step').first();
const proposal = (chat: Chat) => chat.reply.getByRole('region', { name: 'Proposed change' });

/** How many contacts the backend has of the name that is ordered. */
async function made(page: Page): Promise<number> {
  const answer = await page.request.get('/api/brain/django-crm/contacts?search=Kim+Roe');
  return (await answer.json()).count;
}

async function looks(chat: Chat): Promise<void> {
  const found = step(chat).locator('table');
  await expect(step(chat).locator('summary')).toContainText(/Looked at Contacts \(\d+\) Company “Globex”/);
  await expect(found).toBeHidden();
  await step(chat).locator('summary').click();
  await expect(found).toContainText('Globex');
}

async function follows(page: Page, link: Locator, place: RegExp): Promise<void> {
  await link.click();
  await expect(page).toHaveURL(place);
}

test.describe('with scripts', () => {
  test('what was looked at is folded, and leads to its page', async ({ page }) => {
    const chat = await enterChat(page);
    await chat.answered('contacts at Globex');
    await looks(chat);
    const streamed = await chat.text();
    await chat.reload();
    await looks(chat);
    expect(await chat.text()).toBe(streamed);
    const link = step(chat).getByRole('link', { name: 'Open it' });
    await follows(page, link, /\/data\/django-crm\/contacts\?f\.company\.has=Globex/);
    await expect(page.locator('tbody tr').first()).toContainText('Globex');
  });

  test('a proposal is done when it is confirmed, wherever the conversation is open', async ({ page, context }) => {
    const chat = await enterChat(page);
    await chat.answered(ORDER);
    const other = new Chat(await context.newPage());
    await other.open(page.url());
    await expect(proposal(other)).toContainText('Porto');
    expect(await made(page)).toBe(0);

    await proposal(chat).getByRole('button', { name: 'Create it' }).click();
    for (const one of [chat, other]) {
      await expect(proposal(one)).toContainText('Done.');
      await expect(proposal(one).getByRole('button')).toHaveCount(0);
    }
    expect(await made(page)).toBe(1);
    await chat.reload();
    await follows(page, proposal(chat).getByRole('link', { name: 'Open it' }), /\/data\/django-crm\/contacts\/\d+$/);
    await expect(page.getByRole('main')).toContainText('kim@roe.example');
  });

  test('a proposal is changed before it is done', async ({ page }) => {
    const chat = await enterChat(page);
    await chat.answered(CHANGE);
    await follows(page, proposal(chat).getByRole('link', { name: 'Change it first' }), /\/data\/-\/changes\/\w+$/);
    const amount = page.locator('[name="v.amount"]');
    await expect(amount).toHaveValue(/^4321/);
    await amount.fill('4400');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await expect(page).toHaveURL(/\/chat\/[\w-]+#m-/);
    await expect(proposal(chat)).toContainText('Done, with what you changed.');
    await page.goto('/data/django-crm/deals/3');
    await expect(page.getByRole('main')).toContainText('4,400');
  });

  test('a proposal is discarded, and the conversation goes on', async ({ page }) => {
    const chat = await enterChat(page);
    await chat.answered(ORDER);
    await proposal(chat).getByRole('button', { name: 'Discard' }).click();
    await expect(proposal(chat)).toContainText('Taken back.');
    expect(await made(page)).toBe(0);
    await chat.answered('contacts at Globex');
    await expect(chat.replies).toHaveCount(2);
  });

  test('a question is about the list that one comes from', async ({ page }) => {
    await enterChat(page);
    await page.goto('/data/django-crm/deals?f.stage=Won');
    await page.getByRole('link', { name: 'Ask about this' }).click();
    const chat = new Chat(page);
    const chip = page.locator('#about');
    await expect(chip).toContainText('About Deals, in part');
    await chat.reload();
    await chat.answered('how many?');
    await expect(chip).toHaveCount(0);
    await expect(chat.questions).toHaveText('how many?');
    await expect(chat.reply).toContainText('where stage is Won');

    // It is said once, and stands by its question.
    await chat.reload();
    await expect(chip).toHaveCount(0);
    const link = page.locator('article[data-role=user]').getByRole('link', { name: 'Deals, in part' });
    await follows(page, link, /\/data\/django-crm\/deals\?f\.stage=Won$/);
  });
});

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  // Chromium refuses to preload a script where scripts are off, and says so.
  test.beforeEach(({ expectProblem }) => expectProblem(/\/pkg\/\S+\.js csp$/));

  /** Sends a message, waits for the whole reply and goes to the conversation. */
  async function answered(page: Page, chat: Chat, message: string): Promise<void> {
    await chat.message.fill(message);
    await chat.send.click({ noWaitAfter: true });
    await page.waitForURL(/\/chat\/[\w-]+\/live$/, { waitUntil: 'commit' });
    await page.waitForLoadState('load', { timeout: 90_000 });
    await page.goto(page.url().replace(/\/live$/, ''));
    await expect(chat.reply).toHaveAttribute('data-state', 'done');
  }

  test('what was looked at is folded', async ({ page }) => {
    const chat = new Chat(page);
    await signIn(page);
    await answered(page, chat, 'contacts at Globex');
    await looks(chat);
  });

  test('a proposal is done when it is confirmed, and once', async ({ page }) => {
    const chat = new Chat(page);
    await signIn(page);
    await answered(page, chat, ORDER);
    expect(await made(page)).toBe(0);
    await proposal(chat).getByRole('button', { name: 'Create it' }).click();
    await expect(page).toHaveURL(/\/chat\/[\w-]+#m-/);
    await expect(proposal(chat)).toContainText('Done.');
    await page.goBack();
    await page.goForward();
    expect(await made(page)).toBe(1);
  });

  test('a proposal is corrected on its form', async ({ page }) => {
    const chat = new Chat(page);
    await signIn(page);
    await answered(page, chat, ORDER);
    await proposal(chat).getByRole('link', { name: 'Change it first' }).click();
    await page.locator('[name="v.name"]').fill('Kim Roe II');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await expect(page).toHaveURL(/\/chat\/[\w-]+#m-/);
    await expect(proposal(chat)).toContainText('Done, with what you changed.');
    expect(await made(page)).toBe(1);
  });

  test('a question is about the record that one comes from', async ({ page }) => {
    const chat = new Chat(page);
    await signIn(page);
    await page.goto('/data/django-crm/contacts/7');
    await page.getByRole('link', { name: 'Ask about this' }).click();
    await expect(page.locator('#about')).toContainText(/About contact 7/i);
    await answered(page, chat, 'and the e-mail address?');
    await expect(chat.questions).toHaveText('and the e-mail address?');
    await expect(page.locator('article[data-role=user]').getByRole('link', { name: /contact 7/i })).toBeVisible();
    await expect(step(chat).locator('summary')).toContainText('Looked at contact 7');
  });
});
