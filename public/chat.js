// What a chat page does that needs a browser and no conversation: the clock, the clipboard, the voice,
// the keyboard. It reads the document and never owns it; without it every page still works.

const $ = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => root.querySelectorAll(selector);
const $$ = (selector, root = document) => [...all(selector, root)];
const root = document.documentElement;
const composer = () => $('#composer textarea');
/** What this browser keeps; nothing, where it keeps nothing within another site's page. */
const storage = (() => {
  try {
    return window.localStorage;
  } catch {
    return undefined;
  }
})();
const mac = /Mac|iP/.test(navigator.platform);

// --- Clocks -----------------------------------------------------------------------------------

// The server groups conversations by the reader's days.
document.cookie = `tz=${Intl.DateTimeFormat().resolvedOptions().timeZone}; path=/; max-age=31536000; samesite=lax`;

function localise(root) {
  for (const time of all('time[datetime]:not([title])', root)) {
    const at = new Date(time.dateTime);
    const today = at.toDateString() === new Date().toDateString();
    time.title = at.toLocaleString();
    time.textContent = at.toLocaleString([], today
      ? { hour: 'numeric', minute: '2-digit' }
      : { day: 'numeric', month: 'short', hour: 'numeric', minute: '2-digit' });
  }
}

function countDown() {
  for (const time of all('time[data-until]')) {
    const seconds = Math.ceil((time.dataset.until - Date.now()) / 1000);
    time.textContent = seconds > 0 ? `in ${seconds} s` : 'now';
  }
}

// --- The clipboard ----------------------------------------------------------------------------

const messageOf = (element) => element.closest('.message').id.slice(2);

async function textOf(message) {
  const answer = await fetch(`/api/chat/messages/${message}`);
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.text();
}

/** Some browsers let a page write only at once, so they are promised a text that is on its way. */
async function copy(text, button) {
  let words = 'Copied';
  try {
    if (window.ClipboardItem) {
      const blob = Promise.resolve(text).then((text) => new Blob([text], { type: 'text/plain' }));
      await navigator.clipboard.write([new ClipboardItem({ 'text/plain': blob })]);
    } else {
      await navigator.clipboard.writeText(await text);
    }
  } catch {
    words = 'Not copied';
  }
  button.dataset.said = words;
  say(words);
  setTimeout(() => delete button.dataset.said, 2000);
}

function say(words) {
  const status = $('#said');
  status.textContent = '';
  requestAnimationFrame(() => { status.textContent = words; });
}

function equip(figure) {
  if ($('[data-do]', figure)) return;
  const caption = $('figcaption', figure) ?? figure.insertBefore(document.createElement('figcaption'), figure.firstChild);
  caption.append(act('wrap', 'Wrap lines'), act('copy-code', 'Copy code'));
}

function act(what, words) {
  const button = document.createElement('button');
  Object.assign(button, { type: 'button', className: 'act', title: words, textContent: words });
  button.dataset.do = what;
  return button;
}

// --- The voice --------------------------------------------------------------------------------

const Recognition = window.SpeechRecognition ?? window.webkitSpeechRecognition;
let listening;

function speak(button) {
  const wasSpeaking = button.ariaPressed === 'true';
  speechSynthesis.cancel();
  for (const other of all('[data-do=speak][aria-pressed=true]')) other.ariaPressed = 'false';
  if (wasSpeaking) return;
  const body = $('.markdown', button.closest('.message')).cloneNode(true);
  for (const cell of all('td, th', body)) cell.append('. ');
  for (const unspoken of all('.code, figcaption, details, .step, .proposal', body)) unspoken.remove();
  const utterance = new SpeechSynthesisUtterance(body.textContent);
  utterance.onend = utterance.onerror = () => { button.ariaPressed = 'false'; };
  button.ariaPressed = 'true';
  speechSynthesis.speak(utterance);
}

function dictate(button) {
  if (listening) return listening.stop();
  const before = composer().value;
  listening = new Recognition();
  Object.assign(listening, { continuous: true, interimResults: true, lang: navigator.language });
  listening.onresult = ({ results }) => {
    const said = [...results].map(([best]) => best.transcript).join('');
    write(before && !/\s$/.test(before) ? `${before} ${said}` : before + said);
  };
  listening.onerror = ({ error }) => say(error === 'not-allowed' ? 'The microphone is not allowed.' : 'Nothing was heard.');
  listening.onend = () => {
    listening = undefined;
    button.ariaPressed = 'false';
  };
  button.ariaPressed = 'true';
  listening.start();
}

