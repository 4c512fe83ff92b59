#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <memory>
#include <string>

#include "feature/admin/api.h"
#include "io/address.h"
#include "sallyport/log.h"

namespace boost::asio {
class io_context;
}

namespace sallyport::admin {

struct HttpLimits {
  std::size_t head_bytes = 16 * 1024;
  std::size_t connections = 64;  ///< then the one that has waited longest for a good request makes room
  std::chrono::milliseconds head{20'000};  ///< from the end of the answer before to a complete head
  std::chrono::milliseconds body{10'000};
  std::chrono::milliseconds write{30'000};
};

/// Brings requests to the API: HTTP/1.1 over plain text, connections kept open. Heads are read by the same
/// strict reader as those of sockets, bodies only once a request has been admitted. On the thread of its
/// context.
class HttpServer {
 public:
  HttpServer(boost::asio::io_context& context, Api& api, const LogSink& log, HttpLimits limits = {});
  /// When nothing runs on the context any more, and what waited there has been destroyed.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Listens and begins to serve. The endpoint with the port that the kernel chose, or why it cannot.
  [[nodiscard]] std::expected<io::Endpoint, std::string> listen(const io::Endpoint& endpoint);
  [[nodiscard]] std::size_t connections() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sallyport::admin
