// The `test` of every suite: a server of its own, and no complaint of the browser goes unheard.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test as base, type BrowserContext, type Page } from '@playwright/test';
import { Problems } from './problems.ts';
import { ROOT, Server } from './server.ts';

interface Fixtures {
  /** The Breezeway under test, fresh for each test. */
  server: Server;
  problems: Problems;
  /** Declares that the browser will complain in this way, and that it should. */
  expectProblem: (pattern: RegExp) => void;
  /** A page of somebody else's browser: nothing shared with `page`. */
  visitor: () => Promise<Page>;
  guard: void;
}

/** Tells when the islands have come alive, which the page itself has no reason to show. */
function noticeHydration(): void {
  const assembly = WebAssembly as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>;
  for (const name of ['instantiate', 'instantiateStreaming']) {
    const original = assembly[name];
    assembly[name] = async (...given) => {
      const module = await original.apply(WebAssembly, given);
      setTimeout(() => Object.assign(globalThis, { hydrated: true }), 20);
      return module;
    };
  }
}

/** Makes a broken content policy a problem by name, beside Chromium's own wording. */
function reportViolations(): void {
  document.addEventListener('securitypolicyviolation', (event) =>
    console.error(`content policy: ${event.violatedDirective} refused ${event.blockedURI}`),
  );
}

async function prepare(context: BrowserContext, problems: Problems): Promise<void> {
  problems.watch(context);
  await context.addInitScript(noticeHydration);
  await context.addInitScript(reportViolations);
}

export const test = base.extend<Fixtures>({
  server: async ({}, use, testInfo) => {
    const server = await Server.start();
    await use(server);
    await server.remove();
    if (testInfo.status !== testInfo.expectedStatus) {
      await testInfo.attach('server log', { body: server.log, contentType: 'text/plain' });
    }
  },

  baseURL: async ({ server }, use) => use(server.origin),

  problems: async ({}, use) => use(new Problems()),

  expectProblem: async ({ problems }, use) => use((pattern) => problems.expect(pattern)),

  context: async ({ context, problems }, use) => {
    await prepare(context, problems);
    await use(context);
  },

  visitor: async ({ browser, baseURL, javaScriptEnabled, problems }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async () => {
      const context = await browser.newContext({ baseURL, javaScriptEnabled });
      contexts.push(context);
      await prepare(context, problems);
      return context.newPage();
    });
    for (const context of contexts) await context.close();
  },

  // Set up last and therefore judged first, before closing pages breaks off what is still loading.
  guard: [
    async ({ problems, context: _context, visitor: _visitor }, use) => {
      await use();
      expect(problems.unexpected, 'the browser complained').toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** The same with these tables beside the checked-in configuration. */
export const withTables = (tables: string) =>
  test.extend({
    server: async ({}, use) => {
      const folder = await mkdtemp(join(tmpdir(), 'breezeway-config-'));
      const config = join(folder, 'Leptos.toml');
      await writeFile(config, (await readFile(join(ROOT, 'Leptos.toml'), 'utf8')) + tables);
      const server = await Server.start({ config });
      await use(server);
      await server.remove();
      await rm(folder, { recursive: true });
    },
  });

/** Waits until a data page's script has run. */
export async function alive(page: Page): Promise<void> {
  await page.locator('html[data-alive]').waitFor();
}

/** Waits until the page's islands answer to input. */
export async function hydrated(page: Page): Promise<void> {
  await page.waitForFunction(() => 'hydrated' in globalThis);
}