// --- The composer -----------------------------------------------------------------------------

function write(text) {
  const field = composer();
  field.value = text;
  field.dispatchEvent(new Event('input', { bubbles: true }));
}

async function quote(link) {
  const selection = getSelection();
  const message = link.closest('.message');
  const selected = message.contains(selection.anchorNode) ? selection.toString().trim() : '';
  const text = selected || (await textOf(messageOf(link))).trim();
  const before = composer().value.trim();
  write(`${before ? `${before}\n\n` : ''}${text.replace(/^/gm, '> ')}\n\n`);
  composer().focus();
}

// --- Saved prompts ----------------------------------------------------------------------------

const prompts = $('#prompts');
const offered = () => $$('li:not([hidden])', prompts);

function offer() {
  const [, typed] = /^\/([^\s/]*)$/.exec(composer().value) ?? [];
  for (const one of $$('li', prompts)) one.hidden = typed === undefined || !one.dataset.name.startsWith(typed.toLowerCase());
  const { hidden } = prompts;
  prompts.hidden = offered().length === 0;
  point(0);
  if (hidden && !prompts.hidden) say(`Saved prompts: ${offered().length}. Choose with the arrows.`);
}

function point(index) {
  const list = offered();
  const at = list.length && (index + list.length) % list.length;
  for (const [place, one] of list.entries()) one.ariaSelected = String(place === at);
  if (list.length) composer().setAttribute('aria-activedescendant', list[at].id);
  else composer().removeAttribute('aria-activedescendant');
  list[at]?.scrollIntoView({ block: 'nearest' });
}

function take(prompt) {
  write(prompt.dataset.text);
  composer().focus();
}

/** Comes before the island, which would send the message. */
function onOffer(event) {
  if (event.target !== composer() || prompts.hidden || event.shiftKey || event.isComposing) return;
  const list = offered();
  const at = list.findIndex((one) => one.ariaSelected === 'true');
  if (event.key === 'ArrowDown') point(at + 1);
  else if (event.key === 'ArrowUp') point(at - 1);
  else if (event.key === 'Enter' || event.key === 'Tab') take(list[at]);
  else if (event.key === 'Escape') prompts.hidden = true;
  else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

if (prompts) {
  document.addEventListener('keydown', onOffer, true);
  document.addEventListener('input', ({ target }) => {
    if (target === composer()) offer();
  });
  prompts.addEventListener('mousedown', (event) => {
    event.preventDefault();
    const prompt = event.target.closest('li');
    if (prompt && event.button === 0) take(prompt);
  });
  for (const type of ['focusout', 'submit']) document.addEventListener(type, () => { prompts.hidden = true; });
}

// --- Files ------------------------------------------------------------------------------------

const picker = $('#composer input[type=file]');
const chips = $('#files');

const inBytes = (size) => size < 1e6 ? `${Math.ceil(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`;

/** Whether a file may be one of the kinds; the server looks at what it really is. */
function mayBe(file, kinds) {
  if (!file.type) return true;
  return kinds.some((kind) => kind === '*/*' || (kind.endsWith('/*') ? file.type.startsWith(kind.slice(0, -1)) : kind === file.type))
    || (kinds.includes('text/*') && /json|xml|javascript|csv/.test(file.type));
}

function chip(file) {
  const item = document.createElement('li');
  const remove = act('remove-file', 'Remove');
  remove.ariaLabel = `Remove ${file.name}`;
  remove.textContent = '×';
  const name = document.createElement('span');
  name.textContent = file.name;
  name.dir = 'auto';
  const note = document.createElement('small');
  note.textContent = inBytes(file.size);
  if (/^image\/(png|jpeg|gif|webp)$/.test(file.type)) {
    const picture = document.createElement('img');
    picture.src = URL.createObjectURL(file);
    picture.alt = '';
    picture.onload = () => URL.revokeObjectURL(picture.src);
    item.append(picture);
  }
  item.append(name, note, remove);
  chips.append(item);
  return item;
}

function refuse(item, words) {
  item.dataset.state = 'refused';
  $('small', item).textContent = words;
  say(`${$('span', item).textContent}: ${words}`);
}

/** One after the other: browsers have few connections, and the reply wants one. */
let queue = Promise.resolve();

function add(files) {
  const [largest, many] = picker.dataset.most.split(' ').map(Number);
  const kinds = picker.accept.split(',');
  for (const file of files) {
    const item = chip(file);
    if ($$('li:not([data-state=refused])', chips).length > many) refuse(item, `at most ${many} files`);
    else if (file.size > largest) refuse(item, `too large, at most ${inBytes(largest)}`);
    else if (!mayBe(file, kinds)) refuse(item, `not one of ${kinds.join(', ')}`);
    else {
      item.dataset.state = 'waiting';
      queue = queue.then(() => upload(file, item));
    }
  }
  composer().focus();
}

function upload(file, item) {
  if (!item.isConnected) return undefined;
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    item.request = request;
    request.upload.onprogress = ({ loaded, total }) => {
      item.style.setProperty('--done', loaded / total);
      $('small', item).textContent = `${Math.floor((100 * loaded) / total)} %`;
    };
    request.onloadend = () => {
      if (request.status === 201) keep(item, JSON.parse(request.responseText));
      else if (item.isConnected) refuse(item, wrong(request));
      done();
    };
    const assistant = $('.picker')?.value ?? '';
    request.open('POST', `/api/chat/files?${new URLSearchParams({ name: file.name, assistant })}`);
    request.send(file);
  });
}

