// The whole way in a browser with scripts: sign in, ask, lose the page, find everything again.

import type { APIResponse, Locator, Page } from '@playwright/test';
import { Chat, QUESTION, enterChat } from '../support/chat.ts';
import { account, choosePerson, signIn, signOut } from '../support/people.ts';
import { expect, hydrated, test } from '../support/test.ts';

const CONVERSATION = /\/chat\/[\w-]+$/;

test.describe('sessions', () => {
  test('are listed, and those of other browsers can be ended', async ({ page, browser, server }) => {
    await signIn(page);
    const elsewhere = await browser.newPage({ baseURL: server.origin });
    await signIn(elsewhere);

    await account(page, 'Ada Park').click();
    await page.getByRole('link', { name: 'Where you are signed in' }).click();
    await expect(page.getByRole('heading', { name: 'Where you are signed in' })).toBeVisible();
    const lines = page.getByRole('main').getByRole('listitem');
    await expect(lines).toHaveCount(2);
    await expect(lines.filter({ hasText: 'This browser' })).toHaveCount(1);

    await lines.filter({ hasNotText: 'This browser' }).getByRole('button').click();
    await expect(page.getByRole('status')).toContainText('One session was ended');
    await expect(lines).toHaveCount(1);
    expect((await elsewhere.request.get('/api/session')).status()).toBe(401);
    await elsewhere.close();

    const third = await browser.newPage({ baseURL: server.origin });
    await signIn(third);
    await page.reload();
    await page.getByRole('button', { name: 'Sign out everywhere else' }).click();
    await expect(page.getByText('You are signed in nowhere else.')).toBeVisible();
    expect((await third.request.get('/api/session')).status()).toBe(401);
    expect((await page.request.get('/api/session')).status()).toBe(200);
    await third.close();
  });
});

test.describe('signing in', () => {
  test('leads from the front page to the chat, asking for consent once', async ({ page }) => {
    await signIn(page);
    await expect(page).toHaveURL(/\/chat$/);
    for (const place of ['Chat', 'Data']) {
      await expect(page.getByRole('navigation').getByRole('link', { name: place, exact: true })).toBeVisible();
    }

    await signOut(page);
    await page.goto('/auth/login');
    await page.getByRole('button', { name: 'Ada Park' }).first().click();
    await expect(page).toHaveURL(/\/chat$/);
  });

  test('works with a name and a password, and says so when they are wrong', async ({ page, expectProblem }) => {
    expectProblem(/40[01]/);
    await page.goto('/auth/login');
    await page.getByLabel('User name').fill('ben');
    await page.getByLabel('Password').fill('not this');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await expect(page.getByLabel('User name')).toHaveValue('ben');

    await page.getByLabel('Password').fill('sandbox');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('button', { name: 'Allow' }).click();
    await expect(page).toHaveURL(/\/chat$/);
  });

  test('returns to where it started, and never to another site', async ({ page, server }) => {
    await page.goto('/data/django-crm/contacts');
    await choosePerson(page, 'Ada Park');
    await expect(page).toHaveURL(`${server.origin}/data/django-crm/contacts`);

    for (const target of ['//evil.test/x', '/\\evil.test', 'https://evil.test/', '/%09/evil.test']) {
      await page.context().clearCookies();
      await page.goto(`/auth/login?return_to=${encodeURIComponent(target)}`);
      await page.getByRole('button', { name: 'Ada Park' }).first().click();
      await expect(page.getByRole('navigation').getByRole('link', { name: 'Chat', exact: true })).toBeVisible();
      expect(new URL(page.url()).origin).toBe(server.origin);
    }
  });

  for (const [place, name] of [['sign-in page', 'Cancel'], ['consent page', 'Deny']] as const) {
    test(`cancelled on the ${place} is told plainly and can be tried again`, async ({ page, expectProblem }) => {
      expectProblem(/\/auth\/callback/);
      await page.goto('/auth/login');
      if (name === 'Deny') await page.getByRole('button', { name: 'Ada Park' }).first().click();
      await page.getByRole('link', { name }).or(page.getByRole('button', { name })).first().click();
      await expect(page.getByRole('main')).toContainText(/cancel/i);
      expect((await page.request.get('/api/session')).status()).toBe(401);

      await page.getByRole('main').getByRole('link', { name: /sign in|try again/i }).first().click();
      await choosePerson(page, 'Ada Park');
    });
  }

  test('that nobody began is refused', async ({ page, expectProblem }) => {
    expectProblem(/\/auth\/callback/);
    const answer = await page.goto('/auth/callback?code=stolen&state=made-up');
    expect(answer?.status()).toBe(400);
    expect((await page.request.get('/api/session')).status()).toBe(401);
  });

  test('out ends the session everywhere', async ({ page, context }) => {
    await signIn(page);
    const session = await (await page.request.get('/api/session')).json();
    expect(JSON.stringify(session)).toContain('harbor');
    const stolen = await context.cookies();

    await signOut(page);
    expect(new URL(page.url()).pathname).toBe('/');
    expect((await page.request.get('/api/session')).status()).toBe(401);

    await page.goto('/chat');
    await expect(page.getByRole('button', { name: 'Ada Park' }).first()).toBeVisible();

    await context.addCookies(stolen);
    expect((await page.request.get('/api/session')).status()).toBe(401);
  });
});

