// A real OpenID provider on loopback: discovery, keys, JWT and opaque access tokens, introspection, people who sign in
// and out.
import { once } from 'node:events';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import http from 'node:http';

process.env.NODE_NO_WARNINGS ??= '1';
const { default: OpenIdProvider } = await import('oidc-provider');

/** A private JWK for signing, with a kid of its own. */
export function signing_key(kid = randomBytes(6).toString('hex')) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' };
}

const AUDIENCE = 'https://chat.example.test';
export const CLIENT = 'web';
const RETURN = 'https://app.example.test/signed-in';

export class Provider {
  /** Listens on `port` (0: any). The same port later is the same issuer, with other keys if others are given. */
  static async start({ port = 0, keys = [signing_key()] } = {}) {
    const provider = new Provider();
    provider.requests = [];
    provider.server = http.createServer((request, response) => {
      provider.requests.push(`${request.method} ${request.url}`);
      if (provider.fault) return provider.fault(request, response);
      if (request.url.startsWith('/interaction/')) {
        return provider.#sign_in_page(request, response).catch((error) => response.writeHead(500).end(String(error)));
      }
      return provider.handler(request, response);
    });
    provider.server.listen(port, '127.0.0.1');
    await once(provider.server, 'listening');
    provider.port = provider.server.address().port;
    provider.issuer = `http://127.0.0.1:${provider.port}`;
    provider.rotate(keys);
    return provider;
  }

  /** From now on these keys are published, and the first of them signs. */
  rotate(keys) {
    this.keys = keys;
    this.oidc = new OpenIdProvider(this.issuer, {
      jwks: { keys },
      clients: [
        { client_id: 'machine', client_secret: 'machine-secret', redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
        { client_id: 'sallyport', client_secret: 'introspection-secret', redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
        { client_id: CLIENT, client_secret: 'web-secret', redirect_uris: [RETURN], ...this.logout },
      ],
      clientDefaults: { id_token_signed_response_alg: 'ES256' },
      scopes: ['openid', 'chat'],
      enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
      ttl: { ClientCredentials: 600, AccessToken: 600 },
      cookies: { keys: [randomBytes(16).toString('hex')] },
      extraTokenClaims: (context, token) => (token.sid ? { sid: token.sid } : undefined),
      loadExistingGrant: async (context) => {
        const grant = new this.oidc.Grant({ accountId: context.oidc.session.accountId, clientId: context.oidc.client.clientId });
        grant.addOIDCScope('openid chat');
        grant.addResourceScope(AUDIENCE, 'chat');
        await grant.save();
        return grant;
      },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        introspection: { enabled: true, allowedPolicy: () => true },
        revocation: { enabled: true },
        backchannelLogout: { enabled: true },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => [],
          useGrantedResource: () => true,
          getResourceServerInfo: () => ({ scope: 'chat', audience: AUDIENCE, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
        },
      },
    });
    this.handler = this.oidc.callback();
  }

  /** Ends of logins are told to `url`, with a `sid` unless told otherwise. Before anybody signs in. */
  tell_logouts(url, { session = true } = {}) {
    this.logout = { backchannel_logout_uri: url, backchannel_logout_session_required: session };
    this.rotate(this.keys);
    this.told = [];
    this.oidc.on('backchannel.success', (context, client, account, sid) => this.told.push({ account, sid }));
    this.oidc.on('backchannel.error', (context, error, client, account, sid) => this.told.push({ account, sid, error: error.message }));
  }

  // Believes everybody: whoever the client says is about to sign in has done so.
  async #sign_in_page(request, response) {
    const { params, prompt } = await this.oidc.interactionDetails(request, response);
    if (prompt.name !== 'login') throw new Error(JSON.stringify(prompt));
    await this.oidc.interactionFinished(request, response, { login: { accountId: params.login_hint } });
  }

  /** A browser in which somebody signs in, as often as they like within one session of the provider's. */
  browser() { return new Browser(this); }

  async #token(body) {
    const answer = await fetch(`${this.issuer}/token`, {
      method: 'POST', body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'chat', ...body }),
      headers: { Authorization: `Basic ${Buffer.from('machine:machine-secret').toString('base64')}` },
    });
    const json = await answer.json();
    if (!json.access_token) throw new Error(JSON.stringify(json));
    return json.access_token;
  }
  /** An access token in JWT form for AUDIENCE. */
  jwt() { return this.#token({ resource: AUDIENCE }); }
  /** An opaque one. */
  opaque() { return this.#token({}); }

  async revoke(token) {
    await fetch(`${this.issuer}/token/revocation`, {
      method: 'POST', body: new URLSearchParams({ token }),
      headers: { Authorization: `Basic ${Buffer.from('machine:machine-secret').toString('base64')}` },
    });
  }

  count(path) { return this.requests.filter((request) => request.split(/[ ?]/)[1] === path).length; }

  async stop() {
    this.server.closeAllConnections();
    if (this.server.listening) await new Promise((resolve) => this.server.close(resolve));
  }
}

class Browser {
  constructor(provider) {
    this.provider = provider;
    this.cookies = new Map();
  }

  async #ask(url, options = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(new URL(url, this.provider.issuer), { redirect: 'manual', ...options, headers: { ...options.headers, Cookie: cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      if (value === '') this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return answer;
  }

  /** Signs in: an access token in JWT form for AUDIENCE, and the ID token. */
  async sign_in(account) {
    const verifier = randomBytes(32).toString('base64url');
    let url = `/auth?${new URLSearchParams({
      client_id: CLIENT, response_type: 'code', scope: 'openid chat', resource: AUDIENCE, redirect_uri: RETURN, login_hint: account,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256' })}`;
    for (let turns = 0; !url.startsWith(RETURN) && turns < 10; ++turns) {
      const answer = await this.#ask(url);
      url = answer.headers.get('location');
      if (!url) throw new Error(`${answer.status}: ${await answer.text()}`);
    }
    const code = new URL(url).searchParams.get('code');
    if (!code) throw new Error(url);
    const answer = await fetch(`${this.provider.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: RETURN, code_verifier: verifier, resource: AUDIENCE }),
      headers: { Authorization: `Basic ${Buffer.from(`${CLIENT}:web-secret`).toString('base64')}` },
    });
    const json = await answer.json();
    if (!json.access_token) throw new Error(JSON.stringify(json));
    return { access: json.access_token, id: json.id_token };
  }

  /** Signs out at the provider, which says so to whoever it was told to. */
  async sign_out() {
    const page = await (await this.#ask(`/session/end?client_id=${CLIENT}`)).text();
    const xsrf = page.match(/name="xsrf" value="([^"]+)"/)[1];
    const answer = await this.#ask('/session/end/confirm', { method: 'POST', body: new URLSearchParams({ xsrf, logout: 'yes' }) });
    if (answer.status >= 400) throw new Error(`${answer.status}: ${await answer.text()}`);
  }
}
export { AUDIENCE };
