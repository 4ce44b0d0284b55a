// The chat page in the words of the people who use it.

import { expect, type Locator, type Page } from '@playwright/test';
import { type Person, signIn } from './people.ts';
import { hydrated } from './test.ts';

/** A question that the sandbox answers with a table, for some ten seconds. */
export const QUESTION = 'Open deals over 10000';

export type State = 'running' | 'done' | 'stopped' | 'interrupted' | 'failed';

export class Chat {
  readonly message: Locator;
  readonly send: Locator;
  readonly stop: Locator;
  readonly log: Locator;
  readonly questions: Locator;
  readonly replies: Locator;
  readonly reply: Locator;

  constructor(readonly page: Page) {
    this.message = page.getByRole('textbox', { name: 'Message' });
    this.send = page.getByRole('button', { name: 'Send', exact: true });
    this.stop = page.getByRole('button', { name: 'Stop', exact: true });
    this.log = page.getByRole('log');
    this.questions = page.locator('article[data-role=user] .bubble');
    this.replies = page.locator('article[data-role=assistant]');
    this.reply = this.replies.last();
  }

  button(name: 'Continue' | 'Try again'): Locator {
    return this.page.getByRole('button', { name, exact: true });
  }

  /** Opens the page and waits until it answers to input. */
  async open(path = '/chat'): Promise<void> {
    await this.page.goto(path);
    await hydrated(this.page);
  }

  async reload(): Promise<void> {
    await this.page.reload();
    await hydrated(this.page);
  }

  async ask(question: string): Promise<void> {
    await this.message.fill(question);
    await this.send.click();
    await expect(this.questions.last()).toContainText(question);
  }

  /** Asks, and waits for the whole reply. */
  async answered(question: string): Promise<void> {
    await this.ask(question);
    await this.expectState('done');
  }

  async expectState(state: State): Promise<void> {
    await expect(this.reply).toHaveAttribute('data-state', state, { timeout: 90_000 });
  }

  /** The reply as text, without the status line below it. */
  async text(): Promise<string> {
    const body = this.reply.locator('.markdown');
    // Chromium answers nothing for what it has put aside as out of sight and not yet looked at again.
    await body.evaluate((element) => element.checkVisibility({ contentVisibilityAuto: true }) || element.scrollIntoView());
    return body.innerText();
  }

  /** The reply's finished blocks as HTML, without what only the framework reads. */
  async html(): Promise<string> {
    return this.reply.locator('.markdown').evaluate((body) => {
      const copy = body.cloneNode(true) as HTMLElement;
      for (const open of copy.querySelectorAll('.open')) open.remove();
      return copy.innerHTML.replaceAll(/<!--.*?-->/gs, '').trim();
    });
  }

  /** Watches the reply until it has become longer so many times. */
  async expectGrowth(steps = 3): Promise<void> {
    const lengths = [0];
    await expect
      .poll(
        async () => {
          const { length } = await this.text().catch(() => '');
          if (length > (lengths.at(-1) ?? 0)) lengths.push(length);
          return lengths.length - 1;
        },
        { message: `the reply grows ${steps} times`, intervals: [60], timeout: 30_000 },
      )
      .toBeGreaterThanOrEqual(steps);
  }
}

/** Signs in, to an empty chat that answers to input. */
export async function enterChat(page: Page, person?: Person): Promise<Chat> {
  await signIn(page, person);
  await hydrated(page);
  return new Chat(page);
}