test.describe('a reply', () => {
  test('grows as it is written, outlives a reload and finishes exactly once', async ({ page }) => {
    const chat = await enterChat(page);
    await chat.ask(QUESTION);
    await expect(page).toHaveURL(CONVERSATION);
    await chat.expectGrowth(3);
    await expect(chat.reply).toHaveAttribute('data-state', 'running');
    await expect(chat.stop).toBeVisible();

    await chat.reload();
    await expect(chat.reply).toHaveAttribute('data-state', 'running');
    await chat.expectGrowth(3);
    await chat.expectState('done');
    await expect(chat.reply.getByRole('table')).toBeVisible();
    const streamed = await chat.html();

    await chat.reload();
    await expect(chat.replies).toHaveCount(1);
    await expect(chat.questions).toHaveCount(1);
    await expect(chat.reply).toHaveAttribute('data-state', 'done');
    expect(await chat.html()).toBe(streamed);
  });

  test('looks the same streamed without a break as reloaded', async ({ page }) => {
    const chat = await enterChat(page);
    await chat.answered('show me some code');
    const streamed = await chat.html();
    expect(streamed).toContain('<pre');
    await chat.reload();
    expect(await chat.html()).toBe(streamed);
  });

  test('shows in a second tab while it is written', async ({ page, context }) => {
    const chat = await enterChat(page);
    await chat.ask(QUESTION);
    await expect(page).toHaveURL(CONVERSATION);

    const other = new Chat(await context.newPage());
    await other.open(page.url());
    await other.expectGrowth(3);
    await Promise.all([chat.expectState('done'), other.expectState('done')]);
    expect(await other.html()).toBe(await chat.html());
  });

  test('shows wherever the conversation is open, whoever asks', async ({ page, context }) => {
    const chat = await enterChat(page);
    await chat.answered('contacts at Globex');

    const other = new Chat(await context.newPage());
    await other.open(page.url());
    await other.ask(QUESTION);
    await expect(chat.questions).toHaveCount(2);
    await expect(chat.questions.last()).toHaveText(QUESTION);
    await expect(chat.stop).toBeVisible();
    await chat.expectGrowth(3);
    await chat.stop.click();
    await Promise.all([chat.expectState('stopped'), other.expectState('stopped')]);
    expect(await other.html()).toBe(await chat.html());
    await expect(other.send).toBeVisible();
    await expect(chat.message).toHaveValue('');
  });

  test('is thought about first, and the thoughts are folded once it begins', async ({ page }) => {
    const chat = await enterChat(page);
    await chat.ask('/think contacts at Globex');
    const thoughts = chat.reply.locator('.thought');
    await expect(thoughts).toContainText('not a language model');
    await expect(thoughts).toBeVisible();
    await expect(chat.reply.locator('.markdown')).toContainText('Globex');
    await expect(thoughts).toBeHidden();
    await chat.expectState('done');
    expect(await chat.text()).not.toContain('not a language model');

    await chat.reload();
    await expect(thoughts).toBeHidden();
    await chat.reply.getByText('Thoughts', { exact: true }).click();
    await expect(thoughts).toContainText('folded away once the reply begins');
    await expect(chat.reply.locator('.facts')).toContainText(/\d+ in, \d+ out/);
  });

  test('waits for a service that is busy, and says so', async ({ page }) => {
    const chat = await enterChat(page);
    await chat.ask('/busy contacts at Globex');
    await expect(chat.reply).toContainText(/busy, and is asked again in \d s/);
    await chat.expectState('done');
    await expect(chat.reply).toContainText('Globex');
    await expect(chat.reply).not.toContainText('busy');
    await expect(chat.replies).toHaveCount(1);
  });

  test('catches up after the network was gone', async ({ page, context, expectProblem }) => {
    expectProblem(/ERR_|Failed to fetch|network/i);
    const chat = await enterChat(page);
    await chat.ask(QUESTION);
    await chat.expectGrowth(2);
    await context.setOffline(true);
    await page.waitForTimeout(2_000);
    await context.setOffline(false);
    await chat.expectState('done');
    await expect(chat.replies).toHaveCount(1);
    const caughtUp = await chat.html();
    await chat.reload();
    expect(await chat.html()).toBe(caughtUp);
  });

  test('that a crash broke off is kept, marked and continued', async ({ page, server, expectProblem }) => {
    expectProblem(/ERR_|Failed to fetch|network|answer: 50[234]/i);
    const chat = await enterChat(page);
    await chat.ask(QUESTION);
    await expect(page).toHaveURL(CONVERSATION);
    await chat.expectGrowth(5);
    const here = page.url();

    await server.end('SIGKILL');
    await server.launch();
    await chat.open(here);
    await expect(chat.reply).toHaveAttribute('data-state', 'interrupted');
    const kept = await chat.text();
    expect(kept.trim().length).toBeGreaterThan(0);

    await chat.button('Continue').click();
    await chat.expectState('done');
    await expect(chat.replies).toHaveCount(1);
    await expect(chat.reply.getByRole('table')).toBeVisible();
    expect(words(await chat.text())).toContain(words(kept).slice(0, 20));
    await expect(chat.button('Continue')).toHaveCount(0);
  });

  test('in progress is saved when the server is told to stop', async ({ page, server, expectProblem }) => {
    expectProblem(/ERR_|Failed to fetch|network|answer: 50[234]/i);
    const chat = await enterChat(page);
    await chat.ask(`/slow ${QUESTION}`);
    await expect(page).toHaveURL(CONVERSATION);
    await chat.expectGrowth(3);
    const begun = Date.now();
    expect(await server.end('SIGTERM')).toBe(0);
    expect(Date.now() - begun).toBeLessThan(20_000);

    await server.launch();
    await chat.open(page.url());
    await expect(chat.reply).toHaveAttribute('data-state', 'interrupted');
    expect((await chat.text()).trim().length).toBeGreaterThan(0);
  });

  test('stops when asked, by button and by Esc, and keeps what it has', async ({ page }) => {
    const chat = await enterChat(page);
    for (const stop of [() => chat.stop.click(), () => page.keyboard.press('Escape')]) {
      await chat.ask(`/slow ${QUESTION}`);
      await chat.expectState('running');
      await chat.expectGrowth(2);
      await stop();
      await chat.expectState('stopped');
      const kept = await chat.text();
      await page.waitForTimeout(1_500);
      expect(await chat.text()).toBe(kept);
      await expect(chat.send).toBeVisible();
    }
    await chat.reload();
    await expect(chat.replies).toHaveCount(2);
    await expect(chat.reply).toHaveAttribute('data-state', 'stopped');
  });

  test('that the provider refused offers to try again', async ({ page, expectProblem }) => {
    expectProblem(/50[0-4]/);
    const chat = await enterChat(page);
    await chat.ask(`/fail ${QUESTION}`);
    await chat.expectState('failed');
    await chat.button('Try again').click();
    await chat.expectState('failed');
    await expect(chat.questions).toHaveCount(1);

    await chat.answered(QUESTION);
  });

  for (const [accident, does] of [['/break', 'fails'], ['/cut', 'hangs up']]) {
    test(`keeps its beginning when the provider ${does}, and is continued`, async ({ page, expectProblem }) => {
      expectProblem(/50[0-4]/);
      const chat = await enterChat(page);
      await chat.ask(`${accident} ${QUESTION}`);
      await chat.expectState('interrupted');
      const kept = await chat.text();
      expect(kept.trim().length).toBeGreaterThan(0);

      await chat.button('Continue').click();
      await chat.expectState('done');
      expect((await chat.text()).length).toBeGreaterThan(kept.length);
      await expect(chat.reply.getByRole('table')).toBeVisible();
    });
  }
});

