// The deep-chat component from npm, unmodified, as another team's page embeds it.

import { createRequire } from 'node:module';
import type { Locator, Page } from '@playwright/test';
import { signIn } from '../support/people.ts';
import { expect, withTables } from '../support/test.ts';

const BUNDLE = createRequire(import.meta.url).resolve('deep-chat/dist/deepChat.bundle.js');

/** Beside the usual assistant one that answers in HTML. */
const DRUPAL = '\n[assistants.drupal]\nprovider = "drupal"\nbackend = "sandbox"\nmodel = "guide"\n';

const test = withTables(DRUPAL);

// The component asks for a typeface of its own, which it can do without.
test.beforeEach(async ({ page, expectProblem }) => {
  expectProblem(/fonts\.googleapis/);
  await page.route(/fonts\.googleapis/, (route) => route.abort());
});

class DeepChat {
  readonly bubbles: Locator;
  readonly input: Locator;

  constructor(readonly page: Page) {
    this.bubbles = page.locator('deep-chat .message-bubble');
    this.input = page.locator('deep-chat #text-input');
  }

  /** Opens a page of the site's own origin that holds the component with these attributes. */
  async open(attributes: Record<string, unknown>, script = ''): Promise<void> {
    await this.page.route('**/embedding/**', async (route) => {
      const isBundle = route.request().url().endsWith('.js');
      await route.fulfill(
        isBundle
          ? { path: BUNDLE, contentType: 'text/javascript' }
          : { body: document(attributes, script), contentType: 'text/html; charset=utf-8' },
      );
    });
    await this.page.goto('/embedding/page');
    await expect(this.input).toBeVisible();
  }

  async ask(question: string): Promise<void> {
    await this.input.click();
    await this.page.keyboard.type(question);
    await this.page.keyboard.press('Enter');
  }

  get last(): Locator {
    return this.bubbles.last();
  }
}

function document(attributes: Record<string, unknown>, script: string): string {
  const written = Object.entries({
    errorMessages: { displayServiceErrorMessages: true },
    ...attributes,
  }).map(([name, value]) => `${name}='${JSON.stringify(value)}'`);
  return `<!doctype html><html lang="en"><title>Embedding</title>
    <link rel="icon" href="data:,">
    <script type="module" src="/embedding/deepChat.bundle.js"></script>
    <deep-chat ${written.join(' ')} style="width: 30rem; height: 40rem; font-family: sans-serif"></deep-chat>
    <script type="module">${script}</script>`;
}

/** The newest message of the newest conversation. */
async function newest(page: Page): Promise<{ state?: string; text: string }> {
  const [{ id }] = await (await page.request.get('/api/chat/conversations')).json();
  return (await (await page.request.get(`/api/chat/conversations/${id}/messages`)).json()).at(-1);
}

test('text arrives as it is written, and the conversation goes on', async ({ page }) => {
  const chat = new DeepChat(page);
  await signIn(page);
  await chat.open({ connect: { url: '/api/chat', stream: true }, requestBodyLimits: { maxMessages: 0 } });
  await chat.ask('contacts at Globex');
  const lengths = new Set<number>();
  await expect
    .poll(async () => lengths.add((await chat.last.innerText()).length).size, { intervals: [80], timeout: 30_000 })
    .toBeGreaterThan(4);
  await expect(chat.last).toContainText('All contacts', { timeout: 60_000 });

  // Until the stream has ended, the component takes no other message.
  await expect.poll(async () => (await newest(page)).state).toBeUndefined();
  await page.waitForTimeout(500);
  await chat.ask('hello');
  await expect(chat.last).toContainText('I am not a language model', { timeout: 60_000 });
  const conversations = await (await page.request.get('/api/chat/conversations')).json();
  expect(conversations).toHaveLength(1);
  expect(conversations[0].title).toBe('Contacts at Globex');
});

test('an answer without a stream is shown whole', async ({ page }) => {
  const chat = new DeepChat(page);
  await signIn(page);
  await chat.open({ connect: { url: '/api/chat' } });
  await chat.ask('contacts at Globex');
  await expect(chat.last).toContainText('All contacts', { timeout: 60_000 });
});

