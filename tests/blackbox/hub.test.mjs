// Channels: who may join and speak, what everyone hears, and in which order.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client, attempt } from './lib/client.mjs';
import { Server, hub } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { in_parallel } from './lib/wait.mjs';

let issuer;
let server;

before(async () => {
  issuer = await Issuer.make();
  const both = ['subscribe', 'publish'];
  server = await Server.start({
    issuer,
    routes: [
      hub('/chat/:room', [
        { do: both, channel: 'room/{param.room}' },
        { do: ['subscribe'], channel: 'user/{sub}' },
        { do: ['publish'], channel: 'user/*' },
        { do: both, channel: 'tenant/{claim.tenant}/*' },
        { do: ['subscribe'], channel: 'staff/*', scopes: ['staff', 'read'] },
      ]),
      hub('/open', [{ do: both, channel: '*' }], { message_bytes: '64KiB' }),
    ],
  });
});
after(() => server?.stop());

const open = async (path = '/open', claims = {}) => Client.open(server, path, { token: await issuer.sign(claims) });
let ids = 0;

/** Sends a request with a fresh id and returns the answer that bears it. */
async function ask(client, message) {
  const id = ++ids;
  client.send({ ...message, id });
  for (;;) {
    const answer = await client.next_json();
    if (answer.id === id) return answer;
    assert.equal(answer.type, 'message', JSON.stringify(answer));
  }
}
const join = async (client, channel) => (await ask(client, { type: 'subscribe', channel })).type;
const say = async (client, channel, data = 'x') => (await ask(client, { type: 'publish', channel, data })).type;

describe('permits', { concurrency: 4 }, () => {
  test('a parameter of the route names the room', async () => {
    const client = await open('/chat/blue');
    assert.equal(await join(client, 'room/blue'), 'subscribed');
    assert.equal(await join(client, 'room/red'), 'error');
    assert.equal(await join(client, 'room/'), 'error');
    assert.equal(await join(client, 'room/blue/more'), 'error');
    assert.equal(await say(client, 'room/blue'), 'published');
    assert.equal(await say(client, 'room/red'), 'error');
    client.terminate();
  });

  test('a parameter that holds a slash reaches no other level', async () => {
    const { client, refused } = await attempt(server, '/chat/blue%2fsecret', { token: await issuer.sign() });
    if (refused) return assert.ok([400, 404].includes(refused.status));
    assert.equal(await join(client, 'room/blue/secret'), 'error');
    client.terminate();
  });

  test('the subject may listen to itself, and anyone may speak to it', async () => {
    const ada = await open('/chat/x', { sub: 'ada' });
    const bob = await open('/chat/x', { sub: 'bob' });
    assert.equal(await join(ada, 'user/ada'), 'subscribed');
    assert.equal(await join(bob, 'user/ada'), 'error');
    assert.equal(await say(bob, 'user/ada', 'hello ada'), 'published');
    const heard = await ada.of_type('message');
    assert.deepEqual(heard, { type: 'message', channel: 'user/ada', subject: 'bob', data: 'hello ada' });
    ada.terminate();
    bob.terminate();
  });

  test('a subject or claim that holds a slash or an asterisk is taken literally', async () => {
    const sly = await open('/chat/x', { sub: '*', tenant: 'a/b' });
    assert.equal(await join(sly, 'user/ada'), 'error');
    assert.equal(await join(sly, 'tenant/a/b/c'), 'error');
    const star = await open('/chat/x', { tenant: '*' });
    assert.equal(await join(star, 'tenant/acme/a'), 'error');
    const none = await open('/chat/x');
    assert.equal(await join(none, 'tenant//a'), 'error');
    for (const client of [sly, star, none]) client.terminate();
  });

  test('a claim names the tenant and an asterisk never crosses a slash', async () => {
    const client = await open('/chat/x', { tenant: 'acme' });
    assert.equal(await join(client, 'tenant/acme/news'), 'subscribed');
    assert.equal(await join(client, 'tenant/acme/'), 'error');
    assert.equal(await join(client, 'tenant/acme/a/b'), 'error');
    assert.equal(await join(client, 'tenant/other/news'), 'error');
    client.terminate();
  });

  test('a permit with scopes needs all of them', async () => {
    const some = await open('/chat/x', { scope: 'staff' });
    const all = await open('/chat/x', { scope: 'read staff' });
    assert.equal(await join(some, 'staff/a'), 'error');
    assert.equal(await join(all, 'staff/a'), 'subscribed');
    assert.equal(await say(all, 'staff/a'), 'error', 'it says subscribe, not publish');
    some.terminate();
    all.terminate();
  });

  test('what is not permitted is answered with forbidden and the connection stays', async () => {
    const client = await open('/chat/x');
    for (const message of [{ type: 'subscribe', channel: 'else' }, { type: 'publish', channel: 'else', data: 1 }]) {
      const { type, reason } = await ask(client, message);
      assert.deepEqual([type, reason], ['error', 'forbidden']);
    }
    assert.equal(await join(client, 'room/x'), 'subscribed');
    client.terminate();
  });
});

