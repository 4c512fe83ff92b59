// Going on where a connection stopped: what was missed comes once and in order, to its owner alone, and where something
// is lost the client is told.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Admin } from './lib/admin.mjs';
import { Client } from './lib/client.mjs';
import { Server, hub, serve } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { SLOW, sleep } from './lib/wait.mjs';

const permit = [{ do: ['subscribe', 'publish'], channel: '*' }];
const credentials = ['header', 'first_message'];
const admin = new Admin();
let issuer;
let server;
let speaker;

before(async () => {
  issuer = await Issuer.make({ leeway: '0s' });
  server = await Server.start({
    issuer,
    admin: admin.section,
    routes: [
      hub('/hub', permit, { credentials }),
      hub('/brief', permit, { credentials, resume: '1ms' }),
      hub('/never', permit, { credentials, resume: '0s' }),
    ],
  });
  speaker = await Peer.open();
});
after(async () => {
  speaker?.terminate();
  await server?.stop();
});

/** A client as the documentation describes it: it signs in, counts publications, and comes back with both. */
class Peer {
  static async open({ claims = {}, resume, received, path = '/hub', url } = {}) {
    const peer = new Peer();
    peer.client = await Client.open(server, url ? `${url}${path}` : path);
    peer.client.send({ type: 'auth', token: await issuer.sign(claims), resume, received });
    peer.ready = await peer.client.of_type('ready');
    peer.received = 0;
    if (resume !== undefined) peer.answer = await peer.client.next_json();
    return peer;
  }
  /** The next connection of the same client. */
  again(more = {}) { return Peer.open({ resume: this.ready.resume, received: this.received, ...more }); }

  async next() {
    const message = await this.client.next_json();
    if (message.type === 'message') ++this.received;
    return message;
  }
  async data(count) {
    const all = [];
    while (all.length < count) {
      const message = await this.next();
      assert.equal(message.type, 'message', JSON.stringify(message));
      all.push(message.data);
    }
    return all;
  }
  async join(channel) {
    this.client.send({ type: 'subscribe', channel });
    assert.deepEqual(await this.next(), { type: 'subscribed', channel });
  }
  /** Nothing is on its way to it any more. */
  async quiet() {
    this.client.send({ type: 'unsubscribe', channel: 'nowhere' });
    assert.deepEqual(await this.next(), { type: 'unsubscribed', channel: 'nowhere' });
  }
  terminate() { this.client.terminate(); }
  /** The server has noticed its end. */
  gone() { return server.event('ws.close', (entry) => entry.connection === this.ready.connection); }
}

const refused = { type: 'error', reason: 'resume_refused' };
const resumed = (channels, gap = false) => ({ type: 'resumed', channels, gap });
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** Publishes the numbers, and returns when the server has taken them. */
async function say(channel, ...numbers) {
  for (const data of numbers) speaker.client.send({ type: 'publish', channel, data });
  speaker.client.send({ type: 'publish', channel: 'nowhere', data: 0, id: 'last' });
  assert.deepEqual(await speaker.client.next_json(), { type: 'published', channel: 'nowhere', id: 'last' });
}

let rooms = 0;
const new_room = () => `room ${++rooms}`;

/** A TCP relay that can fall silent: both ends stay open and nothing goes through any more. */
async function relay(port) {
  const sockets = [];
  const listener = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    for (const [from, to] of [[near, far], [far, near]]) {
      from.on('data', (data) => to.write(data));
      from.on('close', () => to.destroy());
      from.on('error', () => {});
    }
    sockets.push(near, far);
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    url: `ws://127.0.0.1:${listener.address().port}`,
    silence() { for (const socket of sockets) socket.pause(); },
    end() {
      for (const socket of sockets) socket.destroy();
      listener.close();
    },
  };
}

