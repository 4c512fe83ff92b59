#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "core/base/secret.h"

namespace sallyport::auth {

enum class ExpressCookieError : std::uint8_t {
  kNotSigned,     ///< does not begin with "s:": not a cookie of express-session
  kMalformed,     ///< too long, a broken escape, or not an id and a signature
  kBadSignature,  ///< made with none of the secrets
};
[[nodiscard]] std::string_view describe(ExpressCookieError error) noexcept;

/// The session id of a cookie of express-session: percent-encoded "s:ID.SIGNATURE", where the signature is the
/// base64, without its padding, of HMAC-SHA256 over the id. Any of the secrets may have made it; the time taken
/// tells neither which nor how much of it fits. The id is printable ASCII of at most 256 bytes.
[[nodiscard]] std::expected<base::Secret, ExpressCookieError> read_express_cookie(
    std::string_view value, std::span<const base::Secret> secrets);

}  // namespace sallyport::auth
