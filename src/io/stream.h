#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct ssl_st;

namespace sallyport::io {

class TlsContext;

enum class IoStatus : std::uint8_t {
  kOk,         ///< `bytes` were moved
  kWantRead,   ///< nothing was; wait until readable
  kWantWrite,  ///< nothing was; wait until writable
  kEof,        ///< the peer has ended its direction
  kError,      ///< reset, or a TLS failure
};

struct IoResult {
  IoStatus status;
  std::size_t bytes = 0;
};

/// A non-blocking byte stream over a connected socket, plain or TLS. It owns the descriptor and no buffer.
/// Belongs to one thread.
class Stream {
 public:
  /// Takes `fd` over. With a context the TLS handshake is a server's and must be completed first.
  Stream(int fd, const TlsContext* tls);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  [[nodiscard]] int descriptor() const noexcept { return fd_; }
  [[nodiscard]] bool open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] bool tls() const noexcept { return ssl_ != nullptr; }
  [[nodiscard]] bool handshaken() const noexcept { return handshaken_; }

  /// Advances the TLS handshake. kOk: it is complete. On kError `why`, if it is given, is told what the log may
  /// say about it.
  [[nodiscard]] IoStatus handshake(std::string* why = nullptr);
  /// The certificate that the client has proven to hold the key of, in DER, encoded anew on each call; null if
  /// there is none. It verified when the session began; a caller that cares about its end looks at it again.
  [[nodiscard]] std::shared_ptr<const std::string> peer_certificate() const;
  /// Looks at what the socket has received, past TLS, and takes nothing: only before the handshake or first read.
  [[nodiscard]] IoResult peek(std::span<char> buffer) const;
  /// Takes so many bytes, which `peek` has shown. False if they are not there.
  [[nodiscard]] bool skip(std::size_t bytes) const;
  /// The poller reports the socket as readable when so many bytes have been received, or the end has.
  void readable_from(std::size_t bytes) const;
  /// Reads what is there, up to the buffer's size.
  [[nodiscard]] IoResult read(std::span<char> buffer);
  /// Writes the parts in order; `bytes` counts over all of them and may be fewer than given.
  [[nodiscard]] IoResult write(std::span<const std::string_view> parts);
  /// After a write that was not taken (kWantWrite, or fewer bytes than given): how many of the bytes that
  /// follow TLS has encrypted already. The next write must begin with them, whatever else has changed.
  [[nodiscard]] std::size_t committed() const noexcept { return committed_; }
  /// Bytes that TLS has taken from the socket and not yet handed out: the poller does not know of them.
  [[nodiscard]] bool has_buffered() const noexcept;

  /// Of what was written, TLS records included, how many bytes the peer's machine has not acknowledged; nothing if the
  /// kernel does not say. A reset or a peer that is gone does not change the answer.
  [[nodiscard]] std::optional<std::size_t> unacknowledged() const noexcept;

  /// Ends our direction: TLS close_notify, then FIN.
  void shutdown_write();
  /// Closes the descriptor. Unread input makes the kernel send a reset.
  void close() noexcept;

 private:
  struct FreeSsl {
    void operator()(ssl_st* ssl) const noexcept;
  };
  [[nodiscard]] IoResult receive(std::span<char> buffer, int flags) const;
  [[nodiscard]] IoResult write_plain(std::span<const std::string_view> parts);
  [[nodiscard]] IoResult write_tls(std::span<const std::string_view> parts);
  [[nodiscard]] IoStatus tls_status(int result, std::string* why = nullptr);

  int fd_;
  bool handshaken_;
  std::uint16_t committed_ = 0;  // at most a record
  std::unique_ptr<ssl_st, FreeSsl> ssl_;
};

}  // namespace sallyport::io
