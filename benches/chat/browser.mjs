// Asks in Chromium and reads its trace: how evenly frames come and what the main thread does while a
// reply is written. Then it asks once more in the same conversation, and types meanwhile. Arguments:
// origin, session cookie, then questions of the form "Prose: 1000 words, 5000 µs".

import { chromium } from '../../end2end/node_modules/playwright-core/index.mjs';

const [origin, session, ...questions] = process.argv.slice(2);
const FRAME = 1000 / 60;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
await context.addCookies([{ name: 'breezeway', value: session, url: origin }]);
const perWord = [];
for (const question of questions) {
  const words = Number(question.match(/\d+/)[0]);
  const figures = await traced(question);
  perWord.push(figures.busy / words);
  console.log(`  ${words.toLocaleString('en')} words`);
  console.log(`    time between frames  p50 ${ms(figures.frames, 0.5)}, p99 ${ms(figures.frames, 0.99)}, most ${ms(figures.frames, 1)}`);
  console.log(`    late frames          ${((100 * figures.late) / figures.frames.length).toFixed(1)} %`);
  console.log(`    tasks                p99 ${ms(figures.tasks, 0.99)}, most ${ms(figures.tasks, 1)}, ${figures.long} over 50 ms`);
  console.log(`    main thread          ${(100 * figures.share).toFixed(0)} % busy, ${(1000 * perWord.at(-1)).toFixed(0)} µs per word`);
  console.log(`    from key to paint    p50 ${ms(figures.keys, 0.5)}, p95 ${ms(figures.keys, 0.95)}`);
}
console.log(`  a word of the last costs ${(perWord.at(-1) / perWord[0]).toFixed(2)} times one of the first`);
await browser.close();

/** Asks on a new page; types while a second reply is written below the first. */
async function traced(question) {
  const page = await context.newPage();
  await page.goto(`${origin}/chat`);
  const message = page.getByRole('textbox', { name: 'Message' });
  const replies = page.locator('article[data-role=assistant]');
  const ask = async (text, number) => {
    await message.fill(text);
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await replies.nth(number).locator('.markdown').waitFor();
  };
  const isDone = (number) => page.locator(`article[data-role=assistant][data-state=done] >> nth=${number}`).waitFor({ timeout: 300_000 });
  await ask(question, 0);
  await browser.startTracing(page, { categories: ['toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline.frame'] });
  await isDone(0);
  const events = JSON.parse((await browser.stopTracing()).toString()).traceEvents;
  await ask(questions[0], 1);
  await page.evaluate(watchKeys);
  await message.pressSequentially('What a person writes while the reply comes.', { delay: 60 });
  const keys = await page.evaluate(() => globalThis.keyTimes);
  await page.close();
  return { ...figuresOf(events), keys: keys.sort((a, b) => a - b) };
}

/** Runs on the page: from a key to the frame that shows it. */
function watchKeys() {
  globalThis.keyTimes = [];
  addEventListener('input', (event) => {
    requestAnimationFrame(() => setTimeout(() => globalThis.keyTimes.push(performance.now() - event.timeStamp)));
  });
}

function figuresOf(events) {
  const thread = mainThread(events);
  const ofThread = events.filter((event) => event.pid === thread.pid && event.tid === thread.tid);
  const tasks = ofThread.filter((event) => event.name === 'ThreadControllerImpl::RunTask' || event.name === 'RunTask');
  const span = Math.max(...tasks.map((task) => task.ts)) - Math.min(...tasks.map((task) => task.ts));
  const drawn = events.filter((event) => event.name === 'DrawFrame' && event.pid === thread.pid);
  const at = drawn.map((event) => event.ts / 1000).sort((a, b) => a - b);
  const gaps = at.slice(1).map((time, index) => time - at[index]);
  const took = tasks.map((task) => (task.dur ?? 0) / 1000).sort((a, b) => a - b);
  const busy = took.reduce((sum, time) => sum + time, 0);
  return {
    tasks: took,
    frames: gaps.sort((a, b) => a - b),
    late: gaps.filter((gap) => gap > 1.5 * FRAME).length,
    long: took.filter((time) => time > 50).length,
    busy,
    share: (1000 * busy) / span,
  };
}

/** The main thread of the page's renderer: of all, the one that did most. */
function mainThread(events) {
  const mains = events.filter((event) => event.name === 'thread_name' && event.args.name === 'CrRendererMain');
  const worked = (main) => events.filter((event) => event.pid === main.pid && event.tid === main.tid).length;
  return mains.sort((a, b) => worked(b) - worked(a))[0];
}

function ms(sorted, share) {
  return `${(sorted[Math.round((sorted.length - 1) * share)] ?? 0).toFixed(1)} ms`;
}
