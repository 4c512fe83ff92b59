// Revocation by the admin API: who is ended, who stays, who is kept out, and that no race helps.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { Admin } from './lib/admin.mjs';
import { temporary_folder } from './lib/binary.mjs';
import { Client } from './lib/client.mjs';
import { Server, echo, hub, serve } from './lib/server.mjs';
import { Issuer, now } from './lib/tokens.mjs';
import { eventually, sleep } from './lib/wait.mjs';

const FULL = process.env.SALLYPORT_FULL === '1';
let issuer;
const admin = new Admin();
before(async () => { issuer = await Issuer.make(); });

const config = (more = {}) => ({
  issuer, admin: admin.section,
  routes: [echo('/echo'), echo('/ticket', { credentials: ['header', 'ticket'] }),
           hub('/hub', [{ do: ['subscribe', 'publish'], channel: '*' }], { credentials: ['header', 'first_message'] })],
  ...more,
});

test('a session ends with its sockets and no others; then the subject; then nobody gets back in', async (t) => {
  const server = await serve(t, config());
  const tokens = { tab: { sid: 's1' }, tab2: { sid: 's1', jti: 'x' }, phone: { sid: 's2' } };
  const clients = {};
  for (const [name, claims] of Object.entries(tokens)) {
    tokens[name] = await issuer.sign(claims);
    clients[name] = await Client.open(server, '/echo', { token: tokens[name] });
  }
  const bob = await Client.open(server, '/echo', { token: await issuer.sign({ sub: 'bob' }) });
  const first = await admin.revoke(server, { session: 's1' });
  assert.equal(first.closed, 2);
  assert.ok(first.id !== undefined && first.nodes.length === 1 && first.nodes[0].applied_ms >= 0 && first.nodes[0].node);
  for (const name of ['tab', 'tab2']) assert.deepEqual(await clients[name].ending(), { code: 3000, reason: 'token_revoked' });
  await clients.phone.echo('other session');
  assert.equal((await admin.revoke(server, { subject: 'ada' })).closed, 1);
  assert.equal((await clients.phone.ending()).code, 3000);
  await bob.echo('someone else');
  for (const token of Object.values(tokens)) {
    await assert.rejects(Client.open(server, '/echo', { token }), (error) => error.status === 401 && error.reason === 'token_revoked');
  }
  assert.equal((await admin.connections(server, { subject: 'ada' })).length, 0);
  assert.equal((await admin.connections(server)).length, 1);
});

test('in a browser\'s words: a Close with a code that JavaScript can read', async (t) => {
  const server = await serve(t, config());
  const token = await issuer.sign();
  await admin.revoke(server, { subject: 'ada' });
  const client = await Client.open(server, '/echo', { token, origin: server.origin });
  assert.deepEqual(await client.ending(), { code: 3000, reason: 'token_revoked' });
});

