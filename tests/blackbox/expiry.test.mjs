// The socket ends when the login ends: expiry, the longest session, and peers that are no longer there.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { OP, Raw, bearer, frame, text } from './lib/raw.mjs';
import { Server, echo, hub } from './lib/server.mjs';
import { Issuer, now } from './lib/tokens.mjs';
import { every, in_parallel, sleep } from './lib/wait.mjs';

let issuer;
let server;
const LEEWAY = 1;

before(async () => {
  issuer = await Issuer.make({ leeway: `${LEEWAY}s` });
  const permit = [{ do: ['subscribe', 'publish'], channel: 'news' }];
  server = await Server.start({
    issuer,
    routes: [
      echo('/echo'),
      echo('/echo44', { close_codes: '44xx' }),
      hub('/hub', permit),
      echo('/session', { max_session: '1500ms' }),
      echo('/ping', { ping_interval: '300ms', idle_timeout: '1200ms' }),
    ],
  });
});
after(() => server?.stop());

/** Neither before exp + leeway nor more than a second after it. */
function assert_in_time(at, exp) {
  const late = at / 1000 - (exp + LEEWAY);
  assert.ok(late > -0.1 && late <= 1, `closed ${late.toFixed(3)} s after exp + leeway`);
}

describe('expiry', { concurrency: 8 }, () => {
  test('closes a socket that only listens', async () => {
    const exp = now() + 2;
    const client = await Client.open(server, '/hub', { token: await issuer.sign({ exp }) });
    client.send({ type: 'subscribe', channel: 'news', id: 1 });
    await client.of_type('subscribed');
    const { code, reason, at } = await client.end();
    assert.deepEqual([code, reason], [3000, 'token_expired']);
    assert_in_time(at, exp);
  });

  test('closes a socket that does nothing at all, in either profile', async () => {
    for (const [path, code] of [['/echo', 3000], ['/echo44', 4401]]) {
      const exp = now() + 1;
      const raw = await Raw.open(server, path, bearer(await issuer.sign({ exp })));
      const close = (await raw.frames_to_close()).at(-1);
      assert_in_time(Date.now(), exp);
      assert.deepEqual([close.code, close.reason], [code, 'token_expired']);
      raw.destroy();
    }
  });

  test('delivers nothing that was published at or after it', async () => {
    const exp = now() + 2;
    const speaker = await Client.open(server, '/hub', { token: await issuer.sign({ sub: 'bob' }) });
    const listener = await Client.open(server, '/hub', { token: await issuer.sign({ exp }) });
    listener.send({ type: 'subscribe', channel: 'news', id: 1 });
    await listener.of_type('subscribed');
    const publishing = every(20, () => speaker.send({ type: 'publish', channel: 'news', data: Date.now() }));
    const { code, at } = await listener.end();
    await sleep(200);
    clearInterval(publishing);
    assert.equal(code, 3000);
    assert_in_time(at, exp);
    const heard = listener.messages.map(({ data }) => JSON.parse(data)).filter((m) => m.type === 'message').map((m) => m.data);
    assert.ok(heard.length > 20, `${heard.length} came in time`);
    for (const sent of heard) assert.ok(sent < (exp + LEEWAY) * 1000, `${sent} is past ${exp + LEEWAY}`);
    speaker.terminate();
  });

  test('hears nothing that was said at or after it', async () => {
    const exp = now() + 1;
    const client = await Client.open(server, '/echo', { token: await issuer.sign({ exp }) });
    const talking = every(5, () => client.socket.readyState === 1 && client.send(String(Date.now())));
    const { code, at } = await client.end();
    clearInterval(talking);
    assert.equal(code, 3000);
    assert_in_time(at, exp);
    assert.ok(client.messages.length > 20);
    for (const { data } of client.messages) assert.ok(Number(data) < (exp + LEEWAY) * 1000);
  });

  test('closes many at the same moment and disturbs no one else', async () => {
    const exp = now() + 4;
    const token = await issuer.sign({ exp });
    const bystander = await Client.open(server, '/echo', { token: await issuer.sign({ sub: 'bob' }) });
    const clients = await in_parallel(Array.from({ length: 300 }), 16, () => Client.open(server, '/echo', { token }));
    const endings = await Promise.all(clients.map((client) => client.end()));
    for (const { code, reason } of endings) assert.deepEqual([code, reason], [3000, 'token_expired']);
    await bystander.echo('undisturbed');
    bystander.terminate();
  });

  test('is told over HTTP, or refused, to those who come back with the same token', async () => {
    const token = await issuer.sign({ exp: now() - LEEWAY });
    await assert.rejects(Client.open(server, '/echo', { token }), (error) => error.status === 401 && error.reason === 'token_expired');
  });

  test('is remembered although the token was verified before', async () => {
    const exp = now() + 1;
    const token = await issuer.sign({ exp });
    const client = await Client.open(server, '/echo', { token });
    await client.end();
    await assert.rejects(Client.open(server, '/echo', { token }), (error) => error.reason === 'token_expired');
  });

  test('is seen by a client that slept through it', async () => {
    const exp = now() + 1;
    const raw = await Raw.open(server, '/echo', bearer(await issuer.sign({ exp })));
    raw.socket.pause();
    await sleep(5500);
    raw.socket.resume();
    const close = (await raw.frames_to_close()).at(-1);
    assert.deepEqual([close.code, close.reason], [3000, 'token_expired']);
    raw.destroy();
  });

  test('takes fractions of a second and dates beyond any clock as they are', async () => {
    const exp = Math.floor(Date.now() / 1000) + 1.5;
    const client = await Client.open(server, '/echo', { token: await issuer.sign({ exp }) });
    assert_in_time((await client.end()).at, exp);
    const far = await Client.open(server, '/echo', { token: await issuer.sign({ exp: 2 ** 53 - 1 }), protocols: ['sallyport.v1'] });
    assert.equal((await far.of_type('ready')).expires_at, 2 ** 53 - 1);
    await far.echo('here');
    far.terminate();
    for (const bad of ['soon', null, true, -1, 1e300]) {
      await assert.rejects(Client.open(server, '/echo', { token: await issuer.sign({ exp: bad }) }), (error) => error.status === 401);
    }
  });
});

