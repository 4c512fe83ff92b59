#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <expected>
#include <string>

namespace sallyport::io {

/// A local address to listen on.
struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;

  [[nodiscard]] std::uint16_t port() const noexcept;
  void set_port(std::uint16_t port) noexcept;
  [[nodiscard]] bool loopback() const noexcept;
  /// "127.0.0.1:8080" or "[::1]:8080".
  [[nodiscard]] std::string text() const;
};

/// Parses "HOST:PORT", where HOST is an IPv4 address, an IPv6 address in brackets, or "localhost" (which is
/// 127.0.0.1). Names are not looked up: what a server listens on should not depend on a resolver.
[[nodiscard]] std::expected<Endpoint, std::string> parse_endpoint(const std::string& text);

}  // namespace sallyport::io
