// TCP knows no messages: a conversation is the same wherever its bytes are cut, and early bytes wait.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OP, Raw, bearer, close_frame, frame, text, upgrade } from './lib/raw.mjs';
import { Server, echo } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { in_parallel, sleep } from './lib/wait.mjs';

let issuer;
let server;
let token;

before(async () => {
  issuer = await Issuer.make({ alg: 'HS256' });  // the shortest token: the fewer bytes to cut between
  token = await issuer.sign();
  server = await Server.start({
    issuer,
    routes: [echo('/echo'), echo('/first', { credentials: ['first_message'] }),
             echo('/close', { credentials: ['header', 'first_message'], reject: 'close' })],
  });
});
after(() => server?.stop());

const auth = (t) => text(JSON.stringify({ type: 'auth', token: t }));

/** Plays the pieces, a moment apart, and writes down all that the server said. */
async function transcript(pieces) {
  const raw = await Raw.connect(server);
  try {
    for (const [i, piece] of pieces.entries()) {
      if (i > 0) await sleep(2);
      raw.write(piece);
    }
    const { status } = await raw.head();
    if (status !== 101) return [status];
    const frames = await raw.frames_to_close();
    const ended = await raw.end();
    return [status, ...frames.map((f) => {
      const said = f.payload.toString();
      return [f.opcode, said.startsWith('{"type":"ready"') ? 'ready' : said];
    }), ended, raw.bytes.length];
  } finally {
    raw.destroy();
  }
}

const conversation = () => Buffer.concat([
  text('hello'), frame(OP.ping, 'p'), text('a\u20ac', { fin: false }), frame(OP.ping, 'q'), frame(OP.continuation, 'b'),
  frame(OP.binary, 'x'.repeat(130)), frame(OP.pong), text(''), close_frame(1000, 'bye'),
]);

describe('cut at every byte', { concurrency: 1 }, () => {
  const check = async (bytes, expected, positions) => {
    await in_parallel(positions, 24, async (at) =>
      assert.deepEqual(await transcript([bytes.subarray(0, at), bytes.subarray(at)]), expected, `cut at ${at}`));
  };
  const every = (bytes) => Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);

  test('a conversation with a header token', async () => {
    const bytes = Buffer.concat([upgrade(server, '/echo', bearer(token)), conversation()]);
    const whole = await transcript([bytes]);
    assert.deepEqual(whole.slice(0, 7), [101, [OP.text, 'hello'], [OP.pong, 'p'], [OP.pong, 'q'], [OP.text, 'a\u20acb'],
                                         [OP.binary, 'x'.repeat(130)], [OP.text, '']]);
    assert.deepEqual(whole.slice(8), ['fin', 0]);
    await check(bytes, whole, every(bytes));
  });

  test('a conversation with a first message', async () => {
    const bytes = Buffer.concat([upgrade(server, '/first'), auth(token), conversation()]);
    const whole = await transcript([bytes]);
    assert.deepEqual(whole.slice(0, 3), [101, [OP.text, 'ready'], [OP.text, 'hello']]);
    await check(bytes, whole, every(bytes));
  });

  test('a conversation byte by byte', async () => {
    const bytes = Buffer.concat([upgrade(server, '/first'), auth(token), conversation()]);
    const whole = await transcript([bytes]);
    assert.deepEqual(await transcript([...bytes].map((byte) => Buffer.from([byte]))), whole);
  });

  test('a refusal', async () => {
    const bytes = Buffer.concat([upgrade(server, '/echo', bearer('x')), text('early')]);
    assert.deepEqual(await transcript([bytes]), [401]);
    await check(bytes, [401], every(bytes));
  });
});

describe('ten frames in the segment of the handshake', { concurrency: 4 }, () => {
  const ten = () => Array.from({ length: 10 }, (_, i) => text(`m${i}`));
  const all_ten = async (raw) => {
    for (let i = 0; i < 10; ++i) assert.equal((await raw.frame()).payload.toString(), `m${i}`);
    raw.write(text('end'));
    assert.equal((await raw.frame()).payload.toString(), 'end', 'once each');
    raw.destroy();
  };

  test('are delivered in order, once, when the credential is accepted', async () => {
    for (let i = 0; i < 20; ++i) await all_ten(await Raw.open(server, '/echo', bearer(token), { first: ten() }));
  });

  // More signatures at once than a turn has a budget for: most of these wait, and their early frames with them.
  test('are delivered in order, once, when the verification has to wait its turn', async () => {
    const strong = await Issuer.make({ alg: 'ES384' });
    const one = await Server.start({ issuer: strong, server: { workers: 1 }, routes: [echo('/echo')] });
    try {
      const count = 150;
      const tokens = await in_parallel(Array.from({ length: count }), 8, (_, i) => strong.sign({ sub: `s${i}` }));
      const raws = await in_parallel(tokens, 16, () => Raw.connect(one));
      for (const [i, raw] of raws.entries()) raw.write(upgrade(one, '/echo', bearer(tokens[i])), ...ten());
      for (const raw of raws) {
        assert.equal((await raw.head()).status, 101);
        await all_ten(raw);
      }
    } finally {
      await one.stop();
    }
  });

  test('are delivered after ready, when the first message is accepted', async () => {
    const raw = await Raw.open(server, '/first', {}, { first: [auth(token), ...ten()] });
    assert.equal(JSON.parse((await raw.frame()).payload).type, 'ready');
    await all_ten(raw);
  });

  test('are never delivered when the credential is refused', async () => {
    const raw = await Raw.connect(server);
    raw.write(upgrade(server, '/echo', bearer('x')), ...ten());
    const answer = await raw.answer();
    assert.equal(answer.status, 401);
    assert.doesNotMatch(answer.body, /m0/);
    raw.destroy();
    for (const bytes of [[upgrade(server, '/close', bearer('x'))], [upgrade(server, '/first'), auth('x')]]) {
      const other = await Raw.connect(server);
      other.write(...bytes, ...ten(), close_frame(1000));
      assert.equal((await other.head()).status, 101);
      const frames = await other.frames_to_close();
      assert.deepEqual(frames.map((f) => [f.opcode, f.code]), [[OP.close, 3000]]);
      await other.end();
      assert.equal(other.bytes.length, 0);
      other.destroy();
    }
  });
});

test('a megabyte of early bytes is delivered, or refused, and never kept whole', async () => {
  const before_bytes = server.memory();
  const raw = await Raw.connect(server);
  raw.write(upgrade(server, '/echo', bearer(token)), ...Array.from({ length: 64 }, () => frame(OP.binary, Buffer.alloc(16_384))));
  assert.equal((await raw.head()).status, 101);
  for (let i = 0; i < 64; ++i) assert.equal((await raw.frame()).payload.length, 16_384);
  assert.ok(server.memory() - before_bytes < 24 * 1024 * 1024);
  raw.destroy();
});
