// Proxies in front: who is believed about the client's address, and everything that goes by it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SANITIZED, run, sallyport, temporary_folder } from './lib/binary.mjs';
import { make_ca } from './lib/ca.mjs';
import { Client, outcome } from './lib/client.mjs';
import { Raw, bearer, upgrade } from './lib/raw.mjs';
import { Server, configuration, echo, serve } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { toml } from './lib/toml.mjs';
import { PATIENCE, eventually, in_parallel, within } from './lib/wait.mjs';

const PROXY = '127.0.0.2';     // trusted, like all of 10.0.0.0/8
const STRANGER = '127.0.0.3';  // not

let issuer;
let files;
const servers = {};

before(async () => {
  issuer = await Issuer.make();
  files = await make_ca();
  const config = {
    issuer,
    server: { trusted_proxies: [PROXY, '10.0.0.0/8'] },
    limits: { handshake_timeout: '15s' },
    routes: [echo('/echo'), echo('/inside', { allow_addresses: ['127.0.0.0/8'] }),
             echo('/outside', { deny_addresses: ['192.0.2.0/24', '2001:db8:bad::/48'] })],
  };
  servers.plain = await Server.start(config);
  servers.tls = await Server.start({ ...config, tls: { certificate: files.certificate, key: files.key } });
});
after(async () => {
  for (const server of Object.values(servers)) await server.stop();
});

const version1 = (source, destination = '127.0.0.1') =>
  Buffer.from(`PROXY TCP${source.includes(':') ? 6 : 4} ${source} ${destination} 40000 443\r\n`);
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
function version2(source, { command = 0x21, family = 0x11, tlv = Buffer.from([4, 0, 2, 1, 2]) } = {}) {
  const block = Buffer.concat([Buffer.from(source), Buffer.from([127, 0, 0, 1, 0x9c, 0x40, 1, 0xbb]), tlv]);
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, block.length >> 8, block.length & 255]), block]);
}
const bytewise = (bytes) => [...bytes].map((byte) => Buffer.from([byte]));

let count = 0;
/** The address that the server sees, or the status with which it refuses, or "ended" if it says nothing. */
async function seen(server, { from = PROXY, first, fields = {}, path = '/echo' } = {}) {
  const sub = `visitor-${++count}`;
  let raw;
  try {
    raw = await Raw.connect(server, { local: from, before: first && [first].flat() });
    raw.write(upgrade(server, path, { ...bearer(await issuer.sign({ sub })), ...fields }));
    const { status } = await raw.head();
    if (status !== 101) return status;
    return (await server.event('ws.open', (entry) => entry.subject === sub)).address;
  } catch (error) {
    assert.match(String(error.code ?? error), /ended|ECONNRESET|EPIPE|ERR_SSL|disconnected/i);
    return 'ended';
  } finally {
    raw?.destroy();
  }
}
const x = (value) => ({ 'X-Forwarded-For': value });
const forwarded = (value) => ({ Forwarded: value });

