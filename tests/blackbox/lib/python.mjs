// Debian's python3-websockets as a client in a process of its own.
import { join } from 'node:path';
import { FOLDER, run } from './binary.mjs';

const PYTHON = '/usr/bin/python3';
const SCRIPT = join(FOLDER, 'clients', 'client.py');

const probe = await run(PYTHON, ['-c', 'import websockets']).catch((error) => ({ code: String(error) }));
export const without_python = probe.code === 0 ? false : 'python3-websockets is not installed';

/** Options: see clients/client.py. The answer is what it printed. */
export async function python_client(url, options = {}) {
  const ended = await run(PYTHON, [SCRIPT, url], { input: JSON.stringify(options) });
  if (ended.code !== 0) throw new Error(`the Python client failed: ${ended.stderr}`);
  return JSON.parse(ended.stdout);
}
