// The in-band protocol: ready, expiring, refresh; and that nothing is intercepted where it is not spoken.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { Raw, bearer, text } from './lib/raw.mjs';
import { Server, echo, hub } from './lib/server.mjs';
import { Issuer, broken_signature, now } from './lib/tokens.mjs';
import { every, sleep } from './lib/wait.mjs';

let issuer;
let other;
let server;
const both = { verifiers: ['main', 'other'], credentials: ['header', 'first_message'] };

before(async () => {
  issuer = await Issuer.make({ leeway: '1s' });
  other = await Issuer.make({ iss: 'https://other.example.test/', leeway: '1s' });
  server = await Server.start({
    issuer,
    verifiers: { other: other.verifier() },
    routes: [
      echo('/plain'),
      echo('/echo', both),
      echo('/echo44', { ...both, close_codes: '44xx' }),
      echo('/scoped', { ...both, scopes: ['chat'] }),
      echo('/lead', { refresh_lead: '30s' }),
      hub('/hub', [{ do: ['subscribe', 'publish'], channel: 'open/*' },
                   { do: ['subscribe', 'publish'], channel: 'secret/*', scopes: ['secret'] }], both),
    ],
  });
});
after(() => server?.stop());

const V1 = { protocols: ['sallyport.v1'] };
const open = async (path, claims = {}, more = V1) =>
  Client.open(server, path, { token: await issuer.sign(claims), ...more });
const refresh = (token) => ({ type: 'refresh', token });

describe('ready', { concurrency: 8 }, () => {
  test('comes first after a handshake authentication on sallyport.v1', async () => {
    const exp = now() + 77;
    const client = await open('/plain', { sub: 'grace', exp });
    const ready = await client.next_json();
    assert.equal(ready.type, 'ready');
    assert.equal(ready.subject, 'grace');
    assert.equal(ready.expires_at, exp);
    client.terminate();
  });

  test('does not come without sallyport.v1', async () => {
    const client = await open('/echo', {}, {});
    await client.echo('first');
    client.terminate();
  });
});

describe('where the protocol is not spoken', { concurrency: 8 }, () => {
  test('messages that look like it are the application\'s', async () => {
    const client = await open('/plain', {}, {});
    for (const message of ['{"type":"refresh","token":"x"}', '{"type":"auth","token":"x"}', '{"type":"subscribe","channel":"a"}']) {
      await client.echo(message);
    }
    client.terminate();
  });

  test('no warning is sent before the end', async () => {
    const client = await open('/plain', { ttl: 2 }, {});
    await client.ending();
    assert.deepEqual(client.messages, []);
  });
});

describe('where it is spoken', { concurrency: 8 }, () => {
  test('auth and refresh never reach the application, however they are spelt', async () => {
    const client = await open('/plain');
    await client.of_type('ready');
    client.send('{"type":"auth","token":"CANARY"}');
    client.send('{"type":"auth"}');
    client.send(' {\n"type" : "refresh" , "id":1}');
    client.send('{"\\u0074ype":"refre\\u0073h"}');
    client.send('marker');
    for (;;) {
      const message = await client.next();
      if (message === 'marker') break;
      assert.equal(JSON.parse(message).type, 'error', message);
      assert.doesNotMatch(message, /CANARY/);
    }
    client.terminate();
  });

  test('everything else does, also where type is not the first member', async () => {
    const client = await open('/plain');
    await client.of_type('ready');
    for (const message of ['{"a":1,"type":"refresh","token":"x"}', '{"type":"subscribe","channel":"a"}', '{"type":"refreshing"}',
                           '{"type":1}', '["type","refresh"]', '{"types":"refresh"}', '"refresh"', '{']) {
      await client.echo(message);
    }
    client.send(Buffer.from('{"type":"refresh","token":"x"}'));
    assert.equal((await client.next()).toString(), '{"type":"refresh","token":"x"}', 'binary is the application\'s');
    client.terminate();
  });

  test('a malformed refresh is an error with the id, and the connection stays', async () => {
    const client = await open('/hub');
    for (const [id, message] of [[7, '{"type":"refresh","id":7}'], ['a', '{"type":"refresh","token":5,"id":"a"}'],
                                 [9, '{"type":"refresh","token":"","id":9}']]) {
      client.send(message);
      const error = await client.of_type('error');
      assert.deepEqual(error.id, id);
      assert.equal(typeof error.reason, 'string');
    }
    client.terminate();
  });
});

describe('expiring', { concurrency: 8 }, () => {
  test('comes a fifth of the life before the end when the lead is longer', async () => {
    const exp = now() + 10;
    const client = await open('/lead', { exp });
    await client.of_type('ready');
    const warning = await client.of_type('expiring', 12_000);
    const left = exp - Date.now() / 1000;
    assert.ok(left > 0.5 && left <= 3.1, `${left} s before`);
    assert.ok(warning.expires_in >= 1 && warning.expires_in <= 3, `${warning.expires_in}`);
    client.terminate();
  });

  test('comes once, and again after a refresh', async () => {
    const client = await open('/lead', { ttl: 3 });
    await client.of_type('ready');
    await client.of_type('expiring');
    client.send(refresh(await issuer.sign({ ttl: 4 })));
    await client.of_type('refreshed');
    const next = await client.next_json();
    assert.equal(next.type, 'expiring');
    client.terminate();
  });
});

