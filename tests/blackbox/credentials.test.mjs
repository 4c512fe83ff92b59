// The transports of a credential: each alone, two at once, one twice, and where it is not listed.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client, attempt, outcome } from './lib/client.mjs';
import { Raw, ask, bearer, text, upgrade } from './lib/raw.mjs';
import { Server, echo } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';

let issuer;
let secret_issuer;
let server;
let token;

const b64 = (token) => `base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`;

before(async () => {
  issuer = await Issuer.make();
  secret_issuer = await Issuer.make({ alg: 'HS256', iss: 'https://other.example.test/' });
  token = await issuer.sign();
  server = await Server.start({
    issuer,
    verifiers: { other: secret_issuer.verifier() },
    routes: [
      echo('/header'),
      echo('/subprotocol', { credentials: ['subprotocol'] }),
      echo('/cookie', { credentials: ['cookie:session'] }),
      echo('/query', { credentials: ['insecure_query:access_token'] }),
      echo('/first', { credentials: ['first_message'] }),
      echo('/all', { credentials: ['header', 'subprotocol', 'first_message', 'cookie:session', 'insecure_query:t'] }),
      echo('/default', { credentials: undefined }),
      echo('/two', { verifiers: ['main', 'other'] }),
      echo('/reversed', { verifiers: ['other', 'main'] }),
    ].map((route) => ({ ...route, reject: 'http' })),
  });
});
after(() => server?.stop());

const cookie = (value) => ({ Cookie: `session=${value}`, Origin: server.origin });
const status_of = async (path, fields) => {
  const raw = await Raw.connect(server);
  try {
    raw.write(upgrade(server, path, fields));
    const head = await raw.head();
    if (head.status === 101) return 101;
    await raw.end();
    return `${head.status} ${JSON.parse(raw.bytes.toString()).reason}`;
  } finally {
    raw.destroy();
  }
};

describe('alone', { concurrency: 4 }, () => {
  test('a header token opens, by either minter', async () => {
    for (const minted of [token, await issuer.mint()]) {
      const client = await Client.open(server, '/header', { token: minted });
      await client.echo('hello');
      assert.deepEqual(await client.leave(), { code: 1000, reason: '' });
    }
  });

  test('a subprotocol item opens, in both spellings, and is never echoed', async () => {
    for (const item of [`bearer.${token}`, b64(token)]) {
      const client = await Client.open(server, '/subprotocol', { protocols: [item, 'sallyport.v1'] });
      assert.equal(client.protocol, 'sallyport.v1');
      assert.equal((await client.next_json()).type, 'ready');
      client.terminate();
    }
  });

  test('a cookie opens with an allowed Origin', async () => {
    assert.equal(await status_of('/cookie', cookie(token)), 101);
    assert.equal(await status_of('/cookie', { ...cookie(token), Cookie: `a=b; session=${token}; c=d` }), 101);
    assert.equal(await status_of('/cookie', { ...cookie(token), Cookie: `session="${token}"` }), 101);
  });

  test('a cookie without an Origin, or with a foreign one, does not open', async () => {
    assert.equal(await status_of('/cookie', { Cookie: `session=${token}` }), '403 origin_not_allowed');
    assert.equal(await status_of('/cookie', { ...cookie(token), Origin: 'https://evil.example' }), '403 origin_not_allowed');
  });

  test('the query opens only where insecure_query spells it out', async () => {
    assert.equal(await status_of(`/query?access_token=${token}`, {}), 101);
    assert.equal(await status_of(`/query?a=b&access_token=${token}&c`, {}), 101);
    assert.equal(await status_of(`/query?access_token=${encodeURIComponent(token)}`, {}), 101);
    assert.match(server.stderr + server.stdout, /insecure_query/, 'start-up warns');
  });

  test('a first message opens where it is listed', async () => {
    const client = await Client.open(server, '/first');
    client.send({ type: 'auth', token });
    const ready = await client.next_json();
    assert.equal(ready.type, 'ready');
    assert.equal(ready.subject, 'ada');
    await client.echo('hello');
    client.terminate();
  });
});

