// Runs the benchmarks; see README.md. node run.mjs [--quick] [--only NAME,NAME] [--build FOLDER]
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { Load } from "./lib/load.mjs";
import { table, targets } from "./lib/report.mjs";
import { scenarios } from "./lib/scenarios.mjs";
import { describeServers } from "./lib/servers.mjs";
import { TokenMint } from "./lib/tokens.mjs";

const bench = dirname(fileURLToPath(import.meta.url));
const { values: flags } = parseArgs({ options: {
  quick: { type: "boolean", default: false },
  only: { type: "string" },
  build: { type: "string", default: join(bench, "..", "build", "release") },
} });
const build = resolve(flags.build);
const size = flags.quick
  ? { rounds: 5, messages: 20_000, upgrades: 1_000, idle: 2_000 }
  : { rounds: 11, messages: 60_000, upgrades: 3_000, idle: 10_000 };
// Only a whole run may replace the results that the tree keeps.
const outputFolder = flags.quick || flags.only ? build : bench;
// Others' work shares the caches and moves the wake-ups, even where it does not take server time.
const loadMax = 0.5;

function choose() {
  if (!flags.only) return scenarios.filter((scenario) => !scenario.onRequest);
  const names = flags.only.split(",");
  const unknown = names.filter((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown.length > 0) {
    console.error(`unknown scenario: ${unknown.join(", ")}; there are: ` +
      scenarios.map((scenario) => scenario.name).join(", "));
    process.exit(2);
  }
  return scenarios.filter((scenario) => names.includes(scenario.name));
}

// One certificate for all servers: a P-256 key, as most of the web has.
function makeCertificate(folder) {
  const tls = { certificate: join(folder, "server.crt"), key: join(folder, "server.key") };
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
    "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
    "-keyout", tls.key, "-out", tls.certificate], { stdio: "ignore" });
  return tls;
}

function makeMint(folder) {
  const command = join(build, "sallyport");
  return existsSync(command) ? new TokenMint(command, folder) : null;
}

function environment() {
  const version = (name) =>
    JSON.parse(readFileSync(join(bench, "package-lock.json"), "utf8"))
      .packages[`node_modules/${name}`].version;
  return { processor: cpus()[0].model, cores: cpus().length, kernel: release(),
    node: process.versions.node, bun: version("bun"), ws: version("ws"),
    openssl: execFileSync("openssl", ["version"], { encoding: "utf8" }).trim(), quick: flags.quick,
    ...size };
}

function markdown(machine, results, judged) {
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`).join(", ");
  return ["# Results", "", `Written by script/bench. ${facts}.`, "",
    ...results.flatMap((result) => [table(result), ""]),
    "### Targets", "", ...judged.map((target) => `- ${target.text}`), ""].join("\n");
}

async function main() {
  const chosen = choose();
  const folder = mkdtempSync(join(tmpdir(), "sallyport-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true }));
  const report = (line) => console.log(line);
  const mint = makeMint(folder);
  const described = describeServers({ bench, build, mint });
  for (const server of described.filter(({ missing }) => missing)) {
    report(`${server.name}: skipped: ${server.missing}`);
  }
  const [load] = loadavg();
  if (load > loadMax) report(`the machine is busy (load ${load.toFixed(2)}): rough figures`);
  const context = { load: new Load(build), mint, size, tls: makeCertificate(folder), report,
    servers: described.filter(({ missing }) => !missing) };
  const results = [];
  for (const scenario of chosen) {
    const rows = await scenario.run(context, scenario);
    results.push({ name: scenario.name, title: scenario.title, rows });
    report(`\n${table(results.at(-1))}`);
  }
  const machine = { ...environment(), load };
  const judged = targets(results);
  writeFileSync(join(outputFolder, "results.json"),
    JSON.stringify({ machine, results, targets: judged }, null, 1) + "\n");
  writeFileSync(join(outputFolder, "results.md"), markdown(machine, results, judged));
  report("");
  for (const target of judged) report(target.text);
}

await main();
