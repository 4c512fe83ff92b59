#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

struct ssl_ctx_st;

namespace sallyport::io {

/// What is asked of the client in the handshake.
struct ClientAuth {
  enum class Ask : std::uint8_t { kNothing, kOptional, kRequired };
  Ask ask = Ask::kNothing;
  /// PEM: the certificates that a client's must lead to. Each is an anchor by itself, whether it is a root, an
  /// intermediate or one client's own; what the system trusts does not count. Required unless kNothing.
  std::string ca_file = {};
};

/// A server's TLS settings: TLS 1.2 and 1.3, stateless session tickets, buffers given back while a
/// connection is idle. Immutable; shared by all workers and by every connection that was made with it, so
/// that a reload can put another one in its place.
///
/// A ticket can be used with the very context that issued it and no other, and carries the certificate that the
/// client proved then. A resumed session is that client's still; where its certificate has ended meanwhile, the
/// ticket is ignored and the handshake verifies anew.
class TlsContext {
 public:
  /// Reads the PEM files. The error says which file and what is wrong with it.
  [[nodiscard]] static std::expected<std::shared_ptr<const TlsContext>, std::string> load(
      const std::string& certificate_file, const std::string& key_file, const ClientAuth& client = {});

  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  [[nodiscard]] ssl_ctx_st* native() const noexcept { return context_; }

 private:
  ssl_ctx_st* context_;
};

/// What is wrong with a certificate and its key; empty where nothing is. Each text names its file.
struct PairFaults {
  std::string certificate;
  std::string key;
};

/// Looks at both files as `TlsContext::load` does, at the key also where the certificate is at fault.
[[nodiscard]] PairFaults check_pair(const std::string& certificate_file, const std::string& key_file);

/// The oldest error of this thread's OpenSSL queue as text, which is then empty.
[[nodiscard]] std::string openssl_error();

}  // namespace sallyport::io
