// A WebSocket client without manners: a socket, hand-made requests and frames, written in any pieces.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { PATIENCE, sleep, within } from './wait.mjs';

export const OP = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/**
 * A frame as a client sends it. `masked: false` breaks the rule; `length` (7, 16 or 64) forces a form of the
 * length field and `claimed` a number other than the payload's.
 */
export function frame(opcode, payload = '', { fin = true, rsv = 0, masked = true, length, claimed } = {}) {
  const data = Buffer.from(payload);
  const size = claimed ?? BigInt(data.length);
  const form = length ?? (size < 126n ? 7 : size < 65536n ? 16 : 64);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const bit = masked ? 0x80 : 0;
  if (form === 7) head.push(bit | Number(size));
  if (form === 16) head.push(bit | 126, Number(size >> 8n) & 255, Number(size & 255n));
  if (form === 64) {
    head.push(bit | 127);
    for (let shift = 56n; shift >= 0n; shift -= 8n) head.push(Number((size >> shift) & 255n));
  }
  if (!masked) return Buffer.concat([Buffer.from(head), data]);
  const mask = randomBytes(4);
  const hidden = Buffer.from(data.map((byte, i) => byte ^ mask[i % 4]));
  return Buffer.concat([Buffer.from(head), mask, hidden]);
}

export const text = (payload, more) => frame(OP.text, payload, more);
export const close_frame = (code, reason = '') =>
  frame(OP.close, code === undefined ? '' : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));

