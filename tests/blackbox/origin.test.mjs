// Which pages may open a socket: every spelling of an Origin against every kind of credential.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Raw, bearer, text, upgrade_status } from './lib/raw.mjs';
import { Server, echo, serve } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { in_parallel } from './lib/wait.mjs';

let issuer;
let token;
let server;

const LISTED = 'https://app.example.com';

before(async () => {
  issuer = await Issuer.make();
  token = await issuer.sign();
  const all = { credentials: ['header', 'subprotocol', 'first_message', 'cookie:session'], reject: 'http' };
  server = await Server.start({
    issuer,
    routes: [
      echo('/same', all),
      echo('/list', { ...all, origins: [LISTED, 'https://*.apps.example.com', 'http://localhost:3000'] }),
      echo('/any', { ...all, origins: 'insecure_any' }),
      echo('/nobody', { ...all, origins: [] }),
    ],
  });
});
after(() => server?.stop());

/** How each credential rides on an upgrade. */
const CREDENTIALS = {
  header: () => bearer(token),
  subprotocol: () => ({ 'Sec-WebSocket-Protocol': `x, bearer.${token}` }),
  cookie: () => ({ Cookie: `session=${token}` }),
  first_message: () => ({}),
};

const status_of = (path, fields, target = server) => upgrade_status(target, path, fields);

test('the log names a refused Origin, and what to do if it is yours', async () => {
  assert.equal(await status_of('/list', { ...CREDENTIALS.header(), Origin: 'http://localhost:4000' }), '403 origin_not_allowed');
  const { detail } = await server.event('ws.refused', (entry) => entry.detail?.includes(':4000'));
  assert.equal(detail, "the Origin http://localhost:4000 is not among the route's; if that page is yours, list it in origins");
});

const NO = '403 origin_not_allowed';
const FOREIGN = {
  'another scheme': 'http://app.example.com',
  'another port': 'https://app.example.com:8443',
  'another host': 'https://evil.example',
  'a trailing dot': 'https://app.example.com.',
  'the name as a prefix': 'https://app.example.com.evil.com',
  'the name in the path': 'https://evil.com/app.example.com',
  'the name as user': 'https://app.example.com@evil.com',
  'a longer first label': 'https://xapp.example.com',
  'a path': 'https://app.example.com/',
  'a query': 'https://app.example.com?x',
  'null': 'null',
  'empty': '',
  'two values in one line': `${LISTED} ${LISTED}`,
  'two lines': [LISTED, LISTED],
  'two lines of which one is foreign': [LISTED, 'https://evil.example'],
  '8 KiB': `https://${'a'.repeat(8192)}.example.com`,
  'a punycode look-alike': 'https://xn--pp-yka.example.com',
  'bytes that are not ASCII': 'https://\u00e0pp.example.com',
  'a backslash': 'https://app.example.com\\@evil.com',
  'a file': 'file://',
  'no scheme': 'app.example.com',
  'a WebSocket scheme': 'wss://app.example.com',
  'a tab inside': 'https://app.example\t.com',
};

describe('a listed origin', { concurrency: 4 }, () => {
  for (const [name, credential] of Object.entries(CREDENTIALS)) {
    test(`opens with ${name}`, async () => {
      for (const Origin of [LISTED, 'HTTPS://APP.EXAMPLE.COM', 'https://app.example.com:443', 'http://localhost:3000']) {
        assert.equal(await status_of('/list', { ...credential(), Origin }), 101, Origin);
      }
    });

    test(`and nothing that looks like it opens with ${name}`, async () => {
      const results = await in_parallel(Object.entries(FOREIGN), 4, async ([what, Origin]) => [
        what, await status_of('/list', { ...credential(), Origin }),
      ]);
      for (const [what, status] of results) assert.equal(status, NO, what);
      assert.ok(server.alive);
    });
  }

  test('a wildcard stands for exactly one label', async () => {
    const at = (host) => status_of('/list', { ...bearer(token), Origin: `https://${host}` });
    assert.equal(await at('one.apps.example.com'), 101);
    assert.equal(await at('a.b.apps.example.com'), NO);
    assert.equal(await at('apps.example.com'), NO);
    assert.equal(await at('.apps.example.com'), NO);
    assert.equal(await at('oneapps.example.com'), NO);
    assert.equal(await at('one.apps.example.com.evil.com'), NO);
  });

  test('control characters in an Origin never open', async () => {
    for (let byte = 0; byte < 0x20; ++byte) {
      if (byte === 9) continue;  // white space around a value is not part of it
      const status = await status_of('/list', { ...bearer(token), Origin: LISTED + String.fromCharCode(byte) });
      assert.match(String(status), /^(400|403) /, `byte ${byte}`);
    }
  });
});

