// Many sockets that upgrade and then only wait for their Close, in a process of their own: what it costs to be so
// many must not slow the one who measures. Forked; told `{ port, path, tokens, width }` it answers
// `{ opened, refused }`, and once all have ended `{ endings: [{ code, reason, at }] }`.
import net from 'node:net';
import { close_frame, request } from '../lib/raw.mjs';
import { in_parallel } from '../lib/wait.mjs';

/** Resolves with the status of the upgrade; `done` is called once, with how the socket ended. */
const sleeper = (port, path, token, done) => new Promise((answered) => {
  const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
  let status = 0;
  let bytes = Buffer.alloc(0);
  let over = false;
  const end = (code, reason) => {
    if (over) return;
    over = true;
    answered(status);
    if (status === 101) done({ code, reason, at: Date.now() });
  };
  socket.on('connect', () => socket.write(request({ port }, path, {
    Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13', Authorization: `Bearer ${token}`,
  })));
  socket.on('data', (data) => {
    bytes = bytes.length === 0 ? data : Buffer.concat([bytes, data]);
    if (status === 0) {
      const head = bytes.indexOf('\r\n\r\n');
      if (head < 0) return;
      status = Number(bytes.toString('latin1', 9, 12));
      bytes = bytes.subarray(head + 4);
      answered(status);
      if (status !== 101) return void socket.destroy();
    }
    if (bytes.length < 2 || bytes.length < 2 + bytes[1]) return;
    if (bytes[0] !== 0x88 || bytes[1] < 2 || bytes[1] > 125) {
      end(0, `a frame that is no Close: ${bytes.toString('hex')}`);
      return void socket.destroy();
    }
    const code = bytes.readUInt16BE(2);
    end(code, bytes.toString('utf8', 4, 2 + bytes[1]));
    socket.end(close_frame(code));
  });
  socket.on('error', (error) => end(0, error.code));
  socket.on('close', () => end(1006, ''));
});

process.once('message', async ({ port, path, tokens, width }) => {
  const endings = [];
  let opened = 0;
  let all_answered = false;
  const tell = () => {
    if (all_answered && endings.length === opened) process.send({ endings }, () => process.disconnect());
  };
  const refused = {};
  await in_parallel(tokens, width, async (token) => {
    const status = await sleeper(port, path, token, (ending) => { endings.push(ending); tell(); });
    if (status === 101) ++opened;
    else refused[status] = (refused[status] ?? 0) + 1;
  });
  all_answered = true;
  process.send({ opened, refused });
  tell();
});
