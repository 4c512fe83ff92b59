// Clients that others have written, each through a whole conversation.
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run, temporary_folder } from './lib/binary.mjs';
import { Client, attempt } from './lib/client.mjs';
import { python_client, without_python } from './lib/python.mjs';
import { KEY, ACCEPT, ask, request } from './lib/raw.mjs';
import { Server, echo, hub } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';

let issuer;
let server;
let token;

before(async () => {
  issuer = await Issuer.make({ leeway: '0s' });
  token = await issuer.sign();
  const site = join(temporary_folder(), 'site');
  mkdirSync(site);
  writeFileSync(join(site, 'index.html'), '<p>hello</p>');
  writeFileSync(join(site, '.secret'), 'hidden');
  writeFileSync(join(site, '..', 'outside.txt'), 'outside');
  symlinkSync('../outside.txt', join(site, 'link.txt'));
  server = await Server.start({
    issuer,
    routes: [
      echo('/echo', { credentials: ['header', 'subprotocol', 'first_message'] }),
      echo('/header'),
      echo('/packed', { compression: true }),
      hub('/hub', [{ do: ['subscribe', 'publish'], channel: 'a' }], { credentials: ['header', 'first_message'] }),
      { path: '/site/*', handler: 'static', root: site },
    ],
  });
});
after(() => server?.stop());

describe('ws', { concurrency: 4 }, () => {
  test('talks in text and bytes, pings, and leaves', async () => {
    const client = await Client.open(server, '/echo', { token });
    await client.echo('text \u20ac');
    client.send(Buffer.from([0, 255]));
    assert.deepEqual([...(await client.next())], [0, 255]);
    const pong = new Promise((resolve) => client.socket.once('pong', (data) => resolve(data.toString())));
    client.socket.ping('p');
    assert.equal(await pong, 'p');
    client.socket.close(4321, 'bye');
    assert.equal((await client.ending()).code, 4321);
  });

  test('talks compressed, in messages of every size', async () => {
    const client = await Client.open(server, '/packed', { token, perMessageDeflate: true });
    assert.match(client.socket.extensions, /permessage-deflate/);
    for (const size of [0, 1, 63, 64, 1000, 60_000]) await client.echo('ab'.repeat(size / 2) + 'x'.repeat(size % 2));
    await client.leave();
  });

  test('reads the body of a refusal', async () => {
    const { refused } = await attempt(server, '/header', { token: 'x' });
    assert.deepEqual([refused.status, refused.reason, refused.headers['cache-control']], [401, 'invalid_token', 'no-store']);
  });
});

describe('python3-websockets', { concurrency: 4, skip: without_python }, () => {
  const python = (path, options) => python_client(`${server.url}${path}`, options);

  test('opens with a header and leaves', async () => {
    const seen = await python('/echo', { token, send: ['a', 'b\u20ac'], receive: 2 });
    assert.deepEqual(seen, { status: 101, messages: ['a', 'b\u20ac'], protocol: null, code: 1000, reason: '' });
  });

  test('opens with a subprotocol item', async () => {
    const seen = await python('/echo', { subprotocols: [`bearer.${token}`, 'sallyport.v1'], send: ['a'], receive: 2 });
    assert.equal(seen.protocol, 'sallyport.v1');
    assert.equal(JSON.parse(seen.messages[0]).type, 'ready');
  });

  test('opens with a first message, talks compressed by its own default', async () => {
    const seen = await python('/hub', { send: [JSON.stringify({ type: 'auth', token }), '{"type":"subscribe","channel":"a","id":1}'], receive: 2 });
    assert.deepEqual(seen.messages.map((m) => JSON.parse(m).type), ['ready', 'subscribed']);
  });

  test('sees the status of a refusal', async () => {
    assert.equal((await python('/header', {})).status, 401);
    assert.equal((await python('/header', { token, origin: 'https://evil.example' })).status, 403);
  });

  test('sees code and reason of an end', async () => {
    const seen = await python('/echo', { send: [JSON.stringify({ type: 'auth', token: 'x' })], linger: true });
    assert.deepEqual([seen.code, seen.reason], [3000, 'invalid_token']);
    const expired = await python('/header', { token: await issuer.sign({ ttl: 4 }), linger: true });
    assert.deepEqual([expired.code, expired.reason], [3000, 'token_expired']);
  });
});

describe('curl', { concurrency: 4 }, () => {
  test('gets the 101 with the right Sec-WebSocket-Accept', async () => {
    const curl = await run('curl', ['-sS', '-i', '-N', '--http1.1', '--max-time', '1', '-H', 'Connection: Upgrade', '-H', 'Upgrade: websocket',
      '-H', `Sec-WebSocket-Key: ${KEY}`, '-H', 'Sec-WebSocket-Version: 13', '-H', `Authorization: Bearer ${token}`, `${server.origin}/echo`]);
    assert.match(curl.stdout, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    assert.ok(curl.stdout.includes(`Sec-WebSocket-Accept: ${ACCEPT}\r\n`), curl.stdout);
  });

  test('gets static files, and only those', async () => {
    const get = (path) => run('curl', ['-sS', '--path-as-is', '--max-time', '10', '-w', ' %{http_code}', `${server.origin}${path}`]);
    assert.equal((await get('/site/index.html')).stdout, '<p>hello</p> 200');
    for (const path of ['/site/none', '/site/.secret', '/site/../outside.txt', '/site/%2e%2e/outside.txt', '/site/..%2foutside.txt',
                        '/site/link.txt', '/site//etc/passwd', '/site/index.html%00', '/site/....//outside.txt']) {
      const { stdout } = await get(path);
      assert.match(stdout, / (400|404)$/, path);
      assert.doesNotMatch(stdout, /outside|hidden|root:/);
    }
    const posted = await run('curl', ['-sS', '--max-time', '10', '-X', 'POST', '-d', 'x', '-w', ' %{http_code}', `${server.origin}/site/index.html`]);
    assert.match(posted.stdout, / (400|405)$/);
  });
});

test('a static file says what it is and is not guessed at', async () => {
  const answer = await ask(server, request(server, '/site/index.html'));
  assert.equal(answer.status, 200);
  assert.match(answer.fields['content-type'][0], /^text\/html/);
  assert.deepEqual(answer.fields['x-content-type-options'], ['nosniff']);
});

test('Node\'s own WebSocket opens with a subprotocol item', { skip: typeof WebSocket === 'undefined' }, async () => {
  const socket = new WebSocket(`${server.url}/echo`, ['x', `bearer.${token}`]);
  const said = await new Promise((resolve, reject) => {
    socket.onopen = () => socket.send('hello');
    socket.onmessage = (event) => resolve(event.data);
    socket.onclose = (event) => reject(new Error(`closed with ${event.code} ${event.reason}`));
  });
  assert.equal(said, 'hello');
  socket.close();
});