describe('what is replayed', () => {
  test('a client that was cut off hears what it missed, once, in order, and then what is new', async () => {
    const room = new_room();
    const peer = await Peer.open();
    await peer.join(room);
    await say(room, 1, 2);
    assert.deepEqual(await peer.data(2), [1, 2]);
    peer.terminate();
    await say(room, ...range(3, 30));
    const next = await peer.again();
    assert.deepEqual(next.answer, resumed([room]));
    assert.deepEqual(await next.data(28), range(3, 30));
    await say(room, 31);
    assert.deepEqual(await next.data(1), [31]);
    await next.quiet();
    next.terminate();
  });

  test('so does one that does not count, if it had time to hear what was sent', async () => {
    const room = new_room();
    const peer = await Peer.open();
    await peer.join(room);
    await say(room, 1, 2);
    await peer.data(2);
    await peer.quiet();
    peer.terminate();
    await say(room, 3);
    const next = await peer.again({ received: undefined });
    assert.deepEqual(next.answer, resumed([room]));
    assert.deepEqual(await next.data(1), [3]);
    await next.quiet();
    next.terminate();
  });

  test('a connection that a silent network holds open is taken over, and what was swallowed comes again', async (t) => {
    const room = new_room();
    const middle = await relay(server.port);
    t.after(() => middle.end());
    const peer = await Peer.open({ url: middle.url });
    await peer.join(room);
    await say(room, 1);
    assert.deepEqual(await peer.data(1), [1]);
    middle.silence();
    await say(room, 2, 3);
    const next = await peer.again();
    assert.deepEqual(next.answer, resumed([room]));
    assert.deepEqual(await next.data(2), [2, 3]);
    assert.equal((await peer.gone()).reason, 'evicted');
    await next.quiet();
    next.terminate();
  });

  test('more than a hundred missed publications of a channel are a gap, and the last hundred come', async () => {
    const room = new_room();
    const other = new_room();
    const peer = await Peer.open();
    await peer.join(room);
    await peer.join(other);
    peer.terminate();
    await say(other, 0);
    await say(room, ...range(1, 101));
    const next = await peer.again();
    assert.equal(next.answer.gap, true);
    assert.deepEqual([...next.answer.channels].sort(), [room, other].sort());
    assert.deepEqual(await next.data(101), [0, ...range(2, 101)]);
    await next.quiet();
    next.terminate();
  });

  test('exactly a hundred are none', async () => {
    const room = new_room();
    const peer = await Peer.open();
    await peer.join(room);
    peer.terminate();
    await say(room, ...range(1, 100));
    const next = await peer.again();
    assert.deepEqual(next.answer, resumed([room]));
    assert.deepEqual(await next.data(100), range(1, 100));
    next.terminate();
  });

  test('a token that has ended is followed by a new one without a loss', async () => {
    const room = new_room();
    const peer = await Peer.open({ claims: { ttl: 3 * SLOW } });
    await peer.join(room);
    await say(room, 1);
    assert.deepEqual(await peer.data(1), [1]);
    assert.deepEqual(await peer.client.ending(), { code: 3000, reason: 'token_expired' });
    await say(room, 2);
    const next = await peer.again();
    assert.deepEqual(next.answer, resumed([room]));
    assert.deepEqual(await next.data(1), [2]);
    next.terminate();
  });

  test('clients that come and go at random hear every number once and in order', async () => {
    const room = new_room();
    const numbers = 1500;
    const ahead = 40;
    const heard = [0, 0, 0, 0];
    let reconnects = 0;
    const member = async (me) => {
      const claims = { sub: `member ${me}` };
      let peer = await Peer.open({ claims });
      await peer.join(room);
      return async () => {
        while (heard[me] < numbers) {
          assert.deepEqual(await peer.data(1), [heard[me] + 1], `member ${me}`);
          if (++heard[me] % 50 !== (7 * me) % 50) continue;
          ++reconnects;
          const old = peer;
          if (reconnects % 3 !== 0) old.terminate();
          peer = await old.again({ claims });
          assert.deepEqual(peer.answer, resumed([room]), `member ${me} after ${heard[me]}`);
        }
        peer.terminate();
      };
    };
    const members = await Promise.all(heard.map((_, me) => member(me)));
    const publishing = (async () => {
      for (let number = 1; number <= numbers; ++number) {
        while (number - Math.min(...heard) > ahead) await sleep(1);
        speaker.client.send({ type: 'publish', channel: room, data: number });
      }
    })();
    await Promise.all([publishing, ...members.map((run) => run())]);
    assert.ok(reconnects > 100, `${reconnects} reconnects`);
  });
});

