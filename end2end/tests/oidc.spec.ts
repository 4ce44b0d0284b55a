// Against somebody else's identity provider and somebody else's backend: nothing of the sandbox.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { Identity } from '../support/identity.ts';
import { account } from '../support/people.ts';
import { freePort, ROOT, Server } from '../support/server.ts';
import { expect, test as base } from '../support/test.ts';
import { Upstream } from '../support/upstream.ts';

/** Seconds that an access token lives: long enough for one step, short enough to wait for. */
const LIFE = 15;
const LIST = '/data/crm/contacts';
const BRAIN = '/api/brain/crm/contacts';

const configuration = (port: number, issuer: string, backend: string) => `
[package.metadata.leptos]
output-name = "breezeway"
site-root = "${join(ROOT, 'target/site')}"
site-pkg-dir = "pkg"
site-addr = "127.0.0.1:${port}"
hash-files = true

[auth]
issuer = "${issuer}"
client_id = "breezeway"
client_secret = "only-for-tests"
scopes = ["openid", "profile", "offline_access"]

[sandbox]
enabled = false

[backends.crm]
url = "${backend}"
auth = ["session"]
tenant = { query = "tenant_id" }

[proxy]
backend = "crm"

[resources.crm.contacts]
backend = "crm"
path = "/api/contacts"
title = "Contacts"
style = "drf"
fields = [{ name = "name", sortable = true }, { name = "email", type = "email" }]
`;

interface Fixtures {
  port: number;
  identity: Identity;
  upstream: Upstream;
}

const test = base.extend<Fixtures>({
  port: async ({}, use) => use(await freePort()),

  identity: async ({ port }, use) => {
    const identity = await Identity.start(`http://127.0.0.1:${port}`, LIFE);
    await use(identity);
    await identity.end();
  },

  upstream: async ({}, use) => {
    const upstream = await Upstream.start();
    await use(upstream);
    await upstream.end();
  },

  server: async ({ port, identity, upstream }, use, testInfo) => {
    const folder = await mkdtemp(join(tmpdir(), 'breezeway-config-'));
    const config = join(folder, 'Leptos.toml');
    await writeFile(config, configuration(port, identity.issuer, upstream.url));
    const server = await Server.start({ port, config });
    await use(server);
    await server.remove();
    await rm(folder, { recursive: true });
    if (testInfo.status !== testInfo.expectedStatus) {
      await testInfo.attach('server log', { body: server.log, contentType: 'text/plain' });
    }
  },
});

/** Signs in and lands on the list; consents when the provider asks. */
async function signIn(page: Page, person: string): Promise<void> {
  await page.goto(`/auth/login?return_to=${LIST}`);
  await page.getByRole('button', { name: person }).click();
  const allow = page.getByRole('button', { name: 'Allow' });
  await expect(allow.or(account(page, person))).toBeVisible();
  if (await allow.isVisible()) await allow.click();
  await expect(page).toHaveURL(new RegExp(`${LIST}$`));
}

/** Fifty requests at once; answers their statuses. */
async function fifty(page: Page): Promise<number[]> {
  const answers = await Promise.all(Array.from({ length: 50 }, () => page.request.get(BRAIN)));
  return answers.map((answer) => answer.status());
}

test('signing in gives a session with the tenant, and the backend a token', async ({ page, upstream }) => {
  await signIn(page, 'Nora Quist');
  await expect(account(page, 'Nora Quist')).toBeVisible();
  await expect(page.locator('tbody tr').first()).toContainText('Contact 01');

  const session = await (await page.request.get('/api/session')).text();
  expect(session).toContain('northwind');
  expect(session).toContain('admin');

  const call = upstream.calls.at(-1);
  expect(call?.authorization).toMatch(/^Bearer \S+$/);
  expect(call?.query.getAll('tenant_id')).toEqual(['northwind']);
  expect(call?.cookie).toBe('');
  expect(session).not.toContain(call?.authorization.slice('Bearer '.length));
});

test('an access token that ran out is refreshed once, however many ask', async ({ page, identity, upstream }) => {
  await signIn(page, 'Nora Quist');
  const first = upstream.calls.at(-1)?.authorization;

  await page.waitForTimeout((LIFE + 1) * 1_000);
  const before = await identity.stats();
  await page.goto(LIST);
  await expect(page.locator('tbody tr').first()).toContainText('Contact 01');
  expect(await identity.stats()).toEqual({ ...before, refreshed: before.refreshed + 1 });
  expect(upstream.calls.at(-1)?.authorization).not.toBe(first);

  for (const round of [2, 3]) {
    await page.waitForTimeout((LIFE + 1) * 1_000);
    expect(await fifty(page)).toEqual(Array(50).fill(200));
    // A refresh token that is used twice revokes the whole grant: a third round would fail.
    expect(await identity.stats()).toEqual({ ...before, refreshed: before.refreshed + round });
  }
});

