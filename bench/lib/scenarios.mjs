// What is measured. Every scenario starts its servers once, then visits them in turn, round after
// round: the machine's speed drifts by a third within a minute, so only figures of one round may be
// compared, and only the median over the rounds is believed.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { RunningServer, serverCore } from "./servers.mjs";

export const scenarios = [
  { name: "echo-20", title: "CPU µs per echoed 20 B message", run: echo, payload: 20 },
  { name: "echo-1024", title: "CPU µs per echoed 1 KiB message", run: echo, payload: 1024 },
  { name: "upgrade", title: "CPU µs per upgrade", run: upgrade },
  { name: "idle", title: "User memory per idle connection, bytes", run: idle, tls: false },
  { name: "idle-tls", title: "User memory per idle connection with TLS, bytes", run: idle,
    tls: true },
  { name: "echo-20-tls", title: "CPU µs per echoed 20 B message with TLS", run: echo, payload: 20,
    tls: true, onRequest: true },
];

// A row is {name, label, samples: [{server, client?, wall?} | null for a failed round], error}.
function newRow({ name, label }) {
  return { name, label, samples: [], error: null };
}

async function startAll(context, tls) {
  const running = [];
  for (const description of context.servers) {
    if (tls && !description.command(context.tls)) continue;
    try {
      running.push(await RunningServer.start(description, tls ? context.tls : null));
    } catch (error) {
      context.report(`${description.name}: skipped: ${error.message}`);
    }
  }
  return running;
}

// Visits the contenders in turn, forward and backward alternately, so that a steady drift within a
// round favours nobody. One that fails is left out from then on, and says why.
async function inRounds(context, contenders) {
  for (let round = 0; round < context.size.rounds; ++round) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      if (contender.row.error) continue;
      try {
        contender.row.samples.push(await contender.measure(round));
      } catch (error) {
        contender.row.error = error.message;
        context.report(`${contender.row.name}: failed: ${error.message}`);
      }
    }
  }
  return contenders.map((contender) => contender.row);
}

async function withServers(context, tls, work) {
  const running = await startAll(context, tls);
  try {
    return await work(running);
  } finally {
    for (const server of running) await server.stop();
  }
}

function echo(context, scenario) {
  const { load, mint, size } = context;
  return withServers(context, scenario.tls, (running) => {
    const tokens = mint?.many("echo", 64);
    return inRounds(context, running.map((server) => ({
      row: newRow(server),
      measure: (round) => load.echo(server, {
        payload: scenario.payload,
        count: size.messages,
        // The first round also warms up the compilers of the JavaScript peers.
        warmup: round === 0 ? size.messages : size.messages / 20,
        tokens: server.authenticated ? tokens : null,
      }),
    })));
  });
}

function upgrade(context) {
  const { load, mint, size } = context;
  const warmup = (round) => (round === 0 ? size.upgrades : size.upgrades / 10);
  return withServers(context, false, (running) => {
    const contenders = running.map((server) => ({
      row: newRow(server),
      measure: (round) => load.upgrade(server, {
        count: size.upgrades,
        warmup: warmup(round),
        tokens: server.authenticated ? mint.one() : null,
      }),
    }));
    const authenticated = running.find((server) => server.authenticated);
    if (authenticated) {
      const row = newRow({ name: "sallyport-new", label: "Sallyport, new ES256 token each" });
      contenders.push({
        row,
        measure: (round) => load.upgrade(authenticated, {
          count: size.upgrades,
          warmup: warmup(round),
          tokens: mint.many("new", size.upgrades + warmup(round)),
        }),
      });
    }
    contenders.push({
      row: newRow({ name: "verify", label: "OpenSSL's ES256 verify alone" }),
      measure: verify,
    });
    return inRounds(context, contenders);
  });
}

async function verify() {
  const { stdout } = await promisify(execFile)("taskset",
    ["-c", String(serverCore), "openssl", "speed", "-mr", "-seconds", "1", "ecdsap256"]);
  // "+F4:index:bits:signatures a second:verifications a second"
  const perSecond = Number(/^\+F4:\d+:256:[\d.]+:([\d.]+)/m.exec(stdout)[1]);
  return { server: 1e6 / perSecond };
}

// Memory does not drift, so one round of a fresh server for each is enough.
async function idle(context, { tls }) {
  const { load, mint, size } = context;
  const connections = size.idle;
  const tokens = mint?.many("idle", connections);
  const rows = [];
  for (const description of context.servers) {
    if (tls && !description.command(context.tls)) continue;
    const row = newRow(description);
    rows.push(row);
    try {
      const server = await RunningServer.start(description, tls ? context.tls : null);
      try {
        row.samples.push(await idleMemory(server, load, connections,
          server.authenticated ? tokens : null));
      } finally {
        await server.stop();
      }
    } catch (error) {
      row.error = error.message;
      context.report(`${row.name}: failed: ${error.message}`);
    }
  }
  return rows;
}

async function idleMemory(server, load, connections, tokens) {
  // What the first connections touch, code and tables, belongs to the empty server.
  await load.echo(server, { payload: 20, count: 6400, warmup: 0, tokens });
  await server.settle(1000);
  const empty = server.residentBytes();
  return load.idle(server, { connections, tokens }, async () => {
    await server.settle(2000);
    return { server: (server.residentBytes() - empty) / connections };
  });
}