for (const kind of ['plain', 'tls']) {
  describe(`X-Forwarded-For and Forwarded (${kind})`, { concurrency: 4 }, () => {
    const seen_by = (fields, more) => seen(servers[kind], { fields, ...more });

    test('a trusted proxy is believed', async () => {
      assert.equal(await seen_by({}), PROXY);
      assert.equal(await seen_by(x('192.0.2.1')), '192.0.2.1');
      assert.equal(await seen_by(x('2001:db8::1')), '2001:db8::1');
      assert.equal(await seen_by(x('192.0.2.1:4711')), '192.0.2.1');
      assert.equal(await seen_by(forwarded('for=192.0.2.1;proto=https')), '192.0.2.1');
      assert.equal(await seen_by(forwarded('For="[2001:db8::1]:4711"')), '2001:db8::1');
    });

    test('nobody else is', async () => {
      for (const fields of [x('192.0.2.1'), x('10.0.0.1'), x('127.0.0.1'), forwarded('for=192.0.2.1'),
                            { ...x('192.0.2.1'), ...forwarded('for=198.51.100.7') }, { 'X-Real-IP': '192.0.2.1' }]) {
        assert.equal(await seen_by(fields, { from: STRANGER }), STRANGER);
      }
    });

    test('the right-most address that is not trusted is the client', async () => {
      assert.equal(await seen_by(x('127.0.0.1, 198.51.100.7, 192.0.2.1')), '192.0.2.1');
      assert.equal(await seen_by(x('198.51.100.7, 192.0.2.1, 10.1.2.3,10.9.9.9')), '192.0.2.1');
      assert.equal(await seen_by(x(['198.51.100.7', '192.0.2.1', '10.1.2.3'])), '192.0.2.1');
      assert.equal(await seen_by(x('10.0.0.7, 10.1.2.3')), '10.0.0.7');
      assert.equal(await seen_by(forwarded('for=198.51.100.7, for=192.0.2.1, for=10.1.2.3')), '192.0.2.1');
      assert.equal(await seen_by(forwarded(['for="198.51.100.7', 'for=192.0.2.1'])), '192.0.2.1');
      assert.equal(await seen_by(forwarded('for="10.0.0.1, for=192.0.2.1')), '192.0.2.1', 'a quotation mark left open');
    });

    test('a proxy that does not tell counts itself', async () => {
      for (const value of ['unknown', '_hidden', '', 'garbage', '192.0.2.999', '192.0.2.1 192.0.2.2', '192.0.2.1,']) {
        assert.equal(await seen_by(x(value)), PROXY, value);
      }
      assert.equal(await seen_by(x('198.51.100.7, unknown, 10.1.2.3')), '10.1.2.3');
      for (const value of ['for=unknown', 'for=_hidden', 'for="2001:db8::1"', 'proto=https', 'for=192.0.2.1;for=192.0.2.2']) {
        assert.equal(await seen_by(forwarded(value)), PROXY, value);
      }
    });

    test('fields that contradict each other are refused', async () => {
      assert.equal(await seen_by({ ...x('192.0.2.1'), ...forwarded('for=192.0.2.1') }), '192.0.2.1');
      assert.equal(await seen_by({ ...x('192.0.2.1'), ...forwarded('for=198.51.100.7') }), 400);
    });

    test('routes go by the client', async () => {
      assert.equal(await seen_by(x('192.0.2.1'), { path: '/inside' }), 403);
      assert.equal(await seen_by(x('127.0.0.9'), { path: '/inside' }), '127.0.0.9');
      assert.equal(await seen_by(x('127.0.0.9, 192.0.2.1'), { path: '/inside' }), 403);
      assert.equal(await seen_by(x('192.0.2.1'), { from: STRANGER, path: '/inside' }), STRANGER);
      assert.equal(await seen_by(x('192.0.2.1'), { path: '/outside' }), 403);
      assert.equal(await seen_by(x('::ffff:192.0.2.1'), { path: '/outside' }), 403, 'the other spelling');
      assert.equal(await seen_by(x('2001:db8:bad::7'), { path: '/outside' }), 403);
      assert.equal(await seen_by(x('198.51.100.7'), { path: '/outside' }), '198.51.100.7');
      assert.equal(await seen_by(x('192.0.2.1'), { from: STRANGER, path: '/outside' }), STRANGER);
    });

    test('no field makes a strange Host a local one', async () => {
      assert.equal(await seen_by({ ...x('192.0.2.1'), Host: 'evil.example' }), 403);
    });

    test('garbage does not harm', async () => {
      for (const value of [','.repeat(2000), '"'.repeat(2000), '\\'.repeat(2000), `for="${'\\"'.repeat(1000)}`,
                           '10.0.0.1,'.repeat(900), 'for=10.0.0.1;'.repeat(500), '[', '[]', '[:', ':', 'for=[', '=', ';']) {
        for (const fields of [x(value), forwarded(value)]) {
          assert.notEqual(await seen_by(fields), 'ended');
          assert.equal(await seen_by(fields, { from: STRANGER }), STRANGER);
        }
      }
    });
  });

  describe(`the PROXY protocol (${kind})`, { concurrency: 4 }, () => {
    const after_header = (first, more) => seen(servers[kind], { first, ...more });

    test('a trusted proxy is believed', async () => {
      assert.equal(await after_header(version1('192.0.2.1')), '192.0.2.1');
      assert.equal(await after_header(version1('2001:db8::1', '::1')), '2001:db8::1');
      assert.equal(await after_header(version2([192, 0, 2, 1])), '192.0.2.1');
      assert.equal(await after_header(version2([192, 0, 2, 1], { tlv: Buffer.alloc(2000) })), '192.0.2.1');
    });

    test('a header in pieces is waited for', async () => {
      assert.equal(await after_header(bytewise(version1('192.0.2.1'))), '192.0.2.1');
      assert.equal(await after_header(bytewise(version2([192, 0, 2, 1]))), '192.0.2.1');
    });

    test('a header without a client leaves the proxy itself', async () => {
      assert.equal(await after_header(Buffer.from('PROXY UNKNOWN\r\n')), PROXY);
      assert.equal(await after_header(version2([192, 0, 2, 1], { command: 0x20 })), PROXY);
      assert.equal(await after_header(version2(Buffer.alloc(216), { family: 0x31 })), PROXY);
    });

    test('nobody else is believed', async () => {
      for (const header of [version1('192.0.2.1'), version2([192, 0, 2, 1])]) {
        const answer = await after_header(header, { from: STRANGER });
        assert.equal(answer, kind === 'tls' ? 'ended' : 400);
      }
    });

    test('a malformed header ends the connection without an answer', async () => {
      for (const header of [Buffer.from('PROXY TCP4 192.0.2.1\r\n'), version1('nonsense'), Buffer.from('PROXY TCP4 192.0.2.1 127.0.0.1 1 2\n'),
                            Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`), version2([192, 0, 2, 1], { command: 0x31 }),
                            version2([192, 0, 2, 1], { family: 0x44 }), version2([192, 0, 2, 1], { tlv: Buffer.alloc(9000) })]) {
        assert.equal(await after_header(header), 'ended');
      }
      await servers[kind].event('proxy.header_malformed', (entry) => entry.address === PROXY);
    });

    test('only one header is taken', async () => {
      const twice = Buffer.concat([version1('10.0.0.9'), version1('192.0.2.1')]);
      assert.equal(await after_header(twice), kind === 'tls' ? 'ended' : 400);
    });

    test('fields count on top of it only where it names a trusted proxy', async () => {
      assert.equal(await after_header(version1('192.0.2.1'), { fields: x('198.51.100.7') }), '192.0.2.1');
      assert.equal(await after_header(version1('10.1.2.3'), { fields: x('198.51.100.7') }), '198.51.100.7');
    });

    test('routes go by the client', async () => {
      assert.equal(await after_header(version1('192.0.2.1'), { path: '/inside' }), 403);
      assert.equal(await after_header(version2([192, 0, 2, 1]), { path: '/outside', fields: x('198.51.100.7') }), 403);
      assert.equal(await after_header(version1('127.0.0.9'), { path: '/inside' }), '127.0.0.9');
    });

    test('an incomplete header is waited for up to the deadline, and costs nothing', { timeout: 60_000 }, async (t) => {
      const server = await serve(t, {
        issuer, server: { trusted_proxies: [PROXY] }, limits: { handshake_timeout: '2s' }, routes: [echo('/echo')],
        ...(kind === 'tls' ? { tls: { certificate: files.certificate, key: files.key } } : {}),
      });
      const ticks = () => {
        const parts = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
        return Number(parts[11]) + Number(parts[12]);
      };
      const halves = [Buffer.from('P'), version1('192.0.2.1').subarray(0, 20), version2([192, 0, 2, 1]).subarray(0, 20)];
      const raws = await Promise.all(halves.map((half) => Raw.connect(server, { plain: true, local: PROXY, before: [half] })));
      const started = Date.now();
      const used = ticks();
      await Promise.all(raws.map((raw) => raw.end()));
      if (!SANITIZED) assert.ok(ticks() - used < 60, `${ticks() - used} hundredths of a second of processor time`);
      assert.ok(Date.now() - started > 1000 && Date.now() - started < 5000);
      for (const raw of raws) {
        assert.equal(raw.bytes.length, 0);
        raw.destroy();
      }
    });

    test('curl sends one that is understood', async () => {
      const curl = await run('curl', ['-sS', '-o', '/dev/null', '-w', '%{http_code}', '--haproxy-protocol', '--interface', PROXY,
                                      '-k', `${servers[kind].origin}/healthz`]);
      assert.equal(curl.stdout, '200', curl.stderr);
      const foreign = await run('curl', ['-sS', '-o', '/dev/null', '-w', '%{http_code}', '--haproxy-protocol', '--interface', STRANGER,
                                         '-k', `${servers[kind].origin}/healthz`]);
      assert.notEqual(foreign.stdout, '200');
    });
  });
}

describe('limits by address', { concurrency: 1 }, () => {
  test('refused credentials count for the client, not for the proxy', async (t) => {
    const server = await serve(t, {
      issuer, server: { trusted_proxies: [PROXY], workers: 1 }, limits: { failures_per_address: '3/1m' }, routes: [echo('/echo')],
    });
    const status = (address, token) => outcome(server, '/echo', { token, localAddress: PROXY, headers: x(address) });
    const first = [];
    for (let i = 0; i < 12; ++i) first.push(await status('192.0.2.1', `wrong-${i}`));
    assert.deepEqual(first.slice(0, 3), [401, 401, 401]);
    assert.ok(first.includes(429), String(first));
    assert.equal(await status('198.51.100.7', 'wrong'), 401);
    assert.equal(await status('198.51.100.7', await issuer.sign()), 101);
    // Rotating what is written further left changes nothing.
    const rotated = [];
    for (let i = 0; i < 12; ++i) rotated.push(await status(`203.0.113.${i}, 192.0.2.1`, `wrong-too-${i}`));
    assert.ok(rotated.filter((one) => one === 429).length >= 6, String(rotated));
  });

  test('the proxy itself may have any number of pending sockets, its clients may not', { timeout: 60_000 }, async (t) => {
    const server = await serve(t, {
      issuer, server: { trusted_proxies: [PROXY], workers: 1 },
      limits: { pending_per_address: 5, handshake_timeout: '30s' }, routes: [echo('/echo')],
    });
    const silent = await in_parallel(Array.from({ length: 40 }), 8, () => Raw.connect(server, { local: PROXY }));
    assert.equal(await seen(server, { fields: x('192.0.2.1') }), '192.0.2.1');
    assert.ok(silent.every((raw) => raw.ended === null), 'all are still there');

    const named = [];
    for (let i = 0; i < 12; ++i) named.push(await Raw.connect(server, { local: PROXY, before: [version1('192.0.2.1')] }));
    await eventually(() => named.filter((raw) => raw.ended !== null).length >= 7, 'seven gone');
    assert.ok(named.slice(-5).every((raw) => raw.ended === null), 'the youngest stay');
    assert.ok(silent.every((raw) => raw.ended === null), 'and so does everybody else');
    assert.equal(await seen(server, { first: version1('192.0.2.1') }), '192.0.2.1', 'a valid one gets in');
    for (const raw of [...silent, ...named]) raw.destroy();
  });
});

const NGINX = '/usr/sbin/nginx';

describe('nginx in front', { skip: existsSync(NGINX) ? false : `there is no ${NGINX}` }, () => {
  let proxy;
  let front;

  before(async () => {
    const folder = temporary_folder();
    for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name));
    front = await new Promise((resolve) => {
      const probe = net.createServer().listen(0, '127.0.0.1', () => {
        const { port } = probe.address();
        probe.close(() => resolve({ port, secure: false, url: `ws://127.0.0.1:${port}` }));
      });
    });
    const paths = ['client_body_temp_path body', 'proxy_temp_path proxy', 'fastcgi_temp_path fastcgi', 'uwsgi_temp_path uwsgi',
                   'scgi_temp_path scgi'];
    writeFileSync(join(folder, 'nginx.conf'), `
      daemon off; master_process off; pid nginx.pid; error_log stderr warn;
      events {}
      http {
        access_log off; ${paths.map((path) => `${path};`).join(' ')}
        server {
          listen 127.0.0.1:${front.port};
          location / {
            proxy_pass http://127.0.0.1:${servers.plain.port};
            proxy_bind ${PROXY};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          }
        }
      }`);
    proxy = spawn(NGINX, ['-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
    process.on('exit', () => proxy.kill('SIGKILL'));
    await eventually(() => new Promise((resolve) => {
      const socket = net.connect(front.port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
      socket.on('error', () => resolve(false));
    }), 'nginx listening');
  });
  after(async () => {
    proxy.kill('SIGTERM');
    await within(new Promise((resolve) => proxy.on('close', resolve)), PATIENCE, 'the end of nginx');
  });

  const through = async (headers, path = '/echo') => {
    const sub = `visitor-${++count}`;
    const client = await Client.open(front, path, { token: await issuer.sign({ sub }), localAddress: '127.0.0.5', headers });
    await client.echo('hello');
    client.terminate();
    return (await servers.plain.event('ws.open', (entry) => entry.subject === sub)).address;
  };

  test('names the client, whatever the client says', async () => {
    assert.equal(await through({}), '127.0.0.5');
    assert.equal(await through(x('192.0.2.1')), '127.0.0.5');
    assert.equal(await through(x('192.0.2.1, 10.0.0.1, "')), '127.0.0.5');
    assert.equal(await through(x('127.0.0.1'), '/outside'), '127.0.0.5');
  });

  test('passes a client\'s own Forwarded on, which is then refused', async () => {
    await assert.rejects(through(forwarded('for=192.0.2.1')), /refused with 400/);
  });
});

test('a trusted proxy that is no address block is an error of the configuration', async () => {
  for (const wrong of ['localhost', '10.0.0.1/8', '10.0.0.0/33', '']) {
    const file = join(temporary_folder(), 'sallyport.toml');
    writeFileSync(file, toml(configuration({ issuer, server: { trusted_proxies: ['10.0.0.0/8', wrong] }, routes: [echo('/e')] })));
    const checked = await sallyport(['check', '--config', file]);
    assert.equal(checked.code, 2, checked.stdout + checked.stderr);
    assert.match(checked.stdout + checked.stderr, /trusted_proxies/);
  }
});

