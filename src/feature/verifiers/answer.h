#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "sallyport/principal.h"

namespace sallyport {

/// What someone says about a credential in JSON, with the names of RFC 7519 and RFC 7662: `sub`, `iss`, `exp`,
/// `nbf`, `iat`, `jti`, `sid`, `scope`. Read as strictly as a token's claims.
struct Answer {
  std::optional<bool> active;              ///< RFC 7662 section 2.2
  Principal who;                           ///< without an issuer; `valid_until` is `expires_at`
  std::string issuer;                      ///< or empty
  std::string client_id;                   ///< likewise
  std::optional<WallTime> not_before;
  /// The thumbprint of the certificate that the credential is bound to (RFC 8705 section 3.2).
  std::optional<std::string> certificate_sha256;
  bool bound_otherwise = false;            ///< `cnf` with something else
};

/// The error is what is wrong, without a value.
[[nodiscard]] std::expected<Answer, std::string_view> parse_answer(std::string_view json);

/// Whether `certificate` (DER, may be empty) is the one that an answer or token is bound to.
[[nodiscard]] bool is_bound_to(std::string_view x5t_s256, std::string_view certificate);

inline constexpr std::size_t kAnswerBytesMax = std::size_t{64} * 1024;

}  // namespace sallyport
