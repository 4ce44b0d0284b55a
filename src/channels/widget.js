// Breezeway's chat on any page:
// <script src="https://chat.example/widget.js" data-channel="web" data-token="…" async></script>
// Also: data-title, data-greeting, data-theme ("light", "dark"), data-side ("left").
(() => {
  const script = document.currentScript;
  const { channel, token, title = 'Chat', greeting = '', theme = '', side } = script.dataset;
  const { origin } = new URL(script.src);
  const key = `breezeway:${channel}`;
  const put = (element, style, rest) => {
    Object.assign(element.style, style);
    return Object.assign(element, rest);
  };
  const edge = side === 'left' ? 'left' : 'right';

  function visitor() {
    const fresh = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    try {
      if (!/^[0-9a-f]{32}$/.test(localStorage.getItem(key))) localStorage.setItem(key, fresh());
      return localStorage.getItem(key);
    } catch {
      return fresh();
    }
  }

  const button = put(document.createElement('button'), {
    position: 'fixed', bottom: '1rem', [edge]: '1rem', zIndex: 2147483646, minWidth: '3.5rem', height: '3.5rem',
    padding: '0 1.25rem', border: 0, borderRadius: '2rem', background: '#0b6670', color: '#fff',
    font: '600 1rem system-ui, sans-serif', boxShadow: '0 4px 16px #0004', cursor: 'pointer',
  }, { type: 'button', textContent: title });
  button.setAttribute('aria-expanded', 'false');
  let frame;

  function open() {
    if (!frame) {
      const asked = new URLSearchParams({ visitor: visitor(), title, greeting, theme });
      frame = put(document.createElement('iframe'), {
        position: 'fixed', bottom: '5.25rem', [edge]: '1rem', zIndex: 2147483647, width: 'min(26rem, calc(100vw - 2rem))',
        height: 'min(42rem, calc(100dvh - 6.5rem))', border: '1px solid #8884', borderRadius: '1rem',
        boxShadow: '0 8px 32px #0005', background: theme === 'dark' ? '#12181a' : '#fff', colorScheme: 'normal',
      }, { src: `${origin}/widget/${channel}?${asked}#${token}`, title, allow: 'microphone; clipboard-write' });
      document.body.append(frame);
    }
    show(true);
    frame.focus();
  }

  function show(is) {
    frame.style.display = is ? 'block' : 'none';
    button.setAttribute('aria-expanded', String(is));
  }

  function close() {
    show(false);
    button.focus();
  }

  button.onclick = () => (frame && frame.style.display !== 'none' ? close() : open());
  addEventListener('message', ({ source, origin: from, data }) => {
    if (frame && source === frame.contentWindow && from === origin && data === 'breezeway:close') close();
  });
  const start = () => document.body.append(button);
  document.body ? start() : addEventListener('DOMContentLoaded', start);
})();
