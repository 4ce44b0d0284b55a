// Debian's own Chromium, two tests at a time, every test with a Breezeway of its own.

import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: './tests',
  outputDir: './test-results',
  timeout: 120_000,
  expect: { timeout: 15_000 },
  fullyParallel: true,
  workers: 2,
  retries: 0,
  forbidOnly: Boolean(process.env.CI),
  reporter: [['list']],
  use: {
    browserName: 'chromium',
    viewport: { width: 1280, height: 800 },
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--no-first-run',
      ],
    },
  },
  projects: [
    { name: 'sandbox', testMatch: 'sandbox.spec.ts' },
    { name: 'library', testMatch: 'library.spec.ts' },
    { name: 'messages', testMatch: 'messages.spec.ts' },
    { name: 'files', testMatch: 'files.spec.ts' },
    { name: 'access', testMatch: 'access.spec.ts' },
    { name: 'widget', testMatch: 'widget.spec.ts' },
    { name: 'lost', testMatch: 'lost.spec.ts' },
    { name: 'data', testMatch: 'data.spec.ts' },
    { name: 'tools', testMatch: 'tools.spec.ts' },
    { name: 'crm', testMatch: 'crm.spec.ts' },
    { name: 'noscript', testMatch: 'noscript.spec.ts', use: { javaScriptEnabled: false } },
    { name: 'oidc', testMatch: 'oidc.spec.ts' },
    { name: 'deepchat', testMatch: 'deepchat.spec.ts' },
    { name: 'look', testMatch: 'look.spec.ts' },
  ],
});