test.describe('versions', () => {
  test('of a reply are paged through, and the conversation goes on from either', async ({ page, context }) => {
    const chat = await enterChat(page);
    await chat.answered('contacts at Globex');
    const other = new Chat(await context.newPage());
    await other.open(page.url());

    await page.getByRole('button', { name: 'Ask again' }).click();
    await chat.expectState('running');
    await expect(chat.replies).toHaveCount(1);
    await chat.expectState('done');
    await expect(chat.reply).toContainText('2/2');
    await chat.answered('hello');

    await chat.replies.first().getByRole('button', { name: 'Previous version' }).click();
    await expect(chat.replies).toHaveCount(1);
    await expect(chat.reply).toContainText('1/2');
    await expect(other.reply).toContainText('1/2');
    await expect(other.questions).toHaveCount(1);
    await chat.reply.getByRole('button', { name: 'Next version' }).click();
    await expect(chat.questions).toHaveText(['contacts at Globex', 'hello'].map((text) => new RegExp(text)));
    await chat.reload();
    await expect(chat.replies).toHaveCount(2);
  });

  test('of a question are kept when it is put in other words', async ({ page }) => {
    const chat = await enterChat(page);
    await chat.answered('contacts at Globex');
    await chat.message.fill('a draft of something else');
    await page.getByRole('link', { name: 'Edit' }).click();
    await hydrated(page);
    await expect(page.getByText('Both versions are kept')).toBeVisible();
    await expect(chat.message).toHaveValue('contacts at Globex');
    await chat.message.fill('contacts at Initech');
    await chat.message.press('Enter');
    await expect(chat.questions).toHaveText(/contacts at Initech/);
    await chat.expectState('done');
    await expect(page).toHaveURL(CONVERSATION);
    await expect(page.getByText('Both versions are kept')).toBeHidden();
    const question = page.locator('article[data-role=user]');
    await expect(question).toContainText('2/2');
    await question.getByRole('button', { name: 'Previous version' }).click();
    await expect(chat.questions).toContainText('contacts at Globex');
    await chat.reload();
    await expect(chat.message).toHaveValue('a draft of something else');
  });

  test('of a page that is behind are told apart before anything is asked', async ({ page, context, expectProblem }) => {
    expectProblem(/409|ERR_FAILED|Failed to fetch/);
    const chat = await enterChat(page);
    await chat.answered('contacts at Globex');
    // This tab hears nothing for a while.
    await page.route('**/feed?*', (route) => route.abort());
    await chat.reload();
    const other = new Chat(await context.newPage());
    await other.open(page.url());
    await other.answered('hello');

    await chat.message.fill('what did I miss?');
    await chat.send.click();
    await expect(page.getByRole('alert')).toContainText('went on elsewhere');
    await expect(chat.message).toHaveValue('what did I miss?');
    await page.unroute('**/feed?*');
    await expect(chat.questions).toHaveCount(2, { timeout: 20_000 });
    await chat.send.click();
    await expect(chat.questions).toHaveCount(3);
    await chat.expectState('done');
    await expect(other.questions).toHaveCount(3);
  });
});

