// What one client's burst may cost the others, and what waits for a slow reader when its login ends.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SANITIZED, temporary_folder } from './lib/binary.mjs';
import { Client } from './lib/client.mjs';
import { Raw, bearer, request, text } from './lib/raw.mjs';
import { Server, echo, hub } from './lib/server.mjs';
import { Issuer, now } from './lib/tokens.mjs';
import { in_parallel, sleep } from './lib/wait.mjs';

const MEMBERS = 200;
const BURST = SANITIZED ? 1500 : 6000;
const PAGE_BYTES = 12_000_000;
let issuer;
let server;

before(async () => {
  issuer = await Issuer.make({ leeway: '0s' });
  const folder = join(temporary_folder(), 'www');
  mkdirSync(folder);
  writeFileSync(join(folder, 'big.bin'), Buffer.alloc(PAGE_BYTES, 'x'));
  server = await Server.start({
    issuer,
    server: { workers: 1 },
    routes: [
      echo('/echo'),
      hub('/hub', [{ do: ['subscribe', 'publish'], channel: '*' }], { send_queue_bytes: '64MiB' }),
      { path: '/files/*', handler: 'static', root: folder },
    ],
  });
});
after(() => server?.stop());

const resident = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))[1]) * 1024;

const subscribe = (channel) => text(JSON.stringify({ type: 'subscribe', channel, id: 1 }));
const publish = (channel, data) => text(JSON.stringify({ type: 'publish', channel, data }));

/** A socket that has joined and counts the bytes that come, without looking into them. */
async function member(channel, claims = {}) {
  const raw = await Raw.open(server, '/hub', bearer(await issuer.sign(claims)));
  raw.write(subscribe(channel));
  await raw.frame();
  return raw;
}

describe('a burst of publications', () => {
  test('leaves the others their turn, and reaches everyone in order', async () => {
    const members = await in_parallel(Array.from({ length: MEMBERS }), 16, () => member('crowd'));
    const listener = await Client.open(server, '/hub', { token: await issuer.sign() });
    listener.send({ type: 'subscribe', channel: 'crowd', id: 1 });
    await listener.of_type('subscribed');
    const bystander = await Client.open(server, '/echo', { token: await issuer.sign() });
    const publisher = await Raw.open(server, '/hub', bearer(await issuer.sign()));

    const began = Date.now();
    publisher.write(Buffer.concat(Array.from({ length: BURST }, (_, n) => publish('crowd', n))));
    let worst = 0;
    let echoes = 0;
    let heard = 0;
    while (heard < BURST) {
      const asked = Date.now();
      await bystander.echo('?');
      worst = Math.max(worst, Date.now() - asked);
      ++echoes;
      for (; listener.messages.length > 0; ++heard) {
        assert.equal(JSON.parse(listener.messages.shift().data).data, heard);
      }
      await sleep(1);
    }
    const took = Date.now() - began;
    // This process reads for everyone, so a good part of the time is its own.
    assert.ok(echoes > 5, `${echoes} echoes`);
    assert.ok(worst < Math.max(500, took / 2), `an echo took ${worst} ms of ${took} ms`);
    for (const raw of members) raw.destroy();
    publisher.destroy();
    listener.terminate();
    bystander.terminate();
  });
});

describe('a slow reader', () => {
  test('gets nothing of what waited when its login ended', async () => {
    const exp = now() + 3;
    const slow = await member('slow', { exp });
    slow.socket.pause();
    const publisher = await Client.open(server, '/hub', { token: await issuer.sign() });
    const data = 'x'.repeat(16_000);
    const COUNT = 2500;  // 40 MB, more than the kernel takes for it
    for (let n = 0; n < COUNT; ++n) {
      publisher.send({ type: 'publish', channel: 'slow', data, ...(n === COUNT - 1 ? { id: 1 } : {}) });
    }
    await publisher.of_type('published');
    await sleep(exp * 1000 + 700 - Date.now());
    slow.socket.resume();
    const frames = await slow.frames_to_close();
    const close = frames.at(-1);
    assert.deepEqual([close.code, close.reason], [3000, 'token_expired']);
    assert.ok(frames.length < COUNT * 3 / 4, `${frames.length} frames`);
    slow.destroy();
    publisher.terminate();
  });
});

describe('a large file', { skip: SANITIZED ? 'sanitizers keep what is freed' : false }, () => {
  test('is in memory once, however many slow peers are being sent it', async () => {
    await sleep(2100);  // it has rested, so it may be remembered
    const get = async () => {
      const raw = await Raw.connect(server);
      raw.socket.pause();
      raw.write(request(server, '/files/big.bin'));
      return raw;
    };
    const first = await get();
    await sleep(300);
    const before_crowd = resident();
    const readers = await in_parallel(Array.from({ length: 40 }), 8, get);
    await sleep(1000);
    assert.ok(resident() - before_crowd < 3 * PAGE_BYTES, `${(resident() - before_crowd) >> 20} MiB more`);
    for (const raw of [first, ...readers]) raw.destroy();
  });
});
