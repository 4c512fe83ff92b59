#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/jose/jwt.h"

namespace sallyport::jose {

/// A logout token is for its receiver's next moments, not for later (OpenID Connect Back-Channel Logout 1.0 section
/// 2.4 has it live two minutes).
inline constexpr std::chrono::minutes kLogoutAgeMax{10};

/// Whose login at the issuer has ended (OpenID Connect Back-Channel Logout 1.0 section 2.4). Texts are as in Claims;
/// of subject and session one may be empty.
struct LogoutToken {
  std::string issuer;
  std::string subject;
  std::string session;   ///< `sid`; empty: all sessions of the subject
  std::string token_id;  ///< `jti`, never empty: whoever takes the token remembers it, so that it counts once
  base::WallTime issued_at;
  base::WallTime valid_until;  ///< from then on the token is refused for its age; leeway is in it
};

/// Verifies a logout token (section 2.6) the way `verify_jwt` verifies others: signature, algorithms, type, issuer,
/// audience and times are held to the same policy. On top of that: an event of a logout, no `nonce`, a `jti`, a `sub`
/// or a `sid`, and an `iat` of the last ten minutes. That the `jti` is new is for the caller to know.
[[nodiscard]] std::expected<LogoutToken, JwtError> verify_logout_token(std::string_view token,
                                                                       const JwtPolicy& policy,
                                                                       const KeySet& keys,
                                                                       base::WallTime now);

/// `missing_key_of` for a logout token.
[[nodiscard]] std::expected<std::string, JwtError> missing_logout_key_of(std::string_view token,
                                                                         const JwtPolicy& policy,
                                                                         base::WallTime now);

}  // namespace sallyport::jose