describe('where it does not belong', { concurrency: 4 }, () => {
  test('a transport that the route does not list counts as nothing', async () => {
    const none = '401 missing_credentials';
    assert.equal(await status_of(`/header?access_token=${token}`, {}), none);
    assert.equal(await status_of(`/header?ticket=${token}`, {}), none);
    assert.equal(await status_of(`/header?token=${token}`, {}), none);
    assert.equal(await status_of('/header', { Cookie: `session=${token}` }), none);
    assert.equal(await status_of('/header', { 'Sec-WebSocket-Protocol': `bearer.${token}` }), none);
    assert.equal(await status_of('/subprotocol', bearer(token)), none);
    assert.equal(await status_of('/cookie', { ...bearer(token), Origin: server.origin }), none);
    assert.equal(await status_of(`/query?token=${token}`, bearer(token)), none);
  });

  test('an unlisted transport beside a listed one changes nothing', async () => {
    assert.equal(await status_of(`/header?access_token=${token}&ticket=x`, { ...bearer(token), Cookie: 'session=forged' }), 101);
    assert.equal(await status_of('/subprotocol', { ...bearer('forged'), 'Sec-WebSocket-Protocol': `bearer.${token}` }), 101);
  });

  test('another cookie, another scheme and a cookie of a longer name are no credentials', async () => {
    const none = '401 missing_credentials';
    const http = async (path, fields) => {
      const answer = await ask(server, upgrade(server, path, fields));
      return `${answer.status} ${JSON.parse(answer.body).reason}`;
    };
    assert.equal(await http('/header', { Authorization: `Basic ${token}` }), none);
    assert.equal(await http('/header', { Authorization: `Bearertoken ${token}` }), none);
    assert.equal(await http('/header', { 'X-Authorization': `Bearer ${token}` }), none);
  });
});

describe('too many of them', { concurrency: 4 }, () => {
  test('two credentials are 400, whatever they say', async () => {
    const both = '400 bad_request';
    const valid = [bearer(token), { 'Sec-WebSocket-Protocol': `bearer.${token}` }, cookie(token)];
    for (const [i, one] of valid.entries()) {
      for (const other of valid.slice(i + 1)) assert.equal(await status_of('/all', { ...one, ...other }), both);
      assert.equal(await status_of(`/all?t=${token}`, one), both);
    }
    assert.equal(await status_of('/all', { ...bearer('x'), 'Sec-WebSocket-Protocol': 'bearer.y' }), both);
    const other = await issuer.sign({ sub: 'bob' });
    assert.equal(await status_of('/all', { ...bearer(token), ...cookie(other) }), both);
  });

  test('one credential twice is 400', async () => {
    const twice = '400 bad_request';
    assert.equal(await status_of('/header', { Authorization: [`Bearer ${token}`, `Bearer ${token}`] }), twice);
    assert.equal(await status_of('/header', { Authorization: [`Bearer ${token}`, 'Basic eDp5'] }), twice);
    assert.equal(await status_of(`/query?access_token=${token}&access_token=${token}`, {}), twice);
    assert.equal(await status_of('/cookie', { ...cookie(token), Cookie: `session=${token}; session=${token}` }), twice);
    assert.equal(await status_of('/cookie', { ...cookie(token), Cookie: [`session=${token}`, `session=${token}`] }), twice);
    assert.equal(await status_of('/subprotocol', { 'Sec-WebSocket-Protocol': `bearer.${token}, ${b64(token)}` }), twice);
    assert.equal(await status_of('/subprotocol', { 'Sec-WebSocket-Protocol': [`bearer.${token}`, 'bearer.other'] }), twice);
  });

  test('an empty credential is refused and never taken for none where a first message would do', async () => {
    for (const fields of [bearer(''), { Authorization: 'Bearer' }, { 'Sec-WebSocket-Protocol': 'bearer.' }]) {
      assert.notEqual(await status_of('/header', fields), 101);
      assert.notEqual(await status_of('/subprotocol', fields), 101);
    }
  });
});

