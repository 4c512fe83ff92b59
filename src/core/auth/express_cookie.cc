#include "core/auth/express_cookie.h"

#include <algorithm>
#include <optional>
#include <string>

#include "core/base/digest.h"

namespace sallyport::auth {
namespace {

constexpr std::string_view kPrefix = "s:";
constexpr std::size_t kIdBytesMax = 256;
constexpr std::size_t kSignatureBytes = 43;  // 32 bytes in base64, without its one "="
constexpr std::size_t kTextBytesMax = kPrefix.size() + kIdBytesMax + 1 + kSignatureBytes;

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

// What JavaScript's decodeURIComponent makes of it, as far as it is ASCII.
std::optional<base::Secret> decode(std::string_view value) {
  std::string text;
  text.reserve(value.size());
  bool fine = value.size() <= 3 * kTextBytesMax;
  for (std::size_t i = 0; fine && i < value.size(); ++i) {
    if (value[i] != '%') {
      text.push_back(value[i]);
      continue;
    }
    const auto high = i + 2 < value.size() ? hex_digit(value[i + 1]) : std::nullopt;
    const auto low = high ? hex_digit(value[i + 2]) : std::nullopt;
    fine = low.has_value();
    if (fine) text.push_back(static_cast<char>(*high << 4 | *low));
    i += 2;
  }
  base::Secret decoded(text);
  base::wipe(text.data(), text.size());
  if (!fine || decoded.size() > kTextBytesMax) return std::nullopt;
  return decoded;
}

bool is_signed_with(std::string_view id, std::string_view signature, std::string_view secret) {
  const base::Sha256 mac = base::hmac_sha256(secret, id);
  std::string expected = base::base64({reinterpret_cast<const char*>(mac.data()), mac.size()});
  expected.resize(kSignatureBytes);
  return base::equal_constant_time(expected, signature);
}

}  // namespace

std::string_view describe(ExpressCookieError error) noexcept {
  switch (error) {
    case ExpressCookieError::kNotSigned: return "the cookie is not one of express-session";
    case ExpressCookieError::kMalformed: return "the cookie is malformed";
    case ExpressCookieError::kBadSignature: return "the cookie's signature fits none of the secrets";
  }
  return "unknown";
}

std::expected<base::Secret, ExpressCookieError> read_express_cookie(std::string_view value,
                                                                    std::span<const base::Secret> secrets) {
  const auto decoded = decode(value);
  if (!decoded) return std::unexpected(ExpressCookieError::kMalformed);
  std::string_view text = decoded->reveal();
  if (!text.starts_with(kPrefix)) return std::unexpected(ExpressCookieError::kNotSigned);
  text.remove_prefix(kPrefix.size());
  // The last dot: an id may have some of its own.
  const std::size_t dot = text.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || dot > kIdBytesMax || text.size() - dot - 1 != kSignatureBytes) {
    return std::unexpected(ExpressCookieError::kMalformed);
  }
  const std::string_view id = text.substr(0, dot);
  if (!std::ranges::all_of(id, [](char c) { return c > 0x20 && c < 0x7f; })) {
    return std::unexpected(ExpressCookieError::kMalformed);
  }
  bool genuine = false;
  for (const base::Secret& secret : secrets) {
    const bool fits = is_signed_with(id, text.substr(dot + 1), secret.reveal());
    genuine = genuine || fits;
  }
  if (!genuine) return std::unexpected(ExpressCookieError::kBadSignature);
  return base::Secret(id);
}

}  // namespace sallyport::auth
