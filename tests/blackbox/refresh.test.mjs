// Refresh out of band: a new credential for an open connection, by HTTP.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { Server, echo, hub } from './lib/server.mjs';
import { Issuer, broken_signature, now } from './lib/tokens.mjs';
import { sleep } from './lib/wait.mjs';

let issuer;
let other;
let server;
before(async () => {
  issuer = await Issuer.make({ leeway: '0s' });
  other = await Issuer.make({ iss: 'https://other.example.test/', leeway: '0s' });
  server = await Server.start({
    issuer, verifiers: { other: other.verifier() },
    routes: [echo('/echo', { verifiers: ['main', 'other'] }), echo('/scoped', { scopes: ['chat'] }),
             hub('/hub', [{ do: ['subscribe', 'publish'], channel: 'open/*' },
                          { do: ['subscribe', 'publish'], channel: 'secret/*', scopes: ['secret'] }])],
  });
});
after(() => server?.stop());

const V1 = { protocols: ['sallyport.v1'] };
async function open(path, claims = {}) {
  const client = await Client.open(server, path, { token: await issuer.sign(claims), ...V1 });
  client.id = (await client.of_type('ready')).connection;
  return client;
}
async function refresh(connection, token, { method = 'POST', body, headers = {} } = {}) {
  const response = await fetch(`${server.origin}/.sallyport/refresh`, {
    method,
    headers: { ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }), ...headers },
    ...(method === 'GET' ? {} : { body: body ?? JSON.stringify({ connection }) }),
  });
  assert.equal(response.headers.get('cache-control'), 'no-store');
  return { status: response.status, json: await response.json().catch(() => undefined), headers: response.headers };
}

test('the connection outlives its first token, and its peer is told', async () => {
  const client = await open('/echo', { exp: now() + 3 });
  const exp = now() + 60;
  const answer = await refresh(client.id, await issuer.sign({ exp }));
  assert.deepEqual([answer.status, answer.json], [200, { expires_at: exp }]);
  assert.equal((await client.of_type('refreshed')).expires_at, exp);
  await sleep(3500);
  await client.echo('still here');
  client.terminate();
});

test('nothing that is wrong with the request ends the connection', async () => {
  const client = await open('/echo');
  const cases = [
    [401, 'subject_changed', await issuer.sign({ sub: 'mallory' })],
    [401, 'subject_changed', await other.sign()],
    [401, 'invalid_token', broken_signature(await issuer.sign())],
    [401, 'token_expired', await issuer.sign({ exp: now() - 10 })],
    [401, 'missing_credentials', undefined],
  ];
  for (const [status, reason, token] of cases) {
    const answer = await refresh(client.id, token);
    assert.deepEqual([answer.status, answer.json.reason], [status, reason]);
  }
  for (const body of ['', '{}', '[]', '{"connection":7}', '{"connection":"' + 'x'.repeat(5000) + '"}', 'nonsense']) {
    const { status } = await refresh(client.id, await issuer.sign(), { body });
    assert.ok(status === 400 || status === 413, `${status} for ${body.slice(0, 20)}`);
  }
  const token = await issuer.sign();
  assert.equal((await refresh('AAAAAAAAAAAAAAAAAAAAAA', token)).status, 404);
  assert.equal((await refresh(client.id, token, { method: 'GET' })).status, 405);
  await client.echo('unmoved');
  client.terminate();
});

test('less permission is refused by the route and drops subscriptions on a hub', async () => {
  const scoped = await open('/scoped', { scope: 'chat' });
  assert.equal((await refresh(scoped.id, await issuer.sign())).status, 403);
  await scoped.echo('under the old one');
  scoped.terminate();

  const member = await open('/hub', { scope: 'secret' });
  for (const channel of ['open/a', 'secret/a']) {
    member.send({ type: 'subscribe', channel });
    await member.of_type('subscribed');
  }
  assert.equal((await refresh(member.id, await issuer.sign())).status, 200);
  const dropped = await member.of_type('unsubscribed');
  assert.deepEqual([dropped.channel, dropped.reason], ['secret/a', 'forbidden']);
  const publisher = await open('/hub', { sub: 'bob', scope: 'secret' });
  publisher.send({ type: 'publish', channel: 'secret/a', data: 1 });
  publisher.send({ type: 'publish', channel: 'open/a', data: 2 });
  assert.equal((await member.of_type('message')).data, 2);
  member.terminate();
  publisher.terminate();
});

test('too many at once are refused and the connection stays', async () => {
  const client = await open('/echo');
  const answers = [];
  for (let i = 0; i < 15; i += 1) answers.push((await refresh(client.id, await issuer.sign())).status);
  assert.equal(answers.filter((status) => status === 200).length, 10);
  assert.equal(answers.filter((status) => status === 429).length, 5);
  await client.of_type('refreshed');
  client.send('still here');
  while (await client.next() !== 'still here');
  client.terminate();
});
