// TLS: every client over wss with a certificate it can check, and whatever is not TLS 1.2 or 1.3 kept out.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { run } from './lib/binary.mjs';
import { launch, socket_in_page, without_browser } from './lib/browser.mjs';
import { make_ca } from './lib/ca.mjs';
import { Client } from './lib/client.mjs';
import { python_client, without_python } from './lib/python.mjs';
import { Raw, ask, bearer, request, text, upgrade } from './lib/raw.mjs';
import { Server, echo } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { PATIENCE, in_parallel, sleep } from './lib/wait.mjs';

let issuer;
let files;
let ca;
let server;
let token;

before(async () => {
  issuer = await Issuer.make({ leeway: '1s' });
  token = await issuer.sign();
  files = await make_ca();
  ca = readFileSync(files.ca);
  server = await Server.start({
    issuer,
    tls: { certificate: files.certificate, key: files.key },
    limits: { handshake_timeout: '2s' },
    routes: [echo('/echo', { credentials: ['header', 'subprotocol', 'first_message'] }), echo('/header')],
  });
});
after(() => server?.stop());

describe('over wss', { concurrency: 4 }, () => {
  test('ws opens, talks and leaves', async () => {
    assert.match(server.url, /^wss:\/\/127\.0\.0\.1:\d+$/);
    const client = await Client.open(server, '/echo', { token, ca });
    await client.echo('hello');
    await client.echo('x'.repeat(60_000));
    assert.deepEqual(await client.leave(), { code: 1000, reason: '' });
  });

  test('a client that does not know the CA does not open', async () => {
    await assert.rejects(Client.open(server, '/echo', { token }), /self.signed|unable to (verify|get)/i);
  });

  test('python3-websockets opens and talks', { skip: without_python }, async () => {
    const seen = await python_client(`${server.url}/echo`, { ca: files.ca, token, send: ['hello'], receive: 1 });
    assert.deepEqual([seen.status, seen.messages], [101, ['hello']]);
  });

  test('curl reads a refusal', async () => {
    const curl = await run('curl', ['-sS', '--max-time', '10', '--cacert', files.ca, '-w', ' %{http_code}', `${server.origin}/header`]);
    assert.equal(curl.code, 0, curl.stderr);
    assert.match(curl.stdout, /"reason":"upgrade_required"\} 426$/);
  });

  test('Chromium opens and talks', { skip: without_browser }, async () => {
    const browser = await launch(['--ignore-certificate-errors']);
    try {
      const page = await browser.newPage();
      await page.goto(`${server.origin}/header`);  // any answer will do: what counts is the page's origin
      const seen = await socket_in_page(page, `${server.url}/echo`, { protocols: [`bearer.${token}`, 'x'], send: ['hello'], messages: 1 });
      assert.deepEqual(seen.messages, ['hello']);
      const refused = await socket_in_page(page, `${server.url}/echo`, { protocols: ['bearer.nonsense', 'x'] });
      assert.deepEqual(refused.close, { code: 3000, reason: 'invalid_token', clean: true });
    } finally {
      await browser.close();
    }
  });

  test('an Origin of plain http is foreign', async () => {
    const at = async (Origin) => {
      const raw = await Raw.connect(server);
      raw.write(upgrade(server, '/header', { ...bearer(token), Origin }));
      const { status } = await raw.head();
      raw.destroy();
      return status;
    };
    assert.equal(await at(`https://127.0.0.1:${server.port}`), 101);
    assert.equal(await at(`http://127.0.0.1:${server.port}`), 403);
  });

  test('the end of a refused handshake is a clean end of TLS', async () => {
    const answer = await ask(server, upgrade(server, '/header'));
    assert.equal(answer.status, 401);
    assert.equal(answer.ended, 'fin');
  });

  test('expiry closes here too', async () => {
    const client = await Client.open(server, '/header', { token: await issuer.sign({ ttl: 2 }), ca });
    assert.deepEqual(await client.ending(5000), { code: 3000, reason: 'token_expired' });
  });

  test('a conversation may be cut anywhere', async () => {
    const bytes = Buffer.concat([upgrade(server, '/header', bearer(token)), text('hello'), text('there')]);
    await in_parallel(Array.from({ length: 20 }, (_, i) => Math.floor((bytes.length * (i + 1)) / 21)), 4, async (at) => {
      const raw = await Raw.connect(server);
      raw.write(bytes.subarray(0, at));
      await sleep(5);
      raw.write(bytes.subarray(at));
      assert.equal((await raw.head()).status, 101);
      assert.equal((await raw.frame()).payload.toString(), 'hello');
      assert.equal((await raw.frame()).payload.toString(), 'there');
      raw.destroy();
    });
  });
});

