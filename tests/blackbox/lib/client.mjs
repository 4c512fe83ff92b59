// The ws package as the client that most servers meet.
import './binary.mjs';  // says what to do if the packages are missing
import { PATIENCE, within } from './wait.mjs';

const { default: WebSocket } = await import('ws');

/** A refused handshake, as a client sees it. */
export class Refused extends Error {
  constructor(status, headers, body) {
    super(`refused with ${status}: ${body}`);
    Object.assign(this, { status, headers, body });
  }
  get reason() { return JSON.parse(this.body).reason; }
}

export class Client {
  /**
   * Opens a WebSocket; rejects with `Refused` on any status but 101. Messages are kept from the first on.
   * Options: `token` (header), `protocols`, `origin`, `headers`, and what ws itself takes.
   */
  static async open(server, path, { token, protocols = [], headers = {}, ...more } = {}) {
    const client = new Client();
    if (token !== undefined) headers = { ...headers, Authorization: `Bearer ${token}` };
    const url = path.includes('://') ? path : `${server.url}${path}`;
    const socket = new WebSocket(url, protocols, { headers, perMessageDeflate: false, ...more });
    client.socket = socket;
    client.messages = [];
    client.waiters = new Set();
    const wake = () => { for (const waiter of [...client.waiters]) waiter(); };
    socket.on('message', (data, binary) => {
      client.messages.push({ at: Date.now(), data: binary ? data : data.toString() });
      wake();
    });
    socket.on('error', () => {});
    client.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        client.close = { code, reason: reason.toString(), at: Date.now() };
        wake();
        resolve(client.close);
      });
    });
    await within(new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
      socket.once('unexpected-response', (request, response) => {
        let body = '';
        response.on('data', (data) => { body += data; });
        response.on('end', () => reject(new Refused(response.statusCode, response.headers, body)));
      });
    }), PATIENCE, `an answer to the handshake of ${path}`);
    return client;
  }

  get protocol() { return this.socket.protocol; }
  send(data) {
    const plain = typeof data === 'string' || Buffer.isBuffer(data);
    this.socket.send(plain ? data : JSON.stringify(data));
  }

  /** The next message, taken from the queue: text, or JSON of it with `next_json`. */
  async next(ms = PATIENCE) {
    return (await within(new Promise((resolve, reject) => {
      const look = () => {
        if (this.messages.length > 0) {
          this.waiters.delete(look);
          resolve(this.messages.shift());
        } else if (this.close) {
          this.waiters.delete(look);
          reject(new Error(`closed (${this.close.code} ${this.close.reason}) before the next message`));
        }
      };
      this.waiters.add(look);
      look();
    }), ms, 'a message')).data;
  }
  async next_json(ms) { return JSON.parse(await this.next(ms)); }

  /** The next JSON message of that type; others before it are dropped. */
  async of_type(type, ms) {
    for (;;) {
      const message = await this.next_json(ms);
      if (message.type === type) return message;
    }
  }

  /** Sends a text and waits for its echo. */
  async echo(data) {
    this.send(data);
    const back = await this.next();
    if (back !== data) throw new Error(`sent ${data}, heard ${back}`);
  }

  /** Code, reason and time of the end, which must come within `ms`. */
  end(ms = PATIENCE) { return within(this.closed, ms, 'the end of the connection'); }

  /** Code and reason alone. */
  async ending(ms = PATIENCE) {
    const { code, reason } = await this.end(ms);
    return { code, reason };
  }

  /** Ends it from this side. */
  async leave() {
    this.socket.close(1000);
    return this.ending();
  }
  terminate() { this.socket.terminate(); }
}

/** `{ client }` or `{ refused }`: for tables in which both occur. */
export async function attempt(server, path, options) {
  try {
    return { client: await Client.open(server, path, options) };
  } catch (error) {
    if (error instanceof Refused) return { refused: error };
    throw error;
  }
}

/** One word for the outcome of a handshake: 101, or the status; the client is ended. */
export async function outcome(server, path, options) {
  const { client, refused } = await attempt(server, path, options);
  if (refused) return refused.status;
  client.terminate();
  return 101;
}
