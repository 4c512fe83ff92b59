#pragma once

#include <netinet/in.h>
#include <openssl/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace sallyport::bench {

struct FreeTls {
  void operator()(SSL* tls) const noexcept;
  void operator()(SSL_CTX* context) const noexcept;
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeTls>;

/// A client's TLS context: no verification, since the peers' certificate is made for the run.
[[nodiscard]] TlsContext make_tls_context();

enum class Io {
  kDone,
  kWaitRead,   // nothing more until the socket is readable
  kWaitWrite,  // likewise writable
  kEnded,      // the peer closed or reset the connection
};

struct Transfer {
  Io state;
  std::size_t bytes;
};

/// A non-blocking TCP connection, with TLS or without. Owns its socket and closes it.
class Stream {
 public:
  Stream() = default;
  /// Starts to connect. `tls` may be null, and must outlive the stream otherwise. Throws
  /// std::runtime_error where the system refuses to even start.
  Stream(const sockaddr_in& from, const sockaddr_in& to, SSL_CTX* tls);
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;
  ~Stream() { close(); }

  [[nodiscard]] int fd() const noexcept { return fd_; }
  /// Call when the socket is writable for the first time, and again as the answer says.
  [[nodiscard]] Io connect();
  [[nodiscard]] Transfer read(std::span<std::uint8_t> into);
  [[nodiscard]] Transfer write(std::span<const std::uint8_t> from);
  /// True while decrypted or buffered bytes wait that epoll does not know of.
  [[nodiscard]] bool has_pending() const;
  void close() noexcept;

 private:
  [[nodiscard]] Io tls_state(int result);

  int fd_ = -1;
  std::unique_ptr<SSL, FreeTls> tls_;
};

}  // namespace sallyport::bench