describe('whose it is', () => {
  test('it is of use once', async () => {
    const room = new_room();
    const peer = await Peer.open();
    await peer.join(room);
    peer.terminate();
    const first = await peer.again();
    assert.deepEqual(first.answer, resumed([room]));
    const second = await peer.again();
    assert.deepEqual(second.answer, refused);
    assert.notEqual(first.ready.resume, peer.ready.resume);
    // It stays, in no channel.
    await say(room, 1);
    assert.deepEqual(await first.data(1), [1]);
    await second.quiet();
    first.terminate();
    second.terminate();
  });

  test('another subject, another session and no session cannot use it, and take nothing from its owner', async () => {
    const room = new_room();
    const owner = { sub: 'ada', sid: 's1' };
    const peer = await Peer.open({ claims: owner });
    await peer.join(room);
    const strangers = [{ sub: 'eve', sid: 's1' }, { sub: 'ada', sid: 's2' }, { sub: 'ada' }];
    for (const open of [true, false]) {
      if (!open) peer.terminate();
      for (const claims of strangers) {
        const stranger = await peer.again({ claims });
        assert.deepEqual(stranger.answer, refused, JSON.stringify({ open, claims }));
        stranger.terminate();
      }
      if (open) await peer.quiet();
    }
    await say(room, 1);
    const next = await peer.again({ claims: owner });
    assert.deepEqual(next.answer, resumed([room]));
    assert.deepEqual(await next.data(1), [1]);
    next.terminate();
  });

  test('another route cannot use it', async () => {
    const peer = await Peer.open();
    peer.terminate();
    const other = await peer.again({ path: '/brief' });
    assert.deepEqual(other.answer, refused);
    other.terminate();
  });

  test('it is refused after a revocation of what it was made for', async () => {
    const room = new_room();
    const before_it = { sub: 'revoked', sid: 's', jti: 'before' };
    const afterwards = { sub: 'revoked', sid: 's', jti: 'afterwards' };
    const away = await Peer.open({ claims: before_it });
    await away.join(room);
    away.terminate();
    const open = await Peer.open({ claims: before_it });
    await open.join(room);
    await admin.revoke(server, { token_id: 'before' });
    assert.deepEqual(await open.client.ending(), { code: 3000, reason: 'token_revoked' });
    for (const peer of [away, open]) {
      const next = await peer.again({ claims: afterwards });
      assert.deepEqual(next.answer, refused);
      await next.quiet();
      next.terminate();
    }
  });

  test('it ends with the time that the route grants, and a route that grants none gives none', async () => {
    const peer = await Peer.open({ path: '/brief' });
    peer.terminate();
    await peer.gone();
    await sleep(50);
    const next = await peer.again({ path: '/brief' });
    assert.deepEqual(next.answer, refused);
    next.terminate();
    const never = await Peer.open({ path: '/never' });
    assert.equal(never.ready.resume, undefined);
    never.terminate();
  });

  test('what is no token is refused, and the connection stays', async () => {
    for (const resume of ['x', 'A'.repeat(43), '"\\', 'é']) {
      const peer = await Peer.open({ resume });
      assert.deepEqual(peer.answer, refused);
      await peer.quiet();
      peer.terminate();
    }
  });

  test('a server that was started anew knows none', async (t) => {
    const config = { issuer, routes: [hub('/hub', permit, { credentials })] };
    const first = await serve(t, config);
    const peer = await Peer.open({ url: first.url });
    peer.terminate();
    await first.stop();
    const second = await serve(t, config);
    const next = await peer.again({ url: second.url });
    assert.deepEqual(next.answer, refused);
    next.terminate();
  });
});

describe('where the handshake carried the credential', () => {
  const open = async () => {
    const client = await Client.open(server, '/hub', { token: await issuer.sign(), protocols: ['sallyport.v1'] });
    return { client, ready: await client.next_json() };
  };

  test('it is asked for in the socket, once and before the first channel', async () => {
    const room = new_room();
    const first = await open();
    first.client.send({ type: 'subscribe', channel: room });
    await first.client.of_type('subscribed');
    first.client.terminate();
    await say(room, 1);
    const { client } = await open();
    client.send({ type: 'resume', resume: first.ready.resume, received: 0, id: 4 });
    assert.deepEqual(await client.next_json(), { ...resumed([room]), id: 4 });
    assert.equal((await client.next_json()).data, 1);
    client.send({ type: 'resume', resume: first.ready.resume, id: 5 });
    assert.deepEqual(await client.next_json(), { type: 'error', reason: 'bad_request', id: 5 });
    client.terminate();
    const late = await open();
    late.client.send({ type: 'subscribe', channel: room });
    await late.client.of_type('subscribed');
    late.client.send({ type: 'resume', resume: first.ready.resume, id: 6 });
    assert.deepEqual(await late.client.next_json(), { type: 'error', reason: 'bad_request', id: 6 });
    late.client.terminate();
  });

  test('without sallyport.v1 no token is given', async () => {
    const client = await Client.open(server, '/hub', { token: await issuer.sign() });
    client.send({ type: 'unsubscribe', channel: 'nowhere' });
    assert.equal((await client.next_json()).type, 'unsubscribed');
    client.terminate();
  });
});

test('no token is ever in the log', async () => {
  const peer = await Peer.open();
  peer.terminate();
  const next = await peer.again();
  next.terminate();
  await next.gone();
  for (const { ready } of [peer, next]) assert.ok(!server.stderr.includes(ready.resume));
});
