#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/secret.h"

namespace boost::asio {
class io_context;
}

namespace sallyport::io {

/// Where to ask: https anywhere, http on loopback only (127.0.0.0/8, [::1], localhost). No user information and
/// no fragment.
struct HttpUrl {
  bool tls = true;
  std::string host;   ///< without brackets
  std::uint16_t port = 443;
  std::string target = "/";

  /// The error is a sentence for the reader of a configuration.
  [[nodiscard]] static std::expected<HttpUrl, std::string> parse(std::string_view text);
  /// "https://id.example.com" or "http://127.0.0.1:8080".
  [[nodiscard]] std::string origin() const;
  /// "id.example.com", "[::1]:8080": host and port as a Host field has them, without a default port.
  [[nodiscard]] std::string authority() const;
  /// Whether the host is this machine. The name localhost is never looked up: it means 127.0.0.1 and [::1].
  [[nodiscard]] bool loopback() const;
};

struct HttpRequest {
  std::string method = "GET";
  HttpUrl url;
  std::vector<std::pair<std::string, base::Secret>> fields = {};  ///< Host and Content-Length come by themselves
  base::Secret body = {};
};

struct HttpReply {
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> fields = {};  ///< names in lower case
  std::string body = {};

  /// The value of the first field of that name, given in lower case; empty if there is none.
  [[nodiscard]] std::string_view field(std::string_view name) const noexcept;
};

enum class HttpError : std::uint8_t {
  kResolve,    ///< the host has no address
  kConnect,
  kTls,        ///< the certificate or the handshake
  kTimeout,    ///< connecting, asking and reading together took longer than allowed
  kTooLarge,   ///< over `body_bytes`
  kBadReply,   ///< not HTTP, or cut short
  kBusy,       ///< too many wait for a connection already
  kBadRequest, ///< nothing was sent: a method, target or field that HTTP does not permit, or plain text off loopback
};

struct HttpFailure {
  HttpError code;
  std::string detail;  ///< a sentence for the log; never a field, a body or a query
};

struct HttpClientOptions {
  std::chrono::milliseconds timeout{5000};  ///< for a whole exchange, waiting for a connection included
  std::size_t body_bytes = 256 * 1024;      ///< of a reply
  std::size_t connections = 8;              ///< at once; kept open between questions
  std::size_t waiting = 1024;               ///< for a connection; then kBusy
  /// How long a connection is kept open for the next question; none is if it is 0. Those that are too old are closed
  /// when the next question comes: no timer keeps the context busy.
  std::chrono::milliseconds idle{15'000};
};

/// Asks HTTP servers (HTTP/1.1, Boost.Beast) from one thread: that of its context. Certificates are checked against
/// the system's store and the host's name. Redirects are not followed: they are replies like others.
/// Connections are kept and reused; one that turns out to be stale is replaced and the question asked once more
/// only if nothing of a reply has come. When a caller is cancelled its exchange is cut off.
class HttpClient {
 public:
  HttpClient(boost::asio::io_context& context, HttpClientOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// On the context's thread. May outlive this object: then it ends with kConnect.
  [[nodiscard]] boost::asio::awaitable<std::expected<HttpReply, HttpFailure>> send(HttpRequest request);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sallyport::io
