// The npm package ws on Node's HTTP server, without authentication.
// node --expose-gc node_ws_echo.mjs PORT [CERTIFICATE KEY]
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { WebSocketServer } from "ws";

const [port, certificate, key] = process.argv.slice(2);
const server = certificate
  ? createTlsServer({ cert: readFileSync(certificate), key: readFileSync(key) })
  : createServer();

const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});

// See bun_echo.js.
process.on("SIGUSR2", () => globalThis.gc?.());
server.listen(Number(port), "127.0.0.1", () => console.log(`listening ${server.address().port}`));
