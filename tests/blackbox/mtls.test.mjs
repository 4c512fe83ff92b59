// Mutual TLS: client certificates as a credential of their own, and as what a token is bound to (RFC 8705).
import assert from 'node:assert/strict';
import { X509Certificate, createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { run, sallyport, temporary_folder } from './lib/binary.mjs';
import { make_ca, make_client } from './lib/ca.mjs';
import { Client, attempt, outcome } from './lib/client.mjs';
import { Raw, bearer, upgrade } from './lib/raw.mjs';
import { Server, configuration, echo } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { toml } from './lib/toml.mjs';
import { eventually, sleep } from './lib/wait.mjs';

const URI = 'spiffe://example.test/ada';

let issuer;
let files;
let stranger;
let ada;
let bob;
let server;   // asks for a certificate
let strict;   // insists on one

const machines = { type: 'certificate' };
const with_ready = { protocols: ['sallyport.v1'] };

before(async () => {
  issuer = await Issuer.make({ leeway: '1s' });
  files = await make_ca();
  stranger = await make_ca();
  ada = await make_client(files, { san: `URI:${URI}`, cn: 'Ada' });
  bob = await make_client(files, { san: 'URI:spiffe://example.test/bob,DNS:Bob.Example.test,email:bob@example.test', cn: 'Bob' });
  const base = { certificate: files.certificate, key: files.key, client_ca: files.ca };
  const by = (subject) => ({ type: 'certificate', subject });
  const only = (path, name, more = {}) => echo(path, { verifiers: [name], credentials: ['certificate'], ...more });
  server = await Server.start({
    issuer,
    verifiers: { machines, dns: by('san_dns'), email: by('san_email'), cn: by('cn') },
    tls: { ...base, client_certificate: 'optional' },
    routes: [
      only('/machines', 'machines', { origins: ['https://app.example.test'] }), only('/dns', 'dns'), only('/email', 'email'),
      only('/cn', 'cn'),
      echo('/token', { credentials: ['header', 'first_message'] }),
      echo('/either', { verifiers: ['main', 'machines'], credentials: ['header', 'certificate'] }),
    ],
  });
  strict = await Server.start({
    issuer, verifiers: { machines }, tls: { ...base, client_certificate: 'required' },
    routes: [only('/machines', 'machines'), echo('/token')],
  });
});
after(async () => {
  await server?.stop();
  await strict?.stop();
});

const ca = () => readFileSync(files.ca);
const as = (client, more = {}) => ({ ca: ca(), cert: client?.cert, key: client?.key, ...more });

/** What the server says of itself to whoever opens with that certificate. */
async function ready(path, client, more = {}) {
  const opened = await Client.open(server, path, as(client, { ...with_ready, ...more }));
  const message = await opened.of_type('ready');
  opened.terminate();
  return message;
}

/** "refused" if the TLS handshake or, as TLS 1.3 has it, the first read after it fails; otherwise the HTTP status. */
async function reach(target, path, client, more = {}) {
  try {
    return await outcome(target, path, as(client, more));
  } catch (error) {
    assert.match(String(error.code ?? error), /ERR_SSL|ECONNRESET|EPROTO|EPIPE|socket hang up/i);
    return 'refused';
  }
}

describe('a certificate as the credential', { concurrency: 4 }, () => {
  test('opens, and its URI is the subject until it ends', async () => {
    const message = await ready('/machines', ada);
    assert.equal(message.subject, URI);
    assert.equal(message.expires_at, ada.ends);
    const opened = await Client.open(server, '/machines', as(ada));
    await opened.echo('hello');
    opened.terminate();
    const entry = await server.event('ws.open', (event) => event.subject === URI);
    assert.equal(entry.issuer, 'machines');
    assert.equal(entry.credential, 'certificate');
  });

  test('may be named by its host name, its address or its common name', async () => {
    assert.equal((await ready('/dns', bob)).subject, 'bob.example.test');
    assert.equal((await ready('/email', bob)).subject, 'bob@example.test');
    assert.equal((await ready('/cn', bob)).subject, 'Bob');
  });

  test('is missed with 401 where it is optional and none came', async () => {
    const { refused } = await attempt(server, '/machines', { ca: ca() });
    assert.equal(refused.status, 401);
    assert.equal(refused.reason, 'missing_credentials');
  });

  test('of another authority never gets to a request', async () => {
    const foreign = await make_client(stranger, { san: `URI:${URI}` });
    const named_alike = { ...foreign };
    for (const target of [server, strict]) {
      assert.equal(await reach(target, '/machines', named_alike), 'refused');
      assert.equal(await reach(target, '/token', named_alike, { token: await issuer.sign() }), 'refused');
    }
  });

  test('that has ended, or not begun, never gets to a request', async () => {
    const late = await make_client(files, { san: `URI:${URI}`, begins: -7200, ends: -3600 });
    const early = await make_client(files, { san: `URI:${URI}`, begins: 3600, ends: 7200 });
    for (const target of [server, strict]) {
      assert.equal(await reach(target, '/machines', late), 'refused');
      assert.equal(await reach(target, '/machines', early), 'refused');
      await target.event('tls.handshake_failed', (entry) => entry.detail.includes('expired'));
      await target.event('tls.handshake_failed', (entry) => entry.detail.includes('not yet valid'));
    }
  });

  test('for servers is none for clients', async () => {
    const wrong = await make_client(files, { san: `URI:${URI}`, usage: 'serverAuth' });
    assert.equal(await reach(server, '/machines', wrong), 'refused');
  });

  test('with two URIs, or none, is nobody', async () => {
    for (const san of ['URI:spiffe://example.test/a,URI:spiffe://example.test/b', 'DNS:a.example.test', undefined]) {
      const { refused } = await attempt(server, '/machines', as(await make_client(files, { san })));
      assert.equal(refused.status, 401, san);
      assert.equal(refused.reason, 'invalid_token', san);
      assert.doesNotMatch(refused.body, /example\.test/);
    }
  });

  test('is ambient: a page of another origin is refused', async () => {
    const status = (origin) => outcome(server, '/machines', as(ada, { origin }));
    assert.equal(await status('https://app.example.test'), 101);
    assert.equal(await status('https://evil.example.test'), 403);
    assert.equal(await status(undefined), 101, 'machines send none');
  });

  test('closes its connections when it ends', { timeout: 30_000 }, async () => {
    const brief = await make_client(files, { san: 'URI:spiffe://example.test/brief', ends: 3 });
    const opened = await Client.open(server, '/machines', as(brief));
    const { code, reason, at } = await opened.end();
    assert.deepEqual([code, reason], [3000, 'token_expired']);
    const late = at / 1000 - brief.ends;
    assert.ok(late >= -0.1 && late <= 1, `closed ${late.toFixed(3)} s after its end`);
  });

  test('curl opens with it', async () => {
    const curl = await run('curl', [
      '-sS', '-i', '-N', '--http1.1', '--max-time', '2', '--cacert', files.ca, '--cert', ada.files.certificate, '--key', ada.files.key,
      '-H', 'Upgrade: websocket', '-H', 'Connection: Upgrade', '-H', 'Sec-WebSocket-Version: 13',
      '-H', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', `https://127.0.0.1:${server.port}/machines`]);
    assert.match(curl.stdout, /^HTTP\/1\.1 101 /);
  });
});

describe('a certificate beside other credentials', { concurrency: 4 }, () => {
  test('either one opens a route that takes both', async () => {
    assert.equal(await outcome(server, '/either', { ca: ca(), token: await issuer.sign() }), 101);
    assert.equal(await outcome(server, '/either', as(ada)), 101);
    assert.equal((await ready('/either', ada)).subject, URI);
  });

  test('both at once are two credentials', async () => {
    assert.equal(await outcome(server, '/either', as(ada, { token: await issuer.sign() })), 400);
  });

  test('is none where the route does not take it', async () => {
    assert.equal(await outcome(server, '/token', as(ada)), 101, 'the vestibule, which waits for a first message');
    assert.equal(await outcome(strict, '/token', as(ada)), 401);
    assert.equal(await outcome(server, '/token', as(ada, { token: await issuer.sign() })), 101);
  });
});

const thumbprint = (client) =>
  createHash('sha256').update(new X509Certificate(client.cert).raw).digest('base64url');
const bound_to = (client, more = {}) => issuer.sign({ cnf: { 'x5t#S256': thumbprint(client) }, ...more });

describe('a token that is bound to a certificate', { concurrency: 4 }, () => {
  test('opens with that certificate only', async () => {
    const token = await bound_to(ada);
    for (const target of [server, strict]) {
      assert.equal(await outcome(target, '/token', as(ada, { token })), 101);
      const { refused } = await attempt(target, '/token', as(bob, { token }));
      assert.equal(refused.status, 401);
      assert.equal(refused.reason, 'invalid_token');
    }
    assert.equal(await outcome(server, '/token', { ca: ca(), token }), 401);
    // In the order of a thief: what was accepted a moment ago is not remembered for others.
    assert.equal(await outcome(server, '/token', as(ada, { token })), 101);
    assert.equal(await outcome(server, '/token', as(bob, { token })), 401);
  });

  test('opens as a first message, and refreshes, with that certificate only', async () => {
    const say = async (client, token) => {
      const opened = await Client.open(server, '/token', as(client));
      opened.send({ type: 'auth', token });
      return opened;
    };
    const thief = await say(bob, await bound_to(ada));
    assert.deepEqual(await thief.ending(), { code: 3000, reason: 'invalid_token' });
    const opened = await say(ada, await bound_to(ada));
    await opened.of_type('ready');
    opened.send({ type: 'refresh', token: await bound_to(ada, { ttl: 400 }) });
    await opened.of_type('refreshed');
    opened.send({ type: 'refresh', token: await bound_to(bob) });
    assert.deepEqual(await opened.ending(), { code: 3000, reason: 'invalid_token' });
  });

  test('that is bound to none opens with any', async () => {
    assert.equal(await outcome(server, '/token', as(bob, { token: await issuer.sign() })), 101);
  });
});

describe('where a certificate is required', { concurrency: 4 }, () => {
  test('nobody without one gets to a request', async () => {
    const token = await issuer.sign();
    assert.equal(await reach(strict, '/token', undefined, { token }), 'refused');
    for (const path of ['/healthz', '/token', '/']) {
      const curl = await run('curl', ['-sS', '--max-time', '10', '--cacert', files.ca, `https://127.0.0.1:${strict.port}${path}`]);
      assert.notEqual(curl.code, 0);
      assert.notEqual(curl.code, 28, 'not by its own time limit');
      assert.equal(curl.stdout, '');
    }
    await strict.event('tls.handshake_failed', (entry) => /did not return a certificate/.test(entry.detail));
  });

  test('TLS 1.2 is no way around', async () => {
    const old = { maxVersion: 'TLSv1.2' };
    assert.equal(await reach(strict, '/machines', undefined, old), 'refused');
    assert.equal(await reach(strict, '/machines', ada, old), 101);
  });

  test('openssl s_client is told whose certificates count', async () => {
    const client = await run('openssl', ['s_client', '-connect', `127.0.0.1:${strict.port}`, '-CAfile', files.ca,
                                         '-cert', ada.files.certificate, '-key', ada.files.key], { input: 'Q\n' });
    assert.match(client.stdout, /Acceptable client certificate CA names\nCN = Sallyport test CA\n/);
  });
});

/** Opens a TLS connection that resumes `session`, if there is one, and asks for the upgrade. */
async function open_raw(target, path, client, { session, version, fields = {} } = {}) {
  const raw = await Raw.connect(target, { tls: {
    ca: ca(), rejectUnauthorized: true, cert: client?.cert, key: client?.key, session,
    minVersion: version, maxVersion: version,
  } });
  const tickets = [];
  raw.socket.on('session', (ticket) => tickets.push(ticket));
  raw.write(upgrade(target, path, fields));
  const { status } = await raw.head();
  const made = version === 'TLSv1.2' ? raw.socket.getSession()
                                     : await eventually(() => tickets.at(-1) ?? raw.socket.getSession(), 'a ticket');
  const reused = raw.socket.isSessionReused();
  raw.destroy();
  return { status, session: made, reused };
}

describe('a resumed session', { concurrency: 4 }, () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    test(`keeps the certificate (${version})`, async () => {
      const first = await open_raw(server, '/machines', ada, { version });
      assert.deepEqual([first.status, first.reused], [101, false]);
      // The client does not send its certificate again, and could not: it has none.
      const second = await open_raw(server, '/machines', undefined, { version, session: first.session });
      assert.deepEqual([second.status, second.reused], [101, true]);
      const bound = await open_raw(server, '/token', undefined,
                                   { version, session: first.session, fields: bearer(await bound_to(ada)) });
      assert.deepEqual([bound.status, bound.reused], [101, true]);
      const other = await open_raw(server, '/token', undefined,
                                   { version, session: first.session, fields: bearer(await bound_to(bob)) });
      assert.equal(other.status, 401);
    });

    test(`without a certificate has none (${version})`, async () => {
      const first = await open_raw(server, '/token', undefined, { version, fields: bearer(await issuer.sign()) });
      const second = await open_raw(server, '/machines', ada, { version, session: first.session });
      assert.deepEqual([second.status, second.reused], [401, true]);
    });

    test(`is worth nothing on another server (${version})`, async () => {
      const first = await open_raw(server, '/machines', ada, { version });
      await assert.rejects(open_raw(strict, '/machines', undefined, { version, session: first.session }));
    });

    test(`does not outlive the certificate (${version})`, { timeout: 30_000 }, async () => {
      const brief = await make_client(files, { san: 'URI:spiffe://example.test/brief', ends: 3 });
      const first = await open_raw(server, '/machines', brief, { version });
      assert.equal(first.status, 101);
      assert.equal((await open_raw(server, '/machines', undefined, { version, session: first.session })).status, 101);
      await sleep(brief.ends * 1000 + 1100 - Date.now());
      const second = await open_raw(server, '/machines', undefined, { version, session: first.session });
      assert.deepEqual([second.status, second.reused], [401, false]);
      await assert.rejects(open_raw(server, '/machines', brief, { version, session: first.session }));
    });
  }

  test('of openssl s_client is one of these', async () => {
    const file = join(temporary_folder(), 'session.pem');
    const ask = async (...more) => {
      const child = await run('sh', ['-c', '(cat; sleep 1) | openssl s_client "$@"', 'sh', '-quiet', '-no_ign_eof', '-tls1_3',
                                     '-connect', `127.0.0.1:${server.port}`, '-CAfile', files.ca, ...more],
                              { input: upgrade(server, '/machines').toString() });
      return child.stdout;
    };
    assert.match(await ask('-cert', ada.files.certificate, '-key', ada.files.key, '-sess_out', file), /^HTTP\/1\.1 101 /);
    assert.match(await ask('-sess_in', file), /^HTTP\/1\.1 101 /);
    assert.match(await ask(), /^HTTP\/1\.1 401 /);
  });
});

describe('a configuration of client certificates', { concurrency: 4 }, () => {
  const findings = async (tls_more) => {
    const folder = temporary_folder();
    const file = join(folder, 'sallyport.toml');
    writeFileSync(file, toml(configuration({ issuer, routes: [echo('/e')],
                                             tls: { certificate: files.certificate, key: files.key, ...tls_more } })));
    return sallyport(['check', '--config', file]);
  };

  test('needs an authority', async () => {
    for (const client_certificate of ['optional', 'required']) {
      const checked = await findings({ client_certificate });
      assert.equal(checked.code, 2, checked.stdout + checked.stderr);
      assert.match(checked.stdout + checked.stderr, /client_ca/);
    }
  });

  test('names the file that cannot be used', async () => {
    for (const client_ca of [join(temporary_folder(), 'missing.pem'), files.key]) {
      const checked = await findings({ client_certificate: 'optional', client_ca });
      assert.equal(checked.code, 2, checked.stdout + checked.stderr);
      assert.match(checked.stdout + checked.stderr, new RegExp(client_ca.split('/').at(-1)));
    }
  });

  test('is accepted where it is complete', async () => {
    for (const client_certificate of ['none', 'optional', 'required']) {
      const checked = await findings({ client_certificate, client_ca: files.ca });
      assert.equal(checked.code, 0, checked.stdout + checked.stderr);
    }
  });
});
