// What a data page does that needs a browser: counting down, saying what is wrong while somebody
// types, keys. The server writes the rules into the form's own attributes, and the browser holds to
// them; without this script every page still works.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const isTyping = () => document.activeElement?.matches('input:not([type=checkbox], [type=radio]), textarea, select');

// The server writes times as the reader's clock shows them, from the second page on.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if ($('script[data-zone]')?.dataset.zone !== zone) {
  for (const time of $$('time[datetime*="T"]')) {
    time.textContent = new Date(time.dateTime).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
  }
}
document.cookie = `tz=${zone}; path=/; max-age=31536000; samesite=lax`;

// --- On the way to the next page ----------------------------------------------------------------

const loading = (isLoading) => $$('.progress').forEach((bar) => (bar.hidden = !isLoading));

addEventListener('click', (event) => {
  const link = event.target.closest?.('a:is([href^="/"], [href^="?"]):not([download], [target])');
  if (link && !event.defaultPrevented && !(event.ctrlKey || event.metaKey || event.shiftKey)) loading(true);
});
addEventListener('submit', (event) => event.defaultPrevented || loading(true));
addEventListener('pageshow', () => loading(false));

// --- Forms of records ---------------------------------------------------------------------------

const form = $('.record-form');
/** What the server has sent back holds what somebody wrote. */
let isChanged = form?.dataset.unsent === '';
let isSent = false;

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
  // A record may break the rules already: nobody is held to what they leave alone.
  const isLeftAlone = form.elements.opened && control.value === initial.get(control);
  const problem = isLeftAlone ? '' : problemOf(control);
  place.textContent = problem;
  place.hidden = !problem;
  if (problem) control.setAttribute('aria-invalid', 'true');
  else control.removeAttribute('aria-invalid');
  return !problem;
}

const initial = new Map([...(form?.elements ?? [])].map((control) => [control, control.value]));

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
    if (isSent) {
      event.preventDefault();
    } else if (wrong.length) {
      event.preventDefault();
      wrong[0].focus();
    } else {
      isChanged = false;
      isSent = true;
    }
  });
  addEventListener('pageshow', () => (isSent = false));
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  addEventListener('beforeunload', (event) => isChanged && event.preventDefault());
}

// --- Relations and files ------------------------------------------------------------------------

for (const control of $$('input[data-finds]')) {
  const list = control.list;
  const called = list.nextElementSibling;
  let asked = 0;
  const name = () => {
    const option = [...list.options].find(({ value }) => value === control.value);
    called.textContent = option && option.label !== option.value ? option.label : '';
  };
  control.addEventListener('input', async () => {
    name();
    const round = (asked += 1);
    await sleep(200);
    if (round !== asked || (control.value && called.textContent)) return;
    const answer = await fetch(`${control.dataset.finds}?q=${encodeURIComponent(control.value)}`).catch(() => undefined);
    if (!answer?.ok || round !== asked) return;
    const options = (await answer.json()).map(({ value, label }) => Object.assign(document.createElement('option'), { value, label }));
    list.replaceChildren(...options);
    name();
  });
}

for (const upload of $$('.file-form')) {
  upload.addEventListener('submit', (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest();
    const bar = $('progress', upload);
    bar.hidden = false;
    request.upload.addEventListener('progress', ({ loaded, total }) => (bar.value = loaded / (total || 1)));
    request.addEventListener('load', () => {
      if (request.status < 400) return location.assign(request.responseURL);
      bar.hidden = true;
      const page = new DOMParser().parseFromString(request.responseText, 'text/html');
      const problem = Object.assign(document.createElement('p'), { className: 'problem', role: 'alert' });
      problem.textContent = $('main h1 + p', page)?.textContent ?? 'The file was not taken.';
      $('.problem', upload)?.remove();
      upload.append(problem);
    });
    request.addEventListener('error', () => upload.submit());
    request.open('POST', upload.action);
    request.setRequestHeader('Accept', 'text/html');
    request.send(new FormData(upload));
  });
}

// --- What is still to be done -------------------------------------------------------------------

const UNDER_WAY = ['pending', 'running'];

let isTouched = false;
addEventListener('input', () => (isTouched = true));

