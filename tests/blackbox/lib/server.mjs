// Starts the binary with a configuration of the test's own, and stops it again.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BINARY, SANITIZED, temporary_folder } from './binary.mjs';
import { toml } from './toml.mjs';
import { PATIENCE, eventually, within } from './wait.mjs';

const running = new Set();
process.on('exit', () => { for (const child of running) child.kill('SIGKILL'); });

export const echo = (path, more = {}) =>
  ({ path, handler: 'echo', verifiers: ['main'], credentials: ['header'], connections_per_subject: 0, ...more });
export const hub = (path, permit, more = {}) =>
  ({ path, handler: 'hub', verifiers: ['main'], credentials: ['header'], connections_per_subject: 0, ...more, permit });

/**
 * A configuration: two workers, one verifier "main" of `issuer`, and so many refusals allowed that only the
 * tests of that limit meet it.
 */
export function configuration({ issuer, verifiers = {}, routes, server = {}, limits = {}, tls, log = {}, admin, store }) {
  const verifier = { ...verifiers };
  if (issuer) verifier.main = issuer.verifier();
  return {
    server: {
      listen: ['127.0.0.1:0'], workers: 2, drain: '100ms', ...server,
      limits: { failures_per_address: '1000000/1m', ...limits },
      ...(tls ? { tls } : {}),
    },
    ...(admin ? { admin } : {}),
    ...(store ? { store } : {}),
    log: { level: 'debug', format: 'json', ...log },
    verifier,
    route: routes,
  };
}

export class Server {
  /** `config` is the argument of `configuration`, or text; the promise ends when all listeners accept. */
  static async start(config, options = {}) {
    const listeners = (config.server?.listen?.length ?? 1) + (config.admin ? 1 : 0);
    const server = new Server(typeof config === 'string' ? config : toml(configuration(config)), options);
    await server.#listening(listeners);
    return server;
  }

  constructor(text, { folder = temporary_folder(), args } = {}) {
    this.folder = folder;
    this.file = join(this.folder, 'sallyport.toml');
    writeFileSync(this.file, text);
    this.stdout = '';
    this.stderr = '';
    this.child = spawn(BINARY, args ?? ['serve', '--config', this.file],
                       { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.child);
    this.child.stdout.on('data', (data) => { this.stdout += data; });
    this.child.stderr.on('data', (data) => { this.stderr += data; });
    this.exited = new Promise((resolve) => {
      this.child.on('close', (code, signal) => {
        running.delete(this.child);
        resolve(this.exit = { code, signal });
      });
    });
  }

  async #listening(count) {
    const seen = () => [...this.stdout.matchAll(/^listening on (\S+)$/gm)].map((match) => match[1]);
    await eventually(() => this.exit || seen().length >= count, 'listening');
    if (this.exit) throw new Error(`the server ended (${JSON.stringify(this.exit)}): ${this.stderr}`);
    this.urls = seen();
    this.url = this.urls.find((url) => url.startsWith('ws'));
    this.admin_url = this.urls.find((url) => url.startsWith('http'));
    this.port = Number(new URL(this.url).port);
    this.secure = this.url.startsWith('wss:');
    this.origin = `${this.secure ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  get pid() { return this.child.pid; }

  /** The complete log lines so far, parsed. */
  get log() {
    return this.stderr.split('\n').slice(0, -1).filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  }
  events(name) { return this.log.filter((entry) => entry.event === name); }
  async event(name, match = () => true) {
    return eventually(() => this.events(name).find(match), `a log line ${name}`);
  }

  /** Resident memory in bytes, or 0 where a sanitizer's own would be all that is seen. */
  memory() {
    if (SANITIZED) return 0;
    const line = readFileSync(`/proc/${this.pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+) kB$/m);
    return Number(line[1]) * 1024;
  }

  get alive() { return this.exit === undefined; }

  /** Tells it something, and remembers that it has been told to stop. */
  signal(name) {
    if (name !== 'SIGHUP') this.stopping = true;
    this.child.kill(name);
  }

  /** Ends it as an operator does, unless it is ending already; it must leave with status 0. */
  async stop(signal = 'SIGTERM', ms = PATIENCE) {
    if (this.alive && !this.stopping) this.signal(signal);
    await within(this.exited, ms, `the end after ${signal}`).catch((error) => {
      this.child.kill('SIGKILL');
      throw error;
    });
    assert.deepEqual(this.exit, { code: 0, signal: null }, `stopped by ${signal}:\n${this.stderr}`);
  }

  /** Ends it however it can, for tests that have failed already or that broke it on purpose. */
  async end() {
    if (this.alive) this.child.kill('SIGKILL');
    await this.exited;
  }
}

/** A server for one test: stopped, with its exit status checked, when the test has ended. */
export async function serve(t, config, options) {
  const server = await Server.start(config, options);
  t.after(() => server.stop());
  return server;
}
