// The answers to a handshake: each status, with the body and fields that belong to it, and how it ends.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { run } from './lib/binary.mjs';
import { OP, Raw, ask, bearer, request, upgrade } from './lib/raw.mjs';
import { Server, echo, serve } from './lib/server.mjs';
import { Issuer, broken_signature, now } from './lib/tokens.mjs';
import { PATIENCE, eventually, within } from './lib/wait.mjs';

let issuer;
let server;

before(async () => {
  issuer = await Issuer.make();
  server = await Server.start({
    issuer,
    limits: { header_bytes: '4KiB' },
    routes: [
      echo('/echo'),
      echo('/scoped', { scopes: ['chat', 'write'] }),
      echo('/claimed', { claims: { tenant: 'acme', role: ['admin', 'staff'] } }),
      echo('/denied', { deny_addresses: ['127.0.0.0/8'] }),
      echo('/elsewhere', { allow_addresses: ['192.0.2.0/24'] }),
      echo('/close', { reject: 'close' }),
      echo('/close44', { reject: 'close', close_codes: '44xx', scopes: ['chat'] }),
      echo('/http', { reject: 'http' }),
      echo('/close-denied', { reject: 'close', deny_addresses: ['127.0.0.1/32'] }),
    ],
  });
});
after(() => server?.stop());

/** Every refusal over HTTP: problem+json with exactly these members, not cached, a length, and a FIN. */
function assert_problem(answer, status, reason, { challenge, retry } = {}) {
  assert.equal(answer.status, status, answer.body);
  assert.deepEqual(answer.fields['content-type'], ['application/problem+json']);
  assert.deepEqual(answer.fields['cache-control'], ['no-store']);
  assert.deepEqual(answer.fields['content-length'], [String(Buffer.byteLength(answer.body))]);
  const body = JSON.parse(answer.body);
  assert.deepEqual(Object.keys(body).sort(), ['reason', 'status', 'title', 'type']);
  assert.equal(body.type, 'about:blank');
  assert.equal(body.status, status);
  assert.equal(body.reason, reason);
  assert.ok(body.title.length > 0);
  assert.deepEqual(answer.fields['www-authenticate'], challenge === undefined ? undefined : [challenge]);
  if (retry) assert.match(answer.fields['retry-after']?.[0] ?? 'none', /^[1-9]\d*$/);
  else assert.equal(answer.fields['retry-after'], undefined);
  assert.equal(answer.ended, 'fin', 'the connection ends with a FIN, not with a reset');
}

const refused = async (path, token, status, reason, more) =>
  assert_problem(await ask(server, upgrade(server, path, token === undefined ? {} : bearer(token))),
                 status, reason, more);
const invalid = { challenge: 'Bearer error="invalid_token"' };

