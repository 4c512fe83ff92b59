// SIGHUP: a new configuration, new keys and new certificates, and every socket stays that may stay.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { configuration, echo, serve } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { toml } from './lib/toml.mjs';
import { eventually } from './lib/wait.mjs';

let issuer;
before(async () => { issuer = await Issuer.make(); });

const reload = async (server, config) => {
  const count = server.events('server.reloaded').length + server.events('server.reload_refused').length;
  writeFileSync(server.file, typeof config === 'string' ? config : toml(configuration(config)));
  server.signal('SIGHUP');
  await eventually(() => server.events('server.reloaded').length + server.events('server.reload_refused').length > count,
                   'the end of a reload');
};

test('keeps sockets, adds routes, removes routes and judges by new scopes', async (t) => {
  const server = await serve(t, { issuer, routes: [echo('/a'), echo('/b'), echo('/c')] });
  const open = async (path, claims = {}) => Client.open(server, path, { token: await issuer.sign(claims) });
  const stays = await open('/a');
  const gone = await open('/b');
  const staff = await open('/c', { scope: 'staff' });
  const guest = await open('/c');
  await reload(server, { issuer, routes: [echo('/a'), echo('/c', { scopes: ['staff'] }), echo('/d')] });
  assert.equal((await gone.end()).code, 3003);
  assert.equal((await guest.end()).code, 3003);
  await stays.echo('still here');
  await staff.echo('still here');
  await (await open('/d')).echo('new');
  await assert.rejects(open('/b'), { status: 404 });
  await assert.rejects(open('/c'), { status: 403 });
});

test('a bad file changes nothing and says where', async (t) => {
  const server = await serve(t, { issuer, routes: [echo('/a')] });
  const client = await Client.open(server, '/a', { token: await issuer.sign() });
  for (const bad of ['nonsense [', '[server]\nlisten = "x"\n', '']) {
    await reload(server, bad);
    await client.echo('unmoved');
    await (await Client.open(server, '/a', { token: await issuer.sign() })).echo('as before');
  }
  const errors = server.events('config.error');
  assert.ok(errors.length >= 2 && errors.every(({ file, line, detail }) => file === server.file && line >= 1 && detail));
  assert.equal(server.events('server.reload_refused').length, 3);
  assert.equal(server.events('server.reloaded').length, 0);
});

test('new keys count at once, and those who are in stay', async (t) => {
  const server = await serve(t, { issuer, routes: [echo('/a')] });
  const old_token = await issuer.sign();
  const client = await Client.open(server, '/a', { token: old_token });
  const rotated = await Issuer.make();  // the same issuer with another key
  await reload(server, { issuer: rotated, routes: [echo('/a')] });
  await client.echo('in');
  await assert.rejects(Client.open(server, '/a', { token: old_token }), { status: 401 });
  await (await Client.open(server, '/a', { token: await rotated.sign() })).echo('new key');
});

test('another issuer in the same verifier ends those of the old one', async (t) => {
  const server = await serve(t, { issuer, routes: [echo('/a')] });
  const client = await Client.open(server, '/a', { token: await issuer.sign() });
  const other = await Issuer.make({ iss: 'https://elsewhere.example.test/' });
  await reload(server, { issuer: other, routes: [echo('/a')] });
  assert.deepEqual(await client.ending(), { code: 3000, reason: 'token_revoked' });
});

test('twenty times under traffic loses no message', async (t) => {
  const routes = [echo('/a')];
  const server = await serve(t, { issuer, routes });
  const clients = await Promise.all(Array.from({ length: 20 }, async () => Client.open(server, '/a', { token: await issuer.sign() })));
  let stop = false;
  const talk = Promise.all(clients.map(async (client) => {
    for (let n = 0; !stop; n += 1) await client.echo(`${n}`);
  }));
  for (let i = 0; i < 20; i += 1) await reload(server, { issuer, routes: [...routes, echo(`/r${i}`)] });
  stop = true;
  await talk;
  assert.equal(server.events('server.reloaded').length, 20);
});
