// The chat on somebody else's page, by its one line of HTML.

import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, Server } from '../support/server.ts';
import { expect, test as base } from '../support/test.ts';

interface Shop {
  origin: string;
  /** What stands between the script's attributes. */
  attributes: string;
}

const test = base.extend<{ shop: Shop; http: HttpServer }>({
  http: async ({}, use) => {
    const http = createServer();
    await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
    await use(http);
    http.closeAllConnections();
    http.close();
  },
  server: async ({ http }, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'breezeway-config-'));
    const config = join(folder, 'Leptos.toml');
    const { port } = http.address() as AddressInfo;
    const channel = `\n[channels.web]\ntoken = "open-sesame"\norigins = ["http://localhost:${port}"]\ntenant = "harbor"\n`;
    await writeFile(config, (await readFile(join(ROOT, 'Leptos.toml'), 'utf8')) + channel);
    const server = await Server.start({ config });
    await use(server);
    await server.remove();
    await rm(folder, { recursive: true });
  },
  shop: async ({ http, server }, use) => {
    const { port } = http.address() as AddressInfo;
    const shop = { origin: `http://localhost:${port}`, attributes: '' };
    http.on('request', (_, response) => {
      response.setHeader('content-type', 'text/html');
      response.setHeader('content-security-policy', `default-src 'self'; script-src ${server.origin}; frame-src ${server.origin}; img-src data:`);
      response.end(`<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,"><h1>Shop</h1>
        <script src="${server.origin}/widget.js" data-channel="web" data-token="open-sesame" ${shop.attributes} async></script>`);
    });
    await use(shop);
  },
});

test('visitors ask, close, come back and find their conversation', async ({ page, shop, visitor }) => {
  shop.attributes = 'data-title="Ask us" data-greeting="What can we do for you?"';
  await page.goto(shop.origin);
  const button = page.getByRole('button', { name: 'Ask us' });
  await expect(button).toHaveAttribute('aria-expanded', 'false');
  await button.click();
  const frame = page.frameLocator('iframe[title="Ask us"]');
  await expect(frame.getByText('What can we do for you?')).toBeVisible();
  const message = frame.getByRole('textbox', { name: 'Message' });
  await message.fill('contacts at Globex');
  await frame.getByRole('button', { name: 'Send' }).click();
  const reply = frame.locator('article[data-role=assistant]').last();
  await expect(reply).toHaveAttribute('data-state', 'done', { timeout: 60_000 });
  await expect(reply.getByRole('table')).toBeVisible();
  await reply.getByRole('button', { name: 'Good reply' }).click();
  await expect(reply.getByRole('button', { name: 'Good reply' })).toHaveAttribute('aria-pressed', 'true');

  await frame.getByRole('button', { name: 'Close' }).click();
  await expect(page.locator('iframe')).toBeHidden();
  await expect(button).toBeFocused();
  await page.reload();
  await button.click();
  await expect(frame.locator('article[data-role=user]')).toContainText('contacts at Globex');
  await message.fill('/slow Open deals over 10000');
  await message.press('Enter');
  await expect(reply).toHaveAttribute('data-state', 'running');
  await frame.getByRole('button', { name: 'Stop' }).click();
  await expect(reply).toHaveAttribute('data-state', 'stopped');

  await frame.getByRole('link', { name: 'New chat' }).click();
  await expect(frame.getByText('What can we do for you?')).toBeVisible();
  await expect(frame.locator('article')).toHaveCount(0);

  const another = await visitor();
  await another.goto(shop.origin);
  await another.getByRole('button', { name: 'Ask us' }).click();
  await expect(another.frameLocator('iframe').getByText('What can we do for you?')).toBeVisible();
  await expect(another.frameLocator('iframe').locator('article')).toHaveCount(0);
});

test('no other site can hold it', async ({ page, shop, server, expectProblem }) => {
  expectProblem(/frame-ancestors|refused to connect|ERR_BLOCKED/i);
  shop.attributes = '';
  const { port } = new URL(shop.origin);
  await page.goto(`http://127.0.0.1:${port}`);
  await page.getByRole('button', { name: 'Chat' }).click();
  await expect(page.locator('iframe')).toBeVisible();
  await page.waitForTimeout(1_000);
  const inner = page.frames().find((one) => one.url().startsWith(server.origin));
  expect(inner).toBeUndefined();
});

test('it follows the theme that the page asks for', async ({ page, shop }) => {
  shop.attributes = 'data-theme="dark" data-side="left"';
  await page.goto(shop.origin);
  const button = page.getByRole('button', { name: 'Chat' });
  expect((await button.boundingBox())!.x).toBeLessThan(40);
  await button.click();
  const frame = page.frameLocator('iframe');
  await expect(frame.getByRole('textbox', { name: 'Message' })).toBeVisible();
  const background = await frame.locator('body').evaluate((body) => getComputedStyle(body).backgroundColor);
  const [red] = background.match(/\d+/g)!.map(Number);
  expect(red).toBeLessThan(80);
});
