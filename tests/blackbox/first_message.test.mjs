// The vestibule: one small message, one deadline, and no application data until it is proven.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { OP, Raw, bearer, close_frame, frame, text, upgrade } from './lib/raw.mjs';
import { Server, echo, hub } from './lib/server.mjs';
import { Issuer, broken_signature, now } from './lib/tokens.mjs';
import { every, sleep } from './lib/wait.mjs';

let issuer;
let server;
const first = { credentials: ['first_message'] };

before(async () => {
  issuer = await Issuer.make();
  server = await Server.start({
    issuer,
    routes: [
      echo('/first', first),
      echo('/both', { credentials: ['header', 'first_message'] }),
      echo('/short', { ...first, auth_timeout: '1s' }),
      echo('/short44', { ...first, auth_timeout: '1s', close_codes: '44xx' }),
      echo('/small', { ...first, pre_auth_bytes: '1KiB', message_bytes: '64KiB' }),
      echo('/scoped', { ...first, scopes: ['chat'] }),
      echo('/scoped44', { ...first, scopes: ['chat'], close_codes: '44xx' }),
      echo('/http', { ...first, reject: 'http' }),
      hub('/hub', [{ do: ['subscribe', 'publish'], channel: '*' }], first),
    ],
  });
});
after(() => server?.stop());

const auth = (token) => JSON.stringify({ type: 'auth', token });
const open = (path) => Raw.open(server, path);

/** Says it, and expects one Close frame and nothing else. */
async function closes(path, bytes, code, reason) {
  const raw = await open(path);
  raw.write(...[bytes].flat());
  const frames = await raw.frames_to_close();
  assert.deepEqual(frames.map((f) => [f.opcode, f.code, f.reason]), [[OP.close, code, reason]]);
  raw.write(close_frame(code));
  await raw.end();
  raw.destroy();
}

describe('accepted', { concurrency: 8 }, () => {
  test('ready names connection, subject and expiry', async () => {
    const exp = now() + 100;
    const client = await Client.open(server, '/first');
    client.send(auth(await issuer.sign({ sub: 'grace', exp })));
    const ready = await client.next_json();
    assert.equal(ready.type, 'ready');
    assert.equal(ready.subject, 'grace');
    assert.equal(ready.expires_at, exp);
    assert.match(ready.connection, /^.{16,}$/);
    client.terminate();
  });

  test('every connection has an id of its own', async () => {
    const token = await issuer.sign();
    const ids = new Set();
    for (let i = 0; i < 5; ++i) {
      const client = await Client.open(server, '/first');
      client.send(auth(token));
      ids.add((await client.next_json()).connection);
      client.terminate();
    }
    assert.equal(ids.size, 5);
  });

  test('further members, spaces and escapes do not matter', async () => {
    const token = await issuer.sign();
    for (const message of [` { "type" : "auth" , "token" : "${token}" , "client": {"name": "x"} } `,
                           `{"\\u0074ype":"\\u0061uth","token":"${token}"}`]) {
      const raw = await open('/first');
      raw.write(text(message));
      assert.equal(JSON.parse((await raw.frame()).payload).type, 'ready');
      raw.destroy();
    }
  });

  test('a ping in the vestibule is answered and is not the first message', async () => {
    const raw = await open('/first');
    raw.write(frame(OP.ping, 'hi'), text(auth(await issuer.sign())));
    const pong = await raw.frame();
    assert.deepEqual([pong.opcode, pong.payload.toString()], [OP.pong, 'hi']);
    assert.equal(JSON.parse((await raw.frame()).payload).type, 'ready');
    raw.destroy();
  });

  test('a header token needs no first message', async () => {
    const client = await Client.open(server, '/both', { token: await issuer.sign() });
    await client.echo('at once');
    client.terminate();
  });

  test('after it the limits are those of the route', async () => {
    const client = await Client.open(server, '/small');
    client.send(auth(await issuer.sign()));
    await client.next_json();
    await client.echo('x'.repeat(60_000));
    client.terminate();
  });
});