/** A request head. A field whose value is undefined is left out; an array gives several lines. */
export function request(server, path, fields = {}, { method = 'GET', version = 'HTTP/1.1' } = {}) {
  const lines = [`${method} ${path} ${version}`];
  for (const [name, value] of Object.entries({ Host: `127.0.0.1:${server.port}`, ...fields })) {
    for (const one of [value].flat()) if (one !== undefined) lines.push(`${name}: ${one}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** An upgrade request; `fields` overrides. */
export const upgrade = (server, path, fields = {}, more = {}) =>
  request(server, path, {
    Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': KEY, 'Sec-WebSocket-Version': '13',
    ...fields,
  }, more);

/** A plain connection on which the pieces have been written, each in a segment of its own. */
async function connected_after(where, pieces) {
  const socket = net.connect(where);
  socket.setNoDelay(true);
  let fault;
  socket.on('error', (error) => { fault = error; });
  await within(new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject)), PATIENCE, 'a connection');
  for (const piece of pieces) {
    if (!socket.destroyed) socket.write(piece);
    await sleep(2);
  }
  if (socket.destroyed) throw fault ?? new Error('the socket ended');
  return socket;
}

export class Raw {
  /**
   * A connected socket to the server; over TLS if that is what it speaks, unless `plain`. `before`: pieces that
   * go over the connection before TLS does.
   */
  static async connect(server, { plain = false, local, before, tls: options = {} } = {}) {
    const raw = new Raw();
    const where = { host: '127.0.0.1', port: server.port, localAddress: local, allowHalfOpen: true };
    const under = before ? await connected_after(where, before) : undefined;
    if (server.secure && !plain) {
      raw.socket = tls.connect({ ...(under ? { socket: under } : where), rejectUnauthorized: false, ...options });
    } else {
      raw.socket = under ?? net.connect(where);
    }
    raw.socket.setNoDelay(true);
    raw.bytes = Buffer.alloc(0);
    raw.ended = null;  // "fin", or the code of an error such as ECONNRESET
    raw.waiters = new Set();
    raw.socket.on('data', (data) => {
      raw.bytes = Buffer.concat([raw.bytes, data]);
      raw.#wake();
    });
    const over = (how) => {
      raw.ended ??= how;
      raw.ended_at ??= Date.now();
      raw.#wake();
    };
    raw.socket.on('end', () => over('fin'));
    raw.socket.on('error', (error) => over(error.code ?? String(error)));
    raw.socket.on('close', () => over('closed'));
    if (under) under.on('close', () => over('closed'));
    if (raw.socket === under) return raw;
    const event = server.secure && !plain ? 'secureConnect' : 'connect';
    await within(new Promise((resolve, reject) => {
      raw.socket.once(event, resolve);
      raw.socket.once('error', reject);
      under?.once('close', () => reject(new Error('the socket ended')));
    }), PATIENCE, 'a connection');
    return raw;
  }

  #wake() { for (const waiter of [...this.waiters]) waiter(); }

  /** What `take` returns as soon as that is not undefined; it is asked whenever bytes or the end come. */
  until(take, what, ms = PATIENCE) {
    return within(new Promise((resolve, reject) => {
      const look = () => {
        try {
          const value = take();
          if (value === undefined && this.ended === null) return;
          this.waiters.delete(look);
          if (value === undefined) reject(new Error(`the socket ended (${this.ended}) before ${what}`));
          else resolve(value);
        } catch (error) {
          this.waiters.delete(look);
          reject(error);
        }
      };
      this.waiters.add(look);
      look();
    }), ms, what);
  }

  write(...pieces) { if (!this.socket.destroyed) this.socket.write(Buffer.concat(pieces.map((p) => Buffer.from(p)))); }

  /** Status, fields (lower-case, arrays) of the next answer's head. */
  async head() {
    const end = await this.until(() => {
      const at = this.bytes.indexOf('\r\n\r\n');
      return at < 0 ? undefined : at;
    }, 'the head of an answer');
    const lines = this.bytes.subarray(0, end).toString('latin1').split('\r\n');
    this.bytes = this.bytes.subarray(end + 4);
    const status = Number(lines[0].match(/^HTTP\/1\.1 (\d{3})( |$)/)[1]);
    const fields = {};
    for (const line of lines.slice(1)) {
      const at = line.indexOf(':');
      (fields[line.slice(0, at).toLowerCase()] ??= []).push(line.slice(at + 1).trim());
    }
    return { status, fields, lines };
  }

  /** A whole answer: head, body, and how the server ended the connection. */
  async answer() {
    const head = await this.head();
    const ended = await this.end();
    return { ...head, body: this.bytes.toString('utf8'), ended };
  }

  /** "fin" or an error code: how the connection ended, which it must within `ms`. */
  end(ms = PATIENCE) { return this.until(() => this.ended ?? undefined, 'the end of the connection', ms); }

  /** The next frame; the rules that bind a server are checked on every one. */
  frame(ms = PATIENCE) {
    return this.until(() => {
      const bytes = this.bytes;
      if (bytes.length < 2) return undefined;
      assert.equal(bytes[1] & 0x80, 0, 'a server does not mask');
      let size = bytes[1] & 127;
      let at = 2;
      if (size === 126) {
        if (bytes.length < 4) return undefined;
        size = bytes.readUInt16BE(2);
        at = 4;
      } else if (size === 127) {
        if (bytes.length < 10) return undefined;
        size = Number(bytes.readBigUInt64BE(2));
        at = 10;
      }
      if (bytes.length < at + size) return undefined;
      const payload = Buffer.from(bytes.subarray(at, at + size));
      this.bytes = bytes.subarray(at + size);
      const result = { opcode: bytes[0] & 15, fin: (bytes[0] & 0x80) !== 0, rsv: (bytes[0] >> 4) & 7, payload };
      if (result.opcode === OP.close && payload.length >= 2) {
        result.code = payload.readUInt16BE(0);
        result.reason = payload.subarray(2).toString();
      }
      return result;
    }, 'a frame', ms);
  }

  /** Frames up to and with the server's Close. */
  async frames_to_close(ms = PATIENCE) {
    const frames = [];
    do frames.push(await this.frame(ms)); while (frames.at(-1).opcode !== OP.close);
    return frames;
  }

  destroy() { this.socket.destroy(); }

  /** A socket whose upgrade has been accepted. `first` goes into the same segment as the request. */
  static async open(server, path, fields = {}, { first = [], ...more } = {}) {
    const raw = await Raw.connect(server, more);
    raw.write(upgrade(server, path, fields), ...first);
    const head = await raw.head();
    if (head.status !== 101) {
      await raw.end();
      throw new Error(`${path} answered ${head.status}: ${raw.bytes}`);
    }
    assert.deepEqual(head.fields['sec-websocket-accept'], [ACCEPT]);
    raw.protocol = head.fields['sec-websocket-protocol']?.[0];
    raw.fields = head.fields;
    return raw;
  }
}

/** Sends one request on a socket of its own and returns the whole answer. */
export async function ask(server, bytes, options) {
  const raw = await Raw.connect(server, options);
  try {
    raw.write(bytes);
    return await raw.answer();
  } finally {
    raw.destroy();
  }
}

export const bearer = (token) => ({ Authorization: `Bearer ${token}` });

/** 101, or the status and reason of the refusal, of one upgrade request. */
export async function upgrade_status(server, path, fields) {
  const raw = await Raw.connect(server);
  try {
    raw.write(upgrade(server, path, fields));
    const { status } = await raw.head();
    if (status === 101) return 101;
    await raw.end();
    return `${status} ${JSON.parse(raw.bytes.toString()).reason}`;
  } finally {
    raw.destroy();
  }
}
