#include "io/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/assert.h"

namespace sallyport::io {
namespace {

constexpr int kBacklog = 4096;

bool out_of_descriptors(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

bool someone_waits(int listener) {
  pollfd poll{listener, POLLIN, 0};
  return ::poll(&poll, 1, 0) == 1;
}

}  // namespace

std::expected<ListeningSocket, std::string> ListeningSocket::open(const Endpoint& endpoint) {
  auto socket = bind(endpoint, true);
  if (socket && ::listen(socket->fd_, kBacklog) != 0) {
    return std::unexpected(endpoint.text() + ": cannot listen there: " + std::strerror(errno));
  }
  return socket;
}

std::expected<Endpoint, std::string> ListeningSocket::probe(const Endpoint& endpoint) {
  auto socket = bind(endpoint, false);
  if (!socket) return std::unexpected(socket.error());
  return socket->endpoint_;
}

std::expected<ListeningSocket, std::string> ListeningSocket::bind(const Endpoint& endpoint,
                                                                  bool shared) {
  const auto fault = [&](const char* what) {
    return std::unexpected(endpoint.text() + ": " + what + ": " + std::strerror(errno));
  };
  const int fd = ::socket(endpoint.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fault("no socket");
  ListeningSocket socket(fd, endpoint);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (endpoint.storage.ss_family == AF_INET6) {
    // "[::]" means IPv6: whoever wants both families lists both.
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  const auto* address = reinterpret_cast<const sockaddr*>(&endpoint.storage);
  if (shared && ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    return fault("cannot be shared by the workers");
  }
  if (::bind(fd, address, endpoint.size) != 0) return fault("cannot listen there");
  socklen_t size = sizeof socket.endpoint_.storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&socket.endpoint_.storage), &size);
  return socket;
}

ListeningSocket::~ListeningSocket() {
  if (fd_ >= 0) ::close(fd_);
}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), endpoint_(other.endpoint_) {}

Listener::Listener(Loop& loop, ListeningSocket socket, Sink& sink)
    : loop_(loop), socket_(std::move(socket)), sink_(sink) {
  SALLYPORT_ASSERT(loop_.poller().add(socket_.descriptor(), *this, true, false));
}

Listener::~Listener() {
  loop_.timers().disarm(pause_);
  loop_.poller().remove(socket_.descriptor());
}

void Listener::on_ready(Readiness) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    Endpoint peer;
    peer.size = sizeof peer.storage;
    const int fd = ::accept4(socket_.descriptor(), reinterpret_cast<sockaddr*>(&peer.storage),
                             &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      sink_.on_accept(fd, peer);
      continue;
    }
    if (errno == EAGAIN) return;
    if (out_of_descriptors(errno)) {
      // accept(2) reserves the descriptor first, so it says this also when nobody is waiting: no reason
      // then to turn anybody out.
      if (!someone_waits(socket_.descriptor())) return;
      // The connection stays in the backlog. Retrying at once would be a busy loop (the socket stays
      // readable), so look away for a moment unless a socket that had not authenticated made room.
      if (!sink_.on_descriptors_exhausted()) pause();
      return;
    }
    // Everything else (a connection that was reset before it was accepted, and the network errors that
    // accept(2) passes on) concerns that one connection.
  }
}

void Listener::pause() {
  loop_.poller().modify(socket_.descriptor(), *this, false, false, false);
  loop_.timers().arm(pause_, loop_.now().mono + kPause);
}

bool Listener::on_timer(base::TimerWheel::Node& node) {
  if (&node != &pause_) return false;
  loop_.poller().modify(socket_.descriptor(), *this, true, false);
  return true;
}

}  // namespace sallyport::io