describe('over HTTP', { concurrency: 4 }, () => {
  test('a plain GET on a WebSocket route is told 426 and how to upgrade', async () => {
    const answer = await ask(server, request(server, '/echo', bearer(await issuer.sign())));
    assert_problem(answer, 426, 'upgrade_required');
    assert.deepEqual(answer.fields.upgrade, ['websocket']);
    assert.deepEqual(answer.fields['sec-websocket-version'], ['13']);
  });

  test('another WebSocket version is told 426 with the version that works', async () => {
    const answer = await ask(server, upgrade(server, '/echo', { 'Sec-WebSocket-Version': '12' }));
    assert_problem(answer, 426, 'upgrade_required');
    assert.deepEqual(answer.fields['sec-websocket-version'], ['13']);
  });

  test('a malformed upgrade is told 400', async () => {
    for (const fields of [{ 'Sec-WebSocket-Key': undefined }, { 'Sec-WebSocket-Key': 'c2hvcnQ=' },
                          { Connection: 'keep-alive' }, { Upgrade: 'h2c' }, { 'Bad Name': 'x' }]) {
      const answer = await ask(server, upgrade(server, '/echo', fields));
      assert_problem(answer, 400, 'bad_request');
    }
  });

  test('no credential is told 401 with a bare challenge', () =>
    refused('/echo', undefined, 401, 'missing_credentials', { challenge: 'Bearer' }));

  test('a forged signature is told invalid_token', async () =>
    refused('/echo', broken_signature(await issuer.sign()), 401, 'invalid_token', invalid));

  test('a key of the same kid that is another is told invalid_token', async () => {
    const stranger = await Issuer.make();
    await refused('/echo', await stranger.sign(), 401, 'invalid_token', invalid);
  });

  test('another issuer is told invalid_token', async () =>
    refused('/echo', await issuer.sign({ iss: 'https://id.example.test' }), 401, 'invalid_token', invalid));

  test('another audience is told invalid_token', async () =>
    refused('/echo', await issuer.sign({ aud: 'mail' }), 401, 'invalid_token', invalid));

  test('a token without exp is told invalid_token', async () =>
    refused('/echo', await issuer.sign({ exp: undefined }), 401, 'invalid_token', invalid));

  test('a token of another type is told invalid_token', async () =>
    refused('/echo', await issuer.sign({}, { header: { typ: 'logout+jwt' } }), 401, 'invalid_token', invalid));

  test('text that is no token is told invalid_token', async () => {
    for (const token of ['x', 'a.b.c', '...', 'e30.e30.', 'x'.repeat(2000)]) {
      await refused('/echo', token, 401, 'invalid_token', invalid);
    }
  });

  test('an expired token is told token_expired', async () =>
    refused('/echo', await issuer.sign({ ttl: -3600 }), 401, 'token_expired', invalid));

  test('a token for later is told token_not_yet_valid', async () =>
    refused('/echo', await issuer.sign({ nbf: now() + 3600, ttl: 7200 }), 401, 'token_not_yet_valid', invalid));

  test('an expired forgery is told that it is forged, not that it expired', async () =>
    refused('/echo', broken_signature(await issuer.sign({ ttl: -3600 })), 401, 'invalid_token', invalid));

  test('the leeway counts once at both ends of a life', async () => {
    const accepted = async (claims) => {
      const raw = await Raw.open(server, '/echo', bearer(await issuer.sign(claims)));
      raw.destroy();
    };
    await accepted({ exp: now() - 20 });              // within the leeway of 30 s
    await accepted({ iat: now() + 20, nbf: now() + 20 });
    await refused('/echo', await issuer.sign({ exp: now() - 31 }), 401, 'token_expired', invalid);
    await refused('/echo', await issuer.sign({ iat: now() + 45 }), 401, 'token_not_yet_valid', invalid);
    await refused('/echo', await issuer.sign({ nbf: now() + 45 }), 401, 'token_not_yet_valid', invalid);
  });

  test('a missing scope is told 403 insufficient_scope', async () => {
    const scope = { challenge: 'Bearer error="insufficient_scope"' };
    await refused('/scoped', await issuer.sign(), 403, 'forbidden', scope);
    await refused('/scoped', await issuer.sign({ scope: 'chat' }), 403, 'forbidden', scope);
    await refused('/scoped', await issuer.sign({ scope: 'chatwrite' }), 403, 'forbidden', scope);
    (await Raw.open(server, '/scoped', bearer(await issuer.sign({ scope: 'write other chat' })))).destroy();
  });

  test('a claim that does not match is told 403', async () => {
    await refused('/claimed', await issuer.sign(), 403, 'forbidden');
    await refused('/claimed', await issuer.sign({ tenant: 'acme', role: 'guest' }), 403, 'forbidden');
    await refused('/claimed', await issuer.sign({ tenant: 'acme2', role: 'admin' }), 403, 'forbidden');
    (await Raw.open(server, '/claimed', bearer(await issuer.sign({ tenant: 'acme', role: 'staff' })))).destroy();
    (await Raw.open(server, '/claimed', bearer(await issuer.sign({ tenant: ['x', 'acme'], role: ['admin'] })))).destroy();
  });

  test('an address that is denied, or not among those allowed, is told 403', async () => {
    const token = await issuer.sign();
    await refused('/denied', token, 403, 'forbidden');
    await refused('/elsewhere', token, 403, 'forbidden');
  });

  test('an Origin that is not allowed is told 403', async () => {
    const answer = await ask(server, upgrade(server, '/echo', {
      ...bearer(await issuer.sign()), Origin: 'https://evil.example',
    }));
    assert_problem(answer, 403, 'origin_not_allowed');
  });

  test('an unknown path is told 404, with and without an upgrade', async () => {
    const status = async (path) => (await ask(server, upgrade(server, path, bearer(await issuer.sign())))).status;
    for (const path of ['/nowhere', '/echo/', '/echo/more', '/ECHO', '/']) assert.equal(await status(path), 404, path);
    // Targets that no client writes may be called malformed as well; they must not find the route.
    for (const path of ['//echo', '/x/../echo', '/./echo', '/%00', '/echo%00', '/echo%2f', '/echo;x']) {
      assert.ok([400, 404].includes(await status(path)), path);
    }
    assert_problem(await ask(server, upgrade(server, '/nowhere')), 404, 'not_found');
    assert_problem(await ask(server, request(server, '/nowhere')), 404, 'not_found');
    await server.event('ws.refused', (entry) => entry.reason === 'not_found' && entry.detail === 'no route for /nowhere');
    await ask(server, upgrade(server, '/nowhere/eyJhbGciOiJub25lIn0/x?secret=1'));
    const logged = await server.event('ws.refused', (entry) => entry.detail?.includes('/x'));
    assert.equal(logged.detail, 'no route for /nowhere/.../x');
  });

  test('too large a head is told 431 and can read it', async () => {
    const answer = await ask(server, upgrade(server, '/echo', { 'X-Large': 'x'.repeat(20_000) }));
    assert_problem(answer, 431, 'header_too_large');
  });

  test('a head of exactly the limit is accepted and one byte more is not', async () => {
    const token = await issuer.sign();
    const padded = (size) => {
      const bare = upgrade(server, '/echo', { ...bearer(token), 'X-Pad': '' });
      return upgrade(server, '/echo', { ...bearer(token), 'X-Pad': 'p'.repeat(size - bare.length) });
    };
    assert.equal(padded(4096).length, 4096);
    const raw = await Raw.connect(server);
    raw.write(padded(4096));
    assert.equal((await raw.head()).status, 101);
    raw.destroy();
    assert_problem(await ask(server, padded(4097)), 431, 'header_too_large');
  });

  test('curl reads status, fields and body of a refusal', async () => {
    const curl = await run('curl', ['-sS', '-i', '--max-time', '10', '--http1.1', '-H', 'Connection: Upgrade',
      '-H', 'Upgrade: websocket', '-H', 'Sec-WebSocket-Version: 13', '-H', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      `${server.origin}/echo`]);
    assert.equal(curl.code, 0, curl.stderr);
    assert.match(curl.stdout, /^HTTP\/1\.1 401 Unauthorized\r\n/);
    assert.match(curl.stdout, /\r\nWWW-Authenticate: Bearer\r\n/i);
    assert.match(curl.stdout, /"reason":"missing_credentials"\}$/);
    const plain = await run('curl', ['-sS', '--max-time', '10', '-o', '/dev/null', '-w', '%{http_code} %{exitcode}',
      `${server.origin}/echo`]);
    assert.equal(plain.stdout, '426 0', plain.stderr);
  });

  test('the health checks answer 200 to anyone and are not cached', async () => {
    for (const path of ['/healthz', '/readyz']) {
      const answer = await ask(server, request(server, path));
      assert.equal(answer.status, 200, path);
      assert.deepEqual(answer.fields['cache-control'], ['no-store']);
      assert.equal(answer.ended, 'fin');
    }
  });

  test('a HEAD request gets the head alone', async () => {
    const answer = await ask(server, request(server, '/nowhere', {}, { method: 'HEAD' }));
    assert.equal(answer.status, 404);
    assert.equal(answer.body, '');
  });
});

