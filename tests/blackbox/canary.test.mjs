// No credential, in any slot and on any path, accepted or refused, ever reaches a log or an answer.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { sallyport } from './lib/binary.mjs';
import { OP, Raw, bearer, frame, text, upgrade } from './lib/raw.mjs';
import { Server, echo, hub } from './lib/server.mjs';
import { Issuer, broken_signature, now } from './lib/tokens.mjs';
import { sleep } from './lib/wait.mjs';

/** Everything that would give it away: the credential, its parts, and its usual encodings. */
function traces(credential) {
  const parts = credential.split('.').filter((part) => part.length >= 16);
  const words = [credential, ...parts];
  return words.flatMap((word) => [word, encodeURIComponent(word), Buffer.from(word).toString('base64'),
                                  Buffer.from(word).toString('base64url'), Buffer.from(word).toString('hex')])
    .map((word) => word.slice(0, 40));
}

test('a canary in every slot is never seen again', { timeout: 120_000 }, async () => {
  const issuer = await Issuer.make({ leeway: '0s' });
  const routes = ['http', 'close'].flatMap((reject) => [
    echo(`/${reject}/header`, { reject }),
    echo(`/${reject}/all`, { reject, credentials: ['header', 'subprotocol', 'cookie:session', 'first_message', 'insecure_query:t'] }),
    echo(`/${reject}/scoped`, { reject, scopes: ['never'], credentials: ['header', 'subprotocol', 'cookie:session', 'first_message', 'insecure_query:t'] }),
    hub(`/${reject}/hub/:room`, [{ do: ['publish'], channel: 'a' }], { reject, credentials: ['header', 'subprotocol', 'first_message'], auth_timeout: '500ms' }),
  ]);
  const server = await Server.start({ issuer, routes, log: { level: 'trace' }, limits: { handshake_timeout: '1s', header_bytes: '8KiB' } });
  const heard = [];
  const canaries = [];
  const keep = (credential) => { canaries.push(credential); return credential; };
  const nonce = () => randomBytes(16).toString('hex');

  /** Plays the bytes and keeps all that the server answers. */
  const play = async (...bytes) => {
    const raw = await Raw.connect(server);
    raw.write(...bytes);
    await Promise.race([raw.end().catch(() => {}), sleep(250)]);
    heard.push(raw.bytes.toString('latin1'));
    raw.destroy();
  };

  const credentials = [
    async () => issuer.sign({ canary: nonce() }),
    async () => broken_signature(await issuer.sign({ canary: nonce() })),
    async () => issuer.sign({ canary: nonce(), ttl: -60 }),
    async () => issuer.sign({ canary: nonce(), nbf: now() + 600 }),
    async () => issuer.sign({ canary: nonce(), iss: 'https://else.example/' }),
    async () => issuer.sign({ canary: nonce() }, { header: { kid: nonce() } }),
    async () => `canary-${nonce()}`,
    async () => `canary.${nonce()}.${nonce()}`,
  ];
  const slots = [
    (path, token) => play(upgrade(server, path, bearer(token))),
    (path, token) => play(upgrade(server, path, { Authorization: [`Bearer ${token}`, `Bearer ${token}`] })),
    (path, token) => play(upgrade(server, path, { Authorization: `Basic ${token}` })),
    (path, token) => play(upgrade(server, path, { 'Sec-WebSocket-Protocol': `x, bearer.${token}` })),
    (path, token) => play(upgrade(server, path, { 'Sec-WebSocket-Protocol': `bearer.${token}` })),
    (path, token) => play(upgrade(server, path, { 'Sec-WebSocket-Protocol': `bearer, ${token}` })),
    (path, token) => play(upgrade(server, path, { 'Sec-WebSocket-Protocol': `x, base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}` })),
    (path, token) => play(upgrade(server, path, { Cookie: `session=${token}`, Origin: server.origin })),
    (path, token) => play(upgrade(server, path, { Cookie: `session=${token}`, Origin: 'https://evil.example' })),
    (path, token) => play(upgrade(server, `${path}?t=${token}`)),
    (path, token) => play(upgrade(server, `${path}?access_token=${token}&ticket=${token}&token=${token}`)),
    (path, token) => play(upgrade(server, path), text(JSON.stringify({ type: 'auth', token }))),
    (path, token) => play(upgrade(server, path), text(`{"type":"auth","token":"${token}"`)),
    (path, token) => play(upgrade(server, path), frame(OP.binary, JSON.stringify({ type: 'auth', token }))),
    // Malformed, too large, unfinished, on a path that is not there, and as a plain request.
    (path, token) => play(upgrade(server, path, { ...bearer(token), 'Sec-WebSocket-Key': 'x' })),
    (path, token) => play(upgrade(server, path, { ...bearer(token), 'X-Large': 'x'.repeat(9000) })),
    (path, token) => play(upgrade(server, `/nowhere?t=${token}`, bearer(token))),
    (path, token) => play(upgrade(server, `${path}?t=${token}`, { ...bearer(token), Upgrade: undefined })),
    (path, token) => play(Buffer.from(`GET ${path}?t=${token} HTTP/1.1\r\nAuthorization: Bearer ${token}\r\n broken\r\n\r\n`)),
    (path, token) => play(Buffer.from(`${token}\r\n\r\n`)),
  ];
  for (const { path } of routes) {
    const at = path.replace(':room', 'blue');
    await Promise.all(slots.map(async (slot, i) => {
      for (let k = 0; k < credentials.length; k += 1) {
        // Each slot meets each kind of credential on half of the routes: every pair is met.
        if ((i + k) % 2 === 0 || path.endsWith('/all')) await slot(at, keep(await credentials[k]()));
      }
    }));
  }

  // Refresh, accepted and not; a first message that never ends, and a head that never ends.
  for (const make of credentials) {
    const raw = await Raw.open(server, '/http/all', bearer(keep(await issuer.sign({ canary: nonce() }))));
    raw.write(text(JSON.stringify({ type: 'refresh', token: keep(await make()) })), text('{"type":"refresh","token":'));
    await Promise.race([raw.frames_to_close().catch(() => {}), sleep(250)]);
    heard.push(raw.bytes.toString('latin1'));
    raw.destroy();
  }
  const slow = await Raw.connect(server);
  slow.write(upgrade(server, '/http/all', bearer(keep(await issuer.sign({ canary: nonce() })))).subarray(0, -2));
  const half = await Raw.open(server, '/http/hub/blue');
  half.write(text(JSON.stringify({ type: 'auth', token: keep(await issuer.sign({ canary: nonce() })) })).subarray(0, -5));
  await half.frames_to_close();
  heard.push((await slow.answer().catch(() => ({ body: '' }))).body);
  slow.destroy();
  half.destroy();

  // What the command says of a token.
  const inspected = keep(await issuer.sign({ canary: nonce() }));
  for (const token of [inspected, keep(broken_signature(inspected))]) {
    const { stdout, stderr } = await sallyport(['token', 'inspect', '--config', server.file], { input: token });
    heard.push(stdout, stderr);
  }

  const draining = await Raw.open(server, '/http/all', bearer(keep(await issuer.sign({ canary: nonce() }))));
  await server.stop();
  draining.destroy();

  assert.ok(canaries.length > 500, `${canaries.length} canaries`);
  assert.ok(server.log.length > 200, `${server.log.length} log lines`);
  for (const planted of [canaries[0], canaries[0].split('.')[1], encodeURIComponent(canaries[0])]) {
    assert.ok(traces(canaries[0]).some((trace) => `log ${planted} line`.includes(trace)), 'a canary would be seen');
  }
  const sinks = { log: server.stderr, stdout: server.stdout, answers: heard.join('\n') };
  const found = [];
  for (const [name, content] of Object.entries(sinks)) {
    for (const canary of canaries) {
      for (const trace of traces(canary)) if (content.includes(trace)) found.push(`${name}: …${content.slice(Math.max(0, content.indexOf(trace) - 200), content.indexOf(trace))}`);
    }
  }
  assert.deepEqual(found.slice(0, 5), []);
});

