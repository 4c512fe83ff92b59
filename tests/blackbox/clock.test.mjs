// The clock is set forward while sockets idle: nothing flows any more, in neither direction (libfaketime).
import assert from 'node:assert/strict';
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SANITIZED, temporary_folder } from './lib/binary.mjs';
import { Client } from './lib/client.mjs';
import { echo, hub, serve } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';

const LIBRARY = readdirSync('/usr/lib').map((folder) => `/usr/lib/${folder}/faketime/libfaketimeMT.so.1`).find((file) => existsSync(file));

test('an hour passes at once', { skip: SANITIZED || !LIBRARY }, async (t) => {
  const issuer = await Issuer.make();
  const file = join(temporary_folder(), 'time');
  const set = (offset) => {
    writeFileSync(`${file}.new`, offset);
    renameSync(`${file}.new`, file);
  };
  set('+0');
  const faked = { LD_PRELOAD: LIBRARY, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1', DONT_FAKE_MONOTONIC: '1' };
  Object.assign(process.env, faked);
  const starting = serve(t, { issuer, routes: [echo('/echo'), hub('/hub', [{ do: ['subscribe', 'publish'], channel: 'a' }])] });
  for (const name of Object.keys(faked)) delete process.env[name];
  const server = await starting;
  const token = await issuer.sign({ ttl: 600 });
  const talker = await Client.open(server, '/echo', { token });
  await talker.echo('before');
  const listener = await Client.open(server, '/hub', { token });
  listener.send({ type: 'subscribe', channel: 'a', id: 1 });
  await listener.of_type('subscribed');
  // It outlives the hour.
  const publisher = await Client.open(server, '/hub', { token: await issuer.sign({ sub: 'bob', ttl: 3 * 3600 }) });
  set('+1h');
  talker.send('after');
  publisher.send({ type: 'publish', channel: 'a', data: 'after', id: 2 });
  await publisher.of_type('published');
  for (const client of [talker, listener]) {
    assert.deepEqual(await client.ending(), { code: 3000, reason: 'token_expired' });
    assert.ok(!client.messages.some(({ data }) => String(data).includes('after')));
  }
});
