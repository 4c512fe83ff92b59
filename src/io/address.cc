#include "io/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>

namespace sallyport::io {
namespace {

// The socket API's own aliasing rule: every sockaddr type may be read through its generic form.
template <typename Address>
Address& as(sockaddr_storage& storage) {
  return reinterpret_cast<Address&>(storage);
}
template <typename Address>
const Address& as(const sockaddr_storage& storage) {
  return reinterpret_cast<const Address&>(storage);
}

}  // namespace

std::uint16_t Endpoint::port() const noexcept {
  return ntohs(storage.ss_family == AF_INET6 ? as<sockaddr_in6>(storage).sin6_port
                                             : as<sockaddr_in>(storage).sin_port);
}

void Endpoint::set_port(std::uint16_t port) noexcept {
  if (storage.ss_family == AF_INET6) {
    as<sockaddr_in6>(storage).sin6_port = htons(port);
  } else {
    as<sockaddr_in>(storage).sin_port = htons(port);
  }
}

bool Endpoint::loopback() const noexcept {
  if (storage.ss_family == AF_INET6) {
    return IN6_IS_ADDR_LOOPBACK(&as<sockaddr_in6>(storage).sin6_addr);
  }
  return (ntohl(as<sockaddr_in>(storage).sin_addr.s_addr) >> 24) == 127;
}

std::string Endpoint::text() const {
  char host[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET6) {
    ::inet_ntop(AF_INET6, &as<sockaddr_in6>(storage).sin6_addr, host, sizeof host);
    return "[" + std::string(host) + "]:" + std::to_string(port());
  }
  ::inet_ntop(AF_INET, &as<sockaddr_in>(storage).sin_addr, host, sizeof host);
  return std::string(host) + ":" + std::to_string(port());
}

std::expected<Endpoint, std::string> parse_endpoint(const std::string& text) {
  const auto fault = [&](const char* what) {
    return std::unexpected("\"" + text + "\": " + what + "; write for example \"127.0.0.1:8080\"");
  };
  const std::size_t colon = text.rfind(':');
  const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
  if (colon == 0 || (colon == std::string::npos && digits && !text.empty())) {
    return fault("the host is missing");
  }
  if (colon == std::string::npos) return fault("the port is missing");
  std::string host = text.substr(0, colon);
  const std::string port_text = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc() || end != port_text.data() + port_text.size()) {
    return fault("the port must be a number from 0 to 65535");
  }
  Endpoint endpoint;
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    auto& address = as<sockaddr_in6>(endpoint.storage);
    address.sin6_family = AF_INET6;
    if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &address.sin6_addr) != 1) {
      return fault("not an IPv6 address in brackets");
    }
    endpoint.size = sizeof(sockaddr_in6);
  } else {
    auto& address = as<sockaddr_in>(endpoint.storage);
    address.sin_family = AF_INET;
    if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
      return fault("the host must be an IPv4 address, an IPv6 address in brackets, or localhost");
    }
    endpoint.size = sizeof(sockaddr_in);
  }
  endpoint.set_port(port);
  return endpoint;
}

}  // namespace sallyport::io