function wrong(request) {
  try {
    return JSON.parse(request.responseText).error;
  } catch {
    return 'did not arrive; add it again';
  }
}

function keep(item, { id, size }) {
  item.dataset.state = 'here';
  $('small', item).textContent = inBytes(size);
  const field = document.createElement('input');
  Object.assign(field, { type: 'hidden', name: 'file', value: id });
  item.append(field);
}

function remove(button) {
  const item = button.closest('li');
  item.remove();
  item.request?.abort();
  const id = $('input', item)?.value;
  if (id) fetch(`/api/chat/files/${id}`, { method: 'DELETE' });
  composer().focus();
}

/** A message waits for its files. */
function onSubmit(event) {
  if (event.target.id !== 'composer') return;
  if (listening) {
    listening.onresult = null;
    listening.stop();
  }
  if (!chips) return;
  const waiting = $$('[data-state=waiting]', chips);
  if (waiting.length === 0) {
    for (const item of $$('[data-state=refused]', chips)) item.remove();
    return;
  }
  event.preventDefault();
  event.stopImmediatePropagation();
  say('The message is sent when its files have arrived.');
  queue.then(() => {
    // One that was refused meanwhile is for the person to see, and to decide.
    if (waiting.every((item) => item.dataset.state === 'here' || !item.isConnected)) $('#composer').requestSubmit();
    else say('A file did not arrive. The message was not sent.');
  });
}

function takesFiles(transfer) {
  return picker?.accept && [...(transfer?.types ?? [])].includes('Files');
}

function onDrag(event) {
  if (!takesFiles(event.dataTransfer)) return;
  event.preventDefault();
  $('.conversation').toggleAttribute('data-dropping', event.type === 'dragover');
  if (event.type === 'drop') add(event.dataTransfer.files);
}

function onPaste(event) {
  if (!takesFiles(event.clipboardData) || event.clipboardData.types.includes('text/plain')) return;
  event.preventDefault();
  add(event.clipboardData.files);
}

// --- The keyboard -----------------------------------------------------------------------------

const follow = (selector) => $(selector)?.click();
const open = (id) => {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  dialog.showModal();
  if (id === 'palette') {
    $('input', dialog).value = '';
    narrow('');
  }
};

function onKey(event) {
  const typing = event.target.closest('input, textarea, select, [contenteditable]');
  const command = mac ? event.metaKey : event.ctrlKey;
  const alone = !typing && !command && $('#single-keys')?.checked;
  const key = event.key.toLowerCase();
  let action;
  if (command && !event.shiftKey && key === 'k') action = () => open('palette');
  else if (command && event.shiftKey && key === 'o') action = () => follow('.sidebar-head a');
  else if (command && event.shiftKey && event.code === 'Semicolon') action = () => $$('.message[data-role=assistant] [data-do=copy]').at(-1)?.click();
  else if (alone && event.key === '?') action = () => open('shortcuts');
  else if (alone && event.key === '/') action = () => composer().focus();
  else if (event.key === 'ArrowUp' && event.target === composer() && !composer().value) action = () => $$('.message[data-role=user] a[href^="?edit="]').filter((link) => link.checkVisibility()).at(-1)?.click();
  if (!action || event.defaultPrevented) return;
  event.preventDefault();
  action();
}

