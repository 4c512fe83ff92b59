// One-time tickets and the preflight: what a page uses that cannot set a header on a WebSocket.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import { bearer, upgrade_status } from './lib/raw.mjs';
import { Server, echo } from './lib/server.mjs';
import { Issuer, broken_signature } from './lib/tokens.mjs';
import { in_parallel } from './lib/wait.mjs';

let issuer;
let token;
let server;

const PAGE = 'https://app.example.com';

before(async () => {
  issuer = await Issuer.make({ leeway: '0s' });
  token = await issuer.sign();
  server = await Server.start({
    issuer,
    routes: [
      echo('/chat/:room', { credentials: ['header', 'ticket', 'cookie:session'], origins: [PAGE], reject: 'http' }),
      echo('/scoped', { credentials: ['header', 'ticket'], origins: [PAGE], scopes: ['write'] }),
      echo('/tickets-only', { credentials: ['ticket'], origins: [PAGE] }),
      echo('/header', { credentials: ['header'] }),
      echo('/any', { credentials: ['header', 'ticket'], origins: 'insecure_any' }),
    ],
  });
});
after(() => server?.stop());

const ticket = (path, fields = bearer(token), more = {}) =>
  fetch(`${server.origin}/.sallyport/ticket`, {
    method: 'POST', body: JSON.stringify({ path }), headers: { 'Content-Type': 'application/json', ...fields }, ...more,
  });
const ticket_of = async (path, fields) => (await (await ticket(path, fields)).json()).ticket;
const preflight = (path, fields = {}) =>
  fetch(`${server.origin}/.sallyport/preflight?path=${encodeURIComponent(path)}`, { headers: fields });

const status_of = (target, fields) => upgrade_status(server, target, fields);

describe('a ticket', () => {
  test('opens one socket for whoever it was issued for', async () => {
    const answer = await ticket('/chat/blue');
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    const body = await answer.json();
    assert.equal(body.expires_in, 30);
    assert.match(body.ticket, /^[A-Za-z0-9_-]{43}$/, '256 bits');
    const socket = new WebSocket(`${server.url}/chat/blue?ticket=${body.ticket}`);
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
    socket.terminate();
    assert.equal(await status_of(`/chat/blue?ticket=${body.ticket}`), '401 invalid_token');
  });

  test('opens one of two hundred sockets at once', async () => {
    const one = await ticket_of('/chat/blue');
    const results = await in_parallel(Array(200).fill(), 200, () => status_of(`/chat/blue?ticket=${one}`));
    assert.equal(results.filter((result) => result === 101).length, 1);
    assert.equal(results.filter((result) => result === '401 invalid_token').length, 199);
  });

  test('is good for its path and its origin alone', async () => {
    assert.equal(await status_of(`/chat/red?ticket=${await ticket_of('/chat/blue')}`), '401 invalid_token');
    const page = { ...bearer(token), Origin: PAGE };
    assert.equal(await status_of(`/chat/blue?ticket=${await ticket_of('/chat/blue', page)}`), '401 invalid_token');
    assert.equal(await status_of(`/chat/blue?ticket=${await ticket_of('/chat/blue', page)}`, { Origin: PAGE }), 101);
    assert.equal(await status_of(`/chat/blue?ticket=${await ticket_of('/chat/blue')}`, { Origin: PAGE }), '401 invalid_token');
  });

  test('is no credential twice, beside another, or where the route does not take it', async () => {
    const one = await ticket_of('/chat/blue');
    assert.equal(await status_of(`/chat/blue?ticket=${one}&ticket=${one}`), '400 bad_request');
    assert.equal(await status_of(`/chat/blue?ticket=${one}`, bearer(token)), '400 bad_request');
    assert.equal(await status_of(`/header?ticket=${one}`), '401 missing_credentials');
    assert.equal(await status_of(`/chat/blue?ticket=${one}`), 101, 'it was not used up by any of these');
  });

  test('ends when the token ends that it was issued for', async () => {
    const short = await issuer.sign({ ttl: 3 });
    const one = await ticket_of('/chat/blue', bearer(short));
    const socket = new WebSocket(`${server.url}/chat/blue?ticket=${one}`);
    const [code, reason] = await new Promise((resolve, reject) =>
      socket.on('close', (...why) => resolve(why)).on('error', reject));
    assert.deepEqual([code, reason.toString()], [3000, 'token_expired']);
    const dead = await issuer.sign({ ttl: 2 });
    const late = await ticket_of('/chat/blue', bearer(dead));
    await new Promise((resolve) => setTimeout(resolve, 2200));
    assert.equal(await status_of(`/chat/blue?ticket=${late}`), '401 token_expired');
  });

  test('is not issued where a handshake would be refused', async () => {
    const reason = async (answer) => `${answer.status} ${(await answer.json()).reason}`;
    assert.equal(await reason(await ticket('/chat/blue', {})), '401 missing_credentials');
    assert.equal(await reason(await ticket('/chat/blue', bearer(broken_signature(token)))), '401 invalid_token');
    assert.equal(await reason(await ticket('/chat/blue', bearer(await issuer.sign({ ttl: -5 })))), '401 token_expired');
    assert.equal(await reason(await ticket('/scoped')), '403 forbidden');
    assert.equal(await reason(await ticket('/header')), '403 forbidden');
    assert.equal(await reason(await ticket('/nowhere')), '404 not_found');
    assert.equal(await reason(await ticket('/chat/blue', { ...bearer(token), Origin: 'https://evil.example' })), '403 origin_not_allowed');
    assert.equal(await reason(await ticket('/chat/blue', { Cookie: `session=${token}` })), '403 origin_not_allowed');
    assert.equal((await ticket('/chat/blue', { Cookie: `session=${token}`, Origin: PAGE })).status, 200);
    assert.equal((await ticket('/tickets-only')).status, 200, 'the header counts here in any case');
  });

  test('is issued thirty times in half a minute to one subject', async () => {
    const busy = await issuer.sign({ sub: 'busy' });
    const statuses = await in_parallel(Array(40).fill(), 8, async () => (await ticket('/chat/blue', bearer(busy))).status);
    assert.equal(statuses.filter((status) => status === 200).length, 30);
    assert.equal(statuses.filter((status) => status === 429).length, 10);
    assert.equal((await ticket('/chat/blue', bearer(await issuer.sign({ sub: 'calm' })))).status, 200);
  });

  test('asks clearly for what it needs', async () => {
    for (const body of ['', 'x', '[]', '{}', '{"path":7}', '{"path":"chat"}', '{"path":"/a b"}']) {
      const answer = await fetch(`${server.origin}/.sallyport/ticket`, { method: 'POST', body, headers: bearer(token) });
      assert.equal(answer.status, 400, body);
      assert.equal(answer.headers.get('content-type'), 'application/problem+json');
    }
    assert.equal((await fetch(`${server.origin}/.sallyport/ticket`)).status, 405);
    assert.equal((await fetch(`${server.origin}/.sallyport/ticket`, { method: 'POST', body: 'x'.repeat(10_000) })).status, 413);
  });
});

