#include "core/jose/jwt.h"

#include <algorithm>
#include <boost/json/value.hpp>
#include <span>
#include <utility>

#include "core/base/json.h"
#include "core/jose/jwt_claims.h"

namespace sallyport::jose {
namespace {

namespace json = boost::json;

JwtError error_of(JwsError error) {
  switch (error) {
    case JwsError::kTooLarge:
      return JwtError::kTooLarge;
    case JwsError::kMalformed:
      return JwtError::kMalformed;
    case JwsError::kUnsupportedHeader:
      return JwtError::kUnsupportedHeader;
    case JwsError::kUnsupportedAlgorithm:
      return JwtError::kUnsupportedAlgorithm;
    case JwsError::kUnknownKey:
      return JwtError::kUnknownKey;
    case JwsError::kBadSignature:
      return JwtError::kBadSignature;
  }
  return JwtError::kMalformed;
}

std::expected<json::value, JwtError> parse_claims(std::string_view payload,
                                                  base::JsonScratch& scratch) {
  auto value = base::parse_json(payload, {.bytes = kTokenBytesMax}, scratch.storage());
  if (!value || !value->is_object()) return std::unexpected(JwtError::kMalformed);
  return std::move(*value);
}

std::string_view reason_of_malformed(JwsError error) {
  switch (error) {
    case JwsError::kTooLarge:
      return "the token is over 8 KiB or its header over 1 KiB";
    case JwsError::kUnsupportedHeader:
      return "the header has 'crit' or 'b64'";
    case JwsError::kMalformed:
    case JwsError::kUnsupportedAlgorithm:
    case JwsError::kUnknownKey:
    case JwsError::kBadSignature:
      break;
  }
  return "not three parts of base64url without padding, or a header that is not strict JSON with "
         "'alg'";
}

std::optional<JwtError> judge_claims(const ClaimsContext& context, Claims& claims) {
  for (const ClaimCheck& check : claim_checks()) {
    if (const auto error = check.run(context, claims, nullptr)) return error;
  }
  return std::nullopt;
}

// The steps before the claims. True if all passed.
bool explain_signature(const CompactJws& jws, const JwtPolicy& policy, const KeySet& keys,
                       std::vector<JwtCheck>& checks) {
  const auto key = find_verifying_key(jws, keys, policy.algorithms);
  const std::string alg = "alg '" + printable(jws.header.algorithm_name) + "'";
  const std::string kid =
      jws.header.key_id ? "kid '" + printable(*jws.header.key_id) + "'" : "no kid";
  if (!key && key.error() == JwsError::kUnsupportedAlgorithm) {
    checks.push_back({"algorithm", false, alg + " is not allowed, or not for the key with " + kid});
    return false;
  }
  checks.push_back({"algorithm", true, alg});
  if (!key && key.error() == JwsError::kUnknownKey) {
    checks.push_back({"key", false, kid + ": no key fits among " + std::to_string(keys.size())});
    return false;
  }
  checks.push_back({"key", true, kid});
  checks.push_back(
      {"signature", key.has_value(), key ? "verified" : "does not fit the content and key"});
  return key.has_value();
}

}  // namespace

std::string_view to_string(JwtError error) {
  switch (error) {
    case JwtError::kTooLarge:
      return "too large";
    case JwtError::kMalformed:
      return "malformed";
    case JwtError::kUnsupportedHeader:
      return "unsupported header";
    case JwtError::kUnsupportedAlgorithm:
      return "unsupported algorithm";
    case JwtError::kUnknownKey:
      return "unknown key";
    case JwtError::kBadSignature:
      return "bad signature";
    case JwtError::kWrongType:
      return "wrong token type";
    case JwtError::kWrongIssuer:
      return "wrong issuer";
    case JwtError::kWrongAudience:
      return "wrong audience";
    case JwtError::kMissingClaim:
      return "missing claim";
    case JwtError::kBadClaim:
      return "bad claim";
    case JwtError::kExpired:
      return "expired";
    case JwtError::kNotYetValid:
      return "not yet valid";
    case JwtError::kNoLogout:
      return "no logout token";
    case JwtError::kTooOld:
      return "issued too long ago";
  }
  return "unknown";
}

std::expected<Claims, JwtError> verify_token(std::string_view token, const JwtPolicy& policy,
                                             const KeySet& keys, base::WallTime now,
                                             ClaimsJudge judge) {
  auto jws = verify_compact(token, keys, policy.algorithms);
  if (!jws) return std::unexpected(error_of(jws.error()));
  base::JsonScratch scratch;
  const auto value = parse_claims(jws->payload, scratch);
  if (!value) return std::unexpected(value.error());
  Claims claims;
  const ClaimsContext context{
      .policy = policy, .header = jws->header, .claims = value->get_object(), .now = now};
  if (const auto error = judge(context, claims)) return std::unexpected(*error);
  claims.ignored_header_keys = jws->header.ignored_header_keys;
  claims.json = std::move(jws->payload);
  return claims;
}

std::expected<Claims, JwtError> verify_jwt(std::string_view token, const JwtPolicy& policy,
                                           const KeySet& keys, base::WallTime now) {
  return verify_token(token, policy, keys, now, judge_claims);
}

std::expected<std::string, JwtError> peek_issuer(std::string_view token) {
  const auto jws = parse_compact(token);
  if (!jws) return std::unexpected(error_of(jws.error()));
  base::JsonScratch scratch;
  const auto value = parse_claims(jws->payload, scratch);
  if (!value) return std::unexpected(value.error());
  const json::value* const issuer = value->get_object().if_contains("iss");
  if (issuer == nullptr) return std::unexpected(JwtError::kMissingClaim);
  if (!issuer->is_string()) return std::unexpected(JwtError::kBadClaim);
  return std::string(issuer->get_string());
}

std::expected<std::string, JwtError> missing_key(std::string_view token, const JwtPolicy& policy,
                                                 base::WallTime now, ClaimsJudge judge) {
  auto jws = parse_compact(token);
  if (!jws) return std::unexpected(error_of(jws.error()));
  if (!jws->header.algorithm ||
      std::ranges::find(policy.algorithms, *jws->header.algorithm) == policy.algorithms.end()) {
    return std::unexpected(JwtError::kUnsupportedAlgorithm);
  }
  if (jws->signature.empty()) return std::unexpected(JwtError::kBadSignature);
  base::JsonScratch scratch;
  const auto value = parse_claims(jws->payload, scratch);
  if (!value) return std::unexpected(value.error());
  Claims unproven;
  const ClaimsContext context{
      .policy = policy, .header = jws->header, .claims = value->get_object(), .now = now};
  if (const auto error = judge(context, unproven)) return std::unexpected(*error);
  return std::move(jws->header.key_id).value_or(std::string());
}

std::expected<std::string, JwtError> missing_key_of(std::string_view token, const JwtPolicy& policy,
                                                    base::WallTime now) {
  return missing_key(token, policy, now, judge_claims);
}

std::vector<JwtCheck> explain_jwt(std::string_view token, const JwtPolicy& policy,
                                  const KeySet& keys, base::WallTime now) {
  std::vector<JwtCheck> checks;
  const auto jws = parse_compact(token);
  if (!jws) {
    checks.push_back({"format", false, std::string(reason_of_malformed(jws.error()))});
    return checks;
  }
  checks.push_back({"format", true, std::to_string(token.size()) + " bytes"});
  if (!explain_signature(*jws, policy, keys, checks)) return checks;
  base::JsonScratch scratch;
  const auto value = parse_claims(jws->payload, scratch);
  if (!value) {
    checks.push_back(
        {"claims", false, "not a JSON object, or not strict JSON, or nested too deep"});
    return checks;
  }
  checks.push_back({"claims", true, "a JSON object"});
  Claims claims;
  const ClaimsContext context{
      .policy = policy, .header = jws->header, .claims = value->get_object(), .now = now};
  for (const ClaimCheck& check : claim_checks()) {
    std::string detail;
    const auto error = check.run(context, claims, &detail);
    if (error && detail.empty()) detail = to_string(*error);
    checks.push_back({check.name, !error.has_value(), std::move(detail)});
  }
  return checks;
}

}  // namespace sallyport::jose
