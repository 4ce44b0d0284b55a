// Many conversations: found again, told apart by day, given to others, not kept, answered by whom one
// chooses.

import { readFile } from 'node:fs/promises';
import { Chat, enterChat } from '../support/chat.ts';
import { signIn } from '../support/people.ts';
import { expect, hydrated, test, withTables } from '../support/test.ts';

test('words are found in all conversations, and lead to where they stand', async ({ page }) => {
  const chat = await enterChat(page);
  await chat.answered('contacts at Globex');
  const first = page.url();
  await chat.open('/chat');
  await chat.answered('overdue invoices');

  const list = page.getByRole('navigation', { name: 'Conversations' });
  await expect(list.getByRole('heading', { name: 'Today' })).toBeVisible();
  await expect(list.getByRole('heading', { name: 'Pinned' })).toBeHidden();
  await list.getByRole('searchbox', { name: 'Search conversations' }).fill('contacts glob');
  await page.keyboard.press('Enter');
  await expect(page.getByText('Found in one conversation.')).toBeVisible();
  await page.locator('.hits .place').first().click();
  await expect(page).toHaveURL(new RegExp(`^${first}\\?at=`));
  await expect(page.locator(':target')).toBeVisible();

  await page.goto('/chat/all');
  await expect(page.getByRole('main').getByRole('listitem')).toHaveCount(2);
});

test('the palette finds conversations and commands by keyboard alone', async ({ page }) => {
  const chat = await enterChat(page);
  await chat.answered('contacts at Globex');
  const first = page.url();
  await chat.open('/chat');
  const palette = page.getByRole('dialog', { name: 'Find a conversation' });
  await page.keyboard.press('Control+k');
  await expect(palette.getByRole('link', { name: /Globex/ })).toBeVisible();
  await page.keyboard.type('globex');
  await expect(palette.locator('mark').first()).toBeVisible();
  await expect(palette.getByRole('button')).toHaveCount(0);
  await expect(palette.getByRole('status')).toHaveText(/Globex, 1 of \d+$/);
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(first);
  await hydrated(page);

  await page.keyboard.press('Control+k');
  await page.keyboard.type('rena');
  await page.keyboard.press('Enter');
  await page.keyboard.type('By hand');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('By hand');
  await hydrated(page);
  await chat.log.focus();
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeVisible();
  await page.keyboard.press('Escape');
  await page.keyboard.press('/');
  await expect(chat.message).toBeFocused();
  await page.keyboard.type('what is this?');
  await expect(chat.message).toHaveValue('what is this?');

  const sheet = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  await chat.log.focus();
  await page.keyboard.press('?');
  await sheet.getByRole('checkbox').uncheck();
  await page.keyboard.press('Escape');
  await page.reload();
  await hydrated(page);
  await chat.log.focus();
  await page.keyboard.press('?');
  await page.keyboard.press('/');
  await expect(chat.message).not.toBeFocused();
  await expect(sheet).toBeHidden();
  await page.keyboard.press('Control+Shift+o');
  await expect(page).toHaveURL(/\/chat$/);
  await hydrated(page);
  await page.keyboard.press('Control+k');
  await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
  await sheet.getByRole('checkbox').check();
  await page.keyboard.press('Escape');
  // Closed, the sheet gives the focus back to the message, where a question mark is one.
  await expect(sheet).toBeHidden();
  await chat.log.focus();
  await page.keyboard.press('?');
  await expect(sheet).toBeVisible();
});

