// A real OpenID provider on loopback: discovery, keys, JWT and opaque access tokens, introspection.
import { once } from 'node:events';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import http from 'node:http';

process.env.NODE_NO_WARNINGS ??= '1';
const { default: OpenIdProvider } = await import('oidc-provider');

/** A private JWK for signing, with a kid of its own. */
export function signing_key(kid = randomBytes(6).toString('hex')) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' };
}

const AUDIENCE = 'https://chat.example.test';

export class Provider {
  /** Listens on `port` (0: any). The same port later is the same issuer, with other keys if others are given. */
  static async start({ port = 0, keys = [signing_key()] } = {}) {
    const provider = new Provider();
    provider.requests = [];
    provider.server = http.createServer((request, response) => {
      provider.requests.push(`${request.method} ${request.url}`);
      if (provider.fault) return provider.fault(request, response);
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
      ],
      clientDefaults: { id_token_signed_response_alg: 'ES256' },
      scopes: ['openid', 'chat'],
      enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
      ttl: { ClientCredentials: 600, AccessToken: 600 },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        introspection: { enabled: true, allowedPolicy: () => true },
        revocation: { enabled: true },
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
export { AUDIENCE };
