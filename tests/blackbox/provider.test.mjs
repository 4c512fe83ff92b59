// Keys and introspection of a real OpenID provider: discovery, rotation, outage, and what either costs.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import WebSocket from 'ws';
import { temporary_folder } from './lib/binary.mjs';
import { AUDIENCE, Provider, signing_key } from './lib/provider.mjs';
import { Raw, bearer, upgrade } from './lib/raw.mjs';
import { echo, serve } from './lib/server.mjs';
import { jose, now } from './lib/tokens.mjs';
import { eventually, in_parallel, sleep } from './lib/wait.mjs';

const FULL = process.env.SALLYPORT_FULL === '1';

const jwt = (provider, more = {}) => ({
  type: 'jwt', issuer: provider.issuer, audience: [AUDIENCE], algorithms: ['ES256'], discovery: true, ...more });
const opaque = (provider, more = {}) => {
  const file = join(temporary_folder(), 'client-secret');
  writeFileSync(file, 'introspection-secret\n');
  return { type: 'introspection', endpoint: `${provider.issuer}/token/introspection`, client_id: 'sallyport', client_secret_file: file, ...more };
};

async function status_of(server, token, path = '/') {
  const raw = await Raw.connect(server);
  try {
    raw.write(upgrade(server, path, bearer(token)));
    const { status } = await raw.head();
    return status;
  } finally {
    raw.destroy();
  }
}

async function open(server, token) {
  const socket = new WebSocket(server.url, { headers: bearer(token) });
  socket.closed = new Promise((resolve) => socket.on('close', (code, reason) => resolve([code, reason.toString()])));
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  return socket;
}

/** A token signed with one of the provider's keys, or with a stranger's. */
async function sign(provider, key, claims = {}) {
  return new jose.SignJWT({ iss: provider.issuer, aud: AUDIENCE, sub: 'ada', iat: now(), exp: now() + 300, ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: key.kid }).sign(await jose.importJWK(key, 'ES256'));
}

async function provider_for(t, options) {
  const provider = await Provider.start(options);
  t.after(() => provider.stop());
  return provider;
}

test('the keys are found by discovery, and a real access token is accepted', async (t) => {
  const provider = await provider_for(t);
  const server = await serve(t, { verifiers: { main: jwt(provider) }, routes: [echo('/', { scopes: ['chat'] })] });
  const token = await provider.jwt();
  await eventually(async () => (await status_of(server, token)) === 101, 'the first keys');
  const socket = await open(server, token);
  socket.send('hello');
  const echoed = await new Promise((resolve) => socket.on('message', (data) => resolve(data.toString())));
  assert.equal(echoed, 'hello');
  socket.terminate();
  assert.equal(provider.count('/.well-known/openid-configuration'), 1);
  assert.equal(provider.count('/jwks'), 1);
});

test('a provider whose metadata name another issuer is not believed', async (t) => {
  const provider = await provider_for(t);
  const server = await serve(t, { verifiers: { main: jwt(provider, { issuer: `http://localhost:${provider.port}` }) }, routes: [echo('/')] });
  await eventually(() => server.events('keys.fetch_failed').length > 0, 'the failure is told');
  const token = await sign({ issuer: `http://localhost:${provider.port}` }, provider.keys[0]);
  assert.equal(await status_of(server, token), 503);
});

test('after a rotation new tokens are accepted at once and old ones as long as their key is published', async (t) => {
  const [old, fresh] = [signing_key('old'), signing_key('new')];
  const provider = await provider_for(t, { keys: [old] });
  const server = await serve(t, { verifiers: { main: jwt(provider) }, routes: [echo('/')] });
  const token = await sign(provider, old);
  await eventually(async () => (await status_of(server, token)) === 101, 'the first keys');
  await sleep(100);
  provider.rotate([fresh, old]);
  assert.equal(await status_of(server, await sign(provider, fresh)), 101, 'one fetch for the new key');
  assert.equal(await status_of(server, await sign(provider, old, { sub: 'bob' })), 101);
  assert.equal(provider.count('/jwks'), 2);
});

test('a server that starts before its provider recovers by itself', async (t) => {
  const before = await Provider.start();
  const { port, keys } = before;
  await before.stop();
  const server = await serve(t, { verifiers: { main: jwt(before) }, routes: [echo('/')] });
  const token = await sign(before, keys[0]);
  assert.equal(await status_of(server, token), 503);
  await provider_for(t, { port, keys });
  await eventually(async () => (await status_of(server, token)) === 101, 'recovery', 40_000);
});

test('whatever becomes of the provider, known keys keep working and unknown ones are unavailable', async (t) => {
  const provider = await provider_for(t);
  const stranger = signing_key('stranger');
  const faults = {
    'refuses': (request, response) => request.socket.destroy(),
    'hangs': () => {},
    'fails': (request, response) => response.writeHead(500).end('no'),
    'is empty': (request, response) => response.end('{"keys":[]}'),
    'is garbage': (request, response) => response.end('<html>hello</html>'),
    'is huge': (request, response) => response.end(`{"keys":[],"x":"${'x'.repeat(10_000_000)}"}`),
    'drips': (request, response) => { response.writeHead(200); const drip = setInterval(() => response.write(' '), 200); response.on('close', () => clearInterval(drip)); },
  };
  await in_parallel(Object.entries(faults), 7, async ([name, fault]) => {
    const mine = await Provider.start({ keys: provider.keys });
    t.after(() => mine.stop());
    const server = await serve(t, { verifiers: { main: jwt(mine) }, routes: [echo('/')] });
    const known = await sign(mine, mine.keys[0]);
    await eventually(async () => (await status_of(server, known)) === 101, `${name}: the first keys`);
    mine.fault = fault;
    assert.equal(await status_of(server, await sign(mine, stranger)), 503, `${name}: an unknown key`);
    assert.equal(await status_of(server, await sign(mine, mine.keys[0], { sub: 'bob' })), 101, `${name}: a known key`);
  });
});