test('a conversation is exported, and shared until the link is withdrawn', async ({ page, visitor, expectProblem }) => {
  expectProblem(/404/);
  const chat = await enterChat(page);
  await chat.answered('contacts at Globex');

  const menu = page.getByRole('button', { name: 'Change this conversation' });
  await menu.click();
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Markdown' }).click();
  const text = await readFile(await (await download).path(), 'utf8');
  expect(text).toContain('contacts at Globex');
  expect(text).toMatch(/\n## Sandbox guide, \d{4}-/);

  await page.getByRole('button', { name: 'Share a link' }).click();
  await menu.click();
  const link = await page.getByLabel('Link for others').inputValue();
  const colleague = await visitor();
  await signIn(colleague, 'Ben Ortiz');
  await colleague.goto(link);
  await expect(colleague.getByRole('main')).toContainText('contacts at Globex');
  await expect(colleague.getByRole('table')).toBeVisible();
  await expect(colleague.getByRole('main').getByRole('button')).toHaveCount(0);

  await page.getByRole('button', { name: 'Withdraw' }).click();
  await colleague.reload();
  await expect(colleague.getByRole('main')).toContainText('nothing shared here');
});

test('a temporary conversation is in no list', async ({ page }) => {
  const chat = await enterChat(page);
  await page.getByRole('checkbox', { name: 'Temporary' }).check();
  await chat.answered('contacts at Globex');
  const list = page.getByRole('navigation', { name: 'Conversations' }).getByRole('listitem');
  await expect(list).toHaveCount(0);
  await chat.reload();
  await expect(chat.questions).toHaveText('contacts at Globex');
  await expect(page.locator('.conversation-bar')).toContainText('Temporary');
  await expect(list).toHaveCount(0);
});

test('a long question gets a short title', async ({ page }) => {
  const chat = await enterChat(page);
  await chat.answered('Hello, could you show me the contacts at Globex, please?');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Contacts at Globex');
  await expect(page.getByRole('navigation', { name: 'Conversations' }).getByRole('listitem')).toHaveText('Contacts at Globex');
});

test('a link brings words along, and sends nothing', async ({ page }) => {
  const chat = new Chat(page);
  await signIn(page);
  await chat.open(`/chat?text=${encodeURIComponent('contacts at Globex & "others"')}`);
  await expect(chat.message).toHaveValue('contacts at Globex & "others"');
  await expect(chat.replies).toHaveCount(0);
});

test('the tab tells of a reply that is written, and of one that nobody saw', async ({ page }) => {
  const chat = await enterChat(page);
  await chat.ask('contacts at Globex');
  await expect(page).toHaveTitle(/^● /);
  const here = page.url();
  await chat.expectState('done');
  await expect(page).toHaveTitle(/^contacts at Globex/i);
  await chat.open('/chat');
  await expect(page.getByText('New reply')).toHaveCount(0);

  // One that comes while nobody looks is marked wherever conversations are listed.
  await chat.open(here);
  await chat.ask('Open deals over 10000');
  await page.goto('/chat');
  await expect
    .poll(async () => {
      await page.reload();
      return page.getByText('New reply').count();
    }, { timeout: 60_000 })
    .toBe(1);
  await page.goto(here);
  await page.goto('/chat');
  await expect(page.getByText('New reply')).toHaveCount(0);
});

test('a conversation of 1,250 messages opens at its end, and goes back without a jump', async ({ page }) => {
  await signIn(page);
  const messages = Array.from({ length: 1249 }, (_, n) => ({
    role: n % 2 ? 'ai' : 'user',
    text: n % 2 ? `answer ${n}\n\n${'- a line\n'.repeat(n % 7)}` : `question ${n}`,
  }));
  const body = { messages: [...messages.slice(0, 1248), { role: 'user', text: 'contacts at Globex' }] };
  const answer = await page.request.post('/api/chat', { data: body, headers: { origin: new URL(page.url()).origin } });
  const { _sessionId } = await answer.json();
  const chat = new Chat(page);
  await chat.open(`/chat/${_sessionId}`);
  await expect(chat.reply).toBeVisible();
  const count = () => page.locator('#turns > .message').count();
  expect(await count()).toBeLessThan(130);

  const mark = page.locator('#turns > .message').nth(3);
  const id = await mark.getAttribute('id');
  const top = () => page.locator(`#${id}`).evaluate((element) => element.getBoundingClientRect().top);
  await page.locator(`#${id}`).scrollIntoViewIfNeeded();
  await expect.poll(count).toBeGreaterThan(100);
  await page.waitForTimeout(500);
  const before = await top();
  const had = await count();
  await page.locator('.older').evaluate((link: HTMLElement) => link.click());
  await expect.poll(count).toBe(had + 60);
  expect(Math.abs((await top()) - before)).toBeLessThan(2);

  await expect
    .poll(
      async () => {
        await page.evaluate(() => document.querySelector<HTMLElement>('.older')?.click());
        return count();
      },
      { intervals: [50], timeout: 60_000 },
    )
    .toBe(1250);
  await expect(page.locator('#turns > .message').first()).toContainText('question 0');
  await chat.answered('hello');
  expect(await count()).toBe(1252);
});

const choice = withTables(
  '\n[assistants.drupal]\ntitle = "Drupal guide"\ndescription = "Answers in HTML"\nprovider = "drupal"\nbackend = "sandbox"\nmodel = "guide"\n',
);

choice('who answers is chosen, and stays chosen', async ({ page }) => {
  const chat = await enterChat(page);
  const picker = page.getByRole('combobox', { name: 'Assistant' });
  await expect(picker).toHaveValue('sandbox');
  await page.getByRole('link', { name: /Drupal guide/ }).click();
  await hydrated(page);
  await expect(picker).toHaveValue('drupal');
  await expect(page.getByRole('heading', { name: 'Drupal guide' })).toBeVisible();
  await chat.answered('contacts at Globex');
  await expect(chat.reply).toHaveAttribute('aria-label', 'Drupal guide');
  await chat.reload();
  await expect(picker).toHaveValue('drupal');
  await picker.selectOption('Sandbox guide');
  await chat.answered('contacts at Globex');
  await expect(chat.reply).toHaveAttribute('aria-label', 'Sandbox guide');
});