test('a slow provider, and browsers that leave meanwhile, lose no tokens', async ({ page, identity }) => {
  await signIn(page, 'Nora Quist');
  await page.waitForTimeout((LIFE + 1) * 1_000);
  const before = await identity.stats();
  await identity.mood({ slow: 3_000 });
  const left = await page.evaluate(async (list) => {
    const leaving = Array.from({ length: 10 }, () =>
      fetch(list, { signal: AbortSignal.timeout(300) }).then(() => 'answered', () => 'left'),
    );
    return Promise.all(leaving);
  }, BRAIN);
  expect(left).toEqual(Array(10).fill('left'));
  await page.waitForTimeout(4_000);
  expect(await fifty(page)).toEqual(Array(50).fill(200));
  expect(await identity.stats()).toEqual({ ...before, refreshed: before.refreshed + 1 });
});

test('a failing provider signs nobody out, and the next refresh works', async ({ page, identity }) => {
  await signIn(page, 'Nora Quist');
  await page.waitForTimeout((LIFE + 1) * 1_000);
  const before = await identity.stats();
  for (const fail of [500, 429]) {
    await identity.mood({ fail });
    expect(await fifty(page)).toEqual(Array(50).fill(503));
    expect((await page.request.get('/api/session')).status()).toBe(200);
  }
  await identity.mood({});
  await expect.poll(async () => (await page.request.get(BRAIN)).status(), { timeout: 40_000 }).toBe(200);
  expect(await identity.stats()).toEqual({ ...before, refreshed: before.refreshed + 1 });
});

test('the provider can end a session by itself', async ({ page, identity }) => {
  await signIn(page, 'Omar Reyes');
  await page.goto(`${identity.issuer}/session/end`);
  await page.getByRole('button', { name: 'End my session' }).click();
  await expect.poll(async () => (await page.request.get('/api/session')).status()).toBe(401);
  expect((await page.request.get(BRAIN)).status()).toBe(401);
});

test('signing out ends the session here and at the provider', async ({ page, identity }) => {
  await signIn(page, 'Omar Reyes');
  await account(page, 'Omar Reyes').click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'End my session' }).click();
  await expect(page.getByText('Signed out').first()).toBeVisible();
  expect((await page.request.get('/api/session')).status()).toBe(401);
  expect((await identity.stats()).revoked).toBeGreaterThan(0);

  await page.goto(`/auth/login?return_to=${LIST}`);
  await expect(page.getByRole('button', { name: 'Omar Reyes' })).toBeVisible();
});

test('a sign-in cancelled at the provider is told plainly', async ({ page, expectProblem }) => {
  expectProblem(/\/auth\/callback/);
  await page.goto('/auth/login');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await expect(page.getByRole('main')).toContainText(/cancel/i);
  expect((await page.request.get('/api/session')).status()).toBe(401);
});

test('a backend that is down is told plainly, and the list returns with it', async ({ page, upstream, expectProblem }) => {
  expectProblem(/50[234]/);
  await signIn(page, 'Nora Quist');
  await upstream.end();
  await page.goto(LIST);
  // What was seen before is still shown, with the time it is from.
  await expect(page.locator('.notice[data-kind=warning]')).toContainText('Showing data from');
  await expect(page.locator('tbody tr').first()).toContainText('Contact 01');
  await page.goto(`${LIST}?q=never-looked-for`);
  await expect(page.getByRole('heading', { name: 'Contacts' })).toBeVisible();
  await expect(page.locator('.notice[data-kind=error]')).toBeVisible();
  await expect(account(page, 'Nora Quist')).toBeVisible();

  await upstream.resume();
  await page.goto(LIST);
  await expect(page.locator('tbody tr').first()).toContainText('Contact 01');
  await expect(page.getByText('Showing data from')).toBeHidden();
});

test('a provider that is down ends no session', async ({ page, identity, expectProblem }) => {
  expectProblem(/50[234]/);
  await signIn(page, 'Nora Quist');
  await identity.end();
  await page.waitForTimeout((LIFE + 1) * 1_000);
  await page.goto(`${LIST}?q=never-looked-for`);
  await expect(page.locator('.notice[data-kind=error]')).toBeVisible();
  await expect(account(page, 'Nora Quist')).toBeVisible();
  expect((await page.request.get('/api/session')).status()).toBe(200);
});
