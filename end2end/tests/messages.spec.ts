// What one does with a message: take it, answer to it, judge it, hear it, say it.

import { Chat, enterChat } from '../support/chat.ts';
import { signIn } from '../support/people.ts';
import { expect, hydrated, test } from '../support/test.ts';

const clipboard = { permissions: ['clipboard-read', 'clipboard-write'] };

test.describe('with a clipboard', () => {
  test.use(clipboard);

  test('messages and code are copied as they were written', async ({ page }) => {
    const chat = await enterChat(page);
    const copied = () => page.evaluate(() => navigator.clipboard.readText());
    await chat.answered('show me some code');
    await chat.reply.getByRole('button', { name: 'Copy', exact: true }).click();
    await expect(page.getByText('Copied')).toBeAttached();
    await expect.poll(copied).toContain('```');
    await page.locator('article[data-role=user]').getByRole('button', { name: 'Copy' }).click();
    await expect.poll(copied).toBe('show me some code');

    const figure = chat.reply.locator('figure.code').first();
    const code = await figure.locator('code').innerText();
    await figure.getByRole('button', { name: 'Copy code' }).click();
    await expect.poll(copied).toBe(code);

    const wraps = () => figure.locator('pre').evaluate((pre) => getComputedStyle(pre).whiteSpace);
    expect(await wraps()).toBe('pre');
    await figure.getByRole('button', { name: 'Wrap' }).click();
    expect(await wraps()).toBe('pre-wrap');
    await chat.reload();
    expect(await wraps()).toBe('pre-wrap');
  });
});

test('a message is answered to by its words', async ({ page }) => {
  const chat = await enterChat(page);
  await chat.answered('contacts at Globex');
  await chat.message.fill('About this:');
  await chat.reply.getByRole('link', { name: 'Quote' }).click();
  await expect(chat.message).toHaveValue(/^About this:\n\n> [^\n]*Globex/);
  await expect(chat.message).toBeFocused();
});

test('a reply is judged, and why', async ({ page }) => {
  const chat = await enterChat(page);
  await chat.answered('contacts at Globex');
  const bad = chat.reply.getByRole('button', { name: 'Bad reply' });
  await bad.click();
  await expect(bad).toHaveAttribute('aria-pressed', 'true');
  await chat.reply.getByText('Say why').click();
  await chat.reply.getByRole('textbox', { name: 'Your note' }).fill('Too <short>');
  await page.keyboard.press('Enter');
  await chat.reply.getByText('Your note').click();
  await expect(chat.reply.getByRole('textbox', { name: 'Your note' })).toHaveValue('Too <short>');
  await chat.reload();
  await expect(bad).toHaveAttribute('aria-pressed', 'true');
  await bad.click();
  await expect(bad).toHaveAttribute('aria-pressed', 'false');
});

test('times are those of the reader, and days too', async ({ browser, server }) => {
  const page = await browser.newPage({ baseURL: server.origin, timezoneId: 'Asia/Kolkata', locale: 'en-GB' });
  const chat = new Chat(page);
  await signIn(page);
  await page.waitForTimeout(500);
  await chat.answered('hello');
  const time = chat.reply.locator('.facts time');
  const said = await time.getAttribute('datetime');
  const there = new Date(said!).toLocaleTimeString('en-GB', { timeZone: 'Asia/Kolkata', hour: 'numeric', minute: '2-digit' });
  await expect(time).toHaveText(there);
  const cookies = await page.context().cookies();
  expect(cookies.find(({ name }) => name === 'tz')?.value).toMatch(/^Asia\/(Kolkata|Calcutta)$/);
  await page.close();
});

test('a reply is read aloud, without its code', async ({ page }) => {
  await page.addInitScript(() => {
    const spoken: string[] = [];
    Object.assign(window, { spoken });
    Object.defineProperty(window, 'speechSynthesis', {
      value: { speak: ({ text }: { text: string }) => spoken.push(text), cancel: () => spoken.push('(silence)') },
    });
  });
  const chat = await enterChat(page);
  await chat.answered('show me some code');
  const read = chat.reply.getByRole('button', { name: 'Read aloud' });
  await read.click();
  await expect(read).toHaveAttribute('aria-pressed', 'true');
  await read.click();
  await expect(read).toHaveAttribute('aria-pressed', 'false');
  const spoken = await page.evaluate(() => (window as unknown as { spoken: string[] }).spoken);
  expect(spoken).toHaveLength(3);
  expect(spoken[1].length).toBeGreaterThan(20);
  expect(spoken[1]).not.toContain('fn ');
});

test('a message is dictated after what was typed', async ({ page }) => {
  await page.addInitScript(() => {
    class Recognition {
      onresult?: (event: object) => void;
      onend?: () => void;
      start() {
        setTimeout(() => this.onresult?.({ results: [[{ transcript: 'contacts at Globex' }]] }), 50);
      }
      stop() {
        this.onend?.();
      }
    }
    Object.assign(window, { SpeechRecognition: Recognition, webkitSpeechRecognition: Recognition });
  });
  const chat = await enterChat(page);
  await chat.message.fill('Show');
  const dictate = page.getByRole('button', { name: 'Dictate' });
  await dictate.click();
  await expect(chat.message).toHaveValue('Show contacts at Globex');
  await dictate.click();
  await expect(dictate).toHaveAttribute('aria-pressed', 'false');
  await chat.send.click();
  await expect(chat.questions).toHaveText('Show contacts at Globex');
});

test('the last question is changed by the arrow that points to it', async ({ page }) => {
  const chat = await enterChat(page);
  await chat.answered('contacts at Globex');
  await chat.message.press('ArrowUp');
  await expect(page).toHaveURL(/\?edit=/);
  await hydrated(page);
  await expect(chat.message).toHaveValue('contacts at Globex');
});

test('a saved prompt is written by its name', async ({ page }) => {
  const chat = new Chat(page);
  await signIn(page);
  await page.goto('/settings/prompts');
  for (const [name, text] of [['globex', 'contacts at Globex'], ['good-day', 'hello']]) {
    await page.getByRole('textbox', { name: 'Name' }).last().fill(name);
    await page.getByRole('textbox', { name: 'Text' }).last().fill(text);
    await page.getByRole('button', { name: 'Save' }).last().click();
    await expect(page.getByRole('heading', { name: `/${name}` })).toBeVisible();
  }
  await chat.open('/chat');
  const options = page.getByRole('listbox', { name: 'Saved prompts' }).getByRole('option');
  await expect(options).toHaveCount(0);
  await chat.message.pressSequentially('/g');
  await expect(options).toHaveCount(2);
  await expect(page.locator('#said')).toHaveText('Saved prompts: 2. Choose with the arrows.');
  await page.keyboard.press('ArrowDown');
  await expect(options.nth(1)).toHaveAttribute('aria-selected', 'true');
  await page.keyboard.press('Escape');
  await expect(options).toHaveCount(0);
  await chat.message.pressSequentially('l');
  await expect(options).toHaveText(/globex/);
  await page.keyboard.press('Enter');
  await expect(chat.message).toHaveValue('contacts at Globex');
  await expect(options).toHaveCount(0);
  await page.keyboard.press('Enter');
  await expect(chat.questions).toHaveText('contacts at Globex');

  // Without the list, a link does the same.
  await page.goto('/settings/prompts');
  await page.getByRole('link', { name: 'Use' }).first().click();
  await expect(chat.message).toHaveValue('contacts at Globex');
});
