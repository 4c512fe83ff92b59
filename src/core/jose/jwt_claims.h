#pragma once

// The checks of a verified token's claims, one function each, and the way to them that all kinds of
// tokens share; for this folder's .cc files only.

#include <boost/json/object.hpp>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/jose/jwt.h"
#include "core/jose/printable.h"

namespace sallyport::jose {

struct ClaimsContext {
  const JwtPolicy& policy;
  const JwsHeader& header;
  const boost::json::object& claims;
  base::WallTime now;

  /// The member of that name, or null. Names are unique here, and most have three letters: one look
  /// at the first costs less than the library's comparison of all.
  [[nodiscard]] const boost::json::value* find(std::string_view name) const {
    if (claims.size() > 32) return claims.if_contains(name);
    for (const auto& member : claims) {
      const std::string_view key = member.key();
      if (key.size() == name.size() && key.front() == name.front() && key == name) {
        return &member.value();
      }
    }
    return nullptr;
  }
};

/// A check fills its part of `output`. If `detail` is not null it also says what it saw, for a
/// person.
struct ClaimCheck {
  std::string_view name;
  std::optional<JwtError> (*run)(const ClaimsContext& context, Claims& output, std::string* detail);
  bool of_logout = true;  ///< made of a logout token too
};

/// All of them, in the order in which they run.
[[nodiscard]] std::span<const ClaimCheck> claim_checks();

/// The policy's leeway within its bounds.
[[nodiscard]] base::Milliseconds leeway_of(const JwtPolicy& policy);

/// The `sub` where it need not be there; false if it is there and unsound.
[[nodiscard]] bool read_subject_if_any(const ClaimsContext& context, Claims& output);

/// OpenID Connect Back-Channel Logout 1.0 section 2.4.
inline constexpr std::string_view kLogoutEvent =
    "http://schemas.openid.net/event/backchannel-logout";

/// What decides about the claims of one kind of token.
using ClaimsJudge = std::optional<JwtError> (*)(const ClaimsContext& context, Claims& output);

/// `verify_jwt` and `missing_key_of` for tokens whose claims `judge` decides about.
[[nodiscard]] std::expected<Claims, JwtError> verify_token(std::string_view token,
                                                           const JwtPolicy& policy,
                                                           const KeySet& keys, base::WallTime now,
                                                           ClaimsJudge judge);
[[nodiscard]] std::expected<std::string, JwtError> missing_key(std::string_view token,
                                                               const JwtPolicy& policy,
                                                               base::WallTime now,
                                                               ClaimsJudge judge);

}  // namespace sallyport::jose