describe('the longest session', { concurrency: 8 }, () => {
  test('ends with 1001 however long the token lives', async () => {
    const client = await Client.open(server, '/session', { token: await issuer.sign({ ttl: 3600 }) });
    const opened = Date.now();
    const talking = every(50, () => client.socket.readyState === 1 && client.send('x'));
    const { code, reason, at } = await client.end();
    clearInterval(talking);
    assert.deepEqual([code, reason], [1001, 'session_ended']);
    assert.ok(at - opened >= 1300 && at - opened <= 2500, `${at - opened} ms`);
  });

  test('is not made longer by a refresh', async () => {
    const client = await Client.open(server, '/session', { token: await issuer.sign(), protocols: ['sallyport.v1'] });
    const opened = Date.now();
    await sleep(700);
    client.send({ type: 'refresh', token: await issuer.sign({ ttl: 3600 }) });
    await client.of_type('refreshed');
    const { code, at } = await client.end();
    assert.equal(code, 1001);
    assert.ok(at - opened <= 2500);
  });
});

describe('a silent peer', { concurrency: 8 }, () => {
  test('is pinged, and dropped when it does not answer', async () => {
    const raw = await Raw.open(server, '/ping', bearer(await issuer.sign()));
    const opened = Date.now();
    const ping = await raw.frame();
    assert.equal(ping.opcode, OP.ping);
    assert.ok(Date.now() - opened >= 250, 'not before the interval');
    await raw.end(6000);
    const lasted = Date.now() - opened;
    assert.ok(lasted >= 1100, `${lasted} ms`);
    raw.destroy();
    await server.event('ws.close', (entry) => entry.reason === 'idle_timeout');
  });

  test('stays as long as it answers', async () => {
    const client = await Client.open(server, '/ping', { token: await issuer.sign() });
    let pings = 0;
    client.socket.on('ping', () => { pings += 1; });
    await sleep(3000);
    assert.ok(pings >= 4, `${pings} pings`);
    await client.echo('here');
    client.terminate();
  });

  test('is heard by its data as by its pongs', async () => {
    const raw = await Raw.open(server, '/ping', bearer(await issuer.sign()));
    for (let i = 0; i < 15; ++i) {
      raw.write(text('x'));
      await sleep(200);
    }
    assert.equal(raw.ended, null);
    raw.write(frame(OP.pong, 'unasked'), text('last'));
    for (;;) if ((await raw.frame()).payload.toString() === 'last') break;
    raw.destroy();
  });
});
