// Bun's own WebSocket server (uWebSockets inside), without authentication.
// bun bun_echo.js PORT [CERTIFICATE KEY]
const [port, certificate, key] = process.argv.slice(2);

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  tls: certificate ? { cert: Bun.file(certificate), key: Bun.file(key) } : undefined,
  fetch(request, self) {
    return self.upgrade(request) ? undefined : new Response("upgrade required", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    message(socket, message) {
      socket.send(message);
    },
  },
});

// The runner asks for a collection before it reads the memory, so that a peer is not charged for
// garbage that it has only not collected yet.
process.on("SIGUSR2", () => Bun.gc(true));
console.log(`listening ${server.port}`);
