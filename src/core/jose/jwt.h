#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/jose/jws.h"

namespace sallyport::jose {

/// What one issuer's tokens must be like.
struct JwtPolicy {
  std::string issuer;                 ///< compared exactly; an empty one matches nothing
  std::vector<std::string> audience;  ///< the token must name one of them; empty: not checked
  std::vector<Algorithm> algorithms;  ///< none: every token is refused
  /// Applied once to each of exp, nbf and iat. Taken as 0 if negative, as a day if longer.
  std::chrono::seconds leeway{30};
  /// Accepted `typ` values, without regard to case and "application/" (RFC 7515 section 4.1.9); a
  /// token without one counts as "JWT".
  std::vector<std::string> token_types{"JWT", "at+jwt"};
};

/// What a verified token says. Texts are not empty, at most 255 bytes (scopes and audience: as long
/// as the token permits) and free of control characters.
struct Claims {
  std::string issuer;
  std::string subject;
  std::vector<std::string> audience;
  std::string session;    ///< `sid`, or empty
  std::string token_id;   ///< `jti`, or empty
  std::string client_id;  ///< `client_id`, or empty
  /// `scope` (RFC 8693 section 4.2), or else `scp` as a string or an array.
  std::vector<std::string> scopes;
  base::WallTime expires_at;  ///< `exp` without leeway, rounded down to the millisecond
  std::optional<base::WallTime> issued_at;
  std::optional<base::WallTime> not_before;
  /// The SHA-256 thumbprint (base64url) of the client certificate to which the token is bound (RFC
  /// 8705 section 3.1). Comparing it is the caller's duty.
  std::optional<std::string> confirmation_x5t_s256;
  /// The token is bound by another method (`cnf` with `jkt`, for example), which is not checked
  /// here.
  bool has_other_confirmation = false;
  bool ignored_header_keys = false;  ///< as in JwsHeader
  std::string json;                  ///< the whole claims set as it was signed
};

enum class JwtError {
  kTooLarge,
  kMalformed,  ///< the token's form, or claims that are not a strict JSON object
  kUnsupportedHeader,
  kUnsupportedAlgorithm,
  kUnknownKey,
  kBadSignature,
  kWrongType,
  kWrongIssuer,
  kWrongAudience,
  kMissingClaim,
  kBadClaim,  ///< a claim of the wrong type, out of range, too long, or with control characters
  kExpired,
  kNotYetValid,
  kNoLogout,    ///< of a logout token: no event of a logout, or what a logout token must not have
  kTooOld,      ///< of a logout token: issued longer ago than one may be
};

[[nodiscard]] std::string_view to_string(JwtError error);

/// Verifies a token and everything the policy says about it (RFC 7519 section 7.2, RFC 8725). The
/// claims are looked at only after the signature. `now >= exp + leeway` is expired. Safe to call
/// from several threads with the same keys.
[[nodiscard]] std::expected<Claims, JwtError> verify_jwt(std::string_view token,
                                                         const JwtPolicy& policy,
                                                         const KeySet& keys, base::WallTime now);

/// The `iss` that a token claims, unproven: for choosing the policy to verify it with, nothing
/// else.
[[nodiscard]] std::expected<std::string, JwtError> peek_issuer(std::string_view token);

/// For a token that has met kUnknownKey: the `kid` of the key it wants (empty if it names none), if newer keys of its
/// issuer could make it acceptable. Everything else that the policy says is checked as `verify_jwt` would, though
/// nothing of it is proven; the error is what the token would be refused for under any key. Only a token that
/// passes is worth a fetch.
[[nodiscard]] std::expected<std::string, JwtError> missing_key_of(std::string_view token,
                                                                  const JwtPolicy& policy,
                                                                  base::WallTime now);

/// One step of a verification, for a person to read. `detail` is printable ASCII and never contains
/// the token or its signature.
struct JwtCheck {
  std::string_view name;  ///< a literal
  bool passed = false;
  std::string detail;
};

/// The checks of `verify_jwt` in the order in which they run. The list ends with the first one of
/// form, algorithm, key, signature and claims that fails; the later ones are all made, so that
/// several faults show at once. The token is acceptable exactly if every entry has passed.
[[nodiscard]] std::vector<JwtCheck> explain_jwt(std::string_view token, const JwtPolicy& policy,
                                                const KeySet& keys, base::WallTime now);

}  // namespace sallyport::jose
