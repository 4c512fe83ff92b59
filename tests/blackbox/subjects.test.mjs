// How many sockets one subject may have, and what a crowd that comes back meets.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { Raw, bearer } from './lib/raw.mjs';
import { echo, serve } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { eventually } from './lib/wait.mjs';

let issuer;
before(async () => { issuer = await Issuer.make(); });

test('the oldest makes room, with a code that says not to come back', async (t) => {
  const server = await serve(t, { issuer, routes: [echo('/a', { connections_per_subject: 5 }),
                                                   echo('/44', { connections_per_subject: 1, close_codes: '44xx' })] });
  const token = await issuer.sign();
  const clients = [];
  for (let i = 0; i < 6; i += 1) clients.push(await Client.open(server, '/a', { token }));
  assert.deepEqual(await clients[0].ending(), { code: 3003, reason: 'evicted' });
  for (const client of clients.slice(1)) await client.echo('here');
  await (await Client.open(server, '/a', { token: await issuer.sign({ sub: 'bob' }) })).echo('someone else');
  const first = await Client.open(server, '/44', { token });
  await (await Client.open(server, '/44', { token })).echo('newer');
  assert.deepEqual(await first.ending(), { code: 4409, reason: 'evicted' });
});

test('or the newcomer is refused, and a race never exceeds the limit', async (t) => {
  const server = await serve(t, { issuer, routes: [echo('/a', { connections_per_subject: 5, when_full: 'reject' })] });
  const token = await issuer.sign();
  const results = await Promise.allSettled(Array.from({ length: 100 }, () => Client.open(server, '/a', { token })));
  const open = results.filter(({ status }) => status === 'fulfilled').map(({ value }) => value);
  assert.equal(open.length, 5);
  for (const { reason } of results.filter(({ status }) => status === 'rejected')) {
    assert.equal(reason.status, 429);
    assert.ok(Number(reason.headers['retry-after']) >= 1);
  }
  for (const client of open) await client.echo('here');
  open[0].terminate();
  await eventually(() => Client.open(server, '/a', { token }).catch(() => undefined), 'the place of one who has gone');
});

test('those who died without a word count only until a ping has found them', async (t) => {
  const server = await serve(t, {
    issuer, routes: [echo('/a', { connections_per_subject: 3, when_full: 'reject', ping_interval: '300ms', idle_timeout: '1s' })],
  });
  const token = await issuer.sign();
  // They hold the TCP connection and answer nothing, as a machine does whose network has gone.
  const dead = await Promise.all(Array.from({ length: 3 }, () => Raw.open(server, '/a', bearer(token))));
  await assert.rejects(Client.open(server, '/a', { token }), { status: 429 });
  const client = await eventually(() => Client.open(server, '/a', { token }).catch(() => undefined), 'a place');
  await client.echo('here');
  for (const raw of dead) raw.destroy();
});

test('a crowd with new tokens is admitted at a rate; those who are known pass', async (t) => {
  const server = await serve(t, { issuer, limits: { verifications: '20/1s' }, routes: [echo('/a')] });
  const known = await issuer.sign({ sub: 'known' });
  (await Client.open(server, '/a', { token: known })).terminate();
  const tokens = await Promise.all(Array.from({ length: 60 }, (_, i) => issuer.sign({ sub: `u${i}` })));
  const results = await Promise.allSettled(tokens.map((token) => Client.open(server, '/a', { token })));
  const refused = results.filter(({ status }) => status === 'rejected');
  assert.ok(refused.length >= 20, `${refused.length} refused`);
  for (const { reason } of refused) {
    assert.equal(reason.status, 503);
    assert.ok(Number(reason.headers['retry-after']) >= 1);
  }
  // At the worst moment the one who is known gets in, and in the end everybody does.
  for (let i = 0; i < 5; i += 1) await (await Client.open(server, '/a', { token: known })).echo('known');
  for (const token of tokens) {
    const client = await eventually(() => Client.open(server, '/a', { token }).catch(() => undefined), 'everybody');
    client.terminate();
  }
});
