// What counts as a WebSocket upgrade: the variants that proxies and browsers send, and those nobody may.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Raw, ask, bearer, request, text, upgrade } from './lib/raw.mjs';
import { Server, echo } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { sleep } from './lib/wait.mjs';

let issuer;
let server;
let token;

before(async () => {
  issuer = await Issuer.make();
  token = bearer(await issuer.sign());
  server = await Server.start({
    issuer, limits: { handshake_timeout: '1500ms' },
    routes: [echo('/echo'), echo('/rooms/:room'), echo('/insecure', { credentials: ['insecure_query:access_token'] })],
  });
});
after(() => server?.stop());

async function status_of(bytes) {
  const raw = await Raw.connect(server);
  try {
    raw.write(bytes);
    return (await raw.head()).status;
  } finally {
    raw.destroy();
  }
}
const upgraded = async (fields, path = '/echo') =>
  assert.equal(await status_of(upgrade(server, path, { ...token, ...fields })), 101, JSON.stringify(fields));
const answered = async (expected, fields, more) =>
  assert.equal(await status_of(upgrade(server, '/echo', { ...token, ...fields }, more)), expected,
               JSON.stringify([fields, more]));

describe('accepted', { concurrency: 4 }, () => {
  test('Connection is a list, in any case, order and number of lines', async () => {
    for (const Connection of ['upgrade', 'UPGRADE', 'keep-alive, Upgrade', 'Upgrade, keep-alive',
                              'keep-alive,\tupgrade ,x', ['keep-alive', 'Upgrade'], ', Upgrade,']) {
      await upgraded({ Connection });
    }
  });

  test('Upgrade is compared without regard to case', async () => {
    await upgraded({ Upgrade: 'WebSocket' });
    await upgraded({ Upgrade: 'WEBSOCKET' });
  });

  test('field names may have any case', async () => {
    const bytes = request(server, '/echo', {
      UPGRADE: 'websocket', connection: 'upgrade', 'SEC-WEBSOCKET-KEY': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13', AUTHORIZATION: token.Authorization.replace('Bearer', 'bEARER'),
    });
    assert.equal(await status_of(bytes), 101);
  });

  test('extensions that are not known are ignored', async () => {
    const raw = await Raw.open(server, '/echo', {
      ...token, 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits, x-other; a=b',
    });
    assert.equal(raw.fields['sec-websocket-extensions'], undefined, 'compression is off by default');
    raw.write(text('still here'));
    assert.equal((await raw.frame()).payload.toString(), 'still here');
    raw.destroy();
  });

  test('a route parameter takes one segment, percent-encoded too', async () => {
    await upgraded({}, '/rooms/blue');
    await upgraded({}, '/rooms/blue%20sky?x=1');
    assert.equal(await status_of(upgrade(server, '/rooms/a/b', token)), 404);
    assert.equal(await status_of(upgrade(server, '/rooms/', token)), 404);
  });
});

