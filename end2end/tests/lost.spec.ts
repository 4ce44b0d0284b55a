// Nothing is lost, and nothing appears twice: cut off, asleep, impatient.

import { Chat, QUESTION, enterChat } from '../support/chat.ts';
import { signIn, signOut } from '../support/people.ts';
import { Proxy } from '../support/proxy.ts';
import { freePort, Server } from '../support/server.ts';
import { expect, test as base } from '../support/test.ts';

const test = base.extend<{ network: Proxy }>({
  network: async ({}, use) => {
    const proxy = await Proxy.start(() => port);
    await use(proxy);
    proxy.end();
  },
  server: async ({ network }, use) => {
    port = await freePort();
    const server = await Server.start({ port, env: { BREEZEWAY__SERVER__PUBLIC_URL: network.origin } });
    await use(server);
    await server.remove();
  },
  baseURL: async ({ network, server: _ }, use) => use(network.origin),
});
let port = 0;

test('a connection that dies without a word is noticed, and the reply goes on', async ({ page, network, expectProblem }) => {
  test.setTimeout(180_000);
  expectProblem(/ERR_|network/);
  const chat = await enterChat(page);
  await chat.ask(`/slow ${QUESTION}`);
  await chat.expectGrowth(3);
  network.swallow();
  const frozen = (await chat.text()).length;
  await page.waitForTimeout(3_000);
  expect((await chat.text()).length).toBe(frozen);
  await expect.poll(async () => (await chat.text()).length, { timeout: 90_000 }).toBeGreaterThan(frozen);
  await expect(chat.replies).toHaveCount(1);
  await chat.stop.click();
  await chat.expectState('stopped');
  const shown = await chat.html();
  await chat.reload();
  expect(await chat.html()).toBe(shown);
});

test('a computer that sleeps through a reply shows all of it when it wakes', async ({ page, network, expectProblem }) => {
  test.setTimeout(180_000);
  expectProblem(/ERR_|network/);
  const chat = await enterChat(page);
  await chat.ask(QUESTION);
  await chat.expectGrowth(2);
  const messages = `/api/chat/conversations/${page.url().split('/').at(-1)}/messages`;
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
  // Connections that nobody speaks on for so long are forgotten on the way.
  network.swallow();
  const reply = async () => (await (await page.request.get(messages)).json()).at(-1);
  await expect.poll(async () => (await reply()).state, { timeout: 90_000 }).toBeUndefined();
  await devtools.send('Page.setWebLifecycleState', { state: 'active' });
  await chat.expectState('done');
  await expect(chat.replies).toHaveCount(1);
  const shown = await chat.html();
  await chat.reload();
  expect(await chat.html()).toBe(shown);
});

test('a session that ends while a reply is written and another message is typed costs neither', async ({ page, context, network, expectProblem }) => {
  test.setTimeout(180_000);
  expectProblem(/40[13]|ERR_|network/);
  const chat = await enterChat(page);
  await chat.ask(QUESTION);
  await chat.expectGrowth(2);
  await chat.message.fill('and the contacts at Globex');
  const elsewhere = await context.newPage();
  await elsewhere.goto('/');
  await signOut(elsewhere);
  network.swallow();
  await expect(page.getByRole('alert')).toContainText('Your session has ended', { timeout: 60_000 });
  await expect(page.getByRole('alert').getByRole('link', { name: 'Sign in again' })).toBeVisible();

  await signIn(elsewhere);
  await elsewhere.close();
  await page.evaluate(() => dispatchEvent(new Event('focus')));
  await expect(page.getByRole('alert')).toBeHidden();
  await chat.expectState('done');
  await expect(chat.message).toHaveValue('and the contacts at Globex');
  await chat.send.click();
  await expect(chat.questions).toHaveCount(2);
  await chat.expectState('done');
});

test('a question whose answer was lost on the way is not asked twice', async ({ page, expectProblem }) => {
  expectProblem(/ERR_FAILED/);
  const chat = await enterChat(page);
  let asked = 0;
  await page.route('**/chat', async (route) => {
    if (route.request().method() !== 'POST') return route.continue();
    asked += 1;
    if (asked > 1) return route.continue();
    // The server hears it; the browser never learns.
    await route.fetch();
    return route.abort();
  });
  await chat.message.fill('contacts at Globex');
  await chat.send.click();
  await expect(page.getByRole('alert')).toContainText('cannot be reached');
  await expect(chat.message).toHaveValue('contacts at Globex');
  await chat.send.click();
  await chat.expectState('done');
  expect(asked).toBe(2);
  await expect(chat.questions).toHaveCount(1);
  await chat.reload();
  await expect(chat.questions).toHaveCount(1);
  await expect(page.getByRole('navigation', { name: 'Conversations' }).getByRole('listitem')).toHaveCount(1);
});

test('impatience asks once', async ({ page }) => {
  const chat = await enterChat(page);
  await chat.message.fill('contacts at Globex');
  await Promise.all([chat.send.dblclick(), chat.message.press('Enter')]);
  await chat.expectState('done');
  await expect(chat.questions).toHaveCount(1);
  await chat.reload();
  await expect(chat.questions).toHaveCount(1);
});

test('closing the tab stops nothing', async ({ page, context }) => {
  const chat = await enterChat(page);
  await chat.ask(QUESTION);
  await chat.expectGrowth(2);
  const here = page.url();
  await page.close();
  const again = new Chat(await context.newPage());
  await again.page.waitForTimeout(2_000);
  await again.open(here);
  await again.expectState('done');
  await expect(again.questions).toHaveCount(1);
  await expect(again.reply.getByRole('table')).toBeVisible();
});
