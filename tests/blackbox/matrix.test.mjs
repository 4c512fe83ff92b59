// Every credential with every verifier that takes it, accepted and refused; what makes no sense is a configuration
// error. Sessions and certificates, which are a credential of their own, have files of their own.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sallyport, temporary_folder } from './lib/binary.mjs';
import { Raw, bearer, text, upgrade } from './lib/raw.mjs';
import { Server, configuration, echo } from './lib/server.mjs';
import { toml } from './lib/toml.mjs';
import { Issuer, broken_signature } from './lib/tokens.mjs';

const folder = temporary_folder();
const canary = () => `c4nary${randomBytes(16).toString('hex')}`;
const seen = [];  // every credential that was ever presented here
const keep = (credential) => { seen.push(credential); return credential; };

let issuer;
let server;
let application;  // answers introspections and "who is this?"
const good = {};  // by verifier: a credential that it accepts

/** What the application knows, and what it does when it is told to fail. */
const known = new Map();
const tokens = new Map();
let fault;
const app = http.createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  if (fault) return fault(response);
  if (request.url === '/introspect') {
    const subject = tokens.get(new URLSearchParams(body).get('token'));
    return response.end(JSON.stringify(subject ? { active: true, sub: subject, scope: 'chat' } : { active: false }));
  }
  const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1] ??
    /(?:^|; )sid=([^;]*)/.exec(request.headers.cookie ?? '')?.[1];
  if (token === 'banned') return response.writeHead(403).end();
  const subject = known.get(token);
  return subject ? response.end(JSON.stringify({ sub: subject, scope: 'chat' })) : response.writeHead(401).end();
});

const VERIFIERS = ['jwt', 'introspection', 'keys', 'http'];
const TRANSPORTS = {
  header: { list: ['header'], show: (path, token) => [upgrade(server, path, bearer(token))] },
  subprotocol: { list: ['subprotocol'], show: (path, token) => [upgrade(server, path, { 'Sec-WebSocket-Protocol': `chat, base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}` })] },
  first_message: { list: ['first_message'], show: (path, token) => [upgrade(server, path), text(JSON.stringify({ type: 'auth', token }))] },
  cookie: { list: ['cookie:sid'], show: (path, token) => [upgrade(server, path, { Cookie: `other=1; sid=${token}`, Origin: server.origin })] },
  insecure_query: { list: ['insecure_query:t'], show: (path, token) => [upgrade(server, `${path}?t=${token}`)] },
};

before(async () => {
  issuer = await Issuer.make();
  application = app.listen(0, '127.0.0.1');
  await once(application, 'listening');
  const url = `http://127.0.0.1:${application.address().port}`;
  const secret = join(folder, 'client-secret');
  writeFileSync(secret, keep(canary()));
  good.jwt = keep(await issuer.sign({ scope: 'chat' }));
  tokens.set((good.introspection = keep(canary())), 'ada');
  known.set((good.http = keep(canary())), 'ada');
  good.keys = keep(canary());
  const keys = join(folder, 'keys');
  writeFileSync(keys, `${createHash('sha256').update(good.keys).digest('hex')} ada chat\n`);
  const verifiers = {
    jwt: issuer.verifier(),
    introspection: { type: 'introspection', endpoint: `${url}/introspect`, client_id: 'c', client_secret_file: secret, timeout: '500ms' },
    keys: { type: 'keys', file: keys },
    http: { type: 'http', url: `${url}/who`, timeout: '500ms' },
  };
  const routes = VERIFIERS.flatMap((verifier) => [
    ...Object.entries(TRANSPORTS).map(([name, { list }]) =>
      echo(`/${verifier}/${name}`, { verifiers: [verifier], credentials: list, reject: 'http', scopes: ['chat'] })),
    echo(`/${verifier}/ticket`, { verifiers: [verifier], credentials: ['header', 'ticket'], reject: 'http' }),
  ]);
  routes.push(echo('/all', { verifiers: VERIFIERS, credentials: ['header'], reject: 'http' }));
  server = await Server.start({ verifiers, routes, log: { level: 'trace' } });
});
after(async () => {
  application?.closeAllConnections();
  application?.close();
  await server?.stop();
});

/** "open", the HTTP status, or the close code: what became of these bytes. */
async function outcome(...bytes) {
  const raw = await Raw.connect(server);
  try {
    raw.write(...bytes);
    const { status } = await raw.head();
    if (status !== 101) return status;
    raw.write(text('are we open?'));
    for (;;) {
      const frame = await raw.frame();
      if (frame.code) return frame.code;
      if (frame.payload.toString() === 'are we open?') return 'open';
    }
  } finally {
    raw.destroy();
  }
}