describe('as a Close frame', { concurrency: 4 }, () => {
  const closes = async (path, fields, code, reason) => {
    const raw = await Raw.connect(server);
    raw.write(upgrade(server, path, fields));
    const head = await raw.head();
    assert.equal(head.status, 101, path);
    const frames = await raw.frames_to_close();
    assert.equal(frames.length, 1, 'one Close frame and nothing before it');
    assert.deepEqual({ code: frames[0].code, reason: frames[0].reason }, { code, reason });
    raw.write(frame_of_close(frames[0].payload));
    assert.equal(await raw.end(), 'fin');
    assert.equal(raw.bytes.length, 0, 'nothing after it');
    raw.destroy();
  };
  const frame_of_close = (payload) => Buffer.concat([Buffer.from([0x88, 0x80 | payload.length, 0, 0, 0, 0]), payload]);

  test('every refusal that a browser must tell apart has its code and reason', async () => {
    await closes('/close', {}, 3000, 'missing_credentials');
    await closes('/close', bearer(broken_signature(await issuer.sign())), 3000, 'invalid_token');
    await closes('/close', bearer(await issuer.sign({ ttl: -3600 })), 3000, 'token_expired');
    await closes('/close', bearer(await issuer.sign({ nbf: now() + 3600, ttl: 7200 })), 3000, 'token_not_yet_valid');
    await closes('/close-denied', bearer(await issuer.sign()), 3003, 'forbidden');
  });

  test('the 44xx profile has the same reasons under its own codes', async () => {
    await closes('/close44', {}, 4401, 'missing_credentials');
    await closes('/close44', bearer('nonsense'), 4401, 'invalid_token');
    await closes('/close44', bearer(await issuer.sign({ ttl: -3600 })), 4401, 'token_expired');
    await closes('/close44', bearer(await issuer.sign()), 4403, 'forbidden');
  });

  test('auto closes for an allowed page and answers everyone else over HTTP', async () => {
    await closes('/echo', { Origin: server.origin }, 3000, 'missing_credentials');
    await refused('/echo', undefined, 401, 'missing_credentials', { challenge: 'Bearer' });
  });

  test('reject = "http" answers over HTTP also to a page', async () => {
    const answer = await ask(server, upgrade(server, '/http', { Origin: server.origin }));
    assert_problem(answer, 401, 'missing_credentials', { challenge: 'Bearer' });
  });

  test('a foreign Origin, a malformed request and an unknown path are always answered over HTTP', async () => {
    const foreign = await ask(server, upgrade(server, '/close', { Origin: 'https://evil.example' }));
    assert_problem(foreign, 403, 'origin_not_allowed');
    const malformed = await ask(server, upgrade(server, '/close', { 'Sec-WebSocket-Key': 'no' }));
    assert_problem(malformed, 400, 'bad_request');
    const unknown = await ask(server, upgrade(server, '/closed', { Origin: server.origin }));
    assert_problem(unknown, 404, 'not_found');
    const plain = await ask(server, request(server, '/close', { Origin: server.origin }));
    assert_problem(plain, 426, 'upgrade_required');
  });

  test('what the client says after the refusal is discarded', async () => {
    const raw = await Raw.connect(server);
    raw.write(upgrade(server, '/close'), Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x78]));
    assert.equal((await raw.head()).status, 101);
    const [close] = await raw.frames_to_close();
    assert.equal(close.code, 3000);
    raw.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x79]), frame_of_close(close.payload));
    await raw.end();
    assert.equal(raw.bytes.length, 0);
    raw.destroy();
  });

  test('a client that never answers the Close does not keep the socket', async () => {
    const raw = await Raw.connect(server);
    raw.write(upgrade(server, '/close'));
    await raw.head();
    const [close] = await raw.frames_to_close();
    assert.equal(close.opcode, OP.close);
    await raw.end(PATIENCE);
    raw.destroy();
  });
});

