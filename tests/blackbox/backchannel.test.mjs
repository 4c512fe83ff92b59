// OpenID Connect Back-Channel Logout: a real provider that ends a login, and every token that must not end one.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, test } from 'node:test';
import { Client, attempt, outcome } from './lib/client.mjs';
import { AUDIENCE, CLIENT, Provider } from './lib/provider.mjs';
import { Raw, request } from './lib/raw.mjs';
import { echo, serve } from './lib/server.mjs';
import { Issuer, broken_signature, jose, now } from './lib/tokens.mjs';
import { eventually, in_parallel, sleep } from './lib/wait.mjs';

const PATH = '/.sallyport/backchannel-logout';
const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const LOGGED_OUT = { code: 3000, reason: 'logged_out' };
let issuer;
before(async () => { issuer = await Issuer.make({ made_by: 'jose' }); });

const config = (more = {}) => ({ issuer, routes: [echo('/')], ...more });

/** The claims of a sound logout token of ada's, for session s1. */
const claims = (more = {}) => ({ sid: 's1', jti: randomBytes(8).toString('hex'), ttl: 120, events: { [EVENT]: {} }, ...more });
/** Signed; with `typ: null` the header has none. */
const logout_token = (more, { typ = 'logout+jwt', by = issuer, key } = {}) =>
  by.sign(claims(more), { header: { typ: typ ?? undefined }, key });

async function post(server, body, { method = 'POST', type = 'application/x-www-form-urlencoded', path = PATH } = {}) {
  const answer = await fetch(`${server.origin}${path}`, { method, body, headers: type ? { 'Content-Type': type } : {} });
  const text = await answer.text();
  assert.equal(answer.headers.get('cache-control'), 'no-store', `whatever the answer is: ${answer.status}`);
  return { status: answer.status, headers: answer.headers, text };
}
const log_out = (server, token) => post(server, `logout_token=${token}`);

async function assert_refused(server, token, what) {
  const answer = await log_out(server, token);
  assert.equal(answer.status, 400, what);
  assert.deepEqual(JSON.parse(answer.text), { error: 'invalid_request' }, what);
}

async function provider_and_server(t, { verifier = {}, logout } = {}) {
  const provider = await Provider.start();
  t.after(() => provider.stop());
  const server = await serve(t, {
    verifiers: { main: { type: 'jwt', issuer: provider.issuer, audience: [AUDIENCE], logout_audience: [CLIENT],
                         algorithms: ['ES256'], discovery: true, ...verifier } },
    routes: [echo('/', { scopes: ['chat'] })],
  });
  provider.tell_logouts(`${server.origin}${PATH}`, logout);
  return { provider, server };
}

test('signing out at the provider ends that session\'s sockets and no others', async (t) => {
  const { provider, server } = await provider_and_server(t);
  const [desk, phone, other] = [provider.browser(), provider.browser(), provider.browser()];
  const tokens = { desk: await desk.sign_in('ada'), tab: await desk.sign_in('ada'), phone: await phone.sign_in('ada'), bob: await other.sign_in('bob') };
  const clients = {};
  await eventually(async () => (await outcome(server, '/', { token: tokens.desk.access })) === 101, 'the first keys');
  for (const name of Object.keys(tokens)) clients[name] = await Client.open(server, '/', { token: tokens[name].access });

  await desk.sign_out();
  assert.equal(provider.told.length, 1);
  assert.equal(provider.told[0].error, undefined, 'the provider has heard 200');
  assert.deepEqual(await clients.desk.ending(), LOGGED_OUT);
  assert.deepEqual(await clients.tab.ending(), LOGGED_OUT);
  await clients.phone.echo('my other session');
  await clients.bob.echo('someone else');
  const { refused } = await attempt(server, '/', { token: tokens.desk.access });
  assert.deepEqual([refused?.status, refused?.reason], [401, 'token_revoked']);

  const again = await Client.open(server, '/', { token: (await desk.sign_in('ada')).access });
  await again.echo('signed in again');
  await phone.sign_out();
  assert.deepEqual(await clients.phone.ending(), LOGGED_OUT);
  await again.echo('still there');
});

