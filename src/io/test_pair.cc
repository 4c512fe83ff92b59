#include "io/test_pair.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>
#include <utility>

#include "io/test_certificate.h"

namespace sallyport::io::test {
namespace {

void require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(what);
}

// TCP rather than a socket pair: only TCP has resets and half-closes as peers on a network have them.
std::pair<int, int> tcp_pair() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  require(::bind(listener, generic, size) == 0 && ::listen(listener, 1) == 0, "no listener");
  ::getsockname(listener, generic, &size);
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  require(::connect(client, generic, size) == 0, "no connection");
  const int server = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  require(server >= 0, "nothing accepted");
  ::close(listener);
  const timeval timeout{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  return {server, client};
}

std::shared_ptr<const TlsContext> server_context() {
  static const auto context = [] {
    const TempFolder folder;
    const Certificate made = make_certificate();
    auto loaded = TlsContext::load(folder.write("crt.pem", made.certificate_pem),
                                   folder.write("key.pem", made.key_pem));
    require(loaded.has_value(), "no TLS context");
    return *loaded;
  }();
  return context;
}

}  // namespace

void Peer::FreeSsl::operator()(ssl_st* ssl) const noexcept { SSL_free(ssl); }

Peer::~Peer() {
  ssl_.reset();
  if (fd_ >= 0) ::close(fd_);
}

bool Peer::start_tls(const std::function<void(ssl_st&)>& configure) {
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  ssl_.reset(SSL_new(context));
  SSL_CTX_free(context);
  SSL_set_fd(ssl_.get(), fd_);
  if (configure) configure(*ssl_);
  const bool connected = SSL_connect(ssl_.get()) == 1;
  ERR_clear_error();
  return connected;
}

void Peer::write(std::string_view text) {
  if (ssl_ == nullptr) return write_plain(text);
  std::size_t size = 0;
  require(SSL_write_ex(ssl_.get(), text.data(), text.size(), &size) == 1, "TLS write failed");
}

void Peer::write_plain(std::string_view text) const {
  require(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()),
          "write failed");
}

long Peer::read_some(char* out, std::size_t size) {
  if (ssl_ == nullptr) return ::recv(fd_, out, size, 0);
  std::size_t got = 0;
  ERR_clear_error();
  const int result = SSL_read_ex(ssl_.get(), out, size, &got);
  if (result == 1) return static_cast<long>(got);
  return SSL_get_error(ssl_.get(), result) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

std::string Peer::read(std::size_t size) {
  std::string got(size, '\0');
  std::size_t filled = 0;
  while (filled < size) {
    const long count = read_some(got.data() + filled, size - filled);
    if (count <= 0) break;
    filled += static_cast<std::size_t>(count);
  }
  got.resize(filled);
  return got;
}

bool Peer::at_end() {
  char byte = 0;
  return read_some(&byte, 1) == 0;
}

void Peer::end() {
  if (ssl_ != nullptr) SSL_shutdown(ssl_.get());
  end_plain();
}

void Peer::end_plain() const { ::shutdown(fd_, SHUT_WR); }

void Peer::reset() {
  const linger abort{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  ::close(fd_);
  fd_ = -1;
}

Pair::Pair(bool tls, Handshake handshake, const std::function<void(ssl_st&)>& configure) {
  const auto [server, client] = tcp_pair();
  if (tls) context_ = server_context();
  stream_ = std::make_unique<Stream>(server, context_.get());
  peer_ = std::make_unique<Peer>(client);
  if (!tls || handshake == kNoHandshake) return;
  bool peer_connected = false;
  std::thread thread([&] { peer_connected = peer_->start_tls(configure); });
  IoStatus status = stream_->handshake();
  while (status == IoStatus::kWantRead || status == IoStatus::kWantWrite) {
    const short events = status == IoStatus::kWantRead ? POLLIN : POLLOUT;
    pollfd poll{stream_->descriptor(), events, 0};
    if (::poll(&poll, 1, 10'000) != 1) break;
    status = stream_->handshake();
  }
  if (status != IoStatus::kOk) ::shutdown(stream_->descriptor(), SHUT_RDWR);
  thread.join();
  connected_ = status == IoStatus::kOk && peer_connected;
}

Pair::~Pair() = default;

}  // namespace sallyport::io::test