describe('the preflight', () => {
  test('says what a handshake would be told', async () => {
    assert.equal((await preflight('/chat/blue', bearer(token))).status, 204);
    const refused = await preflight('/chat/blue', bearer(await issuer.sign({ ttl: -5 })));
    assert.equal(refused.status, 401);
    assert.match(refused.headers.get('www-authenticate'), /^Bearer error="invalid_token"/);
    assert.deepEqual(await refused.json(), { type: 'about:blank', title: 'Unauthorized', status: 401, reason: 'token_expired' });
    assert.equal((await preflight('/scoped', bearer(token))).status, 403);
    assert.equal((await preflight('/nowhere')).status, 404);
    assert.equal((await preflight('/chat/blue')).status, 401);
    assert.equal((await fetch(`${server.origin}/.sallyport/preflight`)).status, 400);
  });

  test('may be read by pages of the route and by no other', async () => {
    const good = await preflight('/chat/blue', { Origin: PAGE });
    assert.equal(good.headers.get('access-control-allow-origin'), PAGE);
    assert.equal(good.headers.get('access-control-allow-credentials'), 'true');
    const evil = await preflight('/chat/blue', { Origin: 'https://evil.example' });
    assert.equal(evil.status, 403);
    assert.equal(evil.headers.get('access-control-allow-origin'), null);
    const any = await preflight('/any', { Origin: 'https://evil.example' });
    assert.equal(any.headers.get('access-control-allow-origin'), 'https://evil.example');
    assert.equal(any.headers.get('access-control-allow-credentials'), null, 'any page, but not with cookies');
    const ask = await fetch(`${server.origin}/.sallyport/ticket`, {
      method: 'OPTIONS', headers: { Origin: PAGE, 'Access-Control-Request-Method': 'POST' } });
    assert.equal(ask.status, 204);
    assert.match(ask.headers.get('access-control-allow-headers'), /Authorization/);
  });
});

test('no ticket and no token of these requests is in the log', () => {
  assert.ok(server.log.length > 0);
  for (const part of token.split('.').slice(1)) assert.ok(!server.stderr.includes(part));
  assert.ok(!/[?&]ticket=[A-Za-z0-9_-]{20}/.test(server.stderr));
});
