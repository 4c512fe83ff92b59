// A client that slept through its expiry hears why its socket has ended, not just that the network has gone.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { echo, serve } from './lib/server.mjs';
import { Issuer } from './lib/tokens.mjs';
import { sleep, within } from './lib/wait.mjs';

const CLIENT = `
import WebSocket from 'ws';
const socket = new WebSocket(process.argv[1], { headers: { Authorization: 'Bearer ' + process.argv[2] } });
socket.on('open', () => console.log('open'));
socket.on('close', (code, reason) => { console.log('close ' + code + ' ' + reason); process.exit(); });
socket.on('error', () => {});
`;

test('a client that is stopped beyond its expiry is told 3000 token_expired when it wakes', async (t) => {
  const issuer = await Issuer.make({ leeway: '0s' });
  const server = await serve(t, { issuer, routes: [echo('/echo')] });
  const child = spawn(process.execPath, ['--input-type=module', '-e', CLIENT, `${server.url}/echo`, await issuer.sign({ ttl: 3 })],
                      { cwd: fileURLToPath(new URL('.', import.meta.url)), stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  let heard = '';
  child.stdout.on('data', (data) => { heard += data; });
  while (!heard.includes('open')) await sleep(20);
  child.kill('SIGSTOP');
  await server.event('ws.close', ({ reason }) => reason === 'token_expired');
  // Longer than the closing handshake is waited for: the socket is gone at the server by now.
  await sleep(3500);
  child.kill('SIGCONT');
  await within(new Promise((resolve) => { child.on('exit', resolve); }), 10_000, 'the end of the client');
  assert.equal(heard, 'open\nclose 3000 token_expired\n');
});
