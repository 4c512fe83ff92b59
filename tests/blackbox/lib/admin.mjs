// The admin API, as a script of an operator's would use it.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporary_folder } from './binary.mjs';

export class Admin {
  constructor() {
    this.token = randomBytes(24).toString('hex');
    this.file = join(temporary_folder(), 'admin.token');
    writeFileSync(this.file, `${this.token}\n`);
  }
  /** Its section of the configuration. */
  get section() { return { listen: '127.0.0.1:0', token_file: this.file }; }

  async request(server, method, path, body, headers = {}) {
    const response = await fetch(`${server.admin_url}${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.token}`, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : undefined;
    return { status: response.status, headers: response.headers, text, json };
  }
  async #json(server, method, path, body) {
    const { status, json, text } = await this.request(server, method, path, body);
    if (status !== 200) throw new Error(`${method} ${path}: ${status} ${text}`);
    return json;
  }
  revoke(server, selector) { return this.#json(server, 'POST', '/v1/revocations', selector); }
  revocations(server) { return this.#json(server, 'GET', '/v1/revocations'); }
  lift(server, id) { return this.request(server, 'DELETE', `/v1/revocations/${id}`); }
  close(server, id) { return this.#json(server, 'DELETE', `/v1/connections/${id}`); }
  channels(server) { return this.#json(server, 'GET', '/v1/channels'); }
  publish(server, channel, data) { return this.#json(server, 'POST', '/v1/publish', { channel, data }); }
  async connections(server, query = {}) {
    const all = [];
    let cursor = '';
    do {
      const page = await this.#json(server, 'GET', `/v1/connections?${new URLSearchParams({ ...query, ...(cursor ? { cursor } : {}) })}`);
      all.push(...page.connections);
      cursor = page.cursor;
    } while (cursor);
    return all;
  }
  /** A metric's value: the sum over all label sets that contain `labels`. */
  async metric(server, name, labels = '') {
    const { text } = await this.request(server, 'GET', '/metrics');
    return text.split('\n').filter((line) => line.startsWith(name) && /[{ ]/.test(line[name.length]) && line.includes(labels))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }
}
