// Limits: sockets that prove nothing go in time and crowd out no one; slow and loud peers are ended.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SANITIZED } from './lib/binary.mjs';
import { Client, outcome } from './lib/client.mjs';
import { Raw, bearer, frame, text, upgrade } from './lib/raw.mjs';
import { Server, echo, hub, serve } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { SLOW, eventually, every, in_parallel, sleep } from './lib/wait.mjs';

// How many of each kind; SALLYPORT_FULL=1 is the size that the product promises.
const CROWD = process.env.SALLYPORT_FULL === '1' ? 1500 : Number(process.env.SALLYPORT_CROWD ?? 300);

let issuer;
let token;

before(async () => {
  issuer = await Issuer.make();
  token = await issuer.sign();
});

/** Tries again and again, and remembers how long each valid handshake took. */
function knocking(server) {
  const took = [];
  let going = true;
  const done = (async () => {
    while (going) {
      const started = performance.now();
      const client = await Client.open(server, '/echo', { token });
      await client.echo('in');
      took.push(performance.now() - started);
      client.terminate();
      await sleep(50);
    }
  })();
  return async () => {
    going = false;
    await done;
    return took;
  };
}

describe('a crowd that proves nothing', { concurrency: 1 }, () => {
  test(`${CROWD} dribblers, ${CROWD} silent sockets and ${CROWD} silent vestibules go by their deadlines`, { timeout: 120_000 * SLOW }, async (t) => {
    const deadline = 3000;
    const server = await serve(t, {
      issuer,
      limits: { handshake_timeout: `${deadline}ms`, pending: 100_000, pending_per_address: 100_000 },
      routes: [echo('/echo'), echo('/first', { credentials: ['first_message'], auth_timeout: `${deadline}ms` })],
    });
    const many = (make) => in_parallel(Array.from({ length: CROWD }), 50, make);
    const stop = knocking(server);
    t.after(() => stop().catch(() => {}));
    const since = (raw) => { raw.since = Date.now(); return raw; };

    const silent = await many(async () => since(await Raw.connect(server)));
    const dribblers = await many(async () => {
      const raw = since(await Raw.connect(server));
      const bytes = upgrade(server, '/echo', bearer(token));
      let at = 0;
      raw.dribble = every(200, () => { if (raw.ended === null) raw.write(bytes.subarray(at, ++at)); });
      return raw;
    });
    const vestibules = await many(async () => since(await Raw.open(server, '/first')));

    for (const raw of [...silent, ...dribblers]) {
      await raw.end();
      clearInterval(raw.dribble);
      assert.doesNotMatch(raw.bytes.toString(), / 101 /);
    }
    for (const raw of vestibules) assert.equal((await raw.frames_to_close()).at(-1).code, 3008);
    const took = await stop();
    for (const raw of [...silent, ...dribblers]) {
      const lasted = raw.ended_at - raw.since;
      assert.ok(lasted <= deadline + 2000 * SLOW, `a socket lasted ${lasted} ms`);
      raw.destroy();
    }
    for (const raw of vestibules) raw.destroy();
    assert.ok(took.length >= 5, `${took.length} valid handshakes meanwhile`);
    assert.ok(Math.max(...took) <= (SANITIZED ? 5000 : 500) * SLOW, `the slowest valid handshake took ${Math.max(...took).toFixed()} ms`);
  });

  test('over the limit of an address the oldest makes room', { timeout: 60_000 * SLOW }, async (t) => {
    const server = await serve(t, {
      issuer, server: { workers: 1 }, limits: { pending_per_address: 20, handshake_timeout: '30s' }, routes: [echo('/echo')],
    });
    const hoard = [];
    for (let i = 0; i < 40; ++i) hoard.push(await Raw.connect(server));
    await eventually(() => hoard.filter((raw) => raw.ended !== null).length >= 20, 'twenty gone');
    assert.ok(hoard.slice(-15).every((raw) => raw.ended === null), 'the youngest are still there');
    assert.ok(hoard.slice(0, 15).every((raw) => raw.ended !== null), 'the oldest have gone');
    assert.equal(await outcome(server, '/echo', { token }), 101);
    for (const raw of hoard) raw.destroy();
  });

  test('over the limit of all addresses the oldest makes room', { timeout: 60_000 * SLOW }, async (t) => {
    const server = await serve(t, {
      issuer, server: { workers: 1 }, limits: { pending: 20, handshake_timeout: '30s' }, routes: [echo('/echo')],
    });
    const hoard = [];
    for (let i = 0; i < 40; ++i) hoard.push(await Raw.connect(server, { local: `127.0.0.${2 + (i % 10)}` }));
    await eventually(() => hoard.filter((raw) => raw.ended !== null).length >= 20, 'twenty gone');
    assert.equal(await outcome(server, '/echo', { token }), 101);
    for (const raw of hoard) raw.destroy();
  });

  test('those who have proven themselves never make room', { timeout: 60_000 * SLOW }, async (t) => {
    const server = await serve(t, {
      issuer, limits: { pending: 20, pending_per_address: 20 }, routes: [echo('/echo')],
    });
    const clients = await in_parallel(Array.from({ length: 60 }), 4, () => Client.open(server, '/echo', { token }));
    const hoard = await in_parallel(Array.from({ length: 60 }), 4, () => Raw.connect(server));
    for (const client of clients) await client.echo('still here');
    for (const socket of [...clients, ...hoard.map((raw) => ({ terminate: () => raw.destroy() }))]) socket.terminate();
  });

  test('heads with thousands of fields and giant lists are refused in time', { timeout: 60_000 * SLOW }, async (t) => {
    const server = await serve(t, { issuer, limits: { header_bytes: '64KiB' }, routes: [echo('/echo')] });
    for (const fields of [
      Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`X-${i}`, 'y'])),
      { 'Sec-WebSocket-Protocol': `b${' '.repeat(32_000)}x` },
      { 'Sec-WebSocket-Protocol': Array.from({ length: 10_000 }, (_, i) => `p${i}`).join(',') },
      { 'Sec-WebSocket-Extensions': `a${';b'.repeat(20_000)}` },
      { Connection: `Upgrade${', x'.repeat(15_000)}` },
    ]) {
      const started = Date.now();
      const raw = await Raw.connect(server);
      raw.write(upgrade(server, '/echo', fields));
      const { status } = await raw.head();
      assert.ok([400, 401, 431].includes(status), String(status));
      assert.ok(Date.now() - started < 2000 * SLOW);
      raw.destroy();
    }
  });
});

