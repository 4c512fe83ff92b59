// Mutual TLS: the client's certificate as a credential, and tokens that are bound to one (RFC 8705).
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { readFileSync } from 'node:fs';
import { run } from './lib/binary.mjs';
import { make_ca, make_client } from './lib/ca.mjs';
import { Raw, bearer, text, upgrade } from './lib/raw.mjs';
import { Server, echo, serve } from './lib/server.mjs';
import { Issuer, now } from './lib/tokens.mjs';
import { eventually } from './lib/wait.mjs';

let ca;
let foreign;
let issuer;
let server;

const tls_of = (more = {}) => ({ certificate: ca.certificate, key: ca.key, client_ca: ca.ca, client_certificate: 'optional', ...more });
const certificate_route = (path, more = {}) => echo(path, { verifiers: ['machines'], credentials: ['certificate'], reject: 'http', ...more });

before(async () => {
  [ca, foreign, issuer] = await Promise.all([make_ca(), make_ca(), Issuer.make({ leeway: '0s' })]);
  server = await Server.start({
    issuer, tls: tls_of(),
    verifiers: { machines: { type: 'certificate', subject: 'san_uri' } },
    routes: [certificate_route('/machine'), echo('/token', { reject: 'http' }),
             echo('/either', { verifiers: ['main', 'machines'], credentials: ['header', 'certificate'], reject: 'http' })],
  });
});
after(() => server?.stop());

/** "open", the status, or what became of the TLS handshake. */
async function outcome(client, path = '/machine', fields = {}, target = server) {
  let raw;
  try {
    raw = await Raw.connect(target, { tls: client ? { cert: client.cert, key: client.key } : {} });
    raw.write(upgrade(target, path, fields), text('hello'));
    const { status } = await raw.head();
    if (status !== 101) return status;
    const frame = await raw.frame();
    return frame.payload.toString() === 'hello' ? 'open' : `${frame.code} ${frame.reason}`;
  } catch (error) {
    return `refused: ${error.message}`;
  } finally {
    raw?.destroy();
  }
}

const machine = (more) => make_client(ca, { san: 'URI:spiffe://example.test/machine', ...more });

test('a certificate of ours opens the socket as the subject it names', async () => {
  assert.equal(await outcome(await machine()), 'open');
  const opened = await server.event('ws.open', (entry) => entry.credential === 'certificate');
  assert.equal(opened.subject, 'spiffe://example.test/machine');
});

test('without one it is 401, with one of another authority there is no connection', async () => {
  assert.equal(await outcome(undefined), 401);
  assert.match(String(await outcome(await make_client(foreign, { san: 'URI:spiffe://example.test/machine' }))), /^refused|401/);
  for (const bad of [{ begins: -7200, ends: -3600 }, { begins: 3600, ends: 7200 }, { usage: 'serverAuth' }]) {
    assert.match(String(await outcome(await machine(bad))), /^refused/, JSON.stringify(bad));
  }
});

test('a certificate that names nobody, or two, is refused', async () => {
  assert.equal(await outcome(await make_client(ca, { cn: 'only a common name' })), 401);
  assert.equal(await outcome(await make_client(ca, { san: 'DNS:machine.example.test' })), 401);
  assert.equal(await outcome(await make_client(ca, { san: 'URI:spiffe://a,URI:spiffe://b' })), 401);
});

test('the socket ends when the certificate ends', async () => {
  const brief = await machine({ ends: 4 });
  const raw = await Raw.connect(server, { tls: { cert: brief.cert, key: brief.key } });
  raw.write(upgrade(server, '/machine'));
  assert.equal((await raw.head()).status, 101);
  const close = (await raw.frames_to_close()).at(-1);
  assert.deepEqual([close.code, close.reason], [3000, 'token_expired']);
  assert.ok(Math.abs(Date.now() / 1000 - brief.ends) < 2.5);
  raw.destroy();
});