describe('refused', { concurrency: 8 }, () => {
  test('a bad token closes with the code of its fault', async () => {
    await closes('/first', text(auth(broken_signature(await issuer.sign()))), 3000, 'invalid_token');
    await closes('/first', text(auth('x')), 3000, 'invalid_token');
    await closes('/first', text(auth(await issuer.sign({ ttl: -3600 }))), 3000, 'token_expired');
    await closes('/first', text(auth(await issuer.sign({ nbf: now() + 3600, ttl: 7200 }))), 3000, 'token_not_yet_valid');
    await closes('/scoped', text(auth(await issuer.sign())), 3003, 'forbidden');
    await closes('/scoped44', text(auth(await issuer.sign())), 4403, 'forbidden');
    await closes('/scoped44', text(auth('x')), 4401, 'invalid_token');
  });

  test('reject = "http" changes nothing once the socket is open', async () =>
    closes('/http', text(auth('x')), 3000, 'invalid_token'));

  test('any other message closes with 1008', async () => {
    const token = await issuer.sign();
    await Promise.all(['', 'hello', '{}', '[]', 'null', '{"type":"refresh","token":"x"}', `{"token":"${token}","type":"auth"}`,
                           `{"type":"auth","token":"${token}"`, `{"type":"auth","token":"${token}"} x`,
                           `{"type":"auth","token":"${token}","token":"${token}"}`, '{"type":"auth"}',
                           '{"type":"auth","token":""}', '{"type":"auth","token":1}', '{"type":"auth","token":["x"]}',
                           `{"type":"AUTH","token":"${token}"}`, `\ufeff${auth(token)}`].map((message) => closes('/first', text(message), 1008, 'policy')));
    await closes('/hub', text('{"type":"subscribe","channel":"a","id":1}'), 1008, 'policy');
    await closes('/short44', text('hello'), 4429, 'policy');
  });

  test('a binary message closes with 1008 even if it says auth', async () =>
    closes('/first', frame(OP.binary, auth(await issuer.sign())), 1008, 'policy'));

  test('a message over pre_auth_bytes closes with 1008, before it has come', async () => {
    await Promise.all([
      closes('/first', text(auth('x'.repeat(9000))), 1008, 'policy'),
      closes('/small', text(auth('x'.repeat(1025))), 1008, 'policy'),
      closes('/small', frame(OP.text, '', { claimed: 1n << 40n }), 1008, 'policy'),
      closes('/small', frame(OP.text, '', { claimed: 1025n }), 1008, 'policy'),
    ]);
  });

  test('a first message in fragments never opens', async () => {
    const message = auth(await issuer.sign());
    const raw = await open('/first');
    raw.write(text(message.slice(0, 20), { fin: false }), frame(OP.continuation, message.slice(20)), text('data'));
    const frames = await raw.frames_to_close();
    assert.equal(frames.length, 1);
    assert.equal(frames[0].code, 1008);
    raw.destroy();
  });

  test('framing faults have their own codes here too', async () => {
    await Promise.all([
      closes('/first', frame(OP.text, auth('x'), { masked: false }), 1002, 'protocol_error'),
      closes('/first', text(Buffer.from([0x7b, 0xff])), 1007, 'invalid_payload'),
    ]);
  });

  test('nothing that follows a refused message is heard', async () => {
    const raw = await open('/first');
    raw.write(text(auth('x')), text('data'), text(auth(await issuer.sign())), text('data'));
    const frames = await raw.frames_to_close();
    assert.deepEqual(frames.map((f) => f.code), [3000]);
    raw.write(close_frame(3000));
    await raw.end();
    assert.equal(raw.bytes.length, 0);
    raw.destroy();
  });

  test('one attempt is all there is', async () => {
    const raw = await open('/first');
    raw.write(text(auth('x')));
    await sleep(50);
    raw.write(text(auth(await issuer.sign())));
    const frames = await raw.frames_to_close();
    assert.equal(frames.at(-1).code, 3000);
    raw.destroy();
  });
});

describe('in time', { concurrency: 8 }, () => {
  const silent = async (path, code, keep_busy = () => {}) => {
    const raw = await open(path);
    const opened = Date.now();
    const busy = every(100, () => keep_busy(raw));
    try {
      const close = (await raw.frames_to_close()).at(-1);
      assert.deepEqual([close.code, close.reason], [code, 'auth_timeout']);
      const lasted = Date.now() - opened;
      assert.ok(lasted >= 900 && lasted <= 1000 + 1500, `${lasted} ms`);
    } finally {
      clearInterval(busy);
      raw.destroy();
    }
  };

  test('silence closes with 3008 at the deadline', () => silent('/short', 3008));
  test('silence closes with 4408 in the 44xx profile', () => silent('/short44', 4408));
  test('pings do not move the deadline', () => silent('/short', 3008, (raw) => raw.write(frame(OP.ping))));
  test('bytes of an unfinished message do not move the deadline', async () => {
    const bytes = text(auth('x'.repeat(100)));
    let at = 0;
    await silent('/short', 3008, (raw) => raw.write(bytes.subarray(at, ++at)));
  });
  test('a message in time opens for good', async () => {
    const client = await Client.open(server, '/short');
    await sleep(300);
    client.send(auth(await issuer.sign()));
    await client.of_type('ready');
    await sleep(1500);
    await client.echo('still here');
    client.terminate();
  });
});

test('an upgrade with a bad header token is refused although a first message could follow', async () => {
  const raw = await Raw.connect(server);
  raw.write(upgrade(server, '/both', bearer('x')));
  assert.equal((await raw.head()).status, 401);
  raw.destroy();
});