describe('messages per second', { concurrency: 4 }, () => {
  let server;
  before(async () => {
    server = await Server.start({
      issuer,
      routes: [echo('/rate', { messages_per_second: 10 }), echo('/rate44', { messages_per_second: 10, close_codes: '44xx' })],
    });
  });
  after(() => server?.stop());

  for (const [path, code] of [['/rate', 1008], ['/rate44', 4429]]) {
    test(`over the limit closes with ${code}`, async () => {
      const client = await Client.open(server, path, { token });
      for (let i = 0; i < 100; ++i) client.send(`m${i}`);
      assert.deepEqual(await client.ending(), { code, reason: 'rate_limited' });
      assert.ok(client.messages.length >= 1 && client.messages.length <= 20, `${client.messages.length} were heard`);
    });
  }

  test('under the limit goes on', async () => {
    const client = await Client.open(server, '/rate', { token });
    for (let i = 0; i < 15; ++i) {
      await client.echo(`m${i}`);
      await sleep(200);
    }
    client.terminate();
  });
});

describe('a slow consumer', { concurrency: 1 }, () => {
  const permit = [{ do: ['subscribe', 'publish'], channel: 'flood' }];
  const piece = 'x'.repeat(60_000);
  let server;
  before(async () => {
    server = await Server.start({
      issuer,
      routes: [
        hub('/close', permit, { send_queue_bytes: '1MiB' }),
        hub('/drop', permit, { send_queue_bytes: '1MiB', slow_consumer: 'drop_oldest' }),
        echo('/echo', { send_queue_bytes: '256KiB' }),
      ],
    });
  });
  after(() => server?.stop());

  /** A subscriber that reads nothing more, while another one hears everything. */
  async function flood(path, count) {
    const slow = await Raw.open(server, path, bearer(await issuer.sign({ sub: 'slow' })));
    slow.write(text('{"type":"subscribe","channel":"flood","id":1}'));
    await slow.frame();
    slow.socket.pause();
    const quick = await Client.open(server, path, { token: await issuer.sign({ sub: 'quick' }) });
    quick.send({ type: 'subscribe', channel: 'flood', id: 1 });
    await quick.of_type('subscribed');
    const speaker = await Client.open(server, path, { token });
    const memory = server.memory();
    let most = 0;
    for (let i = 0; i < count; ++i) {
      speaker.send({ type: 'publish', channel: 'flood', data: `${i} ${piece}`, id: i });
      await speaker.of_type('published');
      assert.ok((await quick.of_type('message')).data.startsWith(`${i} `), 'the quick one misses nothing');
      most = Math.max(most, server.memory() - memory);
    }
    assert.ok(most < 24 * 1024 * 1024, `memory grew by ${(most / 1048576).toFixed(1)} MiB`);
    quick.terminate();
    speaker.terminate();
    return slow;
  }

  test('is closed by default, and no one else notices', { timeout: 60_000 * SLOW }, async () => {
    const slow = await flood('/close', 400);
    await server.event('ws.close', (entry) => entry.reason === 'slow_consumer' && entry.subject === 'slow');
    slow.destroy();
  });

  test('loses the oldest where the route says so, and stays', { timeout: 60_000 * SLOW }, async () => {
    const count = 400;
    const slow = await flood('/drop', count);
    slow.socket.resume();
    const heard = [];
    do {
      const { payload } = await slow.frame();
      heard.push(Number(JSON.parse(payload).data.split(' ')[0]));
    } while (heard.at(-1) !== count - 1);
    assert.ok(heard.length < count, `it missed some: ${heard.length} of ${count}`);
    assert.deepEqual(heard, [...heard].sort((a, b) => a - b), 'in order');
    assert.equal(new Set(heard).size, heard.length, 'none twice');
    slow.write(text('{"type":"unsubscribe","channel":"flood","id":2}'));
    assert.equal(JSON.parse((await slow.frame()).payload).type, 'unsubscribed');
    slow.destroy();
  });

  test('of its own echoes is closed too', { timeout: 60_000 * SLOW }, async () => {
    const raw = await Raw.open(server, '/echo', bearer(await issuer.sign({ sub: 'selfish' })));
    raw.socket.pause();
    const message = frame(2, 'y'.repeat(60_000));
    const memory = server.memory();
    const writing = every(5, () => { if (raw.socket.writableLength < 1e6) for (let i = 0; i < 20; ++i) raw.write(message); });
    try {
      await server.event('ws.close', (entry) => entry.reason === 'slow_consumer' && entry.subject === 'selfish');
    } finally {
      clearInterval(writing);
    }
    assert.ok(server.memory() - memory < 24 * 1024 * 1024);
    raw.destroy();
  });
});
