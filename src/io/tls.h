#pragma once

#include <expected>
#include <memory>
#include <string>

struct ssl_ctx_st;

namespace sallyport::io {

/// A server's TLS settings: TLS 1.2 and 1.3, stateless session tickets, buffers given back while a
/// connection is idle. Immutable; shared by all workers and by every connection that was made with it, so
/// that a reload can put another one in its place.
class TlsContext {
 public:
  /// Reads both PEM files. The error says which file and what is wrong with it.
  [[nodiscard]] static std::expected<std::shared_ptr<const TlsContext>, std::string> load(
      const std::string& certificate_file, const std::string& key_file);

  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  [[nodiscard]] ssl_ctx_st* native() const noexcept { return context_; }

 private:
  ssl_ctx_st* context_;
};

/// The oldest error of this thread's OpenSSL queue as text, which is then empty.
[[nodiscard]] std::string openssl_error();

}  // namespace sallyport::io
