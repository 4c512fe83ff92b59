// The binary under test, and running it, and other programs, to their end.
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const FOLDER = resolve(dirname(fileURLToPath(import.meta.url)), '..');
export const ROOT = resolve(FOLDER, '../..');

if (!existsSync(join(FOLDER, 'node_modules', 'ws', 'package.json'))) {
  throw new Error(`${FOLDER}/node_modules is missing: run script/bootstrap, or npm ci in that folder`);
}

function find_binary() {
  const asked = process.env.SALLYPORT_BINARY;
  const places = asked ? [resolve(asked)]
                       : ['release', 'dev'].map((preset) => join(ROOT, 'build', preset, 'sallyport'));
  for (const place of places) {
    try {
      accessSync(place, constants.X_OK);
      return place;
    } catch { /* the next one */ }
  }
  throw new Error(`there is no sallyport at ${places.join(' or ')}: build it, or set SALLYPORT_BINARY`);
}

export const BINARY = find_binary();

/** Built with a sanitizer: correct or not is the question then, not how much memory and how fast. */
export const SANITIZED = process.env.SALLYPORT_SANITIZED === '1';

const folders = [];
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder that goes when the test process ends. */
export function temporary_folder() {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
  folders.push(folder);
  return folder;
}

/** Runs a program to its end: `{ code, signal, stdout, stderr }`. Killed, and told so, after `timeout` ms. */
export function run(program, args, { input = '', timeout = 30_000, cwd, env } = {}) {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { cwd, env: env ? { ...process.env, ...env } : process.env });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data) => { stdout += data; });
    child.stderr.on('data', (data) => { stderr += data; });
    child.stdin.on('error', () => {});  // it may end without reading
    child.stdin.end(input);
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(new Error(`${program} ${args.join(' ')} did not end within ${timeout} ms: ${stderr}`));
    }, timeout);
    child.on('error', (error) => { clearTimeout(timer); fail(error); });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      done({ code, signal, stdout, stderr });
    });
  });
}

export const sallyport = (args, options) => run(BINARY, args, options);
