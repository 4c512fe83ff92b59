// The servers under test: how each is started, and what it can do.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const serverCore = 0;
export const clientCore = 1;
const startMilliseconds = 10_000;

// The native binary that the npm package bun would have its install script link. The platform
// packages differ in what they ask of the processor: the first that runs is taken.
function findBun(bench) {
  const folder = join(bench, "node_modules", "@oven");
  if (!existsSync(folder)) return null;
  for (const name of readdirSync(folder).sort()) {
    const binary = join(folder, name, "bin", "bun");
    try {
      execFileSync(binary, ["--version"], { stdio: ["ignore", "pipe", "ignore"] });
      return binary;
    } catch {
      // For another machine, or with instructions that this one lacks.
    }
  }
  return null;
}

// `command` gives argv for a plain or, with `tls`, an encrypted server; null where there is none.
export function describeServers({ bench, build, mint }) {
  const peers = join(bench, "peers");
  const bun = findBun(bench);
  const files = (tls) => (tls ? [tls.certificate, tls.key] : []);
  const native = (name) => {
    const program = join(build, "bench", name);
    return existsSync(program) ? program : null;
  };
  const beast = native("bench_beast_echo");
  const asio = native("bench_asio_floor");
  const epoll = native("bench_epoll_floor");
  const ws = existsSync(join(bench, "node_modules", "ws"));
  const sallyport = mint && join(build, "sallyport");
  return [
    { name: "sallyport", label: "Sallyport, authenticated", path: "/echo", authenticated: true,
      missing: !sallyport && `${join(build, "sallyport")} is not there`,
      command: (tls) => [sallyport, "serve", "--config", mint.writeConfiguration(tls)] },
    { name: "bun", label: "Bun (uWebSockets)", collects: true,
      missing: !bun && "no @oven/bun-* package in bench/node_modules runs here",
      command: (tls) => [bun, join(peers, "bun_echo.js"), "0", ...files(tls)] },
    { name: "beast", label: "Boost.Beast", missing: !beast && "bench_beast_echo is not built",
      command: (tls) => [beast, "0", ...files(tls)] },
    { name: "ws", label: "Node ws", collects: true,
      missing: !ws && "the package ws is not in bench/node_modules",
      command: (tls) => [process.execPath, "--expose-gc", join(peers, "node_ws_echo.mjs"), "0",
        ...files(tls)] },
    { name: "asio", label: "Asio readiness floor", missing: !asio && "bench_asio_floor is not built",
      command: (tls) => (tls ? null : [asio, "0"]) },
    { name: "epoll", label: "bare epoll floor", missing: !epoll && "bench_epoll_floor is not built",
      command: (tls) => (tls ? null : [epoll, "0"]) },
  ];
}

const children = new Set();

// However the runner ends, nothing that it started outlives it.
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));

// Runs `argv` on one core, with as many open files as the system allows. The shell execs, so that
// the child's pid is the program's own.
export function spawnOn(core, argv, stdio) {
  const script = 'ulimit -n "$(ulimit -Hn)" && exec taskset -c "$0" "$@"';
  const child = spawn("/bin/sh", ["-c", script, String(core), ...argv], { stdio });
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

export class RunningServer {
  static async start(description, tls) {
    const argv = description.command(tls);
    const child = spawnOn(serverCore, argv, ["ignore", "pipe", "pipe"]);
    const server = new RunningServer(description, child, Boolean(tls));
    try {
      server.port = await server.#listening();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  #child;
  #exited;
  #errors = "";

  constructor(description, child, tls) {
    Object.assign(this, { ...description, pid: child.pid, tls });
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once("exit", resolve));
    child.stderr.on("data", (data) => {
      this.#errors = (this.#errors + data).slice(-2000);
    });
  }

  #listening() {
    return new Promise((resolve, reject) => {
      let output = "";
      const fail = (why) => reject(new Error(`${this.name} ${why} ${this.#errors}`.trim()));
      const timer = setTimeout(() => fail("did not start in time."), startMilliseconds);
      this.#exited.then((status) => fail(`ended with status ${status}.`));
      this.#child.once("error", (error) => fail(error.message));
      this.#child.stdout.on("data", (data) => {
        output += data;
        const line = /^listening (?:on \S+:)?(\d+)\s*$/m.exec(output);
        if (!line) return;
        clearTimeout(timer);
        resolve(Number(line[1]));
      });
    });
  }

  // Lets a garbage collector run, and everything settle.
  async settle(milliseconds) {
    if (this.collects) process.kill(this.pid, "SIGUSR2");
    await sleep(milliseconds);
  }

  residentBytes() {
    const rollup = readFileSync(`/proc/${this.pid}/smaps_rollup`, "utf8");
    return Number(/^Rss:\s+(\d+) kB/m.exec(rollup)[1]) * 1024;
  }

  async stop() {
    this.#child.kill("SIGTERM");
    const killer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await this.#exited;
    clearTimeout(killer);
  }
}
