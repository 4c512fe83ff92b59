// Behind proxies: whose address counts, and who may say so.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Raw, bearer, upgrade } from './lib/raw.mjs';
import { Server, echo } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';

let issuer;
let token;
let trusting;   // believes 127.0.0.1 and 10.0.0.0/8
let doubting;   // believes nobody

const routes = [
  echo('/all', { reject: 'http' }),
  echo('/office', { allow_addresses: ['192.0.2.0/24', '2001:db8::/32'], reject: 'http' }),
  echo('/not-there', { deny_addresses: ['192.0.2.66'], reject: 'http' }),
];

before(async () => {
  issuer = await Issuer.make();
  token = await issuer.sign();
  trusting = await Server.start({ issuer, routes, server: { trusted_proxies: ['127.0.0.1', '10.0.0.0/8'] } });
  doubting = await Server.start({ issuer, routes });
});
after(async () => { await trusting?.stop(); await doubting?.stop(); });

async function status_of(server, path, fields = {}, { first = '', local } = {}) {
  const raw = await Raw.connect(server, { local });
  try {
    raw.write(first, upgrade(server, path, { ...bearer(token), ...fields }));
    return (await raw.head()).status;
  } catch (error) {
    return `ended: ${raw.ended ?? error.message}`;
  } finally {
    raw.destroy();
  }
}
const forwarded = (value) => ({ 'X-Forwarded-For': value });

describe('X-Forwarded-For and Forwarded', () => {
  const cases = [
    ['the client', forwarded('192.0.2.7'), 101],
    ['somebody else', forwarded('198.51.100.7'), 403],
    ['the right-most that is not trusted', forwarded('198.51.100.7, 192.0.2.7, 10.1.2.3'), 101],
    ['what the client itself put in front does not count', forwarded('192.0.2.7, 198.51.100.7'), 403],
    ['several lines are one list', { 'X-Forwarded-For': ['198.51.100.7', '192.0.2.7'] }, 101],
    ['IPv6', forwarded('2001:db8::7'), 101],
    ['Forwarded', { Forwarded: 'for=192.0.2.7;proto=https' }, 101],
    ['Forwarded with IPv6 and a port', { Forwarded: 'for="[2001:db8::7]:4711"' }, 101],
    ['Forwarded of somebody else', { Forwarded: 'for=192.0.2.7, for=198.51.100.7' }, 403],
    ['no field at all is the proxy itself', {}, 403],
  ];
  for (const [name, fields, expected] of cases) {
    test(name, async () => assert.equal(await status_of(trusting, '/office', fields), expected));
  }
  test('garbage never gives an address that the client chose', async () => {
    for (const value of ['192.0.2.7, garbage', '192.0.2.7,,', '192.0.2.7, 999.1.1.1', '192.0.2.7, unknown']) {
      assert.notEqual(await status_of(trusting, '/office', forwarded(value)), 101, value);
    }
  });
  test('from whoever is not trusted nothing is believed', async () => {
    assert.equal(await status_of(doubting, '/office', forwarded('192.0.2.7')), 403);
    assert.equal(await status_of(doubting, '/not-there', forwarded('192.0.2.66')), 101);
    assert.equal(await status_of(trusting, '/office', forwarded('192.0.2.7'), { local: '127.0.0.2' }), 403);
  });
  test('a denied address is denied behind a proxy too, and is in the log', async () => {
    assert.equal(await status_of(trusting, '/not-there', forwarded('192.0.2.66')), 403);
    await trusting.event('ws.refused', (entry) => entry.address === '192.0.2.66');
  });
});

describe('the PROXY protocol', () => {
  const v1 = (source) => `PROXY TCP4 ${source} 127.0.0.1 4711 8080\r\n`;
  const v2 = (source) => Buffer.concat([
    Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'), Buffer.from([0x21, 0x11, 0, 12]),
    Buffer.from(source.split('.').map(Number)), Buffer.from([127, 0, 0, 1, 0x12, 0x67, 0x1f, 0x90])]);
  for (const [name, header] of [['version 1', v1], ['version 2', v2]]) {
    test(`${name} gives the client's address`, async () => {
      assert.equal(await status_of(trusting, '/office', {}, { first: header('192.0.2.7') }), 101);
      assert.equal(await status_of(trusting, '/office', {}, { first: header('198.51.100.7') }), 403);
    });
    test(`${name} from whoever is not trusted is no request`, async () => {
      assert.notEqual(await status_of(doubting, '/office', {}, { first: header('192.0.2.7') }), 101);
      assert.notEqual(await status_of(trusting, '/all', {}, { first: header('192.0.2.7'), local: '127.0.0.2' }), 101);
    });
  }
  test('a malformed one ends the connection', async () => {
    for (const first of ['PROXY TCP4 300.0.2.7 127.0.0.1 1 2\r\n', 'PROXY TCP4 192.0.2.7\r\n', `PROXY ${'x'.repeat(200)}\r\n`]) {
      assert.notEqual(await status_of(trusting, '/all', {}, { first }), 101, first.slice(0, 30));
    }
  });
  test('none at all is fine', async () => assert.equal(await status_of(trusting, '/all'), 101));
});
