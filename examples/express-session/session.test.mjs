// Runs the example as its README says (redis-server, the application, Sallyport) and plays what a person does.
//   node --test session.test.mjs
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporary_folder } from '../../tests/blackbox/lib/binary.mjs';
import { launch, without_browser } from '../../tests/blackbox/lib/browser.mjs';
import { Client, Refused } from '../../tests/blackbox/lib/client.mjs';
import { Server } from '../../tests/blackbox/lib/server.mjs';
import { PATIENCE, eventually, within } from '../../tests/blackbox/lib/wait.mjs';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
if (!existsSync(join(FOLDER, 'node_modules', 'express', 'package.json'))) {
  throw new Error(`${FOLDER}node_modules is missing: run script/bootstrap, or npm ci in that folder`);
}
const RECHECK = 1000;

const children = [];
process.on('exit', () => { for (const child of children) child.kill('SIGKILL'); });

function start(program, args, env) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env }, cwd: FOLDER });
  children.push(child);
  child.output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { child.output += data; });
  child.exited = new Promise((resolve) => { child.on('exit', resolve); });
  return child;
}

// A machine that is busy with other things may need long for this.
async function says(child, what) {
  try {
    return await eventually(() => child.output.match(what), String(what), 60_000);
  } catch (error) {
    throw new Error(`${error.message}; it said: ${child.output}`);
  }
}

async function free_port() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => { server.on('listening', resolve); });
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

let redis;
let app;
let app_url;
let sallyport;

before(async () => {
  const folder = temporary_folder();
  const secret_file = join(folder, 'session.secret');
  writeFileSync(secret_file, `${randomBytes(32).toString('hex')}\n`);
  const redis_port = await free_port();
  redis = start('redis-server', ['--port', redis_port, '--bind', '127.0.0.1', '--save', '', '--dir', folder].map(String));
  await says(redis, /Ready to accept connections/);

  // Sallyport must know the page's origin and the page the socket's address: one of the two ports is chosen here.
  const socket_port = await free_port();
  app = start(process.execPath, ['app.mjs'], {
    PORT: '0', REDIS_URL: `redis://127.0.0.1:${redis_port}`, SESSION_SECRET_FILE: secret_file,
    SOCKET_URL: `ws://localhost:${socket_port}/live`,
  });
  [, app_url] = await says(app, /listening on (http:\/\/localhost:\d+)/);

  const replaced = (text, from, to) => {
    assert.ok(text.includes(from), `sallyport.toml has ${from}`);
    return text.replace(from, to);
  };
  let config = readFileSync(join(FOLDER, 'sallyport.toml'), 'utf8');
  config = replaced(config, '127.0.0.1:8080', `127.0.0.1:${socket_port}`);
  config = replaced(config, '127.0.0.1:6379', `127.0.0.1:${redis_port}`);
  config = replaced(config, 'http://localhost:3000', app_url);
  config = replaced(config, 'recheck = "5s"', `recheck = "${RECHECK}ms"`);
  sallyport = await Server.start(config, { folder });
});

after(async () => {
  await sallyport?.stop();
  for (const child of children) child.kill('SIGTERM');
  await within(Promise.all(children.map((child) => child.exited)), PATIENCE, 'the end of redis-server and the app');
});

// What a browser does with cookies, as far as it matters here.
class Browser {
  cookie;
  async post(path, body = {}) {
    const response = await fetch(app_url + path, {
      method: 'POST', body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json', ...(this.cookie ? { Cookie: this.cookie } : {}) },
    });
    const set = response.headers.getSetCookie().at(0);
    if (set) this.cookie = set.split(';')[0];
    return response.status;
  }
  static async signed_in(user = 'ada', password = 'lovelace') {
    const browser = new Browser();
    assert.equal(await browser.post('/login', { user, password }), 204);
    assert.match(browser.cookie, /^connect\.sid=s%3A/);
    return browser;
  }
  open({ cookie = this.cookie, origin = app_url } = {}) {
    return Client.open(sallyport, '/live', {
      headers: { ...(cookie ? { Cookie: cookie } : {}), ...(origin ? { Origin: origin } : {}) },
    });
  }
}