test('HTML of a backend is shown as HTML, streamed and whole', async ({ page }) => {
  for (const stream of [true, false]) {
    const chat = new DeepChat(page);
    await signIn(page);
    await chat.open({
      connect: { url: '/api/chat', stream, additionalBodyProps: { assistant_id: 'drupal' } },
    });
    await chat.ask('contacts at Globex');
    await expect(chat.last.locator('table')).toBeVisible({ timeout: 60_000 });
    await expect(chat.last).toContainText('All contacts', { timeout: 60_000 });
    await page.context().clearCookies();
  }
});

test('files go along, with words and without', async ({ page }) => {
  await signIn(page);
  const chat = new DeepChat(page);
  await chat.open({ connect: { url: '/api/chat', stream: true }, mixedFiles: true, requestBodyLimits: { maxMessages: 2 } });
  const notes = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('one\ntwo\n') };
  const choose = async (file: typeof notes) => {
    const chooser = page.waitForEvent('filechooser');
    await page.locator('deep-chat .input-button.outside-end').click();
    await (await chooser).setFiles(file);
  };
  await choose(notes);
  await chat.ask('What is this?');
  await expect(chat.last).toContainText('You sent me notes.txt', { timeout: 30_000 });
  await expect.poll(async () => (await newest(page)).state).toBeUndefined();
  await choose({ ...notes, name: 'more.txt' });
  await chat.input.click();
  await page.keyboard.press('Enter');
  await expect(chat.last).toContainText('You sent me more.txt', { timeout: 30_000 });
});

test('errors are told in words, before a reply and within one', async ({ page, expectProblem }) => {
  expectProblem(/50[0-4]/);
  expectProblem(/deepChat\.bundle/);
  const chat = new DeepChat(page);
  await signIn(page);
  await chat.open({ connect: { url: '/api/chat', stream: true } });
  await chat.ask('/fail now');
  await expect(chat.last).toContainText('Backend error');
  await chat.ask('/break contacts at Globex');
  await expect(chat.last).toContainText('not available right now', { timeout: 30_000 });
  await expect(chat.bubbles.nth(-2)).toContainText('Globex');
});

test('nobody is told that they are not signed in by a blank page', async ({ page, expectProblem }) => {
  expectProblem(/401/);
  expectProblem(/deepChat\.bundle/);
  const chat = new DeepChat(page);
  await chat.open({ connect: { url: '/api/chat', stream: true } });
  await chat.ask('hello');
  await expect(chat.last).toContainText('Unauthorized');
});

test('its Stop stops the reply', async ({ page }) => {
  const chat = new DeepChat(page);
  await signIn(page);
  await chat.open({ connect: { url: '/api/chat?on_disconnect=stop', stream: true } });
  await chat.ask('/slow contacts at Globex');
  await expect(chat.last).toContainText('Gl', { timeout: 30_000 });
  await page.locator('deep-chat .input-button-svg:visible, deep-chat #submit-stop-icon:visible').first().click();
  await expect.poll(async () => (await newest(page)).state).toBe('stopped');
});

test('history is loaded, page by page, and gone on with', async ({ page }) => {
  const chat = new DeepChat(page);
  await signIn(page);
  const before = Array.from({ length: 60 }, (_, index) => ({ role: index % 2 ? 'ai' : 'user', text: `line ${index}.` }));
  const begun = await page.request.post('/api/chat', {
    headers: { 'Sec-Fetch-Site': 'same-origin' },
    data: { messages: [...before, { role: 'user', text: 'hello' }] },
  });
  const { _sessionId: id } = await begun.json();
  await chat.open(
    { connect: { url: '/api/chat', stream: true }, requestBodyLimits: { maxMessages: 2 } },
    `document.querySelector('deep-chat').loadHistory = async (page) =>
       (await fetch('/api/chat/conversations/${id}/messages?page=' + page)).json();`,
  );
  await expect(chat.last).toContainText('I am not a language model');
  await expect(chat.bubbles).toHaveCount(50);
  await page.locator('deep-chat #messages').evaluate((list) => list.scrollTo(0, 0));
  await expect(chat.bubbles.first()).toHaveText('line 0.');

  await chat.ask('contacts at Globex');
  await expect(chat.last).toContainText('All contacts', { timeout: 60_000 });
  const messages = await (await page.request.get(`/api/chat/conversations/${id}/messages`)).json();
  expect(messages.at(-2).text).toBe('contacts at Globex');
  expect(await (await page.request.get('/api/chat/conversations')).json()).toHaveLength(1);
});