test('a provider that sends no sid ends all that the subject had, and the next login works', async (t) => {
  const { provider, server } = await provider_and_server(t, { logout: { session: false } });
  const [desk, phone, other] = [provider.browser(), provider.browser(), provider.browser()];
  const tokens = { desk: await desk.sign_in('ada'), phone: await phone.sign_in('ada'), bob: await other.sign_in('bob') };
  await eventually(async () => (await outcome(server, '/', { token: tokens.desk.access })) === 101, 'the first keys');
  const clients = {};
  for (const name of Object.keys(tokens)) clients[name] = await Client.open(server, '/', { token: tokens[name].access });
  await desk.sign_out();
  assert.equal(provider.told[0].error, undefined);
  assert.deepEqual(await clients.desk.ending(), LOGGED_OUT);
  assert.deepEqual(await clients.phone.ending(), LOGGED_OUT);
  await clients.bob.echo('someone else');
  // Tokens have whole seconds: one of the logout's own second does not show that it is newer.
  const second = now();
  await eventually(() => now() >= second + 2, 'two seconds');
  const again = await Client.open(server, '/', { token: (await desk.sign_in('ada')).access });
  await again.echo('signed in again');
});

test('a provider\'s other tokens end nothing', async (t) => {
  const { provider, server } = await provider_and_server(t);
  const browser = provider.browser();
  const { access, id } = await browser.sign_in('ada');
  await eventually(async () => (await outcome(server, '/', { token: access })) === 101, 'the first keys');
  const client = await Client.open(server, '/', { token: access });
  await assert_refused(server, access, 'an access token');
  await assert_refused(server, id, 'an ID token');
  await client.echo('still there');
});

test('keys that cannot be fetched: come again', async (t) => {
  const { provider, server } = await provider_and_server(t);
  await eventually(() => provider.count('/jwks') > 0, 'the first fetch');
  const stranger = { ...(await jose.exportJWK((await jose.generateKeyPair('ES256', { extractable: true })).privateKey)), alg: 'ES256', kid: 'new', use: 'sig' };
  const token = await new jose.SignJWT({ iss: provider.issuer, aud: CLIENT, sub: 'ada', sid: 'x', jti: 'one', iat: now(), exp: now() + 120, events: { [EVENT]: {} } })
    .setProtectedHeader({ alg: 'ES256', kid: 'new', typ: 'logout+jwt' }).sign(await jose.importJWK(stranger, 'ES256'));
  provider.fault = (incoming, response) => response.writeHead(500).end();
  const answer = await log_out(server, token);
  assert.equal(answer.status, 503);
  assert.ok(Number(answer.headers.get('retry-after')) > 0);
});

test('whose login ends: by session, by subject, by both, and nobody\'s', async (t) => {
  const server = await serve(t, config());
  const open = async (token) => Client.open(server, '/', { token: await issuer.sign({ iat: now() - 20, ...token }) });
  const ada1 = await open({ sid: 's1' });
  const ada2 = await open({ sid: 's2' });
  const bob1 = await open({ sub: 'bob', sid: 's1' });
  const bare = await open({ sub: 'eve' });
  assert.equal((await log_out(server, await logout_token({ sid: 'nobody-has-it', sub: undefined }))).status, 200);
  for (const client of [ada1, ada2, bob1, bare]) await client.echo('here');

  const answer = await log_out(server, await logout_token());
  assert.deepEqual([answer.status, answer.text], [200, '']);
  assert.deepEqual(await ada1.ending(), LOGGED_OUT);
  for (const client of [ada2, bob1, bare]) await client.echo('here');

  assert.equal((await log_out(server, await logout_token({ sub: undefined }))).status, 200);
  assert.deepEqual(await bob1.ending(), LOGGED_OUT);
  await ada2.echo('here');

  assert.equal((await log_out(server, await logout_token({ sid: undefined }))).status, 200);
  assert.deepEqual(await ada2.ending(), LOGGED_OUT);
  await bare.echo('here');
  assert.equal(await outcome(server, '/', { token: await issuer.sign({ iat: now() - 20, sid: 's9' }) }), 401, 'issued before');
  assert.equal(await outcome(server, '/', { token: await issuer.sign({ iat: now() + 2, sid: 's9' }) }), 101, 'issued after');
});