/** What Esc closes it closes, and stops nothing besides. */
function onEscape(event) {
  if (event.key === 'Escape' && $('dialog[open], :popover-open')) event.stopPropagation();
}

/** On glass the key that ends a line ends a line; sending has a button. */
function onGlass(event) {
  const ends = event.key === 'Enter' && !event.shiftKey && !event.ctrlKey && !event.metaKey;
  if (ends && event.target === composer() && matchMedia('(pointer: coarse)').matches) event.stopImmediatePropagation();
}

let focused;

/** What is told anew takes its buttons along; whoever was on one of them is on its successor. */
function keepFocus() {
  if (!focused || document.activeElement !== document.body || focused.element.isConnected) return;
  const message = document.getElementById(focused.message);
  const there = $$('.act:not(:disabled)', message ?? turns).filter((one) => one.checkVisibility());
  const again = there.find(({ title }) => title === focused.title);
  (again ?? there[0] ?? composer())?.focus({ preventScroll: true });
}

// --- The palette ------------------------------------------------------------------------------

let asked = 0;

async function look(words) {
  const number = ++asked;
  const answer = await fetch(`/chat/find?q=${encodeURIComponent(words)}`);
  if (number !== asked || !answer.ok) return;
  $('#palette .found').innerHTML = await answer.text();
  choose(0);
}

const choices = () => $$('#palette a, #palette .commands button').filter((one) => !one.hidden);

function choose(index) {
  const list = choices();
  for (const one of list) one.removeAttribute('data-chosen');
  const one = list.at(index % Math.max(list.length, 1));
  one?.setAttribute('data-chosen', '');
  // Nothing outside of an open dialog is spoken.
  $('#palette [role=status]').textContent = one ? `${one.textContent.trim()}, ${list.indexOf(one) + 1} of ${list.length}` : 'Nothing found';
  one?.scrollIntoView({ block: 'nearest' });
}

function onPalette(event) {
  if (event.isComposing || !event.target.matches('input')) return;
  const list = choices();
  const at = list.findIndex((one) => one.hasAttribute('data-chosen'));
  if (event.key === 'ArrowDown') choose(at + 1);
  else if (event.key === 'ArrowUp') choose(at - 1);
  else if (event.key === 'Enter') list[at]?.click();
  else return;
  event.preventDefault();
}

let pause;

function narrow(words) {
  for (const one of all('#palette .commands button')) {
    const needs = ['rename', 'export'].includes(one.dataset.command) && !conversation();
    one.hidden = needs || !one.textContent.toLowerCase().includes(words.trim().toLowerCase());
  }
  // What was found for other words is not what is looked for now.
  $('#palette .found').textContent = '';
  choose(0);
  clearTimeout(pause);
  pause = setTimeout(look, 120, words);
}

const commands = {
  new: () => follow('.sidebar-head a'),
  rename: () => {
    $('#conversation-menu').showPopover();
    $('#conversation-title').focus();
    $('#conversation-title').select();
  },
  export: () => follow('[data-export=md]'),
  shortcuts: () => open('shortcuts'),
};

// --- Earlier messages -------------------------------------------------------------------------

/** The log is laid out from its end, so what is put above moves nothing. */
async function goBack(link) {
  if (link.ariaBusy === 'true') return;
  link.ariaBusy = 'true';
  const first = $('#turns > .message');
  const answer = await fetch(`/chat/older?before=${first.id.slice(2)}`).catch(() => undefined);
  link.ariaBusy = 'false';
  if (!answer?.ok) return;
  first.insertAdjacentHTML('beforebegin', await answer.text());
  if (answer.headers.get('breezeway-has-older') !== 'true') return link.remove();
  // Where all that came is still in view, the link is too, and tells nothing of itself again.
  nearby.unobserve(link);
  nearby.observe(link);
}

const nearby = new IntersectionObserver(
  (seen) => {
    for (const { isIntersecting, target } of seen) if (isIntersecting) goBack(target);
  },
  { root: $('.log'), rootMargin: '600px 0px' },
);

// --- The tab ----------------------------------------------------------------------------------

let unseen = false;
let wasWriting = false;

const conversation = () => $('#composer [name=conversation]')?.value;