test.describe('writing', () => {
  test('Enter sends and Shift+Enter breaks the line', async ({ page }) => {
    const chat = await enterChat(page);
    await chat.message.fill('first line');
    await chat.message.press('Shift+Enter');
    await chat.message.pressSequentially('second line');
    await expect(chat.message).toHaveValue('first line\nsecond line');
    await expect(chat.questions).toHaveCount(0);
    await chat.message.press('Enter');
    await expect(chat.questions).toHaveText(/first line\s+second line/);
    await expect(chat.message).toHaveValue('');
  });

  test('a draft survives a reload and leaves with its message', async ({ page }) => {
    const chat = await enterChat(page);
    await chat.message.fill('half a thought');
    await chat.reload();
    await expect(chat.message).toHaveValue('half a thought');

    await chat.message.press('Enter');
    await expect(chat.questions).toHaveCount(1);
    await chat.expectState('done');
    await chat.reload();
    await expect(chat.message).toHaveValue('');

    await chat.message.fill('about this conversation');
    const here = page.url();
    await page.getByRole('link', { name: 'New chat' }).click();
    await hydrated(page);
    await expect(chat.message).toHaveValue('');
    await chat.open(here);
    await expect(chat.message).toHaveValue('about this conversation');
  });

  test('a suggestion leaves what was typed, and a draft is nobody else\'s', async ({ page }) => {
    const chat = await enterChat(page);
    await chat.message.fill('my own words');
    await page.getByRole('button', { name: 'What can you do?' }).click();
    await expect(chat.questions).toHaveText('What can you do?');
    await expect(chat.message).toHaveValue('my own words');
    await chat.expectState('done');
    await chat.reload();
    await expect(chat.message).toHaveValue('my own words');

    await chat.open();
    await chat.message.fill('for my eyes only');
    await signOut(page);
    await signIn(page, 'Ben Ortiz');
    await chat.open();
    await expect(chat.message).toHaveValue('');
    await signOut(page, 'Ben Ortiz');
    await signIn(page);
    await chat.open();
    await expect(chat.message).toHaveValue('for my eyes only');
  });

  test('a message written after the session ended is kept', async ({ page, context, expectProblem }) => {
    expectProblem(/40[13]/);
    const chat = await enterChat(page);
    await chat.message.fill('do not lose me');

    const elsewhere = await context.newPage();
    await elsewhere.goto('/');
    await signOut(elsewhere);

    await chat.send.click();
    const again = page.getByRole('link', { name: /sign in/i }).filter({ visible: true }).last();
    await expect(again).toBeVisible();
    await expect(chat.message).toHaveValue('do not lose me');

    await again.click();
    await choosePerson(page, 'Ada Park');
    await hydrated(page);
    await expect(chat.message).toHaveValue('do not lose me');
    await chat.send.click();
    await chat.expectState('done');
  });

  test('the view follows the end until the reader scrolls up', async ({ page }) => {
    await page.setViewportSize({ width: 1000, height: 520 });
    const chat = await enterChat(page);
    await chat.ask('/long');
    await expect.poll(async () => (await scrolling(chat.log)).top, { timeout: 60_000 }).toBeGreaterThan(250);
    expect((await scrolling(chat.log)).below).toBeLessThan(80);

    await chat.log.hover();
    await page.mouse.wheel(0, -200);
    await page.waitForTimeout(300);
    const before = await scrolling(chat.log);
    expect(before.below).toBeGreaterThan(100);
    await expect.poll(async () => (await scrolling(chat.log)).below, { timeout: 60_000 }).toBeGreaterThan(before.below + 60);
    expect(Math.abs((await scrolling(chat.log)).top - before.top)).toBeLessThan(4);

    await page.mouse.wheel(0, 100_000);
    await page.waitForTimeout(3_000);
    expect((await scrolling(chat.log)).below).toBeLessThan(80);
    await chat.stop.click();
    await chat.expectState('stopped');
  });

  test('conversations are listed, and a new one starts empty', async ({ page }) => {
    const chat = await enterChat(page);
    await chat.answered('contacts at Globex');
    const first = page.url();

    await page.getByRole('link', { name: 'New chat' }).click();
    await expect(page).toHaveURL(/\/chat$/);
    await hydrated(page);
    await expect(chat.replies).toHaveCount(0);
    await chat.answered('overdue invoices');
    expect(page.url()).not.toBe(first);

    await chat.reload();
    await expect(page.getByRole('navigation', { name: 'Conversations' }).getByRole('listitem')).toHaveCount(2);
    await page.locator(`nav a[href="${new URL(first).pathname}"]`).click();
    await expect(chat.questions).toContainText('contacts at Globex');
  });

  test('a conversation is renamed, pinned, deleted and had back', async ({ page, context, expectProblem }) => {
    expectProblem(/404/);
    const chat = await enterChat(page);
    await chat.answered('contacts at Globex');
    const here = page.url();
    const other = new Chat(await context.newPage());
    await other.open(here);

    const menu = page.getByRole('button', { name: 'Change this conversation' });
    await menu.click();
    await page.getByLabel('Title').fill('All of Globex');
    await page.getByLabel('Title').press('Enter');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('All of Globex');
    await expect(other.page.getByRole('heading', { level: 1 })).toHaveText('All of Globex');
    await expect(other.page).toHaveTitle(/All of Globex/);

    await chat.open('/chat');
    await chat.answered('hello');
    await chat.open(here);
    await menu.click();
    await page.getByRole('button', { name: 'Pin', exact: true }).click();
    const lines = page.getByRole('navigation', { name: 'Conversations' }).getByRole('listitem');
    await expect(lines.first()).toContainText('All of Globex');
    await menu.click();
    await page.getByRole('button', { name: 'Delete' }).click();
    await expect(page.getByText('“All of Globex” was deleted')).toBeVisible();
    await expect(lines).toHaveCount(1);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect(page).toHaveURL(here);
    await expect(chat.questions).toHaveText('contacts at Globex');
    await expect(lines).toHaveCount(2);
  });

  test("one person's conversation is nobody else's", async ({ page, visitor, expectProblem }) => {
    expectProblem(/404/);
    const chat = await enterChat(page);
    await chat.answered('hello');

    for (const person of ['Ben Ortiz', 'Chen Wei'] as const) {
      const stranger = await visitor();
      await signIn(stranger, person);
      expect((await stranger.goto(page.url()))?.status()).toBe(404);
    }
  });
});