test('ten thousand tokens with random kids cause no more fetches than the cooldown allows', { timeout: 120_000 }, async (t) => {
  const provider = await provider_for(t);
  const server = await serve(t, { verifiers: { main: jwt(provider) }, routes: [echo('/')] });
  const valid = await sign(provider, provider.keys[0]);
  await eventually(async () => (await status_of(server, valid)) === 101, 'the first keys');
  const stranger = await jose.importJWK(signing_key(), 'ES256');
  const count = FULL ? 10_000 : 1_500;
  const tokens = await in_parallel(Array(count).fill(), 16, async () =>
    new jose.SignJWT({ iss: provider.issuer, aud: AUDIENCE, sub: 'eve', iat: now(), exp: now() + 300 })
      .setProtectedHeader({ alg: 'ES256', kid: randomBytes(8).toString('hex') }).sign(stranger));
  const before = provider.count('/jwks');
  const begin = Date.now();
  const took = [];
  let flooding = true;
  const bystander = (async () => {
    while (flooding) {
      const start = Date.now();
      assert.equal(await status_of(server, valid), 101);
      took.push(Date.now() - start);
      await sleep(50);
    }
  })();
  const statuses = await in_parallel(tokens, 32, (token) => status_of(server, token));
  flooding = false;
  await bystander;
  const seconds = (Date.now() - begin) / 1000;
  assert.ok(statuses.every((status) => status === 401 || status === 503), 'none is accepted');
  assert.ok(provider.count('/jwks') - before <= 1 + seconds / 30, `${provider.count('/jwks') - before} fetches`);
  took.sort((a, b) => a - b);
  t.diagnostic(`${count} in ${seconds} s; a valid token meanwhile: p50 ${took[took.length >> 1]} ms, p99 ${took[Math.floor(took.length * 0.99)]} ms`);
});

test('connections that meet a cold cache cause one fetch', { timeout: 120_000 }, async (t) => {
  const provider = await provider_for(t);
  let release;
  const gate = new Promise((resolve) => { release = resolve; });
  const handler = provider.handler;
  provider.fault = async (request, response) => { await gate; handler(request, response); };
  const server = await serve(t, { verifiers: { main: jwt(provider) }, routes: [echo('/')], limits: { pending_per_address: 10_000 } });
  const token = await sign(provider, provider.keys[0]);
  const count = FULL ? 5_000 : 300;
  const all = in_parallel(Array(count).fill(), count, () => status_of(server, token));
  await sleep(1000);
  release();
  assert.deepEqual([...new Set(await all)], [101]);
  assert.equal(provider.count('/jwks'), 1);
});

test('an opaque token costs one question however many connections bring it', { timeout: 120_000 }, async (t) => {
  const provider = await provider_for(t);
  const server = await serve(t, { verifiers: { main: opaque(provider) }, routes: [echo('/', { scopes: ['chat'] })], limits: { pending_per_address: 10_000 } });
  const token = await provider.opaque();
  const count = FULL ? 5_000 : 300;
  assert.deepEqual([...new Set(await in_parallel(Array(count).fill(), 200, () => status_of(server, token)))], [101]);
  assert.equal(provider.count('/token/introspection'), 1);
  assert.equal(await status_of(server, 'no-such-token'), 401);
});

test('a live socket closes soon after its opaque token is revoked', async (t) => {
  const provider = await provider_for(t);
  const server = await serve(t, { verifiers: { main: opaque(provider, { cache: '100ms', recheck: '500ms' }) }, routes: [echo('/')] });
  const token = await provider.opaque();
  const socket = await open(server, token);
  await sleep(1200);
  assert.equal(socket.readyState, WebSocket.OPEN, 'asked about again, and still there');
  await provider.revoke(token);
  assert.deepEqual(await socket.closed, [3000, 'token_revoked']);
  assert.equal(await status_of(server, token), 401);
  const asked = provider.count('/token/introspection');
  assert.ok(asked >= 3 && asked <= 8, `${asked} questions: by time, not by message`);
});

test('introspection that cannot be had is unavailable, never refused', async (t) => {
  const provider = await provider_for(t);
  const server = await serve(t, { verifiers: { main: opaque(provider, { timeout: '500ms' }) }, routes: [echo('/')] });
  const token = await provider.opaque();
  provider.fault = (request, response) => response.writeHead(500).end();
  assert.equal(await status_of(server, token), 503);
  provider.fault = () => {};
  assert.equal(await status_of(server, token), 503);
  provider.fault = undefined;
  assert.equal(await status_of(server, token), 101);
});