// An allowed Origin is told in a Close frame what it could not read of an HTTP answer.
async function refusal(opening) {
  try {
    const client = await opening;
    return await client.ending();
  } catch (error) {
    if (error instanceof Refused) return { status: error.status, reason: error.reason };
    throw error;
  }
}

test('a login opens the socket, and signing out closes it within the re-check', async () => {
  const browser = await Browser.signed_in();
  const socket = await browser.open();
  await socket.echo('hello');
  const { cookie } = browser;
  assert.equal(await browser.post('/logout'), 204);
  const signed_out = Date.now();
  assert.deepEqual(await socket.ending(), { code: 3000, reason: 'token_revoked' });
  assert.ok(Date.now() - signed_out < RECHECK + 5000, `after ${Date.now() - signed_out} ms`);
  assert.deepEqual(await refusal(browser.open({ cookie })), { code: 3000, reason: 'invalid_token' });
});

test('who is not signed in is refused', async () => {
  const stranger = new Browser();
  assert.deepEqual(await refusal(stranger.open()), { code: 3000, reason: 'missing_credentials' });
  assert.deepEqual(await refusal(stranger.open({ origin: null })), { status: 401, reason: 'missing_credentials' });
  assert.equal(await stranger.post('/login', { user: 'ada', password: 'guess' }), 401);
  assert.deepEqual(await refusal(stranger.open()), { code: 3000, reason: 'missing_credentials' });
});

test('a cookie that was tampered with is refused', async () => {
  const browser = await Browser.signed_in();
  const eve = await Browser.signed_in('alan', 'turing');
  const [mine, theirs] = [browser, eve].map((one) => decodeURIComponent(one.cookie).match(/s:(.*)\.(.*)$/));
  const forged = `connect.sid=${encodeURIComponent(`s:${mine[1]}.${theirs[2]}`)}`;
  assert.deepEqual(await refusal(eve.open({ cookie: forged })), { code: 3000, reason: 'invalid_token' });
  const unsigned = `connect.sid=${mine[1]}`;
  assert.deepEqual(await refusal(eve.open({ cookie: unsigned })), { code: 3000, reason: 'invalid_token' });
});

test('another page cannot use the cookie', async () => {
  const browser = await Browser.signed_in();
  for (const origin of ['https://evil.example', 'http://localhost:1', `${app_url}.evil.example`, 'null', null]) {
    assert.deepEqual(await refusal(browser.open({ origin })), { status: 403, reason: 'origin_not_allowed' }, String(origin));
  }
});

test('no log has the session in it', async () => {
  const browser = await Browser.signed_in();
  const socket = await browser.open();
  await socket.echo('hello');
  socket.terminate();
  const [, id, signature] = decodeURIComponent(browser.cookie).match(/s:(.*)\.(.*)$/);
  await sallyport.event('ws.close');
  for (const part of [id, signature, encodeURIComponent(signature)]) assert.ok(!sallyport.stderr.includes(part));
});

test('in a browser: refused, signed in, echoed, signed out', { skip: without_browser, timeout: 90_000 }, async () => {
  const browser = await launch();
  try {
    const page = await browser.newPage();
    const log = (text) => page.waitForFunction(
      (wanted) => document.getElementById('log').textContent.includes(wanted), text, { timeout: PATIENCE });
    await page.goto(app_url);
    await log('closed 3000 missing_credentials');
    await page.fill('[name=user]', 'ada');
    await page.fill('[name=password]', 'lovelace');
    await page.click('#login button');
    await page.waitForSelector('#in', { timeout: PATIENCE });
    // The first "open" is of the socket that was refused in a Close frame.
    await eventually(async () => (await page.textContent('#log')).match(/open/g)?.length === 2, 'the second open');
    await page.click('#send');
    await log('received hello');
    await page.click('#logout');
    await log('signed out');
    await log('closed 3000 token_revoked');
  } finally {
    await browser.close();
  }
});
