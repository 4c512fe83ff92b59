// Files with keys and secrets are read again when they change, without a restart. What is no good changes nothing, and
// open sockets stay: a rotation is no revocation.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporary_folder } from './lib/binary.mjs';
import { Client, outcome } from './lib/client.mjs';
import { echo, serve } from './lib/server.mjs';
import { Issuer, jose } from './lib/tokens.mjs';
import { eventually } from './lib/wait.mjs';

/** As a careful administrator does it: nobody ever sees half of it. */
function replace(file, contents) {
  writeFileSync(`${file}.new`, contents);
  renameSync(`${file}.new`, file);
}
const status = (server, token) => outcome(server, '/', { token });
const reloads = (server) => server.events('keys.reloaded').length;
const failures = (server) => server.events('keys.reload_failed').length;

/** One kind of file: two contents, and a credential that goes with each. */
const kinds = {
  secret_file: async () => {
    const [old, fresh] = [await Issuer.make({ alg: 'HS256' }), await Issuer.make({ alg: 'HS256' })];
    return { verifier: old.verifier(), file: old.secret_file, contents: readFileSync(fresh.secret_file), old: () => old.sign(), fresh: () => fresh.sign(), garbage: 'xyzzy' };
  },
  jwks_file: async () => {
    const [old, fresh] = [await Issuer.make({ made_by: 'jose' }), await Issuer.make({ made_by: 'jose', kid: 'k2' })];
    const contents = readFileSync(fresh.jwks_file);
    return { verifier: old.verifier(), file: old.jwks_file, contents, old: () => old.sign(), fresh: () => fresh.sign(), garbage: contents.subarray(0, 60) };
  },
  public_key_file: async () => {
    const pairs = [await jose.generateKeyPair('ES256'), await jose.generateKeyPair('ES256')];
    const issuer = await Issuer.make();
    const file = join(issuer.folder, 'public.pem');
    writeFileSync(file, await jose.exportSPKI(pairs[0].publicKey));
    const { jwks_file: _, ...verifier } = issuer.verifier();
    const contents = await jose.exportSPKI(pairs[1].publicKey);
    const sign = (pair) => () => issuer.sign({}, { key: pair.privateKey, header: { kid: undefined } });
    return { verifier: { ...verifier, public_key_file: file }, file, contents, old: sign(pairs[0]), fresh: sign(pairs[1]), garbage: contents.slice(0, 80) };
  },
  keys: async () => {
    const keys = [randomBytes(24).toString('hex'), randomBytes(24).toString('hex')];
    const lines = keys.map((key) => `${createHash('sha256').update(key).digest('hex')} ada\n`);
    const file = join(temporary_folder(), 'api-keys');
    writeFileSync(file, lines[0]);
    return { verifier: { type: 'keys', file }, file, contents: lines[1], old: () => keys[0], fresh: () => keys[1], garbage: lines[1].slice(0, 40) };
  },
};

for (const [name, make] of Object.entries(kinds)) {
  test(`${name}: what is replaced counts within a second, and what is no good not at all`, async (t) => {
    const kind = await make();
    const server = await serve(t, { verifiers: { main: kind.verifier }, routes: [echo('/')] });
    const open = await Client.open(server, '/', { token: await kind.old() });
    const known = await kind.old();
    assert.equal(await status(server, known), 101);
    const early = await kind.fresh();
    assert.equal(await status(server, early), 401, 'not yet');

    const old = readFileSync(kind.file);
    for (const garbage of [kind.garbage, '']) {
      const before = failures(server);
      replace(kind.file, garbage);
      await eventually(() => failures(server) > before, 'it is told');
      assert.equal(await status(server, known), 101, 'known to a cache');
      assert.equal(await status(server, await kind.old()), 101);
      assert.equal(await status(server, early), 401);
    }
    for (const event of server.events('keys.reload_failed')) {
      assert.equal(event.verifier, 'main');
      assert.equal(event.file, kind.file);
      assert.ok(event.detail && !event.detail.includes(kind.garbage.toString()), 'says what is wrong, not what is in it');
    }
    replace(kind.file, old);
    await eventually(() => reloads(server) === 1, 'good again');
    assert.equal(await status(server, known), 101);

    replace(kind.file, kind.contents);
    const begin = Date.now();
    await eventually(async () => (await status(server, early)) === 101, 'the new one', 5_000);
    t.diagnostic(`after ${Date.now() - begin} ms`);
    assert.equal(await status(server, known), 401, 'the old one, also where it was in a cache');
    assert.equal(await status(server, await kind.old()), 401);
    assert.equal(await status(server, await kind.fresh()), 101);
    await open.echo('still there');
    assert.ok(!server.stderr.includes(readFileSync(kind.file).toString().trim().slice(-20)), 'not in the log');
  });
}

