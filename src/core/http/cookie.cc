#include "core/http/cookie.h"

#include <algorithm>

#include "core/http/grammar.h"

namespace sallyport::http {
namespace {

// cookie-octet: visible ASCII without double quote, comma, semicolon and backslash.
bool is_cookie_value(std::string_view value) noexcept {
  return std::ranges::all_of(value, [](char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
  });
}

std::string_view without_quotes(std::string_view value) noexcept {
  const bool quoted = value.size() >= 2 && value.starts_with('"') && value.ends_with('"');
  return quoted ? value.substr(1, value.size() - 2) : value;
}

}  // namespace

std::expected<std::optional<std::string_view>, CookieError> find_cookie(
    std::span<const std::string_view> cookie_fields, std::string_view name) {
  std::optional<std::string_view> found;
  for (const std::string_view field : cookie_fields) {
    Splitter pairs(field, ';');
    while (const auto pair = pairs.next()) {
      const std::size_t equals = pair->find('=');
      if (equals == std::string_view::npos || trim(pair->substr(0, equals)) != name) continue;
      if (found) return std::unexpected(CookieError::kDuplicate);
      found = without_quotes(trim(pair->substr(equals + 1)));
    }
  }
  if (found && !is_cookie_value(*found)) return std::unexpected(CookieError::kMalformed);
  return found;
}

}  // namespace sallyport::http