test.describe('contacts', () => {
  test('can be searched, sorted, paged and opened', async ({ page }) => {
    await signIn(page);
    await page.getByRole('navigation').getByRole('link', { name: 'Data', exact: true }).click();
    await page.getByRole('link', { name: 'Contacts', exact: true }).click();
    await expect(page).toHaveURL(/\/data\/django-crm\/contacts/);
    await expect(page.getByRole('heading', { name: 'Contacts' })).toBeVisible();

    const first = await firstRow(page);
    await page.getByRole('link', { name: 'Next' }).click();
    await expect(page).toHaveURL(/[?&]page=2/);
    expect(await firstRow(page)).not.toBe(first);
    await page.getByRole('link', { name: 'Previous' }).click();
    expect(await firstRow(page)).toBe(first);

    const header = page.getByRole('columnheader').filter({ has: page.getByRole('link') }).first();
    await header.getByRole('link').click();
    await expect(page).toHaveURL(/[?&]sort=[a-z]/);
    await expect(header).toHaveAttribute('aria-sort', 'ascending');
    const ascending = await firstRow(page);
    await header.getByRole('link').click();
    await expect(page).toHaveURL(/[?&]sort=-/);
    await expect(header).toHaveAttribute('aria-sort', 'descending');
    expect(await firstRow(page)).not.toBe(ascending);

    const search = page.getByRole('searchbox', { name: 'Search' });
    await search.fill('globex');
    await search.press('Enter');
    await expect(page).toHaveURL(/[?&]q=globex/);
    await expect(page.locator('tbody tr').first()).toContainText(/globex/i);
    await search.fill('nobody-of-that-name');
    await search.press('Enter');
    await expect(page.getByText(/nothing matches/i)).toBeVisible();

    await page.goto('/data/django-crm/contacts');
    const link = page.locator('tbody a[href^="/data/django-crm/contacts/"]').first();
    const name = (await link.innerText()).trim();
    await link.click();
    await expect(page).toHaveURL(/\/data\/django-crm\/contacts\/\d+/);
    await expect(page.getByRole('main')).toContainText(name);
  });

  test('are those of the own tenant only', async ({ page, visitor }) => {
    await signIn(page, 'Ada Park');
    const other = await visitor();
    await signIn(other, 'Chen Wei');

    const [ada, chen] = [await contacts(page), await contacts(other)];
    expect(ada.length).toBeGreaterThan(10);
    expect(chen.length).toBeGreaterThan(10);
    expect(ada.filter((contact) => chen.includes(contact))).toEqual([]);

    for (const name of ['tenant_id', 'tenant%5fid', 'Tenant_Id', 'tenant_id[]']) {
      const answer = await page.request.get(`/api/brain/django-crm/contacts?${name}=summit`);
      const body = await answer.text();
      for (const contact of chen) expect(body, name).not.toContain(contact);
    }
  });

  test('answer API clients through both routes, and nobody without a session', async ({ page, request }) => {
    for (const path of ['/api/brain/django-crm/contacts', '/api/proxy/api/django-crm/contacts', '/api/session']) {
      expect((await request.get(path)).status(), path).toBe(401);
    }
    await signIn(page);
    const [brain, proxy] = await Promise.all(
      ['/api/brain/django-crm/contacts', '/api/proxy/api/django-crm/contacts'].map((path) => page.request.get(path)),
    );
    for (const answer of [brain, proxy]) {
      expect(answer.status()).toBe(200);
      expect(answer.headers()['content-type']).toContain('application/json');
    }
    expect(emails(await brain.text())).toEqual(emails(await proxy.text()));
  });
});