test('the log cannot be forged by what a peer sends', async () => {
  const issuer = await Issuer.make();
  const server = await Server.start({ issuer, routes: [echo('/echo/:name', { reject: 'http' })], log: { level: 'trace' } });
  const evil = `\u001b[31m","level":"error","event":"forged`;
  const token = await issuer.sign({ sub: `x\r\n{"event":"forged"}\u001b[2J\u0000"` });
  for (const bytes of [
    upgrade(server, '/echo/%0d%0a%7b%22event%22%3a%22forged%22%7d', bearer(token)),
    upgrade(server, '/echo/x', { ...bearer(token), Origin: evil, 'User-Agent': evil }),
    upgrade(server, '/echo/x', bearer(await issuer.sign({}, { header: { kid: 'a\r\n{"event":"forged"}' } }))),
    Buffer.from(`GET /\u001b[31m\nforged HTTP/1.1\r\n\r\n`),
  ]) {
    const raw = await Raw.connect(server);
    raw.write(bytes);
    await sleep(100);
    raw.destroy();
  }
  await server.stop();
  for (const line of server.stderr.split('\n').slice(0, -1)) {
    const entry = JSON.parse(line);
    assert.notEqual(entry.event, 'forged');
    assert.match(entry.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.doesNotMatch(line, /[\u0000-\u001f\u007f]/);
  }
  assert.ok(server.log.length > 3);
});
