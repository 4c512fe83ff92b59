#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>
#include <utility>

#include "io/redis_link.h"

namespace sallyport::io {
namespace {

constexpr std::size_t kUrlBytesMax = 2048;
constexpr unsigned kDatabaseMax = 65535;

std::string_view view_of(boost::urls::string_view text) { return {text.data(), text.size()}; }

bool is_host_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
  });
}

// An IPv6 address stands in brackets, a name or IPv4 address does not.
std::expected<std::string, std::string> host_of(const boost::urls::url_view& url) {
  const std::string_view host = view_of(url.encoded_host());
  if (host.empty()) return std::unexpected("the host is missing: redis://127.0.0.1:6379");
  if (!host.starts_with('[')) {
    if (is_host_name(host)) return std::string(host);
    return std::unexpected("the host is not a name or address");
  }
  const std::string inside(host.substr(1, host.size() - 2));
  boost::system::error_code no_address;
  boost::asio::ip::make_address_v6(inside, no_address);
  if (no_address) return std::unexpected("what stands in brackets is not an IPv6 address");
  return inside;
}

std::expected<std::uint16_t, std::string> port_of(const boost::urls::url_view& url) {
  if (!url.has_port()) return RedisUrl{}.port;
  if (url.port_number() == 0 || view_of(url.port()) != std::to_string(url.port_number())) {
    return std::unexpected("the port is not a number from 1 to 65535");
  }
  return url.port_number();
}

std::expected<unsigned, std::string> database_of(std::string_view path) {
  if (path.empty() || path == "/") return 0U;
  path.remove_prefix(1);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), number);
  if (error != std::errc() || end != path.data() + path.size() || number > kDatabaseMax ||
      path != std::to_string(number)) {
    return std::unexpected("what follows the host must be the number of a database: redis://127.0.0.1:6379/0");
  }
  return number;
}

}  // namespace

std::expected<RedisUrl, std::string> RedisUrl::parse(std::string_view text) {
  if (text.empty()) return std::unexpected("the URL is empty");
  if (text.size() > kUrlBytesMax) return std::unexpected("the URL is longer than 2048 bytes");
  if (text.starts_with("rediss:")) {
    return std::unexpected("TLS to Redis (rediss://) is not supported: write redis://, with a tunnel off loopback");
  }
  const auto parsed = boost::urls::parse_uri(boost::urls::string_view(text.data(), text.size()));
  if (!parsed || view_of(parsed->scheme()) != "redis" || !parsed->has_authority()) {
    return std::unexpected("a store is redis://[user:password@]host[:port][/database]; what is not a letter or "
                           "digit in the password is percent-encoded");
  }
  const boost::urls::url_view& url = *parsed;
  if (url.has_query() || url.has_fragment()) {
    return std::unexpected("the URL has a query or fragment, which means nothing here");
  }
  RedisUrl result;
  auto host = host_of(url);
  if (!host) return std::unexpected(host.error());
  result.host = std::move(*host);
  const auto port = port_of(url);
  if (!port) return std::unexpected(port.error());
  result.port = *port;
  const auto database = database_of(view_of(url.encoded_path()));
  if (!database) return std::unexpected(database.error());
  result.database = *database;
  if (url.has_userinfo()) {
    std::string password = url.password();
    result.user = url.user();
    result.password = base::Secret(password);
    base::wipe(password.data(), password.size());
    if (result.password.empty()) {
      return std::unexpected("there is a user without a password: redis://user:password@host, or "
                             "redis://:password@host for the default user");
    }
  }
  return result;
}

RedisUrl RedisUrl::copy() const {
  return {.host = host, .port = port, .user = user, .password = password.copy(), .database = database};
}

std::string RedisUrl::address() const {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port);
}

}  // namespace sallyport::io