describe('in Sec-WebSocket-Protocol', { concurrency: 4 }, () => {
  const offer = async (...items) => {
    const raw = await Raw.connect(server);
    try {
      raw.write(upgrade(server, '/subprotocol', { 'Sec-WebSocket-Protocol': items.join(', ') }));
      const head = await raw.head();
      assert.ok(!head.lines.join('\n').includes(token.slice(0, 20)), 'no part of the token is answered');
      return [head.status, head.fields['sec-websocket-protocol']?.[0]];
    } finally {
      raw.destroy();
    }
  };

  test('another offered item is selected, wherever the credential stands', async () => {
    assert.deepEqual(await offer(`bearer.${token}`, 'graphql-ws'), [101, 'graphql-ws']);
    assert.deepEqual(await offer('graphql-ws', `bearer.${token}`), [101, 'graphql-ws']);
    assert.deepEqual(await offer('a', 'b', b64(token)), [101, 'a']);
  });

  test('sallyport.v1 is selected when it is offered', async () => {
    assert.deepEqual(await offer('sallyport.v1', `bearer.${token}`), [101, 'sallyport.v1']);
    assert.deepEqual(await offer(`bearer.${token}`, 'sallyport.v1'), [101, 'sallyport.v1']);
  });

  test('a credential alone opens and nothing is selected', async () => {
    assert.deepEqual(await offer(`bearer.${token}`), [101, undefined]);
  });

  test('characters that no token of HTTP has are 400', async () => {
    assert.equal((await offer('bearer.a=b'))[0], 400);
    assert.equal((await offer('bearer.a/b'))[0], 400);
    assert.equal((await offer('bearer.a b'))[0], 400);
    assert.equal((await offer('', `bearer.${token}`))[0], 400);
  });

  test('base64url that is none is refused', async () => {
    const prefix = 'base64url.bearer.authorization.k8s.io.';
    for (const item of [`${prefix}`, `${prefix}A`, `${prefix}AB`, `${prefix}!!!!`]) {
      const [status] = await offer(item, 'x');
      assert.ok(status === 400 || status === 401, `${item}: ${status}`);
    }
  });

  test('a credential of 8 KiB is answered, not dropped', async () => {
    const [status] = await offer(`bearer.${'x'.repeat(8192)}`);
    assert.equal(status, 401);
  });
});

describe('verifiers in order', { concurrency: 4 }, () => {
  test('each token goes to the verifier of its issuer, in either order', async () => {
    const other = await secret_issuer.sign();
    for (const path of ['/two', '/reversed']) {
      assert.equal(await outcome(server, path, { token }), 101);
      assert.equal(await outcome(server, path, { token: other }), 101);
    }
  });

  test('a token that names one issuer and is signed by the other is refused', async () => {
    const confused = await secret_issuer.sign({ iss: issuer.iss });
    const crossed = await issuer.sign({ iss: secret_issuer.iss });
    for (const path of ['/two', '/reversed', '/header']) {
      for (const bad of [confused, crossed]) {
        const { refused } = await attempt(server, path, { token: bad });
        assert.equal(refused?.status, 401);
        assert.equal(refused.reason, 'invalid_token');
      }
    }
  });

  test('a public key is never a secret', async () => {
    const { readFileSync } = await import('node:fs');
    for (const key of [readFileSync(issuer.jwks_file), Buffer.from(' '.repeat(64))]) {
      const forged = await issuer.sign({}, { header: { alg: 'HS256' }, key });
      assert.equal(await outcome(server, '/two', { token: forged }), 401);
    }
    const [, payload] = token.split('.');
    for (const alg of ['none', 'None', 'NONE']) {
      const header = Buffer.from(JSON.stringify({ alg, typ: 'JWT' })).toString('base64url');
      assert.equal(await outcome(server, '/two', { token: `${header}.${payload}.` }), 401);
    }
  });

  test('every supported algorithm opens with keys of either maker', async () => {
    for (const made_by of ['sallyport', 'jose']) {
      for (const alg of ['RS256', 'PS256', 'ES384', 'EdDSA']) {
        const other = await Issuer.make({ alg, made_by });
        const own = await Server.start({ issuer: other, routes: [echo('/echo')] });
        try {
          assert.equal(await outcome(own, '/echo', { token: await other.sign() }), 101, `${alg} of ${made_by}`);
          assert.equal(await outcome(own, '/echo', { token }), 401);
        } finally {
          await own.stop();
        }
      }
    }
  });
});

test('the default transports are header, subprotocol and first message', async () => {
  assert.equal(await outcome(server, '/default', { token }), 101);
  assert.equal(await outcome(server, '/default', { protocols: [`bearer.${token}`, 'x'] }), 101);
  const raw = await Raw.open(server, '/default', {}, { first: [text(JSON.stringify({ type: 'auth', token }))] });
  assert.equal(JSON.parse((await raw.frame()).payload).type, 'ready');
  raw.destroy();
});
