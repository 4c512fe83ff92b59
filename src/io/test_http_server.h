#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "io/test_certificate.h"

namespace sallyport::io::test {

struct HttpQuestion {
  std::size_t connection = 0;  ///< on the how-manieth connection it came, from 1
  std::string method;
  std::string target;
  std::string head;  ///< the request line and all fields, as they came
  std::string body;

  /// Of the first field of that name, in the spelling that was sent; empty if there is none.
  [[nodiscard]] std::string field(const std::string& name) const;
};

/// What goes out, byte for byte.
struct HttpAnswer {
  std::string bytes;
  std::chrono::milliseconds delay{0};  ///< before the first
  std::chrono::milliseconds drip{0};   ///< after each; 0: all at once
  bool close = false;                  ///< afterwards, whatever the bytes have promised
  bool notify = true;                  ///< over TLS with a close_notify
};

/// An answer with a Content-Length. `fields` are whole lines with their line ends.
[[nodiscard]] HttpAnswer http_answer(unsigned status, std::string_view body, std::string_view fields = {});

/// An HTTP server on 127.0.0.1 that answers what it is told to, on a thread of its own.
class HttpServer {
 public:
  using Respond = std::function<HttpAnswer(const HttpQuestion&)>;  ///< called on the server's thread

  explicit HttpServer(Respond respond, const Certificate* tls = nullptr, std::uint16_t port = 0);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept;
  /// "http://127.0.0.1:PORT" and the target.
  [[nodiscard]] std::string url(std::string_view target = {}) const;
  [[nodiscard]] std::size_t questions() const noexcept;    ///< so far
  [[nodiscard]] std::size_t connections() const noexcept;  ///< so far
  [[nodiscard]] std::size_t open() const noexcept;         ///< now

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

/// A port of 127.0.0.1 at which nobody listens, until somebody is told to.
[[nodiscard]] std::uint16_t free_port();

}  // namespace sallyport::io::test
