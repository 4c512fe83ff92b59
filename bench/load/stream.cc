#include "bench/load/stream.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace sallyport::bench {
namespace {

void set_option(int fd, int level, int name) {
  const int on = 1;
  if (setsockopt(fd, level, name, &on, sizeof on) != 0) {
    throw std::runtime_error(std::string("setsockopt: ") + std::strerror(errno));
  }
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Transfer plain_result(ssize_t result, Io wait) {
  if (result > 0) return {Io::kDone, static_cast<std::size_t>(result)};
  if (result < 0 && (errno == EAGAIN || errno == EINTR)) return {wait, 0};
  return {Io::kEnded, 0};
}

}  // namespace

void FreeTls::operator()(SSL* tls) const noexcept {
  SSL_free(tls);
}
void FreeTls::operator()(SSL_CTX* context) const noexcept {
  SSL_CTX_free(context);
}

TlsContext make_tls_context() {
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  if (!context) throw std::runtime_error("no TLS context");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  // One recv for a record instead of one for its header and one for its body: the client must not
  // be what the server waits for.
  SSL_CTX_set_read_ahead(context.get(), 1);
  return context;
}

Stream::Stream(const sockaddr_in& from, const sockaddr_in& to, SSL_CTX* tls)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  if (fd_ < 0) throw std::runtime_error(std::string("socket: ") + std::strerror(errno));
  try {
    set_option(fd_, IPPROTO_TCP, TCP_NODELAY);
    // The port is chosen at connect, among those free towards this server rather than free at all.
    set_option(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    if (::bind(fd_, generic(from), sizeof from) != 0 ||
        (::connect(fd_, generic(to), sizeof to) != 0 && errno != EINPROGRESS)) {
      throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
    }
    if (tls != nullptr) {
      tls_.reset(SSL_new(tls));
      if (!tls_ || SSL_set_fd(tls_.get(), fd_) != 1) throw std::runtime_error("no TLS session");
      SSL_set_connect_state(tls_.get());
    }
  } catch (...) {
    close();
    throw;
  }
}

Stream::Stream(Stream&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), tls_(std::move(other.tls_)) {}

Stream& Stream::operator=(Stream&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
    tls_ = std::move(other.tls_);
  }
  return *this;
}

Io Stream::connect() {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) return Io::kEnded;
  if (!tls_) return Io::kDone;
  ERR_clear_error();
  const int result = SSL_do_handshake(tls_.get());
  return result == 1 ? Io::kDone : tls_state(result);
}

Transfer Stream::read(std::span<std::uint8_t> into) {
  if (!tls_) return plain_result(::recv(fd_, into.data(), into.size(), 0), Io::kWaitRead);
  ERR_clear_error();
  std::size_t bytes = 0;
  const int result = SSL_read_ex(tls_.get(), into.data(), into.size(), &bytes);
  return result == 1 ? Transfer{Io::kDone, bytes} : Transfer{tls_state(result), 0};
}

Transfer Stream::write(std::span<const std::uint8_t> from) {
  if (!tls_) {
    return plain_result(::send(fd_, from.data(), from.size(), MSG_NOSIGNAL), Io::kWaitWrite);
  }
  ERR_clear_error();
  std::size_t bytes = 0;
  const int result = SSL_write_ex(tls_.get(), from.data(), from.size(), &bytes);
  return result == 1 ? Transfer{Io::kDone, bytes} : Transfer{tls_state(result), 0};
}

bool Stream::has_pending() const {
  return tls_ && SSL_has_pending(tls_.get()) == 1;
}

Io Stream::tls_state(int result) {
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Io::kWaitRead;
    case SSL_ERROR_WANT_WRITE:
      return Io::kWaitWrite;
    default:
      return Io::kEnded;
  }
}

void Stream::close() noexcept {
  tls_.reset();
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace sallyport::bench