describe('refused', { concurrency: 4 }, () => {
  test('other methods are 400 although they carry an upgrade', async () => {
    for (const method of ['POST', 'PUT', 'HEAD', 'OPTIONS', 'CONNECT', 'get']) {
      const answer = await status_of(upgrade(server, '/echo', token, { method }));
      assert.ok(answer === 400 || answer === 405, `${method}: ${answer}`);
    }
  });

  test('HTTP/1.0 cannot upgrade', () => answered(400, {}, { version: 'HTTP/1.0' }));

  test('a protocol other than websocket alone is 400', async () => {
    for (const Upgrade of ['h2c', 'websocket, h2c', 'WebSocket, foo', 'websocket/13', '', ['websocket', 'websocket']]) {
      await answered(400, { Upgrade });
    }
  });

  test('Connection without upgrade among its elements is 400', async () => {
    for (const Connection of ['keep-alive', 'upgraded', 'close', '', 'up grade']) await answered(400, { Connection });
  });

  test('a request whose Upgrade field a proxy has removed is told 426', () => answered(426, { Upgrade: undefined }));

  test('the key must be there once and be 16 bytes', async () => {
    for (const key of [undefined, '', 'dGhlIHNhbXBsZSBub25jZQ', 'dGhlIHNhbXBsZSBub25jZQ=', '!GhlIHNhbXBsZSBub25jZQ==',
                       ['dGhlIHNhbXBsZSBub25jZQ==', 'dGhlIHNhbXBsZSBub25jZQ==']]) {
      await answered(400, { 'Sec-WebSocket-Key': key });
    }
  });

  test('an upgrade with a body is 400', async () => {
    await answered(400, { 'Content-Length': '5' });
    await answered(400, { 'Transfer-Encoding': 'chunked' });
    await answered(400, { 'Transfer-Encoding': 'chunked', 'Content-Length': '5' });
  });

  test('Host must be there once and name this machine', async () => {
    await answered(400, { Host: undefined });
    await answered(400, { Host: ['127.0.0.1', 'localhost'] });
    const rebound = await status_of(upgrade(server, '/echo', { ...token, Host: 'evil.test' }));
    assert.ok(rebound === 403 || rebound === 421, `a foreign name on a loopback listener: ${rebound}`);
    await upgraded({ Host: `localhost:${server.port}` });
  });

  test('smuggling attempts are 400 and end the connection', async () => {
    for (const bytes of [
      `GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\r\n b\r\n\r\n`,           // obs-fold
      `GET /echo HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n`,                        // space before the colon
      `GET /echo HTTP/1.1\nHost: 127.0.0.1\n\n`,                               // bare LF
      `GET /echo\r\n\r\n`,                                                     // HTTP/0.9
      `GET /ec\x00ho HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`,
      `GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n`,
      `GET /echo HTTP/2.0\r\nHost: 127.0.0.1\r\n\r\n`,
      `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03`,                          // TLS on the plain port
    ]) {
      const raw = await Raw.connect(server);
      raw.write(Buffer.from(bytes, 'latin1'));
      const answer = await raw.answer();
      assert.equal(answer.status, 400, JSON.stringify(bytes));
      assert.equal(answer.ended, 'fin');
      raw.destroy();
    }
  });

  test('a second request after a refused one is never answered', async () => {
    const raw = await Raw.connect(server);
    raw.write(upgrade(server, '/echo', { ...token, 'Sec-WebSocket-Version': '12' }), upgrade(server, '/echo', token));
    const answer = await raw.answer();
    assert.equal(answer.status, 426);
    assert.equal(answer.body.match(/HTTP\/1\.1/g), null);
    raw.destroy();
  });
});

describe('in time', { concurrency: 4 }, () => {
  test('a socket that says nothing is ended at the deadline without a word', async () => {
    const started = Date.now();
    const raw = await Raw.connect(server);
    await raw.end();
    assert.equal(raw.bytes.length, 0);
    assert.ok(Date.now() - started >= 1400, 'not before the deadline');
    raw.destroy();
  });

  test('a byte now and then does not move the deadline', async () => {
    const started = Date.now();
    const raw = await Raw.connect(server);
    const bytes = upgrade(server, '/echo', token);
    for (let i = 0; i < bytes.length && raw.ended === null; ++i) {
      raw.write(bytes.subarray(i, i + 1));
      await sleep(100);
    }
    assert.notEqual(raw.ended, null);
    const lasted = raw.ended_at - started;
    assert.ok(lasted >= 1400 && lasted < 1500 + 2000, `${lasted} ms`);
    assert.doesNotMatch(raw.bytes.toString(), /HTTP\/1\.1 101/);
    raw.destroy();
  });

  test('a peer that goes away at any moment leaves a server that works', async () => {
    const bytes = Buffer.concat([upgrade(server, '/echo', token), text('x')]);
    for (let i = 0; i <= bytes.length; i += 3) {
      const socket = net.connect(server.port, '127.0.0.1');
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.on('error', () => {});
      socket.write(bytes.subarray(0, i));
      if (i % 2 === 0) socket.resetAndDestroy();
      else socket.end();
    }
    const raw = await Raw.open(server, '/echo', token, { first: [text('here')] });
    assert.equal((await raw.frame()).payload.toString(), 'here');
    raw.destroy();
  });

  test('a peer that has closed its direction still gets its answer', async () => {
    const raw = await Raw.connect(server);
    raw.socket.end(upgrade(server, '/echo'));
    assert.equal((await raw.answer()).status, 401);
    raw.destroy();
    assert.equal((await ask(server, request(server, '/echo'))).status, 426);
  });
});
