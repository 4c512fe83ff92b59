#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cctype>
#include <utility>

#include "core/http/origin.h"
#include "core/http/target.h"
#include "io/http_client.h"

namespace sallyport::io {
namespace {

constexpr std::size_t kUrlBytesMax = 2048;

bool is_hex(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// RFC 3986 sections 3.3 and 3.4, as one text: only what may stand there, and whole escapes.
bool is_path_and_query(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!http::is_target_char(text[i]) || text[i] == '#') return false;
    if (text[i] == '%' && (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2]))) return false;
  }
  return true;
}

}  // namespace

bool HttpUrl::loopback() const {
  if (host == "localhost") return true;
  boost::system::error_code no_address;
  const auto address = boost::asio::ip::make_address(host, no_address);
  return !no_address && address.is_loopback();
}

std::expected<HttpUrl, std::string> HttpUrl::parse(std::string_view text) {
  if (text.empty()) return std::unexpected("the URL is empty");
  if (text.size() > kUrlBytesMax) return std::unexpected("the URL is longer than 2048 bytes");
  if (text.find('#') != std::string_view::npos) {
    return std::unexpected("the URL has a fragment (#...), which is never sent to a server");
  }
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) {
    return std::unexpected("a URL begins with https://, or with http:// on loopback");
  }
  std::string scheme(text.substr(0, scheme_end));
  std::ranges::transform(scheme, scheme.begin(), [](unsigned char c) { return std::tolower(c); });
  if (scheme != "https" && scheme != "http") {
    return std::unexpected("the scheme must be https, or http on loopback");
  }
  const std::size_t rest = std::min(text.find_first_of("/?\\", scheme_end + 3), text.size());
  const std::string_view authority = text.substr(scheme_end + 3, rest - scheme_end - 3);
  if (authority.find('@') != std::string_view::npos) {
    return std::unexpected("the URL has user information (before the @); write a URL without it");
  }
  const auto origin = http::Origin::parse(text.substr(0, rest));
  if (!origin) return std::unexpected("the URL is wrong before its path: " + std::string(describe(origin.error())));
  HttpUrl url{.tls = scheme == "https", .host = origin->host(), .port = origin->port()};
  if (url.host.starts_with('[')) url.host = url.host.substr(1, url.host.size() - 2);
  url.target = text.substr(rest);
  if (!url.target.starts_with('/')) url.target.insert(url.target.begin(), '/');
  if (!is_path_and_query(url.target)) {
    return std::unexpected("the URL's path or query has a character that must be escaped, or a broken escape");
  }
  if (!url.tls && !url.loopback()) {
    return std::unexpected("plain http is for loopback only (127.0.0.0/8, [::1], localhost); write https://");
  }
  return url;
}

std::string HttpUrl::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != (tls ? 443 : 80)) text += ":" + std::to_string(port);
  return text;
}

std::string HttpUrl::origin() const { return (tls ? "https://" : "http://") + authority(); }

std::string_view HttpReply::field(std::string_view name) const noexcept {
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace sallyport::io
