// What a browser complains about, collected, so that a page which merely looks right does not pass.

import type { BrowserContext, ConsoleMessage, Request, Response } from '@playwright/test';

/** Warnings that mean something is broken: an island without code, a preload nobody used. */
const SERIOUS_WARNING = /island|hydrat|mismatch|preload/i;

export class Problems {
  #seen: string[] = [];
  #expected: RegExp[] = [];

  /** Lets problems of this kind pass for the rest of the test. */
  expect(pattern: RegExp): void {
    this.#expected.push(pattern);
  }

  get unexpected(): string[] {
    return this.#seen.filter((problem) => !this.#expected.some((pattern) => pattern.test(problem)));
  }

  watch(context: BrowserContext): void {
    context.on('console', (message) => this.#console(message));
    context.on('weberror', (error) => this.#add(`uncaught: ${error.error().message}`));
    context.on('requestfailed', (request) => this.#failed(request));
    context.on('response', (response) => this.#response(response));
  }

  #console(message: ConsoleMessage): void {
    const text = `${message.text()} (${message.location().url})`;
    if (message.type() === 'error') this.#add(`console: ${text}`);
    if (message.type() === 'warning' && SERIOUS_WARNING.test(text)) this.#add(`warning: ${text}`);
  }

  #failed(request: Request): void {
    const reason = request.failure()?.errorText ?? 'failed';
    // What the browser gave up by itself because the reader went on to another page.
    if (reason === 'net::ERR_ABORTED') return;
    this.#add(`request: ${request.method()} ${request.url()} ${reason}`);
  }

  #response(response: Response): void {
    if (response.status() < 500) return;
    this.#add(`answer: ${response.status()} for ${response.request().method()} ${response.url()}`);
  }

  #add(problem: string): void {
    this.#seen.push(problem);
  }
}
