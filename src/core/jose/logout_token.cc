#include "core/jose/logout_token.h"

#include <algorithm>
#include <boost/json/value.hpp>
#include <utility>

#include "core/jose/jwt_claims.h"

namespace sallyport::jose {
namespace {

namespace json = boost::json;

// The end that its age alone sets.
base::WallTime end_of_age(const Claims& claims, const JwtPolicy& policy) {
  return *claims.issued_at + kLogoutAgeMax + leeway_of(policy);
}

std::optional<JwtError> judge_event(const ClaimsContext& context) {
  const json::value* const events = context.find("events");
  if (events == nullptr || !events->is_object()) return JwtError::kNoLogout;
  const json::value* const event = events->get_object().if_contains(kLogoutEvent);
  if (event == nullptr || !event->is_object()) return JwtError::kNoLogout;
  // "MUST NOT be used": so that an ID token, which may have one, is never taken for this (section 2.4).
  if (context.find("nonce") != nullptr) return JwtError::kNoLogout;
  return std::nullopt;
}

std::optional<JwtError> judge_logout(const ClaimsContext& context, Claims& claims) {
  for (const ClaimCheck& check : claim_checks()) {
    if (!check.of_logout) continue;
    if (const auto error = check.run(context, claims, nullptr)) return error;
  }
  if (context.find("aud") == nullptr) return JwtError::kMissingClaim;  // section 2.4 wants it also where nobody checks it
  if (const auto error = judge_event(context)) return error;
  if (!read_subject_if_any(context, claims)) return JwtError::kBadClaim;
  if (claims.subject.empty() && claims.session.empty()) return JwtError::kMissingClaim;
  if (claims.token_id.empty() || !claims.issued_at) return JwtError::kMissingClaim;
  if (context.now >= end_of_age(claims, context.policy)) return JwtError::kTooOld;
  return std::nullopt;
}

}  // namespace

std::expected<LogoutToken, JwtError> verify_logout_token(std::string_view token,
                                                         const JwtPolicy& policy,
                                                         const KeySet& keys, base::WallTime now) {
  auto claims = verify_token(token, policy, keys, now, judge_logout);
  if (!claims) return std::unexpected(claims.error());
  const base::WallTime expiry = claims->expires_at + leeway_of(policy);
  const base::WallTime end = std::min(expiry, end_of_age(*claims, policy));
  return LogoutToken{.issuer = std::move(claims->issuer),
                     .subject = std::move(claims->subject),
                     .session = std::move(claims->session),
                     .token_id = std::move(claims->token_id),
                     .issued_at = *claims->issued_at,
                     .valid_until = end};
}

std::expected<std::string, JwtError> missing_logout_key_of(std::string_view token,
                                                           const JwtPolicy& policy,
                                                           base::WallTime now) {
  return missing_key(token, policy, now, judge_logout);
}

}  // namespace sallyport::jose
