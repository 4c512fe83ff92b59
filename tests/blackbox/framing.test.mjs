// Frames that no client may send: each ends the connection with its code, and the handler sees none of it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OP, Raw, bearer, close_frame, frame, text } from './lib/raw.mjs';
import { Server, echo } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { PATIENCE } from './lib/wait.mjs';

let server;
let token;

before(async () => {
  const issuer = await Issuer.make();
  token = bearer(await issuer.sign());
  server = await Server.start({
    issuer,
    routes: [echo('/echo', { message_bytes: '64KiB' }), echo('/packed', { compression: true, message_bytes: '64KiB' })],
  });
});
after(() => server?.stop());

const open = (path = '/echo', fields = {}) => Raw.open(server, path, { ...token, ...fields });

/** A valid message first, so that the echo is known to work; then the fault and another message. */
async function violates(code, reason, ...bytes) {
  const raw = await open();
  raw.write(text('before'), ...bytes, text('after'));
  const frames = await raw.frames_to_close();
  const messages = frames.filter((f) => f.opcode <= 2).map((f) => f.payload.toString());
  assert.deepEqual(messages, ['before'], 'neither the fault nor what follows it is echoed');
  assert.deepEqual([frames.at(-1).code, frames.at(-1).reason], [code, reason]);
  await raw.end(PATIENCE);
  raw.destroy();
}
const breaks = (name, ...bytes) => test(name, () => violates(1002, 'protocol_error', ...bytes));
const garbles = (name, ...bytes) => test(name, () => violates(1007, 'invalid_payload', ...bytes));
const overflows = (name, ...bytes) => test(name, () => violates(1009, 'message_too_big', ...bytes));

describe('1002', { concurrency: 32 }, () => {
  breaks('an unmasked text frame', text('x', { masked: false }));
  breaks('an unmasked ping', frame(OP.ping, '', { masked: false }));
  breaks('an unmasked Close', frame(OP.close, '', { masked: false }));
  for (const rsv of [1, 2, 4]) breaks(`reserved bits ${rsv}`, text('x', { rsv }));
  breaks('a reserved bit on a ping', frame(OP.ping, '', { rsv: 4 }));
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) breaks(`opcode ${opcode}`, frame(opcode, 'x'));
  breaks('a ping in fragments', frame(OP.ping, 'x', { fin: false }));
  breaks('a ping of 126 bytes', frame(OP.ping, 'x'.repeat(126)));
  breaks('a Close of 126 bytes', close_frame(1000, 'x'.repeat(124)));
  breaks('a continuation of nothing', frame(OP.continuation, 'x'));
  breaks('a message inside another', text('a', { fin: false }), text('b'));
  breaks('a binary message inside a text', text('a', { fin: false }), frame(OP.binary, 'b'));
  breaks('a 16-bit length that fits 7 bits', text('x', { length: 16 }));
  breaks('a 64-bit length that fits 7 bits', text('x', { length: 64 }));
  breaks('a 64-bit length that fits 16 bits', text('x'.repeat(200), { length: 64 }));
  breaks('a length with its top bit set', text('', { length: 64, claimed: 1n << 63n }));
  breaks('a Close of one byte', frame(OP.close, 'x'));
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]) breaks(`Close code ${code}`, close_frame(code));
});

describe('1007', { concurrency: 32 }, () => {
  garbles('text that is not UTF-8', text(Buffer.from([0xff])));
  garbles('an overlong form', text(Buffer.from([0xc0, 0xaf])));
  garbles('a surrogate', text(Buffer.from([0xed, 0xa0, 0x80])));
  garbles('a code point above U+10FFFF', text(Buffer.from([0xf4, 0x90, 0x80, 0x80])));
  garbles('text that ends inside a character', text(Buffer.from([0xe2, 0x82])));
  garbles('a bad byte in a later fragment', text('ok', { fin: false }), frame(OP.continuation, Buffer.from([0x80])));
  garbles('a Close reason that is not UTF-8', close_frame(1000, Buffer.from([0xff])));
});

describe('1009', { concurrency: 8 }, () => {
  overflows('a message one byte over the limit', text('x'.repeat(65_537)));
  overflows('a header that claims more than the limit, before the payload comes', text('', { claimed: 65_537n }));
  overflows('a header that claims 2^63 - 1 bytes', text('', { length: 64, claimed: (1n << 63n) - 1n }));
  overflows('fragments that are too much together', text('x'.repeat(40_000), { fin: false }), frame(OP.continuation, 'x'.repeat(25_537)));
  test('a million fragments of one byte', async () => {
    const raw = await open();
    const before_bytes = server.memory();
    raw.write(text('x', { fin: false }));
    const piece = Buffer.concat(Array.from({ length: 1000 }, () => frame(OP.continuation, 'x', { fin: false })));
    for (let i = 0; i < 100 && raw.ended === null; ++i) raw.write(piece);
    const frames = await raw.frames_to_close();
    assert.deepEqual(frames.map((f) => f.code), [1009]);
    assert.ok(server.memory() - before_bytes < 32 * 1024 * 1024);
    raw.destroy();
  });
});