describe('requests', { concurrency: 4 }, () => {
  test('answers bear the id as it came, text or number, and the channel', async () => {
    const client = await open();
    for (const id of [1, 'one', 0, '', 'a"\\\u20ac']) {
      client.send({ type: 'subscribe', channel: 'c', id });
      assert.deepEqual(await client.next_json(), { type: 'subscribed', channel: 'c', id });
      client.send({ type: 'unsubscribe', channel: 'c', id });
      assert.deepEqual(await client.next_json(), { type: 'unsubscribed', channel: 'c', id });
    }
    client.terminate();
  });

  test('a publication without an id is not answered', async () => {
    const client = await open();
    client.send({ type: 'publish', channel: 'quiet', data: 1 });
    client.send({ type: 'subscribe', channel: 'quiet', id: 5 });
    assert.deepEqual(await client.next_json(), { type: 'subscribed', channel: 'quiet', id: 5 });
    client.terminate();
  });

  test('a faulty request is an error with its id, and the connection stays', async () => {
    const client = await open();
    for (const message of ['hello', '', '{', '[]', '{"type":"nonsense","id":3}', '{"type":"subscribe","id":3}',
                           '{"type":"subscribe","channel":5,"id":3}', '{"type":"subscribe","channel":"","id":3}',
                           '{"type":"publish","channel":"a","id":3}', '{"channel":"a","type":"subscribe","id":3}',
                           `{"type":"subscribe","channel":"${'x'.repeat(256)}","id":3}`, '{"type":"subscribe","channel":"a\\u0000b","id":3}',
                           '{"type":"subscribe","channel":"a","channel":"b","id":3}', Buffer.from('{"type":"subscribe","channel":"a","id":3}')]) {
      client.send(message);
      const answer = await client.next_json();
      assert.equal(answer.type, 'error', String(message));
      assert.equal(typeof answer.reason, 'string');
      if (answer.id !== undefined) assert.equal(answer.id, 3);
    }
    assert.equal(await join(client, 'a'), 'subscribed');
    client.terminate();
  });

  test('data of every kind arrives as it was', async () => {
    const client = await open();
    await join(client, 'data');
    for (const data of [null, true, 0, -1.5, 'text \u20ac "quoted" \\ \n', [], [1, [2]], {}, { a: { b: null }, type: 'auth' }]) {
      client.send({ type: 'publish', channel: 'data', data });
      assert.deepEqual((await client.of_type('message')).data, data);
    }
    client.terminate();
  });
});

describe('publications', { concurrency: 1 }, () => {
  test('reach every subscriber on every worker, the publisher included, in order', async () => {
    const clients = await in_parallel(Array.from({ length: 16 }), 8, (_, i) => open('/open', { sub: `s${i}` }));
    for (const client of clients) assert.equal(await join(client, 'order'), 'subscribed');
    const count = 300;
    for (let i = 0; i < count; ++i) clients[0].send({ type: 'publish', channel: 'order', data: i });
    await Promise.all(clients.map(async (client) => {
      for (let i = 0; i < count; ++i) {
        const { data, subject, channel } = await client.of_type('message');
        assert.deepEqual([data, subject, channel], [i, 's0', 'order']);
      }
    }));
    for (const client of clients) client.terminate();
  });

  test('of several publishers arrive in the order of each', async () => {
    const speakers = await in_parallel(['a', 'b', 'c', 'd'], 4, (sub) => open('/open', { sub }));
    const listeners = await in_parallel([1, 2, 3, 4], 4, () => open());
    for (const listener of listeners) await join(listener, 'mixed');
    const count = 100;
    for (let i = 0; i < count; ++i) for (const speaker of speakers) speaker.send({ type: 'publish', channel: 'mixed', data: i });
    for (const listener of listeners) {
      const next = { a: 0, b: 0, c: 0, d: 0 };
      for (let i = 0; i < count * 4; ++i) {
        const { data, subject } = await listener.of_type('message');
        assert.equal(data, next[subject]++);
      }
    }
    for (const client of [...speakers, ...listeners]) client.terminate();
  });

  test('come once although the channel was joined twice', async () => {
    const client = await open();
    await join(client, 'twice');
    await join(client, 'twice');
    client.send({ type: 'publish', channel: 'twice', data: 1 });
    client.send({ type: 'publish', channel: 'twice', data: 2 });
    assert.equal((await client.of_type('message')).data, 1);
    assert.equal((await client.of_type('message')).data, 2);
    client.terminate();
  });

  test('do not come to those who have left, or to other channels', async () => {
    const client = await open();
    const other = await open();
    await join(client, 'left');
    await join(client, 'kept');
    assert.equal((await ask(client, { type: 'unsubscribe', channel: 'left' })).type, 'unsubscribed');
    assert.equal(await say(other, 'left'), 'published');
    assert.equal(await say(other, 'kept'), 'published');
    assert.equal((await client.of_type('message')).channel, 'kept');
    client.terminate();
    other.terminate();
  });

  test('survive subscribers that come and go', async () => {
    const listener = await open();
    await join(listener, 'churn');
    const speaker = await open();
    await in_parallel(Array.from({ length: 100 }), 8, async (_, i) => {
      const guest = await open('/open', { sub: `g${i}` });
      await join(guest, 'churn');
      speaker.send({ type: 'publish', channel: 'churn', data: i });
      guest.terminate();
    });
    const heard = new Set();
    while (heard.size < 100) heard.add((await listener.of_type('message')).data);
    listener.terminate();
    speaker.terminate();
  });
});