for (const verifier of VERIFIERS) {
  describe(`type ${verifier}`, () => {
    for (const [name, { show }] of Object.entries(TRANSPORTS)) {
      const refused = name === 'first_message' ? 3000 : 401;
      test(`accepts and refuses ${name}`, async () => {
        const path = `/${verifier}/${name}`;
        assert.equal(await outcome(...show(path, good[verifier])), 'open');
        const bad = verifier === 'jwt' ? broken_signature(good.jwt) : canary();
        assert.equal(await outcome(...show(path, keep(bad))), refused);
        if (name !== 'first_message') assert.equal(await outcome(upgrade(server, path)), 401);
        // Another verifier's credential, and the same one where this route does not look.
        for (const other of VERIFIERS.filter((one) => one !== verifier)) {
          assert.equal(await outcome(...show(path, good[other])), refused, `what ${other} accepts`);
        }
        if (name !== 'header' && name !== 'first_message') {
          assert.equal(await outcome(upgrade(server, path, bearer(good[verifier]))), 401, 'a transport that is not listed');
        }
      });
    }

    test('accepts a ticket that it was asked for, once', async () => {
      const answer = await fetch(`${server.origin}/.sallyport/ticket`, {
        method: 'POST', body: JSON.stringify({ path: `/${verifier}/ticket` }), headers: bearer(good[verifier]) });
      assert.equal(answer.status, 200);
      const { ticket } = await answer.json();
      assert.equal(await outcome(upgrade(server, `/${verifier}/ticket?ticket=${keep(ticket)}`)), 'open');
      assert.equal(await outcome(upgrade(server, `/${verifier}/ticket?ticket=${ticket}`)), 401);
    });
  });
}

test('a route with several verifiers accepts what any of them does', async () => {
  for (const verifier of VERIFIERS) {
    assert.equal(await outcome(upgrade(server, '/all', bearer(good[verifier]))), 'open', verifier);
  }
  assert.equal(await outcome(upgrade(server, '/all', bearer(keep(canary())))), 401);
});

test('the application may forbid', async () => {
  assert.equal(await outcome(upgrade(server, '/http/header', bearer('banned'))), 403);
});

test('whoever must be asked and does not answer makes it unavailable, and nothing else', async () => {
  for (const broken of [(response) => response.writeHead(500).end(), (response) => response.socket.destroy(), () => {}]) {
    fault = broken;
    for (const verifier of ['introspection', 'http']) {
      assert.equal(await outcome(upgrade(server, `/${verifier}/header`, bearer(keep(canary())))), 503, verifier);
    }
    assert.equal(await outcome(upgrade(server, '/keys/header', bearer(good.keys))), 'open');
  }
  fault = undefined;
});

test('nothing that was ever presented is in the log', () => {
  assert.ok(seen.length > 30 && server.log.length > 50);
  for (const credential of seen) {
    for (const word of [credential, Buffer.from(credential).toString('base64url'), ...credential.split('.').filter((part) => part.length > 20)]) {
      assert.ok(!server.stderr.includes(word.slice(0, 40)), `…${word.slice(0, 12)}…`);
    }
  }
});

describe('what makes no sense is a configuration error that says so', () => {
  const cases = {
    'a certificate for a verifier of tokens': [{ verifiers: ['jwt'], credentials: ['certificate'] }, /certificate/],
    'a session verifier without its cookie': [{ verifiers: ['session'], credentials: ['header'] }, /cookie:connect\.sid/],
    'a session verifier with another cookie': [{ verifiers: ['session'], credentials: ['cookie:other'] }, /cookie:connect\.sid/],
    'a certificate verifier without the credential': [{ verifiers: ['certificate'], credentials: ['header'] }, /certificate/],
    'a verifier that does not exist': [{ verifiers: ['nobody'] }, /nobody/],
    'no verifier at all': [{ verifiers: [] }, /insecure_anonymous/],
  };
  for (const [name, [route, expected]] of Object.entries(cases)) {
    test(name, async () => {
      const file = join(folder, `${randomBytes(4).toString('hex')}.toml`);
      const secret = join(folder, 'session-secret');
      writeFileSync(secret, 'keyboard cat, but longer than that');
      writeFileSync(file, toml(configuration({
        verifiers: { jwt: issuer.verifier(), certificate: { type: 'certificate', subject: 'san_uri' },
                     session: { type: 'session', secret_files: [secret], store: 'redis://127.0.0.1:6379' } },
        routes: [echo('/x', route)],
      })));
      const { code, stdout } = await sallyport(['check', '--config', file]);
      assert.equal(code, 2, stdout);
      const errors = stdout.split('\n').filter((line) => line.includes(': error: '));
      assert.ok(errors.some((line) => expected.test(line) && /\.toml:\d+: error: /.test(line)), stdout);
    });
  }
});