describe('the protocol version', { concurrency: 4 }, () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    test(`${version} is spoken`, async () => {
      const raw = await Raw.open(server, '/header', bearer(token), { tls: { minVersion: version, maxVersion: version, ca, rejectUnauthorized: true } });
      assert.equal(raw.socket.getProtocol(), version);
      raw.write(text('hello'));
      assert.equal((await raw.frame()).payload.toString(), 'hello');
      raw.destroy();
    });
  }

  test('TLS 1.1 is refused by the server, not by the client', async () => {
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0', rejectUnauthorized: false };
    const connect = (port) => new Promise((resolve) => {
      const socket = tls.connect({ host: '127.0.0.1', port, ...old });
      socket.once('secureConnect', () => { resolve(socket.getProtocol()); socket.destroy(); });
      socket.once('error', (error) => resolve(error.code));
    });
    // The same client reaches a server that still speaks it, so the refusal below is not the client's.
    const willing = tls.createServer({ ...old, cert: readFileSync(files.certificate), key: readFileSync(files.key) });
    await new Promise((resolve) => willing.unref().listen(0, '127.0.0.1', resolve));
    assert.equal(await connect(willing.address().port), 'TLSv1.1');
    willing.close();
    assert.match(await connect(server.port), /ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|ECONNRESET/);
  });

  test('openssl s_client verifies the chain', async () => {
    const client = await run('openssl', ['s_client', '-connect', `127.0.0.1:${server.port}`, '-CAfile', files.ca, '-verify_return_error',
                                         '-verify_ip', '127.0.0.1', '-brief'], { input: 'Q\n' });
    assert.equal(client.code, 0, client.stderr);
    assert.match(client.stderr, /Verification: OK/);
    assert.match(client.stderr, /Protocol version: TLSv1\.3/);
  });
});

describe('what is not TLS', { concurrency: 4 }, () => {
  const ended = async (bytes, options) => {
    const started = Date.now();
    const raw = await Raw.connect(server, { plain: true, ...options });
    if (bytes.length > 0) raw.write(bytes);
    await raw.end(PATIENCE);
    assert.doesNotMatch(raw.bytes.toString('latin1'), /HTTP\/1\.1 (101|200)/);
    raw.destroy();
    return Date.now() - started;
  };

  test('plain HTTP on the TLS port is ended at once', async () => {
    assert.ok(await ended(request(server, '/header')) < 2000);
    assert.ok(await ended(upgrade(server, '/header', bearer(token))) < 2000);
  });

  test('curl over plain HTTP gets an end and not a hang', async () => {
    const curl = await run('curl', ['-sS', '--max-time', '10', `http://127.0.0.1:${server.port}/header`]);
    assert.notEqual(curl.code, 0);
    assert.notEqual(curl.code, 28, 'not by its own time limit');
  });

  test('noise is ended at once', async () => {
    assert.ok(await ended(Buffer.alloc(1000, 0xaa)) < 2000);
  });

  test('silence, and a handshake that stops, are ended at the deadline', async () => {
    const hello = await client_hello();
    for (const bytes of [Buffer.alloc(0), hello.subarray(0, 10), hello]) {
      const lasted = await ended(bytes);
      assert.ok(lasted >= 1900 && lasted <= 2000 + 2000, `${lasted} ms`);
    }
  });

  test('a finished TLS handshake and then silence is ended at the same deadline', async () => {
    const started = Date.now();
    const raw = await Raw.connect(server);
    await raw.end();
    assert.ok(Date.now() - started <= 2000 + 2000);
    raw.destroy();
  });
});

/** The bytes with which a TLS client begins. */
async function client_hello() {
  return new Promise((resolve) => {
    const catcher = net.createServer((socket) => {
      socket.once('data', (data) => {
        resolve(data);
        socket.destroy();
        catcher.close();
      });
      socket.on('error', () => {});
    });
    catcher.unref().listen(0, '127.0.0.1', () => {
      tls.connect({ host: '127.0.0.1', port: catcher.address().port, rejectUnauthorized: false }).on('error', () => {});
    });
  });
}

test('many handshakes at once all come through', async () => {
  const clients = await in_parallel(Array.from({ length: 100 }), 50, () => Client.open(server, '/header', { token, ca }));
  for (const client of clients) await client.echo('here');
  for (const client of clients) client.terminate();
});
