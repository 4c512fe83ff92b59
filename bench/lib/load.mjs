// bench_load as a function: one run, its JSON back.
import { join } from "node:path";
import { createInterface } from "node:readline";

import { clientCore, spawnOn } from "./servers.mjs";

export class Load {
  #program;

  constructor(build) {
    this.#program = join(build, "bench", "bench_load");
  }

  async echo(server, { payload, count, warmup, connections = 64, tokens }) {
    return this.#perItem(server, "echo", { payload, count, warmup, connections, tokens });
  }

  async upgrade(server, { count, warmup, connections = 32, tokens }) {
    return this.#perItem(server, "upgrade", { count, warmup, connections, tokens });
  }

  // Opens `connections`, each used once, and calls `measure` while they are silent.
  async idle(server, { connections, tokens }, measure) {
    const run = this.#start(server, "idle", { connections, tokens }, ["--touch"]);
    try {
      await run.line();
      return await measure();
    } finally {
      run.child.stdin.end();
      await run.done;
    }
  }

  async #perItem(server, mode, options) {
    const run = this.#start(server, mode, options, []);
    const result = JSON.parse(await run.line());
    await run.done;
    const microseconds = (nanoseconds) => nanoseconds / result.count / 1000;
    return {
      server: microseconds(result.server_cpu_ns),
      client: microseconds(result.client_cpu_ns),
      wall: microseconds(result.wall_ns),
    };
  }

  #start(server, mode, options, flags) {
    const argv = [this.#program, mode, "--port", String(server.port), "--server-pid",
      String(server.pid), "--path", server.path ?? "/", ...flags];
    if (server.tls) argv.push("--tls");
    for (const [name, value] of Object.entries(options)) {
      if (value !== undefined && value !== null) argv.push(`--${name}`, String(value));
    }
    const child = spawnOn(clientCore, argv, ["pipe", "pipe", "pipe"]);
    let errors = "";
    child.stderr.on("data", (data) => {
      errors += data;
    });
    child.stdin.on("error", () => {});
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const done = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status) => {
        if (status === 0) return resolve();
        reject(new Error(errors.trim() || `bench_load ended with status ${status}`));
      });
    });
    done.catch(() => {});  // reported by whoever awaits it, and by line()
    const line = async () => {
      const next = await lines.next();
      if (next.done) await done;
      return next.value;
    };
    return { child, done, line };
  }
}
