// A real OpenID provider for the tests, from npm `oidc-provider`: authorization code with PKCE,
// refresh tokens that rotate, and a whole family revoked when an old one comes back, which makes it
// an exact detector of a token that was refreshed twice.
//
// Environment: PORT, CLIENT_ORIGIN (Breezeway's address), ACCESS_TOKEN_LIFE (seconds).
// GET /test/stats tells how many tokens were issued, refreshed, refused and revoked.
// GET /test/mood?slow=MS&fail=STATUS makes its token endpoint slow, or answer that status.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const { PORT, CLIENT_ORIGIN, ACCESS_TOKEN_LIFE = '15' } = process.env;
const issuer = `http://localhost:${PORT}`;

const people = {
  nora: { name: 'Nora Quist', tenant_id: 'northwind', roles: ['admin'] },
  omar: { name: 'Omar Reyes', tenant_id: 'tailspin', roles: ['viewer'] },
};

const signingKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const stats = { issued: 0, refreshed: 0, refused: 0, revoked: 0 };
let mood = { slow: 0, fail: 0 };

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'breezeway',
      client_secret: 'only-for-tests',
      redirect_uris: [`${CLIENT_ORIGIN}/auth/callback`],
      post_logout_redirect_uris: [CLIENT_ORIGIN],
      backchannel_logout_uri: `${CLIENT_ORIGIN}/auth/backchannel-logout`,
      backchannel_logout_session_required: true,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    },
  ],
  jwks: { keys: [{ ...signingKey, kid: 'test', use: 'sig', alg: 'RS256' }] },
  cookies: { keys: [randomBytes(16).toString('hex')] },
  claims: { openid: ['sub'], profile: ['name', 'tenant_id', 'roles'] },
  conformIdTokenClaims: false,
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  pkce: { required: () => true },
  rotateRefreshToken: () => true,
  issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
  ttl: {
    AccessToken: Number(ACCESS_TOKEN_LIFE),
    AuthorizationCode: 60,
    Grant: 3600,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 3600,
    Session: 3600,
  },
  // It would not call loopback, where everything is here.
  fetch: (url, { dispatcher: _guard, ...options }) => fetch(url, options),
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      postLogoutSuccessSource: (context) => {
        context.body = page('Signed out', '');
      },
      logoutSource: (context, form) => {
        context.body = page('Sign out', `${form}<button form="op.logoutForm" name="logout" value="yes">End my session</button>`);
      },
    },
  },
  renderError: (context, out) => {
    context.type = 'text/plain';
    context.body = `${out.error}: ${out.error_description}`;
  },
});

// Where Breezeway lets people land after signing out is its own affair, as long as it is its own.
provider.Client.prototype.postLogoutRedirectUriAllowed = (uri) => new URL(uri).origin === CLIENT_ORIGIN;

provider.on('grant.success', (context) => {
  stats[context.oidc.params.grant_type === 'refresh_token' ? 'refreshed' : 'issued'] += 1;
});
provider.on('grant.error', () => (stats.refused += 1));
provider.on('refresh_token.destroyed', () => (stats.revoked += 1));

const page = (title, body) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><link rel="icon" href="data:,"><h1>${title}</h1>${body}`;

const forms = {
  login: Object.entries(people)
    .map(([id, { name }]) => `<button name="account" value="${id}">${name}</button>`)
    .join(' '),
  consent: '<button name="consent" value="yes">Allow</button>',
};

async function readForm(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return new URLSearchParams(text);
}

/** What the form's buttons mean: who it is, or that the application may have what it asked for. */
async function outcome(request, { params, session }) {
  const form = await readForm(request);
  if (form.has('cancel')) return { error: 'access_denied', error_description: 'The sign-in was cancelled.' };
  if (form.has('account')) return { login: { accountId: form.get('account') } };
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return { consent: { grantId: await grant.save() } };
}

async function interact(request, response) {
  const details = await provider.interactionDetails(request, response);
  if (request.method === 'POST') {
    const result = await outcome(request, details);
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
  }
  response.setHeader('content-type', 'text/html');
  const cancel = '<button name="cancel" value="yes">Cancel</button>';
  response.end(page('Test sign-in', `<form method="post">${forms[details.prompt.name]} ${cancel}</form>`));
}

const oidc = provider.callback();
createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, issuer);
  if (pathname === '/test/stats') return response.end(JSON.stringify(stats));
  if (pathname === '/test/mood') {
    mood = { slow: Number(searchParams.get('slow')), fail: Number(searchParams.get('fail')) };
    return response.end();
  }
  if (pathname === '/token' && mood.fail) {
    response.statusCode = mood.fail;
    return response.end('<h1>down for maintenance</h1>');
  }
  if (pathname === '/token' && mood.slow) return setTimeout(() => oidc(request, response), mood.slow);
  if (!pathname.startsWith('/interaction/')) return oidc(request, response);
  interact(request, response).catch((error) => {
    response.statusCode = 400;
    response.end(String(error));
  });
}).listen(Number(PORT), '127.0.0.1', () => console.log(`identity provider at ${issuer}`));