/** Loads the page again, unless somebody has begun something on it. */
function showAnew(notice) {
  if (!isTouched && !isTyping() && !$('dialog[open], [popover]:popover-open')) return location.reload();
  const link = Object.assign(document.createElement('a'), { href: location.href, textContent: 'Show how it is now', className: 'button' });
  notice.replaceChildren(link);
}

/** Counts down to when a change is done, and shows the page anew once it is. */
async function follow(change) {
  const until = Date.now() + Number(change.dataset.left);
  const countdown = $('.countdown', change);
  // Who listens has heard the time, and need not hear every second of it.
  countdown?.setAttribute('aria-hidden', 'true');
  for (let left = until - Date.now(); left > 0; left = until - Date.now()) {
    if (countdown) countdown.textContent = `in ${Math.ceil(left / 1000)} s`;
    await sleep(Math.min(left, 250));
  }
  if (countdown) countdown.textContent = 'now…';
  for (let round = 0; round < 120; round += 1) {
    await sleep(Math.min(300 + 100 * round, 2000));
    const answer = await fetch(`/data/-/changes/${change.dataset.change}/state`).catch(() => undefined);
    const state = answer?.ok ? (await answer.json()).state : answer?.status === 404 ? 'done' : 'pending';
    if (!UNDER_WAY.includes(state)) return showAnew(change);
  }
}

for (const change of $$('[data-change][data-left]')) follow(change);

/** Follows many changes, and shows the page anew when they are done. */
async function followAll(batch) {
  await sleep(Number(batch.dataset.left ?? 0));
  const bar = $('progress', batch);
  const words = $('p', batch);
  for (let round = 0; round < 3600; round += 1) {
    const answer = await fetch(`/data/-/batches/${batch.dataset.batch}/state`).catch(() => undefined);
    if (answer?.status === 404) return;
    if (answer?.ok) {
      const { left, done, failed } = await answer.json();
      if (bar) [bar.max, bar.value] = [left + done + failed || 1, done + failed];
      words.textContent = [`${done} done`, `${left} left`, failed && `${failed} did not work out`].filter(Boolean).join(' · ');
      if (left === 0) return showAnew(batch);
    }
    await sleep(500);
  }
}

for (const batch of $$('[data-batch]')) followAll(batch);

// --- Choosing rows ------------------------------------------------------------------------------

const rows = $('.bulk-form');
if (rows) {
  const boxes = $$('tbody input[name=id]', rows);
  const all = $('input[name=all]', rows);
  const every = Object.assign(document.createElement('input'), { type: 'checkbox', title: 'Choose all on this page' });
  every.setAttribute('aria-label', 'Choose all on this page');
  $('thead .pick', rows)?.replaceChildren(every);
  let last;

  const show = () => {
    const count = boxes.filter((box) => box.checked).length;
    $('.bulk', rows).hidden = count === 0 && !all?.checked;
    $('.bulk-count', rows).textContent = all?.checked ? 'All:' : `${count} chosen:`;
    every.checked = count === boxes.length;
    every.indeterminate = count > 0 && count < boxes.length;
  };
  rows.addEventListener('click', ({ target, shiftKey }) => {
    const at = boxes.indexOf(target);
    if (at < 0) return;
    // Everything between the last one and this.
    if (shiftKey && last !== undefined) {
      for (const box of boxes.slice(Math.min(at, last), Math.max(at, last) + 1)) box.checked = target.checked;
    }
    last = at;
  });
  rows.addEventListener('change', ({ target }) => {
    if (target === every) boxes.forEach((box) => (box.checked = every.checked));
    show();
  });
  // A page that the browser kept has its boxes as they were.
  addEventListener('pageshow', show);
  show();
}

// Who fills in a field of many records means to change it, also while this script was on its way.
for (const field of $$('.bulk-field')) {
  const tick = () => ($('input[name=set]', field).checked = true);
  field.addEventListener('input', ({ target }) => target.name !== 'set' && tick());
  const isTyped = (it) => it.value !== (it.defaultValue ?? [...it.options].find((one) => one.defaultSelected)?.value ?? it.options[0]?.value);
  if ($$('input:not([type=checkbox], [type=hidden]), textarea, select', field).some(isTyped)) tick();
}

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
  x: () => document.activeElement?.closest('tr')?.querySelector('input[name=id]')?.click(),
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
