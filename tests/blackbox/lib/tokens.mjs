// Issuers: keys made by `sallyport key new` or by the jose package, tokens minted by either.
import assert from 'node:assert/strict';
import { createPrivateKey, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sallyport, temporary_folder } from './binary.mjs';

/** The foreign minter, and reader. */
export const jose = await import('jose');

export const now = () => Math.floor(Date.now() / 1000);

export class Issuer {
  /**
   * `made_by`: "sallyport" (asymmetric keys), "jose" (likewise), or "secret" (HS*).
   * `leeway` is what its verifier grants.
   */
  static async make({ alg = 'ES256', kid = 'k1', iss = 'https://id.example.test/', aud = 'chat',
                      leeway = '30s', made_by = alg.startsWith('HS') ? 'secret' : 'sallyport' } = {}) {
    const issuer = new Issuer();
    Object.assign(issuer, { alg, kid, iss, aud, leeway, made_by, folder: temporary_folder() });
    issuer.private_file = join(issuer.folder, 'key.pem');
    issuer.jwks_file = join(issuer.folder, 'jwks.json');
    issuer.secret_file = join(issuer.folder, 'secret');
    if (made_by === 'sallyport') {
      const made = await sallyport(['key', 'new', '--alg', alg, '--kid', kid,
                                    '--private', issuer.private_file, '--jwks', issuer.jwks_file]);
      assert.equal(made.code, 0, made.stderr);
      issuer.key = createPrivateKey(readFileSync(issuer.private_file));
    } else if (made_by === 'jose') {
      const pair = await jose.generateKeyPair(alg, { extractable: true });
      issuer.key = pair.privateKey;
      const jwk = { ...(await jose.exportJWK(pair.publicKey)), kid, alg, use: 'sig' };
      writeFileSync(issuer.jwks_file, JSON.stringify({ keys: [jwk] }));
    } else {
      issuer.key = randomBytes(64);
      writeFileSync(issuer.secret_file, issuer.key.toString('base64url'));
      issuer.key = Buffer.from(issuer.key.toString('base64url'));
    }
    return issuer;
  }

  /** Its section of the configuration. */
  verifier(more = {}) {
    return {
      type: 'jwt', issuer: this.iss, audience: [this.aud], algorithms: [this.alg],
      ...(this.made_by === 'secret' ? { secret_file: this.secret_file } : { jwks_file: this.jwks_file }),
      leeway: this.leeway, ...more,
    };
  }

  /**
   * A token signed by the jose package. `ttl` in seconds counts from now; every further member is a claim,
   * and one that is undefined is left out. `header` adds to the protected header.
   */
  async sign({ ttl = 300, ...claims } = {}, { header = {}, key = this.key } = {}) {
    const all = { iss: this.iss, aud: this.aud, sub: 'ada', iat: now(), exp: now() + ttl, ...claims };
    for (const name of Object.keys(all)) if (all[name] === undefined) delete all[name];
    const names = { alg: this.alg, ...(this.made_by === 'secret' ? {} : { kid: this.kid }), ...header };
    return new jose.SignJWT(all).setProtectedHeader(names).sign(key);
  }

  /** A token minted by the binary; `more` are further arguments. */
  async mint({ sub = 'ada', ttl, scope } = {}, more = []) {
    const key = this.made_by === 'secret' ? ['--secret-file', this.secret_file]
                                          : ['--key', this.private_file, '--kid', this.kid];
    const made = await sallyport(['token', 'mint', ...key, '--alg', this.alg, '--iss', this.iss,
                                  '--aud', this.aud, '--sub', sub,
                                  ...(ttl === undefined ? [] : [`--ttl=${ttl}`]),
                                  ...(scope === undefined ? [] : ['--scope', scope]), ...more]);
    assert.equal(made.code, 0, made.stderr);
    return made.stdout.trim();
  }
}

/** The token with one character of its signature changed. */
export function broken_signature(token) {
  const at = token.lastIndexOf('.') + 10;
  return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
}
