// Very many sockets at once; see README.md. node crowd.mjs [--build FOLDER] [--connections N] [--same K] [--workers W]
//   [--only revoke,storm,deadlines] [--perf]
// It never fails because a figure is bad.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const { values: flags } = parseArgs({ options: {
  build: { type: 'string', default: join(here, '..', 'build', 'release') },
  connections: { type: 'string' },
  same: { type: 'string', default: '1000' },
  workers: { type: 'string', default: '1' },
  only: { type: 'string', default: 'revoke,deadlines,storm' },
  perf: { type: 'boolean', default: false },
} });
const build = resolve(flags.build);

// As many as descriptors allow, up to a hundred thousand.
const descriptors = Number(execFileSync('bash', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }));
const connections = Number(flags.connections ?? Math.min(100_000, (Number.isNaN(descriptors) ? 100_000 : descriptors) - 500));

async function serve(route, limits = '') {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-crowd-'));
  writeFileSync(join(folder, 'secret'), randomBytes(32).toString('hex'));
  writeFileSync(join(folder, 'admin.token'), randomBytes(32).toString('hex'));
  writeFileSync(join(folder, 's.toml'), `
[server]
listen = ["127.0.0.1:0"]
workers = ${flags.workers}
drain = "0s"
[server.limits]
pending = 1000000
pending_per_address = 1000000
${limits}
[admin]
listen = "127.0.0.1:0"
token_file = "admin.token"
[log]
level = "error"
[verifier.main]
type = "jwt"
issuer = "https://id.example.test/"
audience = ["chat"]
algorithms = ["HS256"]
secret_file = "secret"
leeway = "0s"
[[route]]
path = "/echo"
handler = "echo"
verifiers = ["main"]
credentials = ["header"]
connections_per_subject = 0
${route}
`);
  const child = spawn('taskset', ['-c', '0', join(build, 'sallyport'), 'serve', '--config', join(folder, 's.toml')],
                      { stdio: ['ignore', 'pipe', 'ignore'] });
  let out = '';
  child.stdout.on('data', (data) => { out += data; });
  while ([...out.matchAll(/listening on/g)].length < 2) {
    if (child.exitCode !== null) throw new Error('the server ended');
    await new Promise((done) => setTimeout(done, 20));
  }
  const port = out.match(/ws:\/\/127\.0\.0\.1:(\d+)/)[1];
  const admin = out.match(/http:\/\/127\.0\.0\.1:(\d+)/)[1];
  return { folder, child, args: ['--port', port, '--admin-port', admin, '--admin-token-file', join(folder, 'admin.token'),
                                 '--secret-file', join(folder, 'secret'), '--server-pid', String(child.pid)] };
}

async function run(mode, args, route, limits) {
  const server = await serve(route, limits);
  const perf = flags.perf && mode === 'deadlines'
    ? spawn('perf', ['record', '-q', '-g', '-o', join(build, 'crowd.perf'), '-p', String(server.child.pid)], { stdio: 'inherit' }) : null;
  spawnSync('taskset', ['-c', '1', join(build, 'bench', 'bench_crowd'), mode, ...server.args, ...args], { stdio: 'inherit' });
  perf?.kill('SIGINT');
  server.child.kill('SIGTERM');
  await new Promise((done) => server.child.on('exit', done));
  rmSync(server.folder, { recursive: true });
}

const chosen = flags.only.split(',');
const many = ['--connections', String(connections)];
console.log(`${connections} sockets, ${flags.workers} worker(s) on core 0, the crowd on core 1`);
if (chosen.includes('revoke')) await run('revoke', [...many, '--same', flags.same], 'ping_interval = "1h"\nidle_timeout = "2h"');
if (chosen.includes('deadlines')) await run('deadlines', [...many, '--from-s', '40', '--to-s', '70'], '');
if (chosen.includes('storm')) {
  const storm = ['--connections', String(Math.min(20_000, connections)), '--jitter-ms', '5000'];
  await run('storm', storm, '');
  await run('storm', [...storm, '--new-tokens'], '');
}