test('a file that is written in place, removed, or behind a link that is moved', async (t) => {
  const [first, second, third] = [await Issuer.make({ alg: 'HS256' }), await Issuer.make({ alg: 'HS256' }), await Issuer.make({ alg: 'HS256' })];
  // As an orchestrator mounts a secret: the path stays, and what a link in it points at is another.
  const folder = temporary_folder();
  for (const [name, issuer] of Object.entries({ one: first, two: second })) {
    mkdirSync(join(folder, name));
    copyFileSync(issuer.secret_file, join(folder, name, 'secret'));
  }
  symlinkSync('one', join(folder, 'current'));
  const file = join(folder, 'current', 'secret');
  const { secret_file: _, ...verifier } = first.verifier();
  const server = await serve(t, { verifiers: { main: { ...verifier, secret_file: file } }, routes: [echo('/')] });
  assert.equal(await status(server, await first.sign()), 101);

  symlinkSync('two', join(folder, 'next'));
  renameSync(join(folder, 'next'), join(folder, 'current'));
  await eventually(async () => (await status(server, await second.sign())) === 101, 'the link is followed', 5_000);
  assert.equal(await status(server, await first.sign()), 401);

  rmSync(file);
  await eventually(() => failures(server) === 1, 'it is missed');
  assert.equal(await status(server, await second.sign()), 101, 'what was read stays in use');

  writeFileSync(file, readFileSync(third.secret_file));
  await eventually(async () => (await status(server, await third.sign())) === 101, 'it is back', 5_000);
  assert.equal(await status(server, await second.sign()), 401);
});

test('the secret with which an introspection endpoint is asked', async (t) => {
  const asked = [];
  let accepted = 'first-secret';
  const endpoint = http.createServer((request, response) => {
    const given = Buffer.from(request.headers.authorization.replace('Basic ', ''), 'base64').toString();
    asked.push(given);
    request.resume().on('end', () => {
      response.writeHead(given === `client:${accepted}` ? 200 : 401, { 'Content-Type': 'application/json' });
      response.end('{"active":true,"sub":"ada"}');
    });
  }).listen(0, '127.0.0.1');
  await once(endpoint, 'listening');
  t.after(() => { endpoint.closeAllConnections(); endpoint.close(); });
  const file = join(temporary_folder(), 'secret');
  writeFileSync(file, 'first-secret\n');
  const server = await serve(t, {
    verifiers: { main: { type: 'introspection', endpoint: `http://127.0.0.1:${endpoint.address().port}/`, client_id: 'client', client_secret_file: file } },
    routes: [echo('/')] });
  assert.equal(await status(server, 'one'), 101);
  accepted = 'second-secret';
  replace(file, 'second-secret\n');
  let i = 0;
  await eventually(async () => (await status(server, `token-${i++}`)) === 101, 'the new secret', 5_000);
  assert.equal(asked.at(-1), 'client:second-secret');
  replace(file, '\n');
  await eventually(() => failures(server) === 1, 'an empty one');
  assert.equal(await status(server, 'another'), 101);
});
