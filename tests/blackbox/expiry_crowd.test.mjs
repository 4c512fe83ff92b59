// Logins that end at the same moment, as those of one morning or of one deployment do: each is closed in time and
// with its reason, and whoever is still welcome does not notice.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FOLDER, SANITIZED } from './lib/binary.mjs';
import { Client } from './lib/client.mjs';
import { echo, serve } from './lib/server.mjs';
import { Issuer, now } from './lib/tokens.mjs';
import { SLOW, every, in_parallel, sleep, within } from './lib/wait.mjs';

// SALLYPORT_FULL=1 is the size that the product promises.
const CROWD = process.env.SALLYPORT_FULL === '1' ? 10_000 : Number(process.env.SALLYPORT_CROWD ?? 2000);
const LEEWAY = 1;
const BYSTANDERS = 4;  // more than there are workers, so that hardly ever one has none
const INTERVAL = 10;
const BEFORE = 2000;
// Generous: a machine that does something else meanwhile must not fail this. The figures are printed.
const PACE = SLOW * (SANITIZED ? 10 : 1);
const LATENCY_LIMIT = 1000 * PACE;
const LATE_LIMIT = (2000 + CROWD / 2) * PACE;

// Node and the server take what the hard limit allows.
const descriptors = Number(readFileSync('/proc/self/limits', 'utf8').match(/^Max open files +\S+ +(\d+)/m)?.[1]);
const skip = descriptors < CROWD + 200 && `${descriptors} descriptors are too few for ${CROWD} sockets: raise ulimit -Hn`;

/** A crowd in a process of its own, opened; `ended` resolves with its endings. */
async function crowd(t, server, tokens, ms) {
  const child = fork(join(FOLDER, 'clients', 'sleepers.mjs'));
  t.after(() => child.kill('SIGKILL'));
  const left = new Promise((_, reject) => child.once('exit', (code) => reject(new Error(`the crowd's process left with ${code}`))));
  left.catch(() => {});
  const told = (member) => Promise.race([left, new Promise((resolve) => {
    child.on('message', (message) => { if (member in message) resolve(message); });
  })]);
  const ended = told('endings');
  ended.catch(() => {});
  const opened = told('opened');
  child.send({ port: server.port, path: '/echo', tokens, width: 32 });
  assert.deepEqual(await within(opened, ms, 'a crowd that has opened'), { opened: tokens.length, refused: {} });
  return { ended: ended.then(({ endings }) => endings) };
}

/** Echoes every `INTERVAL` ms, whether or not the last one is back: `{ at, took }` of each, `took` null while away. */
function echoing(client) {
  const probes = [];
  let back = 0;
  client.socket.on('message', () => {
    client.messages.length = 0;
    const probe = probes[back++];
    probe.took = performance.now() - probe.sent;
  });
  const timer = every(INTERVAL, () => {
    probes.push({ at: Date.now(), sent: performance.now(), took: null });
    client.send(String(probes.length));
  });
  return { probes, stop: () => clearInterval(timer) };
}

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
function summary(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const [p50, p99, max] = [quantile(sorted, 0.5), quantile(sorted, 0.99), sorted.at(-1)];
  return { max, text: `p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)}, max ${max.toFixed(2)} ms of ${sorted.length}` };
}

test(`${CROWD} sockets whose logins end together are closed in time, and no one else notices`, { timeout: 280_000 * SLOW, skip }, async (t) => {
  const issuer = await Issuer.make({ leeway: `${LEEWAY}s` });
  const server = await serve(t, {
    issuer, log: { level: 'info' },
    limits: { pending: 100_000, pending_per_address: 100_000 },
    routes: [echo('/echo', { ping_interval: '10m', idle_timeout: '30m' })],
  });
  const sign_all = (count, claims) =>
    in_parallel(Array.from({ length: count }), 8, (_, i) => issuer.sign({ sub: `user-${i}`, ...claims }));

  // A few tell how long so many will take to open, so that on any machine all are open when they expire.
  const few = 200;
  const begun = Date.now();
  const scouts = await in_parallel(await sign_all(few), 8, (token) => Client.open(server, '/echo', { token }));
  const opening = Math.min((Date.now() - begun) / few * CROWD * 4, 200_000 * SLOW);  // others may want the cores too
  for (const scout of scouts) scout.terminate();

  const exp = now() + Math.ceil((opening + BEFORE) / 1000) + 3;
  const end = (exp + LEEWAY) * 1000;
  const bystanders = [];
  for (let i = 0; i < BYSTANDERS; ++i) bystanders.push(await Client.open(server, '/echo', { token: await issuer.sign({ ttl: 3600 }) }));
  const { ended } = await crowd(t, server, await sign_all(CROWD, { exp }), end - BEFORE - Date.now());
  await sleep(Math.max(0, end - BEFORE - Date.now()));
  const echoes = bystanders.map(echoing);
  const endings = await within(ended, end - Date.now() + LATE_LIMIT + 20_000, 'the end of everyone in the crowd');
  for (const { stop } of echoes) stop();
  for (const bystander of bystanders) await bystander.leave();  // what it has sent is back by then

  const kinds = {};
  for (const { code, reason } of endings) kinds[`${code} ${reason}`] = (kinds[`${code} ${reason}`] ?? 0) + 1;
  assert.deepEqual(kinds, { '3000 token_expired': CROWD });
  const late = endings.map(({ at }) => at - end).sort((a, b) => a - b);
  const probes = echoes.flatMap((echo) => echo.probes);
  assert.ok(probes.every(({ took }) => took !== null), 'every echo came back');
  const before = summary(probes.filter(({ at }) => at < end - 100).map(({ took }) => took));
  const during = summary(probes.filter(({ at, took }) => at + took >= end && at <= end + late.at(-1)).map(({ took }) => took));
  t.diagnostic(`closed after exp + leeway: first ${late[0]}, half ${quantile(late, 0.5)}, 99 % ${quantile(late, 0.99)}, last ${late.at(-1)} ms`);
  t.diagnostic(`echo before: ${before.text}`);
  t.diagnostic(`echo meanwhile: ${during.text}`);
  assert.ok(late[0] >= -100, `one was closed ${-late[0]} ms too early`);
  assert.ok(late.at(-1) <= LATE_LIMIT, `one was closed ${late.at(-1)} ms late`);
  assert.ok(during.max <= before.max + LATENCY_LIMIT, `an echo took ${during.max.toFixed()} ms`);
});