describe('refresh', { concurrency: 8 }, () => {
  test('keeps the connection past the old end, without a gap', async () => {
    const client = await open('/echo', { ttl: 2 }, {});
    const exp = now() + 60;
    let sent = 0;
    const ticking = every(20, () => client.send(`n${sent++}`));
    await sleep(1000);
    client.send(refresh(await issuer.sign({ exp })));
    await sleep(3500);
    clearInterval(ticking);
    client.send('last');
    let heard = 0;
    let refreshed;
    for (;;) {
      const message = await client.next();
      if (message === 'last') break;
      if (message.startsWith('{')) {
        const said = JSON.parse(message);
        if (said.type === 'refreshed') refreshed = said;
        else assert.equal(said.type, 'expiring');
      } else {
        assert.equal(message, `n${heard++}`);
      }
    }
    assert.equal(heard, sent);
    assert.equal(refreshed?.expires_at, exp);
    client.terminate();
  });

  test('to a shorter life ends earlier', async () => {
    const client = await open('/echo', { ttl: 300 }, {});
    client.send(refresh(await issuer.sign({ ttl: 1 })));
    await client.of_type('refreshed');
    assert.deepEqual(await client.ending(5000), { code: 3000, reason: 'token_expired' });
  });

  const ends = (name, path, make, code, reason) => test(name, async () => {
    const client = await open(path, { scope: 'chat' }, {});
    client.send(refresh(await make()));
    client.send('after');
    assert.deepEqual(await client.ending(), { code, reason });
    assert.deepEqual(client.messages.filter((message) => message.data === 'after'), [], 'nothing after it is heard');
  });
  ends('for another subject closes', '/echo', () => issuer.sign({ sub: 'bob' }), 3000, 'subject_changed');
  ends('for the same name at another issuer closes', '/echo', () => other.sign(), 3000, 'subject_changed');
  ends('with an expired token closes', '/echo', () => issuer.sign({ ttl: -60 }), 3000, 'token_expired');
  ends('with a forged token closes', '/echo', async () => broken_signature(await issuer.sign()), 3000, 'invalid_token');
  ends('for another audience closes', '/echo', () => issuer.sign({ aud: 'mail' }), 3000, 'invalid_token');
  ends('without the route\'s scope closes', '/scoped', () => issuer.sign(), 3003, 'forbidden');
  ends('has its codes in the 44xx profile', '/echo44', () => issuer.sign({ sub: 'bob' }), 4401, 'subject_changed');

  test('with fewer scopes ends the subscriptions that needed them, and only those', async () => {
    const client = await open('/hub', { scope: 'secret' });
    const speaker = await open('/hub', { sub: 'bob', scope: 'secret' });
    for (const channel of ['open/a', 'secret/a']) {
      client.send({ type: 'subscribe', channel, id: channel });
      assert.equal((await client.of_type('subscribed')).id, channel);
    }
    client.send(refresh(await issuer.sign({ scope: '' })));
    await client.of_type('refreshed');
    for (const channel of ['secret/a', 'open/a']) {
      speaker.send({ type: 'publish', channel, data: channel, id: channel });
      await speaker.of_type('published');
    }
    const heard = await client.of_type('message');
    assert.equal(heard.channel, 'open/a', 'the secret channel is silent');
    client.send({ type: 'subscribe', channel: 'secret/a', id: 1 });
    assert.equal((await client.of_type('error')).reason, 'forbidden');
    client.terminate();
    speaker.terminate();
  });

  test('two at once have one outcome and leave a connection that ends', async () => {
    const raw = await Raw.open(server, '/echo', bearer(await issuer.sign({ ttl: 300 })));
    const one = text(JSON.stringify(refresh(await issuer.sign({ ttl: 300 }))));
    const two = text(JSON.stringify(refresh(await issuer.sign({ ttl: 1 }))));
    raw.write(one, two);
    const frames = await raw.frames_to_close(8000);
    const close = frames.at(-1);
    if (close.code === 1008) {
      assert.equal(close.reason, 'rate_limited');
    } else {
      assert.deepEqual([close.code, close.reason], [3000, 'token_expired'], 'the later one holds');
      assert.equal(frames.filter((f) => JSON.parse(f.opcode === 1 ? f.payload : '{}').type === 'refreshed').length, 2);
    }
    raw.destroy();
  });

  for (const [path, code] of [['/echo', 1008], ['/echo44', 4429]]) {
    test(`in a flood closes with ${code}`, async () => {
      const client = await open(path, {}, {});
      const message = JSON.stringify(refresh(await issuer.sign()));
      for (let i = 0; i < 1000; ++i) client.send(message);
      assert.deepEqual(await client.ending(), { code, reason: 'rate_limited' });
      assert.ok(client.messages.length < 200, `${client.messages.length} were carried out`);
    });
  }

  test('works with tokens of the binary', async () => {
    const client = await Client.open(server, '/echo', { token: await issuer.mint({ ttl: '30s' }) });
    client.send(refresh(await issuer.mint({ ttl: '90s' })));
    const { expires_at } = await client.of_type('refreshed');
    assert.ok(Math.abs(expires_at - now() - 90) <= 5);
    client.terminate();
  });
});
