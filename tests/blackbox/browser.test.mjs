// What a page's JavaScript can know: every failure that matters has a code and a reason of its own.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { temporary_folder } from './lib/binary.mjs';
import { launch, socket_in_page, without_browser } from './lib/browser.mjs';
import { Server, echo, hub } from './lib/server.mjs';
import { Issuer, broken_signature, now } from './lib/tokens.mjs';
import { eventually } from './lib/wait.mjs';

describe('in Chromium', { skip: without_browser }, () => {
  let issuer;
  let server;
  let browser;
  let page;
  let token;

  before(async () => {
    issuer = await Issuer.make({ leeway: '0s' });
    token = await issuer.sign();
    const folder = join(temporary_folder(), 'site');
    mkdirSync(folder);
    writeFileSync(join(folder, 'index.html'), '<!doctype html><title>A page</title>');
    const all = { credentials: ['subprotocol', 'first_message', 'cookie:session'] };
    server = await Server.start({
      issuer,
      routes: [
        { path: '/page/*', handler: 'static', root: folder },
        echo('/required', { credentials: ['subprotocol', 'cookie:session'] }),
        echo('/all', { ...all, auth_timeout: '1s' }),
        echo('/all44', { ...all, auth_timeout: '1s', close_codes: '44xx', scopes: ['chat'] }),
        echo('/scoped', { ...all, scopes: ['chat'] }),
        echo('/denied', { ...all, deny_addresses: ['127.0.0.0/8'] }),
        echo('/session', { ...all, max_session: '700ms' }),
        echo('/rate', { ...all, messages_per_second: 5 }),
        echo('/http', { ...all, credentials: ['subprotocol'], reject: 'http' }),
        echo('/packed', { ...all, compression: true }),
        hub('/hub', [{ do: ['subscribe', 'publish'], channel: 'a' }], all),
      ],
    });
    browser = await launch();
    page = await browser.newPage();
    const answer = await page.goto(`${server.origin}/page/index.html`);
    assert.equal(answer.status(), 200);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  const socket = (path, options) => socket_in_page(page, `${server.url}${path}`, options);
  const offer = (t, ...more) => ({ protocols: [`bearer.${t}`, 'sallyport.v1', ...more] });
  const auth = (t) => ({ send: [JSON.stringify({ type: 'auth', token: t })] });

  describe('a page of the site', () => {
    test('opens with a subprotocol item and hears what it says', async () => {
      const seen = await socket('/required', { ...offer(token), send: ['hello'], messages: 2 });
      assert.equal(seen.protocol, 'sallyport.v1');
      assert.equal(JSON.parse(seen.messages[0]).type, 'ready');
      assert.equal(seen.messages[1], 'hello');
      assert.deepEqual(seen.close, { code: 1000, reason: '', clean: true });
    });

    test('opens with the other spelling of the item', async () => {
      const item = `base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`;
      const seen = await socket('/required', { protocols: ['chat', item], send: ['hello'], messages: 1 });
      assert.equal(seen.protocol, 'chat');
      assert.deepEqual(seen.messages, ['hello']);
    });

    test('opens with a first message', async () => {
      const seen = await socket('/all', { send: [...auth(token).send, 'hello'], messages: 2 });
      assert.equal(JSON.parse(seen.messages[0]).type, 'ready');
      assert.equal(seen.messages[1], 'hello');
    });

    test('opens with a cookie that its scripts cannot read', async () => {
      const context = await browser.newContext();
      await context.addCookies([{ name: 'session', value: token, url: server.origin, httpOnly: true, sameSite: 'Lax' }]);
      const own = await context.newPage();
      await own.goto(`${server.origin}/page/index.html`);
      assert.equal(await own.evaluate('document.cookie'), '');
      const seen = await socket_in_page(own, `${server.url}/required`, { send: ['hello'], messages: 1 });
      assert.deepEqual(seen.messages, ['hello']);
      await context.close();
    });

    test('speaks the channel protocol', async () => {
      const seen = await socket('/hub', {
        send: [...auth(token).send, '{"type":"subscribe","channel":"a","id":1}', '{"type":"publish","channel":"a","data":"x"}'],
        messages: 3,
      });
      assert.deepEqual(seen.messages.map((m) => JSON.parse(m).type), ['ready', 'subscribed', 'message']);
    });

    test('talks compressed where the route allows it', async () => {
      const long = 'compress me '.repeat(500);
      const seen = await socket('/packed', { send: [...auth(token).send, long], messages: 2 });
      assert.equal(seen.messages[1], long);
    });
  });

  describe('tells apart', () => {
    const seen_of = new Map();
    const closes = (name, path, make, code, reason) => test(name, async () => {
      const seen = await socket(path, await make());
      assert.deepEqual(seen.close, { code, reason, clean: true }, JSON.stringify(seen));
      assert.ok(seen.opened, 'the socket opens, so that the code can be read');
      seen_of.set(name, `${code} ${reason}`);
    });
    closes('no credential', '/required', () => ({}), 3000, 'missing_credentials');
    closes('a forged token', '/required', () => offer(broken_signature(token)), 3000, 'invalid_token');
    closes('an expired token', '/required', async () => offer(await issuer.sign({ ttl: -60 })), 3000, 'token_expired');
    closes('a token for later', '/required', async () => offer(await issuer.sign({ nbf: now() + 600, ttl: 900 })), 3000, 'token_not_yet_valid');
    closes('a missing scope', '/scoped', () => offer(token), 3003, 'forbidden');
    closes('a refused first message', '/all', () => auth(broken_signature(token)), 3000, 'invalid_token');
    closes('a first message that never comes', '/all', () => ({}), 3008, 'auth_timeout');
    closes('another first message', '/all', () => ({ send: ['hello'] }), 1008, 'policy');
    closes('expiry in mid-connection', '/all', async () => auth(await issuer.sign({ ttl: 1 })), 3000, 'token_expired');
    closes('the longest session', '/session', () => auth(token), 1001, 'session_ended');
    closes('too many messages', '/rate', () => ({ send: [...auth(token).send, ...Array(50).fill('x')] }), 1008, 'rate_limited');
    closes('a refresh for someone else', '/all',
           async () => ({ send: [...auth(token).send, JSON.stringify({ type: 'refresh', token: await issuer.sign({ sub: 'bob' }) })] }),
           3000, 'subject_changed');
    closes('a refused address', '/denied', () => offer(token), 3003, 'forbidden');

    test('each of them from the others', () => {
      const same = new Set(['a refused first message', 'expiry in mid-connection', 'a refused address']);  // the same fault, met later
      const words = [...seen_of].filter(([name]) => !same.has(name)).map(([, word]) => word);
      assert.equal(words.length, 10);
      assert.equal(new Set(words).size, words.length);
    });

    const closes44 = (name, make, code, reason) => closes(`${name}, under 44xx`, '/all44', make, code, reason);
    closes44('a forged token', () => offer(broken_signature(token)), 4401, 'invalid_token');
    closes44('a missing scope', () => offer(token), 4403, 'forbidden');
    closes44('a first message that never comes', () => ({}), 4408, 'auth_timeout');
    closes44('another first message', () => ({ send: ['hello'] }), 4429, 'policy');

    test('too many refusals of this address, draining, and a cut network', async () => {
      const own = await Server.start({
        issuer, server: { drain: '300ms' }, limits: { failures_per_address: '3/1m' },
        routes: [{ path: '/page/*', handler: 'static', root: join(temporary_folder()) },
                 echo('/all', { credentials: ['subprotocol', 'first_message'], origins: [server.origin] })],
      });
      const proxies = new Set();
      const proxy = net.createServer((socket) => {
        const onward = net.connect(own.port, '127.0.0.1');
        proxies.add(socket);
        socket.on('error', () => onward.destroy());
        onward.on('error', () => socket.destroy());
        socket.pipe(onward).pipe(socket);
      });
      await new Promise((resolve) => proxy.unref().listen(0, '127.0.0.1', resolve));
      try {
        const cut = socket_in_page(page, `ws://127.0.0.1:${proxy.address().port}/all`, auth(token));
        const drained = socket_in_page(page, `${own.url}/all`, auth(token));
        await eventually(() => own.events('ws.open').length === 2, 'two open connections');
        for (const socket of proxies) socket.resetAndDestroy();
        assert.deepEqual((await cut).close, { code: 1006, reason: '', clean: false });

        await eventually(async () => {
          const seen = await socket_in_page(page, `${own.url}/all`, offer('x'));
          return seen.close.code === 1008 && seen.close.reason === 'rate_limited';
        }, 'a Close 1008 rate_limited');

        own.signal('SIGTERM');
        assert.deepEqual((await drained).close, { code: 1012, reason: 'restart', clean: true });
        await own.stop();
      } finally {
        proxy.close();
        await own.end();
      }
    });

    test('nothing, where the route answers over HTTP', async () => {
      const seen = await socket('/http', offer('x'));
      assert.equal(seen.opened, false);
      assert.equal(seen.close.code, 1006);
    });
  });

  describe('a page of another site', () => {
    test('cannot open a socket with the user\'s cookie, nor with a token of its own', async () => {
      const foreign = http.createServer((request, response) => response.end('<!doctype html><title>Evil</title>'));
      await new Promise((resolve) => foreign.unref().listen(0, '127.0.0.1', resolve));
      const context = await browser.newContext();
      try {
        await context.addCookies([{ name: 'session', value: token, url: server.origin, sameSite: 'Lax' }]);
        const evil = await context.newPage();
        await evil.goto(`http://127.0.0.1:${foreign.address().port}/`);
        for (const options of [{}, offer(token)]) {
          const before_events = server.events('ws.refused').filter((e) => e.reason === 'origin_not_allowed').length;
          const seen = await socket_in_page(evil, `${server.url}/required`, options);
          assert.equal(seen.opened, false);
          assert.equal(seen.close.code, 1006);
          await eventually(() => server.events('ws.refused').filter((e) => e.reason === 'origin_not_allowed').length > before_events,
                           'the refusal in the log');
        }
      } finally {
        await context.close();
        foreign.close();
        foreign.closeAllConnections();
      }
    });
  });
});
