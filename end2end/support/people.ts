// Signing in and out the way people do it, against the sandbox.

import { expect, type Page } from '@playwright/test';

export type Person = 'Ada Park' | 'Ben Ortiz' | 'Chen Wei' | 'Dana Kim';

/** From the sandbox's sign-in page to wherever the sign-in leads; consents when asked. */
export async function choosePerson(page: Page, person: Person): Promise<void> {
  await page.getByRole('button', { name: person }).first().click();
  const allow = page.getByRole('button', { name: 'Allow' });
  await expect(allow.or(account(page, person))).toBeVisible();
  if (await allow.isVisible()) await allow.click();
  await expect(account(page, person)).toBeVisible();
}

/** From the front page to being signed in, at /chat. */
export async function signIn(page: Page, person: Person = 'Ada Park'): Promise<void> {
  await page.goto('/');
  await page.getByRole('link', { name: 'Sign in', exact: true }).first().click();
  await choosePerson(page, person);
}

export async function signOut(page: Page, person: Person = 'Ada Park'): Promise<void> {
  await account(page, person).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByText('Signed out').first()).toBeVisible();
}

/** The account menu in the header, which says who is signed in. */
export const account = (page: Page, person: string) => page.locator('header details summary', { hasText: person });
