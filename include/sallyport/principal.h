#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/text.h"

namespace sallyport {

/// Wall-clock time with millisecond precision.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

/// Who a connection acts as: what a verifier has proven. Immutable once a connection has it; a refresh
/// replaces the whole value. Identity is the pair of issuer and subject, never the subject alone.
struct Principal {
  Text issuer;                ///< `iss`; for verifiers without issuers, the verifier's name
  Text subject;               ///< `sub`, never empty
  Text session;               ///< `sid` where the login has one, otherwise empty
  Text token_id;              ///< `jti` where the credential has one, otherwise empty
  std::vector<std::string> scopes;   ///< granted scopes, in the credential's order
  Text claims;                ///< all verified claims as a JSON object, or empty
  std::optional<WallTime> issued_at; ///< `iat`
  std::optional<WallTime> expires_at;  ///< `exp`; nothing: the credential does not end by itself
  /// When the authority really ends: `expires_at` plus the verifier's leeway. Nothing flows after it.
  std::optional<WallTime> valid_until;
  /// How often the verifier is asked again while the connection lives; nothing: never. For credentials that
  /// someone else can end, such as a session in a store.
  std::optional<std::chrono::milliseconds> recheck_every;

  [[nodiscard]] bool has_scope(std::string_view scope) const noexcept;
  /// A claim whose value is a string; nothing if it is absent or of another type. Parses `claims`.
  [[nodiscard]] std::optional<std::string> claim(std::string_view name) const;
  /// True if the claim equals `value`, or is an array that contains it.
  [[nodiscard]] bool claim_contains(std::string_view name, std::string_view value) const;
};

}  // namespace sallyport
