// What a data page does that needs a browser: counting down, saying what is wrong while somebody
// types, keys. The server writes the rules into the form's own attributes, and the browser holds to
// them; without this script every page still works.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const isTyping = () => document.activeElement?.matches('input:not([type=checkbox], [type=radio]), textarea, select');

// The server writes times as the reader's clock shows them.
document.cookie = `tz=${-new Date().getTimezoneOffset()}; path=/; max-age=31536000; samesite=lax`;

// --- On the way to the next page ----------------------------------------------------------------

const loading = (isLoading) => $$('.progress').forEach((bar) => (bar.hidden = !isLoading));

addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href]:not([download], [target], [href^="mailto:"], [href^="tel:"])');
  if (link && !event.defaultPrevented && !(event.ctrlKey || event.metaKey || event.shiftKey)) loading(true);
});
addEventListener('submit', (event) => event.defaultPrevented || loading(true));
addEventListener('pageshow', () => loading(false));

// --- Forms of records ---------------------------------------------------------------------------

const form = $('.record-form');
let isChanged = false;

/** The same sentences as the server's (src/data/rules.rs). */
function problemOf(control) {
  const { validity, dataset, min, max, minLength, maxLength, type, value } = control;
  const isTime = type === 'date' || type === 'datetime-local';
  if (validity.badInput) return 'This cannot be read. Write it anew.';
  if (validity.valueMissing || (control.required && !value.trim())) return 'Fill this in.';
  if (validity.typeMismatch) {
    return type === 'email' ? 'Write an address such as ada@example.com.' : 'Write an address that begins with https://.';
  }
  if (validity.stepMismatch) return 'Write a whole number.';
  if (validity.rangeUnderflow) return `${min} or ${isTime ? 'later' : 'more'}, please.`;
  if (validity.rangeOverflow) return `${max} or ${isTime ? 'earlier' : 'less'}, please.`;
  // Browsers hold only what was typed to lengths, and count in another way.
  const length = [...value].length;
  if (value && minLength > 0 && length < minLength) return `At least ${minLength} characters, please.`;
  const most = Number(dataset.most ?? maxLength);
  if (most > 0 && length > most) return `At most ${most} characters, please; these are ${length}.`;
  if (validity.patternMismatch) return control.title || 'This does not have the form that is wanted.';
  if (dataset.shape === 'json' && value.trim()) {
    try {
      JSON.parse(value);
    } catch {
      return 'This is no JSON.';
    }
  }
  return '';
}

/** Marks a control by whether its value can be sent; answers whether it can. */
function check(control) {
  const place = document.getElementById(`problem-${control.name}`);
  if (!place || !control.willValidate || ['checkbox', 'radio'].includes(control.type)) return true;
  const problem = problemOf(control);
  place.textContent = problem;
  place.hidden = !problem;
  if (problem) control.setAttribute('aria-invalid', 'true');
  else control.removeAttribute('aria-invalid');
  return !problem;
}

if (form) {
  form.noValidate = true;
  form.addEventListener('focusout', ({ target }) => target.name && isChanged && check(target));
  form.addEventListener('input', ({ target }) => {
    isChanged = true;
    // While it is wrong, every letter may mend it.
    if (target.hasAttribute('aria-invalid')) check(target);
  });
  form.addEventListener('submit', (event) => {
    const wrong = [...form.elements].filter((control) => control.name && !check(control));
    if (wrong.length) {
      event.preventDefault();
      wrong[0].focus();
    } else {
      isChanged = false;
    }
  });
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  addEventListener('beforeunload', (event) => isChanged && event.preventDefault());
}

// --- What is still to be done -------------------------------------------------------------------

const UNDER_WAY = ['pending', 'running'];
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Counts down to when a change is done, and shows the page anew once it is. */
async function follow(change) {
  const until = Date.now() + Number(change.dataset.left);
  const countdown = $('.countdown', change);
  for (let left = until - Date.now(); left > 0; left = until - Date.now()) {
    if (countdown) countdown.textContent = `in ${Math.ceil(left / 1000)} s`;
    await sleep(Math.min(left, 250));
  }
  if (countdown) countdown.textContent = 'now…';
  for (let round = 0; round < 120; round += 1) {
    await sleep(Math.min(300 + 100 * round, 2000));
    const answer = await fetch(`/data/-/changes/${change.dataset.change}/state`).catch(() => undefined);
    const state = answer?.ok ? (await answer.json()).state : answer?.status === 404 ? 'done' : 'pending';
    // Whoever writes something meanwhile is not disturbed.
    if (!UNDER_WAY.includes(state) && !isTyping()) return location.reload();
  }
}

for (const change of $$('[data-change][data-left]')) follow(change);

// --- Keys ---------------------------------------------------------------------------------------

function walk(step) {
  const rows = $$('.records tbody th a');
  const here = rows.indexOf(document.activeElement);
  rows[here < 0 ? 0 : Math.min(Math.max(here + step, 0), rows.length - 1)]?.focus();
}

function edit() {
  const row = document.activeElement?.closest('.records tbody th a');
  if (row) location.assign(`${row.getAttribute('href')}/edit`);
  else $('[data-key=e]')?.click();
}

const KEYS = {
  '/': () => $('input[type=search]')?.focus(),
  j: () => walk(1),
  k: () => walk(-1),
  e: edit,
  n: () => $('[data-key=n]')?.click(),
};

addEventListener('keydown', (event) => {
  const isCovered = $('dialog[open], [popover]:popover-open');
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping() || isCovered) return;
  const action = KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

document.documentElement.dataset.alive = '';
