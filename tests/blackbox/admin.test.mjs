// The admin API and the commands that use it, on the built binary: what an operator can do, and nobody else.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { Admin } from './lib/admin.mjs';
import { run, sallyport, temporary_folder, BINARY } from './lib/binary.mjs';
import { Client } from './lib/client.mjs';
import { configuration, echo, hub, serve } from './lib/server.mjs';
import { toml } from './lib/toml.mjs';
import { Issuer, now } from './lib/tokens.mjs';
import { eventually } from './lib/wait.mjs';

let issuer;
before(async () => { issuer = await Issuer.make(); });

const admin = new Admin();
const config = (more = {}) => ({
  issuer, admin: admin.section,
  routes: [echo('/echo'), hub('/chat/:room', [{ do: ['subscribe', 'publish'], channel: 'room/*' }])], ...more,
});
const open = async (server, sub, path = '/echo', claims = {}) =>
  Client.open(server, path, { token: await issuer.sign({ sub, ...claims }) });

/** A request with a head of the test's own choosing, which fetch would not send. */
function raw_request(server, { path = '/v1/channels', method = 'GET', headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.admin_url);
    const request = http.request({ hostname, port, path, method, headers: { Authorization: `Bearer ${admin.token}`, ...headers } }, (answer) => {
      let text = '';
      answer.on('data', (data) => { text += data; });
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

describe('the admin API', () => {
  test('tells who is connected, page by page, and never a credential', async (t) => {
    const server = await serve(t, config());
    const token = await issuer.sign({ sub: 'ada', sid: 's1' });
    const clients = [await Client.open(server, '/echo', { token })];
    for (let i = 0; i < 24; i += 1) clients.push(await open(server, `user${i}`, '/chat/blue'));
    const seen = [];
    let cursor = '';
    let pages = 0;
    do {
      const { json } = await admin.request(server, 'GET', `/v1/connections?limit=7&cursor=${cursor}`);
      assert.ok(json.connections.length <= 7);
      seen.push(...json.connections);
      cursor = json.cursor;
      pages += 1;
    } while (cursor);
    assert.ok(pages >= 4, `${pages} pages`);
    assert.equal(new Set(seen.map(({ id }) => id)).size, 25);
    const ada = seen.find(({ subject }) => subject === 'ada');
    assert.deepEqual([ada.issuer, ada.session, ada.route, ada.address, ada.verifier, ada.credential],
                     [issuer.iss, 's1', '/echo', '127.0.0.1', 'main', 'header']);
    assert.ok(ada.node && Math.abs(ada.opened_at - now()) < 60 && ada.expires_at > now());
    assert.equal((await admin.connections(server, { route: '/chat/:room' })).length, 24);
    assert.equal((await admin.connections(server, { subject: 'user3', route: '/echo' })).length, 0);
    assert.ok(!JSON.stringify(seen).includes(token.split('.')[2]));
    for (const bad of ['limit=0', 'limit=1001', 'limit=x', 'cursor=x', 'sub=ada', 'subject=a&subject=b']) {
      const { status, json } = await admin.request(server, 'GET', `/v1/connections?${bad}`);
      assert.equal(status, 400, bad);
      assert.ok(json.detail, bad);
    }
    for (const client of clients) client.terminate();
  });

  test('closes one connection, and tells its client to stop', async (t) => {
    const server = await serve(t, config());
    const [first, second] = [await open(server, 'ada'), await open(server, 'ada')];
    const [{ id }] = await admin.connections(server, { subject: 'ada' });
    assert.deepEqual(await admin.close(server, id), { closed: 1 });
    const [ended] = await Promise.race([first, second].map(async (client) => [await client.ending()]));
    assert.deepEqual(ended, { code: 3003, reason: 'evicted' });
    assert.equal((await admin.connections(server, { subject: 'ada' })).length, 1);
    const again = await admin.request(server, 'DELETE', `/v1/connections/${id}`);
    assert.ok(again.status === 404 || again.json.closed === 0, again.text);
  });

  test('publishes to a channel and counts who is in it', async (t) => {
    const server = await serve(t, config());
    const clients = [await open(server, 'ada', '/chat/blue'), await open(server, 'bob', '/chat/blue')];
    for (const client of clients) {
      client.send({ type: 'subscribe', channel: 'room/blue', id: 1 });
      await client.of_type('subscribed');
    }
    assert.deepEqual((await admin.channels(server)).channels, [{ channel: 'room/blue', subscribers: 2 }]);
    assert.deepEqual(await admin.publish(server, 'room/blue', { text: 'maintenance', at: [1.5, null] }), { subscribers: 2 });
    for (const client of clients) {
      const { channel, subject, data } = await client.of_type('message');
      assert.deepEqual([channel, subject, data], ['room/blue', '', { text: 'maintenance', at: [1.5, null] }]);
    }
    assert.deepEqual(await admin.publish(server, 'room/empty', 1), { subscribers: 0 });
  });

  test('wants its token everywhere but on the console, and the right one passes while others guess', async (t) => {
    const server = await serve(t, config());
    const without = async (path, method = 'GET', headers = {}) => {
      const answer = await fetch(`${server.admin_url}${path}`, { method, headers });
      return [answer.status, await answer.text()];
    };
    for (const [method, path] of [['GET', '/v1/connections'], ['DELETE', '/v1/connections/x'], ['GET', '/v1/revocations'],
                                  ['POST', '/v1/revocations'], ['DELETE', '/v1/revocations/1'], ['POST', '/v1/publish'],
                                  ['GET', '/v1/channels'], ['GET', '/metrics'], ['GET', '/nothing']]) {
      const [status, text] = await without(path, method);
      assert.equal(status, 401, `${method} ${path}: ${text}`);
    }
    const [status, page] = await without('/');
    assert.equal(status, 200);
    assert.match(page, /<title>Sallyport console/);
    const statuses = [];
    for (let i = 0; i < 40; i += 1) {
      const wrong = `${admin.token.slice(0, -2)}${String(i).padStart(2, '0')}`;
      if (wrong !== admin.token) statuses.push((await without('/metrics', 'GET', { Authorization: `Bearer ${wrong}` }))[0]);
    }
    assert.equal(statuses[0], 401);
    assert.ok(statuses.includes(429), String(statuses));
    assert.equal((await admin.request(server, 'GET', '/metrics')).status, 200);
    assert.ok(!server.stderr.includes(admin.token) && !server.stderr.includes(admin.token.slice(0, -2)));
  });

  test('follows the token file', async (t) => {
    const own = new Admin();
    const server = await serve(t, config({ admin: own.section }));
    assert.equal((await own.request(server, 'GET', '/v1/channels')).status, 200);
    const old = own.token;
    own.token = 'another-token-of-good-length';
    writeFileSync(own.file, own.token);
    assert.equal((await own.request(server, 'GET', '/v1/channels')).status, 200);
    own.token = old;
    assert.equal((await own.request(server, 'GET', '/v1/channels')).status, 401);
    writeFileSync(own.file, 'short');
    assert.ok((await own.request(server, 'GET', '/v1/channels')).status >= 400);
  });

  test('is nothing that a page of another site could reach', async (t) => {
    const server = await serve(t, config({ admin: { ...admin.section, hosts: ['admin.example.com'] } }));
    const { port } = new URL(server.admin_url);
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', 'admin.example.com.evil.example']) {
      for (const path of ['/', '/v1/channels', '/metrics']) {
        assert.ok([403, 421].includes((await raw_request(server, { path, headers: { Host: host } })).status), host);
      }
    }
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, 'admin.example.com']) {
      assert.equal((await raw_request(server, { headers: { Host: host } })).status, 200, host);
    }
    for (const origin of ['https://evil.example', 'null', `http://127.0.0.1:${Number(port) + 1}`, `http://localhost:${port}`]) {
      const { status } = await raw_request(server, { headers: { Host: `127.0.0.1:${port}`, Origin: origin } });
      assert.equal(status, 403, origin);
    }
    assert.equal((await raw_request(server, { headers: { Host: `127.0.0.1:${port}`, Origin: `http://127.0.0.1:${port}` } })).status, 200);
    const { headers } = await raw_request(server, { path: '/' });
    assert.match(headers['content-security-policy'], /default-src 'none'/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal((await raw_request(server, { method: 'OPTIONS' })).headers['access-control-allow-origin'], undefined);
  });

  test('answers what it does not know with a status that says so', async (t) => {
    const server = await serve(t, config());
    assert.equal((await raw_request(server, { path: '/v2/connections' })).status, 404);
    const wrong = await raw_request(server, { path: '/v1/publish' });
    assert.equal(wrong.status, 405);
    assert.match(wrong.headers.allow, /POST/);
    assert.equal((await raw_request(server, { method: 'POST', path: '/v1/publish', body: `{"channel":"a","data":"${'x'.repeat(70_000)}"}` })).status, 413);
    assert.equal((await raw_request(server, { headers: { 'X-Long': 'x'.repeat(20_000) } })).status, 431);
    const { status, text } = await raw_request(server, { method: 'POST', path: '/v1/revocations', body: '{"subject":"a","subject":"b"}' });
    assert.equal(status, 400);
    assert.equal(JSON.parse(text).reason, 'bad_request');
  });

  test('counts what happened', async (t) => {
    const server = await serve(t, config());
    const client = await open(server, 'ada');
    await client.echo('hello');
    await assert.rejects(open(server, 'bob', '/echo', { exp: now() - 600 }), { status: 401 });
    await admin.revoke(server, { subject: 'ada' });
    await client.end();
    const value = (name, labels) => admin.metric(server, name, labels);
    assert.equal(await value('sallyport_handshakes_total', 'outcome="accepted"'), 1);
    assert.equal(await value('sallyport_handshakes_total', 'reason="token_expired"'), 1);
    await eventually(async () => await value('sallyport_closes_total', 'reason="token_revoked"') === 1, 'the close that is counted');
    assert.equal(await value('sallyport_revoked_connections_total'), 1);
    assert.equal(await value('sallyport_revocation_lag_seconds_count'), 1);
    assert.equal(await value('sallyport_workers'), 2);
    assert.ok(await value('sallyport_loop_delay_seconds_count') > 0);
    const { headers, text } = await admin.request(server, 'GET', '/metrics');
    assert.match(headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
    assert.ok(!text.includes('ada'));
  });
});

describe('the configuration', () => {
  const checked = async (section) => {
    const folder = temporary_folder();
    writeFileSync(join(folder, 'good.token'), 'a-token-of-good-length\n');
    writeFileSync(join(folder, 'short.token'), 'short\n');
    const file = join(folder, 's.toml');
    writeFileSync(file, toml(configuration({ issuer, routes: [echo('/echo')], admin: section })));
    return sallyport(['serve', '--config', file]);
  };
  for (const [name, section, says] of [
    ['no token file', { listen: '127.0.0.1:0' }, /token_file is missing/],
    ['a token file that is not there', { listen: '127.0.0.1:0', token_file: 'none' }, /none/],
    ['a short token', { listen: '127.0.0.1:0', token_file: 'short.token' }, /at least 16 characters/],
    ['another machine\'s address', { listen: '0.0.0.0:0', token_file: 'good.token' }, /not a loopback address/]]) {
    test(`with ${name} does not start`, async () => {
      const { code, stderr } = await checked(section);
      assert.equal(code, 2, stderr);
      assert.match(stderr, says);
    });
  }
});

describe('the commands', () => {
  const ask = (server, ...words) => sallyport([words[0], '--admin', server.admin_url, '--admin-token-file', admin.file, ...words.slice(1)]);

  test('show, end and keep out, and let in again', async (t) => {
    const server = await serve(t, config());
    const token = await issuer.sign({ sub: 'ada' });
    const ada = await Client.open(server, '/echo', { token });
    const bob = await open(server, 'bob', '/chat/blue');
    const all = await ask(server, 'connections');
    assert.equal(all.code, 0, all.stderr);
    assert.match(all.stdout, /^SUBJECT +ROUTE .*\n(.*\n)*ada +\/echo +127\.0\.0\.1 /);
    assert.equal(all.stdout.trim().split('\n').length, 3);
    const one = (await ask(server, 'connections', '--subject', 'bob', '--json')).stdout.trim().split('\n').map(JSON.parse);
    assert.deepEqual(one.map(({ subject, route }) => [subject, route]), [['bob', '/chat/:room']]);

    const ended = await ask(server, 'revoke', '--subject', 'ada', '--reason', 'logged_out');
    assert.equal(ended.code, 0, ended.stderr);
    const [, id] = ended.stdout.match(/^revocation (\d+) holds; it closed 1 connection, .+ within \d+ ms\n$/);
    assert.deepEqual(await ada.ending(), { code: 3000, reason: 'logged_out' });
    assert.match((await ask(server, 'revoke', '--list')).stdout, new RegExp(`^ID .*\\n${id} .* logged_out +subject ada\\n$`));
    await assert.rejects(Client.open(server, '/echo', { token }), { status: 401 });
    assert.equal((await ask(server, 'revoke', '--lift', id)).stdout, `revocation ${id} is lifted\n`);
    await (await Client.open(server, '/echo', { token })).leave();
    assert.equal((await ask(server, 'revoke', '--lift', id)).code, 1);
    assert.equal((await ask(server, 'revoke', '--list')).stdout, 'nobody is kept out\n');

    bob.send({ type: 'subscribe', channel: 'room/blue', id: 1 });
    await bob.of_type('subscribed');
    assert.equal((await ask(server, 'publish', 'room/blue', '{"text":"hello"}')).stdout, 'published to 1 subscriber\n');
    assert.deepEqual((await bob.of_type('message')).data, { text: 'hello' });
    assert.match((await ask(server, 'revoke', '--issued-before', 'now', '--keep', '1h')).stdout, /closed 1 connection,/);
    assert.equal((await bob.end()).code, 3000);
  });

  test('say what to do when they cannot', async (t) => {
    const server = await serve(t, config());
    const wrong = join(temporary_folder(), 'wrong');
    writeFileSync(wrong, 'a-token-that-is-not-the-right-one');
    const refused = await sallyport(['connections', '--admin', server.admin_url, '--admin-token-file', wrong]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /does not accept the token in/);
    assert.ok(!refused.stderr.includes(readFileSync(wrong, 'utf8')));
    const public_port = await sallyport(['connections', '--admin', server.origin, '--admin-token-file', admin.file]);
    assert.equal(public_port.code, 1);
    for (const [words, code, says] of [
      [['revoke'], 2, /say whose logins are to end/],
      [['revoke', '--subject', '', '--issued-before', 'now'], 2, /--subject is empty/],
      [['revoke', '--subject', 'ada', '--keep', 'forever'], 2, /keep must be a duration/],
      [['revoke', '--subject', 'ada', '--reason', 'because'], 2, /reason must be/],
      [['publish', 'room/blue', 'hello'], 2, /DATA is not JSON/]]) {
      const answer = await ask(server, ...words);
      assert.equal(answer.code, code, `${words}: ${answer.stderr}`);
      assert.match(answer.stderr, says);
    }
    assert.equal((await admin.revocations(server)).revocations.length, 0);
    const nobody = await run(BINARY, ['connections', '--admin', 'http://127.0.0.1:1', '--admin-token-file', admin.file]);
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /does the server run/);
  });
});
