// A log whose reader stands still: the service must not.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BINARY, temporary_folder } from './lib/binary.mjs';
import { configuration, echo } from './lib/server.mjs';
import { toml } from './lib/toml.mjs';
import { Issuer } from './lib/tokens.mjs';
import { eventually, in_parallel, within } from './lib/wait.mjs';

test('whoever does not read the log does not stop the service', { timeout: 90_000 }, async (t) => {
  const issuer = await Issuer.make();
  const file = join(temporary_folder(), 'sallyport.toml');
  writeFileSync(file, toml(configuration({ issuer, routes: [echo('/')] })));
  // A pipe in the kernel that nobody reads: a shell holds its other end and sleeps.
  const child = spawn('/bin/bash', ['-c', `exec 3>&1; "$0" serve --config "$1" 2>&1 >&3 | { read -r line; sleep 1000 & wait; cat; }`, BINARY, file],
                      { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  t.after(() => { try { process.kill(-child.pid, 'SIGKILL'); } catch { /* it has gone */ } });
  let out = '';
  child.stdout.on('data', (data) => { out += data; });
  const url = await eventually(() => out.match(/^listening on ws:\/\/(\S+)$/m)?.[1], 'listening');
  // Each of these is a line in the log; a pipe holds a few hundred.
  const statuses = await within(in_parallel(Array(3000).fill(), 8, async (_, i) => (await fetch(`http://${url}/nowhere${i}`)).status),
                                60_000, 'three thousand answers');
  assert.deepEqual([...new Set(statuses)], [404]);
  assert.equal((await fetch(`http://${url}/once-more`)).status, 404);
});