test('what is no logout token is refused and ends nothing', async (t) => {
  const other = await Issuer.make({ iss: 'https://other.example.test/', made_by: 'jose' });
  const server = await serve(t, config({ verifiers: { other: other.verifier() }, routes: [echo('/', { verifiers: ['main', 'other'] })] }));
  const client = await Client.open(server, '/', { token: await issuer.sign({ sid: 's1' }) });
  const sound = await logout_token();
  const [, payload] = sound.split('.');
  const none = `${Buffer.from('{"alg":"none","typ":"logout+jwt"}').toString('base64url')}.${payload}.`;
  const stranger = (await jose.generateKeyPair('ES256')).privateKey;
  const cases = {
    'nothing': '', 'no token': 'x', 'three dots': 'a.b.c',
    'neither sub nor sid': await logout_token({ sub: undefined, sid: undefined }),
    'a nonce': await logout_token({ nonce: 'n' }),
    'an empty nonce': await logout_token({ nonce: '' }),
    'a null nonce': await logout_token({ nonce: null }),
    'no events': await logout_token({ events: undefined }),
    'empty events': await logout_token({ events: {} }),
    'another event': await logout_token({ events: { 'http://schemas.openid.net/event/other': {} } }),
    'an event that is no object': await logout_token({ events: { [EVENT]: true } }),
    'events that are a list': await logout_token({ events: [EVENT] }),
    'typ JWT': await logout_token({}, { typ: 'JWT' }),
    'typ at+jwt': await logout_token({}, { typ: 'at+jwt' }),
    'no typ': await logout_token({}, { typ: null }),
    'alg none': none,
    'a broken signature': broken_signature(sound),
    'a stranger\'s signature': await logout_token({}, { key: stranger }),
    'an access token': await issuer.sign({ sid: 's1' }),
    'an ID token': await issuer.sign({ sid: 's1', nonce: 'n' }),
    'an unknown issuer': await logout_token({ iss: 'https://id.example.test' }),
    'another issuer\'s name': await logout_token({ iss: other.iss }),
    'another audience': await logout_token({ aud: 'mail' }),
    'no audience': await logout_token({ aud: undefined }),
    'expired': await logout_token({ iat: now() - 200, ttl: -60 }),
    'no exp': await logout_token({ exp: undefined }),
    'issued long ago': await logout_token({ iat: now() - 700 }),
    'issued tomorrow': await logout_token({ iat: now() + 86_400, ttl: 90_000 }),
    'no iat': await logout_token({ iat: undefined }),
    'no jti': await logout_token({ jti: undefined }),
    'an empty jti': await logout_token({ jti: '' }),
    'a jti that is a number': await logout_token({ jti: 7 }),
    'an empty sid': await logout_token({ sid: '' }),
    'a sub that is a number': await logout_token({ sub: 7 }),
  };
  for (const [name, token] of Object.entries(cases)) await assert_refused(server, token, name);
  await client.echo('still there');
  // Only then, so that it is known that all of the above differs from what is accepted.
  assert.equal((await log_out(server, sound)).status, 200);
  assert.deepEqual(await client.ending(), LOGGED_OUT);
  for (const token of Object.values(cases)) {
    if (token.length > 40) assert.ok(!server.stderr.includes(token.slice(-40)), 'no token is in the log');
  }
});

test('a token counts once, for each issuer', async (t) => {
  const other = await Issuer.make({ iss: 'https://other.example.test/', made_by: 'jose' });
  const server = await serve(t, config({ verifiers: { other: other.verifier() }, routes: [echo('/', { verifiers: ['main', 'other'] })] }));
  const token = await logout_token({ jti: 'once' });
  const statuses = await in_parallel(Array(20).fill(token), 20, async (text) => (await log_out(server, text)).status);
  assert.deepEqual(statuses.sort(), [200, ...Array(19).fill(400)]);
  await assert_refused(server, await logout_token({ jti: 'once', sid: 's2' }), 'another token of the same jti');
  assert.equal((await log_out(server, await logout_token({ jti: 'once' }, { by: other }))).status, 200);
});

