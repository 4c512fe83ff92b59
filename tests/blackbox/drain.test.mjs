// Stopping: everyone is told 1012 within the window, nobody new gets in, and the process leaves with 0.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { Raw, bearer } from './lib/raw.mjs';
import { Server, echo, hub } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { in_parallel, sleep } from './lib/wait.mjs';

let issuer;
let token;

before(async () => {
  issuer = await Issuer.make();
  token = await issuer.sign();
});

const start = (drain) => Server.start({
  issuer, server: { drain },
  routes: [echo('/echo'), echo('/first', { credentials: ['first_message'] }), echo('/echo44', { close_codes: '44xx' }),
           hub('/hub', [{ do: ['subscribe', 'publish'], channel: 'a' }])],
});

async function with_server(drain, body) {
  const server = await start(drain);
  try {
    await body(server);
  } finally {
    await server.end();
  }
}

describe('SIGTERM', { concurrency: 2 }, () => {
  test('tells everyone 1012 restart, spread over the window, and leaves with 0', () => with_server('2s', async (server) => {
    const clients = await in_parallel(Array.from({ length: 200 }), 20, () => Client.open(server, '/echo', { token }));
    const signalled = Date.now();
    server.signal('SIGTERM');
    const endings = await Promise.all(clients.map((client) => client.end()));
    for (const { code, reason } of endings) assert.deepEqual([code, reason], [1012, 'restart']);
    const times = endings.map(({ at }) => at - signalled).sort((a, b) => a - b);
    assert.ok(times[20] < times[180] - 500, `spread, from ${times[20]} to ${times[180]} ms`);
    assert.ok(times.at(-1) <= 2000 + 1000, `the last after ${times.at(-1)} ms`);
    await server.stop('SIGTERM', 5000);
  }));

  test('reaches every kind of connection', () => with_server('300ms', async (server) => {
    const kinds = [await Client.open(server, '/first'), await Client.open(server, '/hub', { token }),
                   await Client.open(server, '/echo44', { token })];
    server.signal('SIGTERM');
    for (const client of kinds) assert.deepEqual(await client.ending(), { code: 1012, reason: 'restart' });
    await server.stop();
  }));

  test('lets no one new in', () => with_server('3s', async (server) => {
    const client = await Client.open(server, '/echo', { token });
    server.signal('SIGTERM');
    await server.event('server.draining');
    await sleep(100);
    await assert.rejects(Client.open(server, '/echo', { token }));
    await client.end();
    await server.stop();
  }));

  test('lets those who are open talk until their turn comes', () => with_server('1500ms', async (server) => {
    const clients = await in_parallel(Array.from({ length: 20 }), 10, () => Client.open(server, '/echo', { token }));
    server.signal('SIGTERM');
    await server.event('server.draining');
    let talked = 0;
    await Promise.all(clients.map(async (client) => {
      while (!client.close) {
        if (await client.echo('x').then(() => true, () => false)) talked += 1;
        await sleep(20);
      }
    }));
    assert.ok(talked > 20, `${talked} echoes while draining`);
    for (const client of clients) assert.equal((await client.end()).code, 1012);
    await server.stop();
  }));

  test('is not held up by a peer that never answers', () => with_server('100ms', async (server) => {
    const raws = [await Raw.open(server, '/echo', bearer(token)), await Raw.connect(server)];
    raws[0].socket.pause();
    const signalled = Date.now();
    await server.stop('SIGTERM', 100 + 8000);
    assert.ok(Date.now() - signalled < 8000);
    for (const raw of raws) raw.destroy();
  }));

  test('ends an empty server at once, however long the window', () => with_server('10m', async (server) => {
    await server.stop('SIGTERM', 3000);
  }));
});

test('SIGINT is a graceful stop likewise', () => with_server('200ms', async (server) => {
  const client = await Client.open(server, '/echo', { token });
  server.signal('SIGINT');
  assert.deepEqual(await client.ending(), { code: 1012, reason: 'restart' });
  await server.stop('SIGINT');
}));

test('a second SIGTERM ends the wait, still with 0', () => with_server('10m', async (server) => {
  const client = await Client.open(server, '/echo', { token });
  server.signal('SIGTERM');
  await server.event('server.draining');
  server.signal('SIGTERM');
  await server.stop('SIGTERM', 3000);
  client.terminate();
}));

test('SIGHUP drops no connection and does not end the server', () => with_server('100ms', async (server) => {
  const client = await Client.open(server, '/echo', { token });
  server.signal('SIGHUP');
  await sleep(500);
  await client.echo('still here');
  client.terminate();
  await server.stop();
}));

test('after a stop the port is free again', async () => {
  const first = await start('100ms');
  await first.stop();
  const second = await Server.start({ issuer, server: { listen: [`127.0.0.1:${first.port}`] }, routes: [echo('/echo')] });
  assert.equal(second.port, first.port);
  await second.stop();
});
