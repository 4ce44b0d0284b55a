// For everybody: by keyboard, by ear, enlarged, without motion, on a phone.

import { devices, type Page } from '@playwright/test';
import { Chat, QUESTION, enterChat } from '../support/chat.ts';
import { signIn } from '../support/people.ts';
import { expect, hydrated, test } from '../support/test.ts';

const sideways = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

test('a reply is announced once when it begins and once when it ends', async ({ page }) => {
  const chat = await enterChat(page);
  await page.evaluate(() => {
    const heard: string[] = [];
    Object.assign(window, { heard });
    for (const status of document.querySelectorAll('[role=status], [role=alert], [aria-live]:not([aria-live=off])')) {
      new MutationObserver(() => {
        const words = status.textContent?.trim();
        if (words && heard.at(-1) !== words) heard.push(words);
      }).observe(status, { childList: true, subtree: true, characterData: true });
    }
  });
  const heard = () => page.evaluate(() => (window as unknown as { heard: string[] }).heard);
  await expect(chat.log).toHaveAttribute('aria-live', 'off');
  for (const round of [1, 2]) {
    await chat.answered(round === 1 ? 'contacts at Globex' : 'hello');
  }
  expect(await heard()).toEqual([
    'The reply has begun.', 'The reply is complete.', 'The reply has begun.', 'The reply is complete.',
  ]);
});

test('focus is never lost', async ({ page }) => {
  const chat = await enterChat(page);
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('title') ?? document.activeElement?.tagName);
  await chat.message.fill(QUESTION);
  await chat.send.click();
  await chat.expectGrowth(2);
  await expect(chat.message).toBeFocused();
  await page.keyboard.press('Escape');
  await chat.expectState('stopped');
  await expect(chat.message).toBeFocused();

  const good = chat.reply.getByRole('button', { name: 'Good reply' });
  await good.focus();
  await page.keyboard.press('Enter');
  await expect(good).toHaveAttribute('aria-pressed', 'true');
  await expect(good).toBeFocused();
  await chat.reply.getByRole('button', { name: 'Ask again' }).focus();
  await page.keyboard.press('Enter');
  await expect(chat.reply).toContainText('2/2');
  await chat.expectState('done');
  expect(await focused()).not.toBe('BODY');
  const previous = chat.reply.getByRole('button', { name: 'Previous version' });
  await previous.focus();
  await page.keyboard.press('Enter');
  await expect(chat.reply).toContainText('1/2');
  await expect.poll(focused).not.toBe('BODY');

  await chat.message.focus();
  await page.keyboard.press('Control+k');
  await page.keyboard.press('Escape');
  await expect(chat.message).toBeFocused();
});

test('everything is reached and done by keyboard', async ({ page }) => {
  const chat = await enterChat(page);
  await chat.answered('show me some code');
  await page.keyboard.press('Shift+Tab');
  const seen = new Set<string>();
  for (let step = 0; step < 60; step += 1) {
    const name = await page.evaluate(() => {
      const element = document.activeElement as HTMLElement;
      if (element === document.body) return '(body)';
      const outline = getComputedStyle(element);
      const visible = outline.outlineStyle !== 'none' || outline.boxShadow !== 'none' || element.matches('input, textarea');
      return `${element.getAttribute('title') ?? element.textContent?.trim().slice(0, 30)}${visible ? '' : ' (no ring)'}`;
    });
    if (!name.startsWith('(body)')) seen.add(name);
    await page.keyboard.press('Shift+Tab');
  }
  for (const name of ['Copy', 'Ask again', 'Quote', 'Good reply', 'Bad reply', 'Copy code', 'Edit', 'New chat']) {
    expect([...seen].some((one) => one.includes(name)), `${name} in ${[...seen].join(', ')}`).toBe(true);
  }
  expect([...seen].filter((one) => one.endsWith('(no ring)'))).toEqual([]);
});

test('at 200 % nothing is cut off', async ({ browser, server }) => {
  const page = await browser.newPage({ baseURL: server.origin, viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 });
  const chat = new Chat(page);
  await signIn(page);
  await page.waitForTimeout(500);
  await chat.answered('show me some code');
  expect(await sideways(page)).toBeLessThanOrEqual(0);
  await expect(chat.message).toBeInViewport();
  await expect(chat.send).toBeInViewport();
  expect((await chat.log.boundingBox())!.height).toBeGreaterThan(120);
  for (const path of ['/chat/all', '/settings/prompts', '/data/django-crm/contacts']) {
    await page.goto(path);
    expect(await sideways(page), path).toBeLessThanOrEqual(0);
  }
  await page.close();
});

test('who wants no motion gets none', async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  const chat = await enterChat(page);
  await chat.ask(QUESTION);
  await chat.expectGrowth(2);
  const moving = await page.evaluate(
    () => document.getAnimations().filter((one) => one.playState === 'running' && Number(one.effect?.getComputedTiming().duration) > 50).length,
  );
  expect(moving).toBe(0);
});

test.describe('on a phone', () => {
  const { defaultBrowserType: _, ...phone } = devices['Pixel 7'];
  test.use(phone);

  test('one reads, writes and finds one\'s way', async ({ page }) => {
    const chat = new Chat(page);
    await page.goto('/chat');
    await page.getByRole('button', { name: 'Ada Park' }).first().tap();
    await page.getByRole('button', { name: 'Allow' }).tap();
    await hydrated(page);
    const viewport = await page.locator('meta[name=viewport]').getAttribute('content');
    expect(viewport).toContain('interactive-widget=resizes-content');
    expect(viewport).toContain('viewport-fit=cover');
    expect(viewport).not.toMatch(/maximum-scale|user-scalable/);
    // Smaller type makes telephones zoom in on the field.
    expect(await chat.message.evaluate((field) => Number.parseFloat(getComputedStyle(field).fontSize))).toBeGreaterThanOrEqual(16);

    await chat.message.tap();
    await page.keyboard.type('contacts');
    await page.keyboard.press('Enter');
    await page.keyboard.type('at Globex');
    await expect(chat.message).toHaveValue('contacts\nat Globex');
    await chat.send.tap();
    await chat.expectState('done');
    expect(await sideways(page)).toBeLessThanOrEqual(0);

    const list = page.getByRole('navigation', { name: 'Conversations' });
    await expect(list).toBeHidden();
    await page.getByRole('button', { name: 'Show conversations' }).tap();
    await expect(list).toBeVisible();
    await expect(list.getByRole('listitem')).toHaveCount(1);
    await list.getByRole('link', { name: 'New chat' }).tap();
    await expect(page).toHaveURL(/\/chat$/);
    await hydrated(page);
    for (const button of await page.locator('.conversation :is(button, a, select):visible').all()) {
      const { width, height } = (await button.boundingBox())!;
      expect(Math.min(width, height), await button.innerText()).toBeGreaterThanOrEqual(24);
    }
  });
});