describe('what is allowed', { concurrency: 8 }, () => {
  test('a message of exactly the limit comes back whole', async () => {
    const raw = await open();
    raw.write(text('x'.repeat(65_536)));
    const back = await raw.frame();
    assert.deepEqual([back.opcode, back.payload.length], [OP.text, 65_536]);
    raw.destroy();
  });

  test('lengths at every border, text and binary', async () => {
    const raw = await open();
    for (const size of [0, 1, 125, 126, 127, 65_535]) {
      for (const opcode of [OP.text, OP.binary]) {
        raw.write(frame(opcode, 'y'.repeat(size)));
        const back = await raw.frame();
        assert.deepEqual([back.opcode, back.fin, back.payload.length], [opcode, true, size]);
      }
    }
    raw.destroy();
  });

  test('fragments with pings between them, split inside a character', async () => {
    const raw = await open();
    const euro = Buffer.from('\u20ac');
    raw.write(frame(OP.text, euro.subarray(0, 1), { fin: false }), frame(OP.ping, 'a'),
              frame(OP.continuation, euro.subarray(1, 2), { fin: false }), frame(OP.continuation, '', { fin: false }),
              frame(OP.ping, 'b'), frame(OP.continuation, euro.subarray(2)));
    const frames = [await raw.frame(), await raw.frame(), await raw.frame()];
    assert.deepEqual(frames.map((f) => [f.opcode, f.payload.toString()]), [[OP.pong, 'a'], [OP.pong, 'b'], [OP.text, '\u20ac']]);
    raw.destroy();
  });

  test('bytes that are not UTF-8 in a binary message', async () => {
    const raw = await open();
    raw.write(frame(OP.binary, Buffer.from([0xff, 0x00, 0xfe])));
    assert.deepEqual([...(await raw.frame()).payload], [0xff, 0x00, 0xfe]);
    raw.destroy();
  });

  test('a Close is answered with its code and the server ends the connection', async () => {
    for (const code of [1000, 1001, 1011, 3000, 3999, 4000, 4999]) {
      const raw = await open();
      raw.write(close_frame(code, 'bye'), text('too late'));
      const frames = await raw.frames_to_close();
      assert.deepEqual(frames.map((f) => [f.opcode, f.code]), [[OP.close, code]]);
      assert.equal(await raw.end(), 'fin');
      raw.destroy();
    }
    const raw = await open();
    raw.write(close_frame());
    assert.equal((await raw.frame()).opcode, OP.close);
    assert.equal(await raw.end(), 'fin');
    raw.destroy();
  });

  test('a peer that vanishes without a Close is let go', async () => {
    const raw = await open();
    raw.socket.resetAndDestroy();
    await server.event('ws.close', (entry) => entry.code === 1006);
  });
});

test('a flood of pings ends with 1008 and not with memory', async () => {
  const raw = await open();
  const before_bytes = server.memory();
  const pings = Buffer.concat(Array.from({ length: 1000 }, () => frame(OP.ping, 'x'.repeat(125))));
  for (let i = 0; i < 100 && raw.ended === null; ++i) raw.write(pings);
  const close = (await raw.frames_to_close()).at(-1);
  assert.equal(close.code, 1008);
  assert.ok(server.memory() - before_bytes < 32 * 1024 * 1024);
  raw.destroy();
});

describe('permessage-deflate', { concurrency: 8 }, () => {
  const offer = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };
  const deflated = async (data) => {
    const { deflateRawSync, constants } = await import('node:zlib');
    return deflateRawSync(Buffer.from(data), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
  };

  test('is agreed on where the route has it, and inflates', async () => {
    const raw = await open('/packed', offer);
    assert.match(raw.fields['sec-websocket-extensions']?.[0] ?? '', /^permessage-deflate/);
    raw.write(text(await deflated('hello '.repeat(8)), { rsv: 4 }));
    const back = await raw.frame();
    assert.equal(back.opcode, OP.text);
    if (back.rsv === 0) assert.equal(back.payload.toString(), 'hello '.repeat(8));
    raw.destroy();
  });

  test('a bomb ends with 1009 and takes no memory', async () => {
    const raw = await open('/packed', offer);
    const before_bytes = server.memory();
    raw.write(text(await deflated(Buffer.alloc(32 * 1024 * 1024)), { rsv: 4 }));
    assert.deepEqual((await raw.frames_to_close()).map((f) => f.code), [1009]);
    assert.ok(server.memory() - before_bytes < 16 * 1024 * 1024);
    raw.destroy();
  });

  test('what does not inflate ends the connection', async () => {
    const raw = await open('/packed', offer);
    raw.write(text(Buffer.from([0xff, 0xff, 0xff]), { rsv: 4 }));
    const frames = await raw.frames_to_close();
    assert.equal(frames.length, 1);
    assert.ok([1002, 1007].includes(frames[0].code), String(frames[0].code));
    raw.destroy();
  });
});
