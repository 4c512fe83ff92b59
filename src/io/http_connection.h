#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "core/base/secret.h"
#include "io/http_client.h"

namespace boost::asio::ssl {
class context;
}

namespace sallyport::io {

using HttpDeadline = std::chrono::steady_clock::time_point;

/// A client's TLS settings: TLS 1.2 and 1.3, the system's store (or SSL_CERT_FILE and SSL_CERT_DIR, which OpenSSL
/// reads here). Nothing if OpenSSL cannot set them up.
[[nodiscard]] std::shared_ptr<boost::asio::ssl::context> make_client_tls();

/// One connection to one server, for one question at a time; for http_client.cc. Belongs to its context's thread.
class HttpConnection {
 public:
  struct Answer {
    std::expected<HttpReply, HttpFailure> reply;
    bool reusable = false;   ///< the connection may be asked again
    bool untouched = false;  ///< the connection ended before anything of a reply came: it may have been stale
  };

  /// `tls` is needed for https and outlives the connection by itself.
  HttpConnection(boost::asio::io_context& context, const HttpUrl& url,
                 std::shared_ptr<boost::asio::ssl::context> tls);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  /// Looks the host up, connects to one of its addresses after the other, and makes the TLS handshake, in which the
  /// certificate must be one for the host.
  [[nodiscard]] boost::asio::awaitable<std::optional<HttpFailure>> open(HttpDeadline deadline);
  /// Sends `text`, a whole request, and reads the reply. `text` must live until then.
  [[nodiscard]] boost::asio::awaitable<Answer> ask(const base::Secret& text, bool head, std::size_t body_bytes,
                                                   HttpDeadline deadline);
  /// Ends what is going on, which then fails; the name's look-up goes on for as long as the system lets it.
  void cut() noexcept;
  /// False if the server has ended the connection meanwhile or said something unasked.
  [[nodiscard]] bool quiet() noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sallyport::io