test('the vestibule, a refresh and a ticket meet it too', async (t) => {
  const server = await serve(t, config());
  const token = await issuer.sign({ jti: 't1' });
  const fresh = await issuer.sign({ jti: 't2' });
  const in_vestibule = await Client.open(server, '/hub');
  const open = await Client.open(server, '/hub', { token: await issuer.sign({ jti: 't0' }) });
  const ticket = await (await fetch(`${server.origin}/.sallyport/ticket`, {
    method: 'POST', headers: { Authorization: `Bearer ${token}` }, body: '{"path":"/ticket"}' })).json();
  assert.ok(ticket.ticket);
  await admin.revoke(server, { token_id: 't1' });
  await admin.revoke(server, { token_id: 't2' });
  in_vestibule.send({ type: 'auth', token });
  assert.deepEqual(await in_vestibule.ending(), { code: 3000, reason: 'token_revoked' });
  open.send({ type: 'refresh', token: fresh });
  assert.deepEqual(await open.ending(), { code: 3000, reason: 'token_revoked' });
  await assert.rejects(Client.open(server, `/ticket?ticket=${ticket.ticket}`), { status: 401 });
  const preflight = await fetch(`${server.origin}/.sallyport/preflight?path=/echo`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(preflight.status, 401);
});

test('two hundred handshakes around the revocation: none is open afterwards', async (t) => {
  const server = await serve(t, config());
  const token = await issuer.sign({ jti: 'race', sub: 'racer' });
  const attempts = Array.from({ length: 200 }, async () => {
    await sleep(Math.random() * 100);
    return Client.open(server, '/echo', { token }).catch(({ status }) => status);
  });
  await sleep(50);
  await admin.revoke(server, { token_id: 'race' });
  const results = await Promise.all(attempts);
  const opened = results.filter((result) => result instanceof Client);
  assert.ok(opened.length > 0 && opened.length < 200, `${opened.length} were open for a moment`);
  for (const client of opened) assert.equal((await client.end()).code, 3000);
  for (const status of results.filter((result) => !(result instanceof Client))) assert.equal(status, 401);
  assert.equal((await admin.connections(server, { subject: 'racer' })).length, 0);
});

test('everybody whose token is older than a moment', async (t) => {
  const server = await serve(t, config());
  const old = await Promise.all(['a', 'b', 'c'].map(async (sub) => Client.open(server, '/echo', { token: await issuer.sign({ sub, iat: now() - 100 }) })));
  const recent = await Client.open(server, '/echo', { token: await issuer.sign({ sub: 'd' }) });
  assert.equal((await admin.revoke(server, { issued_before: now() - 50 })).closed, 3);
  for (const client of old) assert.equal((await client.end()).code, 3000);
  await recent.echo('newer');
});

test('is listed, lifted, and refused where it says nothing', async (t) => {
  const server = await serve(t, config());
  const { id } = await admin.revoke(server, { subject: 'ada', issuer: issuer.iss });
  const { revocations } = await admin.revocations(server);
  assert.equal(revocations.length, 1);
  assert.equal(revocations[0].subject, 'ada');
  for (const bad of [{}, { subject: '' }, { sub: 'ada' }, { subject: 7 }, [], { issued_before: 'x' }, 'nonsense']) {
    const { status } = await admin.request(server, 'POST', '/v1/revocations', bad);
    assert.equal(status, 400, JSON.stringify(bad));
  }
  assert.equal((await admin.lift(server, id)).status < 300, true);
  assert.equal((await admin.lift(server, id)).status, 404);
  await (await Client.open(server, '/echo', { token: await issuer.sign() })).echo('back');
});

test('refresh rotation releases the old token id without closing', async (t) => {
  const server = await serve(t, config());
  const client = await Client.open(server, '/hub', { token: await issuer.sign({ jti: 'one' }) });
  client.send({ type: 'refresh', token: await issuer.sign({ jti: 'two' }) });
  await client.of_type('refreshed');
  assert.equal((await admin.revoke(server, { token_id: 'one' })).closed, 0);
  client.send({ type: 'subscribe', channel: 'a', id: 1 });
  await client.of_type('subscribed');
  assert.equal((await admin.revoke(server, { token_id: 'two' })).closed, 1);
  assert.equal((await client.end()).code, 3000);
});

test('survives kill -9 between the acknowledgement and the restart', async () => {
  const store = { kind: 'sqlite', path: join(temporary_folder(), 'store.db') };
  const rounds = FULL ? 100 : 8;
  for (let round = 0; round < rounds; round += 1) {
    const server = await Server.start(config({ store }));
    for (let before_this = Math.max(0, round - 3); before_this < round; before_this += 1) {
      const token = await issuer.sign({ sub: `user${before_this}` });
      await assert.rejects(Client.open(server, '/echo', { token }), { status: 401 }, `user${before_this} in round ${round}`);
    }
    (await Client.open(server, '/echo', { token: await issuer.sign({ sub: `user${round}` }) })).terminate();
    await admin.revoke(server, { subject: `user${round}` });
    await server.end();  // SIGKILL
  }
  const server = await Server.start(config({ store }));
  assert.equal((await admin.revocations(server)).revocations.length, rounds);
  await server.stop();
});

test('a second process does not share the file', async (t) => {
  const store = { kind: 'sqlite', path: join(temporary_folder(), 'store.db') };
  await serve(t, config({ store }));
  await assert.rejects(Server.start(config({ store })), /store/);
});

test('says who, why, how long and how much, once for every end', async (t) => {
  const server = await serve(t, config());
  const client = await Client.open(server, '/echo', { token: await issuer.sign({ sub: 'grace' }) });
  await client.echo('x');
  await admin.revoke(server, { subject: 'grace' });
  await client.end();
  const closes = await eventually(() => {
    const events = server.events('ws.close').filter(({ subject }) => subject === 'grace');
    return events.length > 0 && events;
  }, 'the event of the close');
  assert.equal(closes.length, 1);
  const [close] = closes;
  assert.deepEqual([close.reason, close.code, close.by, close.route, close.issuer], ['token_revoked', 3000, 'server', '/echo', issuer.iss]);
  assert.ok(close.duration_ms >= 0 && close.bytes_in > 0 && close.bytes_out > 0 && close.address && close.connection);
  assert.equal(await admin.metric(server, 'sallyport_revocations', ''), 1);
});