describe('over a limit', () => {
  test('an address that fails too often is told 429, and when to come back', async (t) => {
    const small = await serve(t, {
      issuer, limits: { failures_per_address: '5/1m' }, routes: [echo('/echo'), echo('/close', { reject: 'close' })],
    });
    const forged = bearer(broken_signature(await issuer.sign()));
    const statuses = [];
    let last;
    for (let i = 0; i < 12; ++i) {
      last = await ask(small, upgrade(small, '/echo', forged));
      statuses.push(last.status);
    }
    assert.deepEqual(statuses.slice(0, 5), [401, 401, 401, 401, 401]);
    assert.ok(statuses.filter((status) => status === 429).length >= 5, statuses.join(' '));
    last = await eventually(async () => {
      const answer = await ask(small, upgrade(small, '/echo', forged));
      return answer.status === 429 && answer;
    }, 'a 429');
    assert_problem(last, 429, 'too_many_requests', { retry: true });

    // A browser on such an address is told in a Close frame.
    await eventually(async () => {
      const raw = await Raw.connect(small);
      raw.write(upgrade(small, '/close', forged));
      await raw.head();
      const [close] = await raw.frames_to_close();
      raw.destroy();
      return close.code === 1008 && close.reason === 'rate_limited';
    }, 'a Close frame 1008 rate_limited');

    // A neighbour behind the same address who holds a valid credential gets in within a moment.
    const token = bearer(await issuer.sign());
    await eventually(async () => {
      const raw = await Raw.connect(small);
      raw.write(upgrade(small, '/echo', token));
      const { status } = await raw.head();
      raw.destroy();
      return status === 101;
    }, 'a valid credential getting in', 5000);

    // Another address is not affected.
    assert.equal((await ask(small, upgrade(small, '/echo', forged), { local: '127.0.0.2' })).status, 401);
  });

  test('a request that is under way when the server drains is told 503, and when to come back', async () => {
    const draining = await Server.start({ issuer, routes: [echo('/echo')], server: { drain: '1s' } });
    try {
      const open = await Raw.open(draining, '/echo', bearer(await issuer.sign()));
      const raw = await Raw.connect(draining);
      const whole = upgrade(draining, '/echo', bearer(await issuer.sign()));
      raw.write(whole.subarray(0, 20));
      await eventually(async () => {
        raw.socket.bytesWritten === 20 && await new Promise((resolve) => setTimeout(resolve, 100));
        return true;
      }, 'the first bytes');
      draining.signal('SIGTERM');
      await draining.event('server.draining');
      raw.write(whole.subarray(20));
      const answer = await within(raw.answer(), PATIENCE, 'an answer');
      assert_problem(answer, 503, 'unavailable', { retry: true });
      assert.equal((await open.frames_to_close()).at(-1).code, 1012);
      open.destroy();
      raw.destroy();
      await draining.stop();
    } finally {
      await draining.end();
    }
  });
});