describe('without an Origin', { concurrency: 4 }, () => {
  test('machines with a bearer open', async () => {
    for (const path of ['/same', '/list', '/any', '/nobody']) {
      assert.equal(await status_of(path, CREDENTIALS.header()), 101, path);
      assert.equal(await status_of(path, CREDENTIALS.subprotocol()), 101, path);
      assert.equal(await status_of(path, CREDENTIALS.first_message()), 101, path);
    }
  });

  test('a cookie never opens', async () => {
    for (const path of ['/same', '/list', '/any', '/nobody']) {
      assert.equal(await status_of(path, CREDENTIALS.cookie()), NO, path);
    }
  });
});

describe('the other policies', { concurrency: 4 }, () => {
  test('same means the loopback addresses under which the listener is reached', async () => {
    for (const [name, credential] of Object.entries(CREDENTIALS)) {
      for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
        assert.equal(await status_of('/same', { ...credential(), Origin: `http://${host}:${server.port}` }), 101, name);
      }
      for (const origin of [`https://127.0.0.1:${server.port}`, 'http://127.0.0.1', `http://127.0.0.2:${server.port}`,
                            `http://127.0.0.1:${server.port + 1}`, `http://evil.test:${server.port}`, 'null']) {
        assert.equal(await status_of('/same', { ...credential(), Origin: origin }), NO, `${name} ${origin}`);
      }
    }
  });

  test('the Host field does not make an origin the same', async () => {
    const fields = { ...bearer(token), Host: 'evil.test', Origin: 'http://evil.test' };
    assert.equal(await status_of('/same', fields), NO);
  });

  test('same means the public URL where there is one', async (t) => {
    const behind = await serve(t, {
      issuer, server: { public_url: 'https://chat.example.com' }, routes: [echo('/same', { reject: 'http' })],
    });
    const at = (Origin) => status_of('/same', { ...bearer(token), Origin }, behind);
    assert.equal(await at('https://chat.example.com'), 101);
    assert.equal(await at('http://chat.example.com'), NO);
    assert.equal(await at('https://chat.example.com:444'), NO);
    assert.equal(await at(behind.origin), NO);
  });

  test('an empty list admits no page at all', async () => {
    assert.equal(await status_of('/nobody', { ...bearer(token), Origin: LISTED }), NO);
    assert.equal(await status_of('/nobody', { ...bearer(token), Origin: server.origin }), NO);
  });

  test('insecure_any admits every page but with a cookie still no opaque origin', async () => {
    assert.equal(await status_of('/any', { ...bearer(token), Origin: 'https://evil.example' }), 101);
    assert.equal(await status_of('/any', { ...CREDENTIALS.cookie(), Origin: 'https://evil.example' }), 101);
    assert.equal(await status_of('/any', { ...CREDENTIALS.cookie(), Origin: 'null' }), NO);
    assert.equal(await status_of('/any', { ...CREDENTIALS.cookie(), Origin: '' }), NO);
  });

  test('a refused page is refused before its token is looked at', async () => {
    assert.equal(await status_of('/list', { ...bearer('nonsense'), Origin: 'https://evil.example' }), NO);
  });
});

test('the server works after all of that', async () => {
  const raw = await Raw.open(server, '/list', { ...bearer(token), Origin: LISTED });
  raw.write(text('alive'));
  assert.equal((await raw.frame()).payload.toString(), 'alive');
  raw.destroy();
});
