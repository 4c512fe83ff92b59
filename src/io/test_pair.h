#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "io/stream.h"
#include "io/tls.h"

struct ssl_st;

namespace sallyport::io::test {

/// The client's end of a pair: blocking, with a timeout of ten seconds on every read.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// Becomes a TLS client. False if the handshake fails. Certificates are not checked.
  bool start_tls(const std::function<void(ssl_st&)>& configure);
  void write(std::string_view text);
  /// Exactly `size` bytes, or fewer if the other end has ended.
  std::string read(std::size_t size);
  /// Whether the other end has ended its direction; waits for it.
  bool at_end();
  /// Ends our direction, over TLS with a close_notify.
  void end();
  /// Closes so that the other end sees a reset.
  void reset();
  // Past TLS:
  void write_plain(std::string_view text) const;
  void end_plain() const;
  [[nodiscard]] ssl_st* ssl() const noexcept { return ssl_.get(); }

 private:
  long read_some(char* out, std::size_t size);
  struct FreeSsl {
    void operator()(ssl_st* ssl) const noexcept;
  };
  int fd_;
  std::unique_ptr<ssl_st, FreeSsl> ssl_;
};

/// A Stream over TCP on loopback and who it talks to.
class Pair {
 public:
  enum Handshake { kHandshake, kNoHandshake };
  explicit Pair(bool tls, Handshake handshake = kHandshake,
                const std::function<void(ssl_st&)>& configure = {});
  ~Pair();

  [[nodiscard]] Stream& stream() noexcept { return *stream_; }
  [[nodiscard]] Peer& peer() noexcept { return *peer_; }
  /// Whether both ends have completed the TLS handshake.
  [[nodiscard]] bool connected() const noexcept { return connected_; }

 private:
  std::shared_ptr<const TlsContext> context_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Peer> peer_;
  bool connected_ = true;
};

}  // namespace sallyport::io::test
