// Runs in a widget's frame before anything else: who asks is said in a header, since a frame on
// another site has no cookies. The token is in the fragment, which is in nobody's log.
(() => {
  const address = new URL(location);
  const token = address.hash.slice(1);
  const visitor = address.searchParams.get('visitor');
  const theme = address.searchParams.get('theme');
  if (theme) document.documentElement.style.colorScheme = theme;

  const plain = window.fetch.bind(window);
  window.fetch = (input, init) => {
    const request = new Request(input, init);
    if (new URL(request.url).origin === location.origin) {
      request.headers.set('authorization', `Bearer ${token}`);
      request.headers.set('breezeway-visitor', visitor);
    }
    return plain(request);
  };

  const close = () => parent.postMessage('breezeway:close', '*');
  document.addEventListener('click', ({ target }) => {
    if (target.closest('[data-close]')) close();
    const link = target.closest('a[href^="/widget/"]');
    if (link) link.hash = token;
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !document.querySelector('#turns [data-run]')) close();
  });
})();