test.describe('what a browser gets to see', () => {
  test('never includes a token', async ({ page, context }) => {
    const seen: { where: string; text: Promise<string> }[] = [];
    context.on('request', (request) => seen.push({ where: `address ${request.url()}`, text: Promise.resolve(request.url()) }));
    context.on('response', (response) => {
      const headers = response.allHeaders().then((all) => JSON.stringify(all)).catch(() => '');
      seen.push({ where: `headers of ${response.url()}`, text: headers });
      if (/font|image|wasm/.test(response.headers()['content-type'] ?? '')) return;
      seen.push({ where: `body of ${response.url()}`, text: response.text().catch(() => '') });
    });

    const chat = await enterChat(page);
    await chat.answered('contacts at Globex');
    await page.goto('/data/django-crm/contacts');
    await page.goto('/api/session');
    await page.goto('/api/brain/django-crm/contacts');
    await page.goto('/chat');
    const readable = await page.evaluate(() => document.cookie + JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    const cookies = await context.cookies();
    await signOut(page);

    const token = /eyJ[\w-]{10,}\.eyJ[\w-]{10,}|"(access|refresh|id)_token"/;
    for (const { where, text } of seen) expect(await text, where).not.toMatch(token);
    expect(readable).not.toMatch(token);
    expect(cookies.length).toBeGreaterThan(0);
    for (const cookie of cookies) {
      expect(cookie.value, cookie.name).not.toMatch(token);
      // Where the reader is, for the days of the list: the page's script writes it.
      if (cookie.name === 'tz') continue;
      expect(cookie, cookie.name).toMatchObject({ httpOnly: true, sameSite: expect.stringMatching(/Lax|Strict/) });
    }
  });

  test('is fenced by security headers and a fresh nonce', async ({ page }) => {
    await signIn(page);
    const nonces = new Set<string>();
    for (const path of ['/', '/chat', '/data', '/data/django-crm/contacts']) {
      const answer = await page.request.get(path);
      const headers = answer.headers();
      const policy = headers['content-security-policy'] ?? '';
      const nonce = /'nonce-([^']+)'/.exec(policy)?.[1] ?? '';
      expect(nonce.length, `nonce of ${path}`).toBeGreaterThanOrEqual(16);
      expect(nonces.has(nonce), `nonce of ${path} is new`).toBe(false);
      nonces.add(nonce);

      expect(policy, path).not.toMatch(/'unsafe-inline'|'unsafe-eval'/);
      for (const directive of ['default-src', 'script-src', 'style-src', 'object-src', 'base-uri', 'form-action', 'frame-ancestors']) {
        expect(policy, path).toContain(directive);
      }
      for (const [, attributes] of (await answer.text()).matchAll(/<script\b([^>]*)>/g)) {
        expect(attributes, `a script of ${path}`).toContain(nonce);
      }
      expect(headers, path).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': expect.any(String) });
      expect(headers['cache-control'], path).toContain('no-store');
    }
  });

  test('answers unsafe requests of other sites with a refusal', async ({ page }) => {
    await signIn(page);
    const foreign = { Origin: 'http://evil.test', 'Sec-Fetch-Site': 'cross-site' };
    const answers: APIResponse[] = [
      await page.request.post('/auth/logout', { headers: foreign, form: {} }),
      await page.request.post('/api/chat', { headers: foreign, data: { message: 'hello' } }),
      await page.request.post('/api/chat', { headers: { ...foreign, 'Content-Type': 'text/plain' }, data: '{}' }),
    ];
    expect(answers.map((answer) => answer.status())).toEqual([403, 403, 403]);
    expect((await page.request.get('/auth/logout')).status()).toBeGreaterThanOrEqual(400);
    expect((await page.request.get('/api/session')).status()).toBe(200);
  });

  // What `cargo leptos` builds while one develops is not compressed.
  test('includes assets that are compressed and never change, and plain 404s', { tag: '@shipped' }, async ({ page, request }) => {
    const assets = new Map<string, Record<string, string>>();
    page.on('response', (response) => {
      if (new URL(response.url()).pathname.startsWith('/pkg/')) assets.set(response.url(), response.headers());
    });
    await signIn(page);
    await hydrated(page);
    for (const kind of ['.js', '.wasm', '.css']) {
      const [url, headers] = [...assets].find(([url]) => url.endsWith(kind)) ?? [`no ${kind} was loaded`, {}];
      expect(url).toMatch(/breezeway\.[\w-]{22}\.(js|wasm|css)$/);
      expect(headers['content-encoding'], url).toMatch(/br|gzip/);
      expect(headers['cache-control'], url).toContain('immutable');
    }

    const missing = await request.get('/pkg/breezeway.0000000000000000000000.js');
    expect(missing.status()).toBe(404);
    expect(await missing.text()).not.toContain('<html');
    expect(missing.headers()['cache-control'] ?? '').not.toContain('immutable');
    expect((await request.get('/no-such-page')).status()).toBe(404);
  });
});

/** Text as a row of words: how HTML breaks lines does not count. */
const words = (text: string) => text.replaceAll(/\s+/g, ' ').trim();

/** The text of the list's first row. */
const firstRow = async (page: Page) => words(await page.locator('tbody tr').first().innerText());

const emails = (text: string) => [...new Set(text.match(/[\w.+-]+@[\w.-]+\.\w+/g) ?? [])].sort();

/** E-mail addresses of the contacts that the list and the API show this person. */
async function contacts(page: Page): Promise<string[]> {
  await page.goto('/data/django-crm/contacts');
  const shown = await page.getByRole('main').innerText();
  const answered = await (await page.request.get('/api/brain/django-crm/contacts')).text();
  return emails(`${shown} ${answered}`);
}

/** Where the log's scroll region stands: pixels above the view, and below it. */
const scrolling = (log: Locator) =>
  log.evaluate((element) => {
    let region: Element = element;
    while (region.parentElement && !/auto|scroll/.test(getComputedStyle(region).overflowY)) region = region.parentElement;
    // A region laid out from its end counts from there: 0 at the end, negative above.
    const below = Math.abs(Math.min(region.scrollTop, 0));
    return { top: region.scrollHeight - region.clientHeight - below, below };
  });