test('it is a form that is posted, with one token', async (t) => {
  const server = await serve(t, config());
  const client = await Client.open(server, '/', { token: await issuer.sign({ sid: 's1' }) });
  const token = await logout_token();
  const form = `logout_token=${token}`;
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
    const answer = await post(server, undefined, { method, path: `${PATH}?${form}` });
    assert.equal(answer.status, 405, method);
    assert.equal(answer.headers.get('allow'), 'POST');
  }
  for (const type of ['application/json', 'text/plain;charset=UTF-8', 'multipart/form-data; boundary=x', 'application/jwt']) {
    assert.equal((await post(server, form, { type })).status, 400, type);
  }
  const bodies = ['', token, 'logout_token=', `token=${token}`, `${form}&${form}`, `${form}&logout%5ftoken=${token}`, `${form}&%=1`, `${form}%00`];
  for (const body of bodies) assert.equal((await post(server, body)).status, 400, body.replaceAll(token, 'T'));
  assert.equal((await post(server, `${form}&x=${'x'.repeat(17_000)}`)).status, 413);
  const raw = await Raw.connect(server);
  raw.write(Buffer.concat([request(server, PATH, { 'Content-Type': 'application/x-www-form-urlencoded', 'Transfer-Encoding': 'chunked' }, { method: 'POST' }), Buffer.from('0\r\n\r\n')]));
  assert.equal((await raw.head()).status, 400, 'a body of unknown length');
  raw.destroy();
  await client.echo('still there');
  const taken = await post(server, `client=web&${form}&x=`, { type: 'Application/X-WWW-Form-Urlencoded; charset=utf-8' });
  assert.equal(taken.status, 200);
  assert.deepEqual(await client.ending(), LOGGED_OUT);
});

test('refusals count against the address, and a flood of them leaves the others alone', { timeout: 120_000 }, async (t) => {
  const server = await serve(t, config({ limits: { failures_per_address: '20/10m' } }));
  const client = await Client.open(server, '/', { token: await issuer.sign({ sid: 's1' }) });
  const bad = await logout_token({}, { key: (await jose.generateKeyPair('ES256')).privateKey });
  const before = server.memory();
  const statuses = await in_parallel(Array(2000).fill(bad), 32, async (token) => (await log_out(server, token)).status);
  const refused = statuses.filter((status) => status === 400).length;
  assert.ok(refused >= 20 && refused < 100, `${refused} had an answer of their own`);
  assert.equal(statuses.filter((status) => status === 429).length, 2000 - refused);
  await client.echo('still there');
  assert.ok(server.memory() - before < 32 * 1024 * 1024, 'memory');
});

test('a flood of two thousand logouts ends whom it means, and others go on', { timeout: 120_000 }, async (t) => {
  const server = await serve(t, config());
  const bystander = await Client.open(server, '/', { token: await issuer.sign({ sub: 'bob' }) });
  const meant = await in_parallel(Array(20).fill(), 20, async (_, i) => Client.open(server, '/', { token: await issuer.sign({ sid: `s${i * 100}` }) }));
  const tokens = await in_parallel(Array(2000).fill(), 16, (_, i) => logout_token({ sid: `s${i}` }));
  const before = server.memory();
  const took = [];
  let flooding = true;
  const echoing = (async () => {
    while (flooding) {
      const start = Date.now();
      await bystander.echo('x');
      took.push(Date.now() - start);
      await sleep(10);
    }
  })();
  const begin = Date.now();
  const statuses = await in_parallel(tokens, 32, async (token) => (await log_out(server, token)).status);
  const ms = Date.now() - begin;
  flooding = false;
  await echoing;
  assert.deepEqual([...new Set(statuses)], [200]);
  for (const client of meant) assert.deepEqual(await client.ending(), LOGGED_OUT);
  assert.ok(server.memory() - before < 32 * 1024 * 1024, 'memory');
  took.sort((a, b) => a - b);
  t.diagnostic(`2000 logouts in ${ms} ms; an echo meanwhile: p50 ${took[took.length >> 1]} ms, p99 ${took[Math.floor(took.length * 0.99)]} ms`);
});

test('a provider that says typ JWT is heard where the operator says so', async (t) => {
  const server = await serve(t, config({ issuer: undefined, verifiers: { main: issuer.verifier({ logout_token_types: ['logout+jwt', 'JWT'] }) } }));
  const client = await Client.open(server, '/', { token: await issuer.sign({ sid: 's1' }) });
  await assert_refused(server, await logout_token({ events: undefined }, { typ: 'JWT' }), 'an access token is still none');
  await assert_refused(server, await logout_token({ nonce: 'n' }, { typ: 'JWT' }), 'nor an ID token');
  assert.equal((await log_out(server, await logout_token({}, { typ: null }))).status, 200);
  assert.deepEqual(await client.ending(), LOGGED_OUT);
  assert.equal(await outcome(server, '/', { token: await logout_token({}, { typ: 'JWT' }) }), 401, 'it lets nobody in');
});