function see() {
  if (document.hidden || !unseen) return;
  unseen = false;
  entitle();
  fetch('/api/fn/chat/see', { method: 'POST', body: new URLSearchParams({ conversation: conversation() }), headers: { accept: 'application/json' }, keepalive: true });
}

/** A dot while a reply is written, and a mark when one came that nobody has seen. */
function entitle() {
  const plain = document.title.replace(/^(● |\(1\) )/, '');
  const mark = wasWriting ? '● ' : unseen && document.hidden ? '(1) ' : '';
  if (document.title !== mark + plain) document.title = mark + plain;
}

function watchReplies() {
  const writing = Boolean(turns.lastElementChild?.hasAttribute('data-run'));
  if (wasWriting && !writing) unseen = true;
  wasWriting = writing;
  entitle();
  see();
}

// --- Waking up --------------------------------------------------------------------------------

/** A picture of another host is fetched when its reader asks for it, and not before. */
function showPicture(link) {
  const picture = document.createElement('img');
  Object.assign(picture, { src: link.href, alt: link.textContent, referrerPolicy: 'no-referrer' });
  picture.onerror = () => say('The picture could not be loaded.');
  link.replaceWith(picture);
}

const actions = {
  copy: (button) => copy(textOf(messageOf(button)), button),
  'copy-code': (button) => copy($('code', button.closest('figure')).textContent, button),
  wrap: () => {
    const wraps = root.classList.toggle('wraps');
    storage?.setItem('wraps', wraps ? '1' : '');
  },
  speak,
  dictate,
  quote,
  'remove-file': remove,
};

document.addEventListener('click', (event) => {
  const picture = event.target.closest('a.image');
  if (picture && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    showPicture(picture);
  }
  const target = event.target.closest('[data-do], [data-command]');
  if (target?.dataset.do in actions) {
    event.preventDefault();
    actions[target.dataset.do](target);
  } else if (target?.dataset.command) {
    target.closest('dialog').close();
    commands[target.dataset.command]();
  }
});
document.addEventListener('keydown', onKey);
document.addEventListener('visibilitychange', see);
document.addEventListener('visibilitychange', entitle);
document.addEventListener('keydown', onEscape, true);
document.addEventListener('keydown', onGlass, true);
document.addEventListener('focusin', ({ target }) => {
  focused = { element: target, message: target.closest('.message')?.id, title: target.title };
  if (!focused.message) focused = undefined;
  if (target.matches('[data-copy]')) target.select();
});

picker?.addEventListener('change', () => {
  add(picker.files);
  picker.value = '';
});
document.addEventListener('submit', onSubmit, true);
for (const type of ['dragover', 'dragleave', 'drop']) document.addEventListener(type, onDrag);
document.addEventListener('paste', onPaste);
$('.picker')?.addEventListener('change', ({ target }) => {
  if (!conversation()) location.assign(`/chat?assistant=${encodeURIComponent(target.value)}`);
});

root.classList.add('scripted');
root.classList.toggle('speaks', 'speechSynthesis' in window);
root.classList.toggle('listens', Boolean(Recognition));
root.classList.toggle('wraps', Boolean(storage?.getItem('wraps')));

function dress(element) {
  localise(element);
  if (element.matches('.code')) equip(element);
  for (const figure of all('.code', element)) equip(figure);
}

// Pages of earlier messages are for those without a script: with one they come by themselves.
if (new URLSearchParams(location.search).has('before')) location.replace(location.pathname);
const earlier = $('.older[href^="?before="]');
if (earlier) {
  nearby.observe(earlier);
  earlier.addEventListener('click', (event) => {
    event.preventDefault();
    goBack(earlier);
  });
}
const turns = $('#turns');
if (turns) {
  dress(turns);
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE) dress(node);
    }
    watchReplies();
    keepFocus();
  }).observe(turns, { childList: true, subtree: true, attributes: true, attributeFilter: ['data-run'] });
  new MutationObserver(entitle).observe($('title'), { childList: true });
  watchReplies();
  setInterval(countDown, 1000);
}
$('#palette input')?.addEventListener('input', ({ target }) => narrow(target.value));
$('#palette')?.addEventListener('keydown', onPalette);
const single = $('#single-keys');
if (single) {
  single.checked = !storage?.getItem('no-single-keys');
  single.addEventListener('change', () => storage?.setItem('no-single-keys', single.checked ? '' : '1'));
}
for (const key of all('[data-mac]')) if (mac) key.textContent = key.dataset.mac;
