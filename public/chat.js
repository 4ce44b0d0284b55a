// What a chat page does that needs a browser and no conversation: the clock, the clipboard, the voice,
// the keyboard. It reads the document and never owns it; without it every page still works.

const $ = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => root.querySelectorAll(selector);
const composer = () => $('#composer textarea');
const mac = /Mac|iP/.test(navigator.platform);

// --- Clocks -----------------------------------------------------------------------------------

// The server groups conversations by the reader's days.
document.cookie = `tz=${-new Date().getTimezoneOffset()}; path=/; max-age=31536000; samesite=lax`;

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
  for (const unspoken of all('.code, figcaption, details', body)) unspoken.remove();
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

// --- The keyboard -----------------------------------------------------------------------------

const follow = (selector) => $(selector)?.click();
const open = (id) => {
  const dialog = document.getElementById(id);
  if (dialog && !dialog.open) dialog.showModal();
};

function onKey(event) {
  const typing = event.target.closest('input, textarea, select, [contenteditable]');
  const command = mac ? event.metaKey : event.ctrlKey;
  const key = event.key.toLowerCase();
  let action;
  if (command && !event.shiftKey && key === 'k') action = () => open('palette');
  else if (command && event.shiftKey && key === 'o') action = () => follow('.sidebar-head a');
  else if (command && event.shiftKey && key === ';') action = () => [...all('.message[data-role=assistant] [data-do=copy]')].at(-1)?.click();
  else if (!typing && !command && event.key === '?') action = () => open('shortcuts');
  else if (!typing && !command && event.key === '/') action = () => composer().focus();
  else if (event.key === 'ArrowUp' && event.target === composer() && !composer().value) action = () => [...all('.message[data-role=user] a[href^="?edit="]')].at(-1)?.click();
  if (!action || event.defaultPrevented) return;
  event.preventDefault();
  action();
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

const choices = () => [...all('#palette a, #palette .commands button')].filter((one) => !one.hidden);

function choose(index) {
  const list = choices();
  for (const one of list) one.removeAttribute('data-chosen');
  const one = list.at(index % Math.max(list.length, 1));
  one?.setAttribute('data-chosen', '');
  one?.scrollIntoView({ block: 'nearest' });
}

function onPalette(event) {
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
    one.hidden = !one.textContent.toLowerCase().includes(words.trim().toLowerCase());
  }
  choose(0);
  clearTimeout(pause);
  pause = setTimeout(look, 120, words);
}

const commands = {
  new: () => follow('.sidebar-head a'),
  rename: () => {
    $('#conversation-menu').showPopover();
    $('#conversation-title').select();
  },
  export: () => follow('[data-export=md]'),
  shortcuts: () => open('shortcuts'),
};

// --- The tab ----------------------------------------------------------------------------------

let unseen = false;
let wasWriting = false;

const conversation = () => $('#composer [name=conversation]')?.value;

function see() {
  if (document.hidden || !unseen) return;
  unseen = false;
  entitle();
  fetch('/api/fn/chat/see', { method: 'POST', body: new URLSearchParams({ conversation: conversation() }), headers: { accept: 'application/json' } });
}

/** A dot while a reply is written, and a mark when one came that nobody has seen. */
function entitle() {
  const plain = document.title.replace(/^(● |\(1\) )/, '');
  const mark = wasWriting ? '● ' : unseen && document.hidden ? '(1) ' : '';
  if (document.title !== mark + plain) document.title = mark + plain;
}

function watchReplies() {
  const writing = Boolean($('#turns [data-run]'));
  if (wasWriting && !writing) unseen = true;
  wasWriting = writing;
  entitle();
  see();
}

// --- Waking up --------------------------------------------------------------------------------

const actions = {
  copy: (button) => copy(textOf(messageOf(button)), button),
  'copy-code': (button) => copy($('code', button.closest('figure')).textContent, button),
  wrap: () => {
    const wraps = document.documentElement.classList.toggle('wraps');
    localStorage.setItem('wraps', wraps ? '1' : '');
  },
  speak,
  dictate,
  quote,
};

document.addEventListener('click', (event) => {
  const target = event.target.closest('[data-do], [data-command]');
  if (target?.dataset.do in actions) {
    event.preventDefault();
    actions[target.dataset.do](target);
  } else if (target) {
    target.closest('dialog').close();
    commands[target.dataset.command]();
  }
});
document.addEventListener('keydown', onKey);
document.addEventListener('visibilitychange', see);
document.addEventListener('visibilitychange', entitle);
document.addEventListener('focusin', ({ target }) => {
  if (target.matches('[data-copy]')) target.select();
});

const root = document.documentElement;
root.classList.add('scripted');
root.classList.toggle('speaks', 'speechSynthesis' in window);
root.classList.toggle('listens', Boolean(Recognition));
root.classList.toggle('wraps', Boolean(localStorage.getItem('wraps')));

function take(element) {
  localise(element);
  if (element.matches('.code')) equip(element);
  for (const figure of all('.code', element)) equip(figure);
}

const turns = $('#turns');
if (turns) {
  take(turns);
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE) take(node);
    }
    watchReplies();
  }).observe(turns, { childList: true, subtree: true, attributes: true, attributeFilter: ['data-run'] });
  new MutationObserver(entitle).observe($('title'), { childList: true });
  watchReplies();
  setInterval(countDown, 1000);
}
$('#palette input')?.addEventListener('input', ({ target }) => narrow(target.value));
$('#palette')?.addEventListener('keydown', onPalette);
$('#palette')?.addEventListener('toggle', ({ newState }) => {
  if (newState === 'open') {
    $('#palette input').value = '';
    narrow('');
  }
});
for (const key of all('[data-mac]')) if (mac) key.textContent = key.dataset.mac;
