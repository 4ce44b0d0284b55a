// Files with a message: picked, dropped, pasted, refused in time, seen again.

import { Buffer } from 'node:buffer';
import type { Page } from '@playwright/test';
import { enterChat } from '../support/chat.ts';
import { expect, test } from '../support/test.ts';

/** A red dot. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg==',
  'base64',
);
const notes = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('first line\nsecond line\n') };
const picture = { name: 'dot.png', mimeType: 'image/png', buffer: PNG };

const chips = (page: Page) => page.locator('#composer #files > li');

/** Hands files to the page as a drag or a paste would. */
const hand = (page: Page, kind: 'drop' | 'paste') =>
  page.evaluate(
    ([kind, base64]) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], `${kind}.png`, { type: 'image/png' }));
      const event =
        kind === 'drop'
          ? new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })
          : new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true });
      document.querySelector('#text')!.dispatchEvent(event);
    },
    [kind, PNG.toString('base64')] as const,
  );

test('files are picked, sent with the question, and stay with it', async ({ page }) => {
  const chat = await enterChat(page);
  await page.getByLabel('Add files').setInputFiles([picture, notes]);
  await expect(chips(page)).toHaveCount(2);
  await expect(chips(page).locator('input[name=file]')).toHaveCount(2);
  await expect(chips(page).first().locator('img')).toBeVisible();
  await chat.answered('What is this?');
  await expect(chips(page)).toHaveCount(0);
  await expect(chat.reply).toContainText('You sent me a picture: image/png of');
  const question = page.locator('article[data-role=user]');
  const loaded = () => question.locator('img').evaluate((img: HTMLImageElement) => img.complete && img.naturalWidth);
  await expect.poll(loaded).toBe(5);
  await chat.reload();
  await expect.poll(loaded).toBe(5);
  const download = page.waitForEvent('download');
  await question.getByRole('link', { name: 'notes.txt' }).click();
  expect((await download).suggestedFilename()).toBe('notes.txt');
});

test('files by themselves are a message, dropped or pasted', async ({ page }) => {
  const chat = await enterChat(page);
  await hand(page, 'drop');
  await hand(page, 'paste');
  await expect(chips(page).locator('input[name=file]')).toHaveCount(2);
  await page.getByRole('button', { name: 'Remove drop.png' }).click();
  await expect(chips(page)).toHaveText(/paste\.png/);
  await chat.message.press('Enter');
  await chat.expectState('done');
  await expect(page.locator('article[data-role=user] img')).toHaveCount(1);

  // A second one is another message, however alike they are.
  await hand(page, 'drop');
  await expect(chips(page).locator('input[name=file]')).toHaveCount(1);
  await chat.message.press('Enter');
  await expect(page.locator('article[data-role=user] img')).toHaveCount(2);
  await chat.expectState('done');
});

test('a message waits for its files', async ({ page }) => {
  const chat = await enterChat(page);
  let letGo = () => {};
  const held = new Promise<void>((done) => (letGo = done));
  await page.route('**/api/chat/files?*', async (route) => {
    await held;
    await route.continue();
  });
  await page.getByLabel('Add files').setInputFiles(notes);
  await chat.message.fill('What is this?');
  await chat.send.click();
  await expect(page.locator('#said')).toHaveText(/sent when its files have arrived/);
  await expect(chat.questions).toHaveCount(0);
  letGo();
  await expect(chat.questions).toHaveText('What is this?');
  await chat.expectState('done');
  await expect(chat.reply).toContainText('notes.txt: 5 lines');
});

test('what cannot be sent is refused before it is, and the rest goes', async ({ page, expectProblem }) => {
  expectProblem(/400/);
  const chat = await enterChat(page);
  const uploads: string[] = [];
  page.on('request', (request) => {
    if (request.url().includes('/api/chat/files?')) uploads.push(request.url());
  });
  await page.getByLabel('Add files').setInputFiles([
    { name: 'film.mp4', mimeType: 'video/mp4', buffer: Buffer.from('film') },
    { name: 'huge.txt', mimeType: 'text/plain', buffer: Buffer.alloc(21 << 20, 'x') },
    { name: 'liar.txt', mimeType: 'text/plain', buffer: Buffer.from([0x4d, 0x5a, 0x90, 0, 3]) },
    notes,
  ]);
  await expect(chips(page).nth(0)).toContainText('not one of image/*, text/*');
  await expect(chips(page).nth(1)).toContainText('too large, at most 21.0 MB');
  await expect(chips(page).nth(2)).toContainText('cannot be sent');
  await expect(chips(page).nth(3).locator('input')).toHaveCount(1);
  expect(uploads).toHaveLength(2);
  await chat.answered('What is this?');
  await expect(page.locator('article[data-role=user] .files li')).toHaveCount(1);
});