test('an Origin that is there is checked', async () => {
  const client = await machine();
  assert.equal(await outcome(client, '/machine', { Origin: 'https://evil.example' }), 403);
  assert.equal(await outcome(client, '/machine', { Origin: server.origin }), 'open');
  assert.equal(await outcome(client, '/machine', { 'Sec-Fetch-Site': 'cross-site' }), 403, 'a browser without an Origin');
});

test('a certificate beside a token is two credentials where the route takes both', async () => {
  const client = await machine();
  assert.equal(await outcome(client, '/either'), 'open');
  assert.equal(await outcome(undefined, '/either', bearer(await issuer.sign())), 'open');
  assert.equal(await outcome(client, '/either', bearer(await issuer.sign())), 400);
});

test('a token that is bound to a certificate is good with that one alone', async () => {
  const [mine, other] = await Promise.all([machine(), machine()]);
  const thumbprint = createHash('sha256').update(new X509Certificate(mine.cert).raw).digest('base64url');
  const token = await issuer.sign({ cnf: { 'x5t#S256': thumbprint } });
  assert.equal(await outcome(mine, '/token', bearer(token)), 'open');
  assert.equal(await outcome(other, '/token', bearer(token)), 401);
  assert.equal(await outcome(undefined, '/token', bearer(token)), 401);
  assert.equal(await outcome(mine, '/token', bearer(token)), 'open', 'and still with its own');
  assert.equal(await outcome(mine, '/token', bearer(await issuer.sign({ cnf: { jkt: thumbprint } }))), 401);
  assert.equal(await outcome(other, '/token', bearer(await issuer.sign())), 'open', 'one that is not bound does not care');
});

test('where a certificate is required there is no TLS without one', async (t) => {
  const strict = await serve(t, {
    tls: tls_of({ client_certificate: 'required' }), verifiers: { machines: { type: 'certificate', subject: 'san_uri' } },
    routes: [certificate_route('/machine')],
  });
  assert.match(String(await outcome(undefined, '/machine', {}, strict)), /^refused/);
  assert.equal(await outcome(await machine(), '/machine', {}, strict), 'open');
  const { stdout } = await run('openssl', ['s_client', '-connect', `127.0.0.1:${strict.port}`, '-brief'], { input: '' });
  assert.ok(!stdout.includes('101'));
});

test('a resumed TLS session still is who it was', async () => {
  const client = await machine();
  const connect = (session) => new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false, cert: client.cert, key: client.key, session });
    let answer = '';
    let ticket;
    socket.on('session', (data) => { ticket = data; });
    socket.on('secureConnect', () => socket.write(upgrade(server, '/machine')));
    socket.on('data', (data) => {
      answer += data.toString('latin1');
      if (answer.includes('\r\n\r\n')) setTimeout(() => { resolve({ status: Number(answer.slice(9, 12)), ticket, reused: socket.isSessionReused() }); socket.destroy(); }, 100);
    });
    socket.on('error', reject);
  });
  const first = await connect();
  assert.equal(first.status, 101);
  const second = await connect(first.ticket);
  assert.equal(second.status, 101);
});

test('curl opens it with the command of the documentation', async () => {
  const client = await machine();
  const ended = await run('curl', ['-s', '-i', '-N', '--max-time', '2', '--cacert', ca.ca, '--cert', client.files.certificate, '--key', client.files.key,
    '-H', 'Connection: Upgrade', '-H', 'Upgrade: websocket', '-H', 'Sec-WebSocket-Version: 13', '-H', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    '--http1.1', `https://localhost:${server.port}/machine`]);
  assert.match(ended.stdout, /^HTTP\/1\.1 101 /);
});

test('no certificate or key material is in the log', async () => {
  await eventually(() => server.log.length > 5, 'a log');
  const pem = readFileSync(ca.ca, 'utf8').split('\n')[1];
  assert.ok(!server.stderr.includes(pem) && !server.stderr.includes('BEGIN'));
  assert.ok(now() > 0);
});
