#include "core/jose/jwt_claims.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <cstdint>

#include "core/base/base64url.h"

namespace sallyport::jose {
namespace {

namespace json = boost::json;
using std::chrono::seconds;

constexpr std::size_t kTextBytesMax = 255;

// The bounds of a NumericDate, exclusive: beyond them a double no longer tells seconds apart, and
// times in milliseconds would come near the end of 64 bits.
constexpr std::int64_t kSecondsLimit = std::int64_t{1} << 53;

bool has_control_characters(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::optional<std::string_view> text_of(const json::value& value) {
  if (!value.is_string()) return std::nullopt;
  const std::string_view text(value.get_string());
  if (text.empty() || has_control_characters(text)) return std::nullopt;
  return text;
}

// An identifier that may be absent; false if it is there and unsound.
bool read_identifier(const ClaimsContext& context, std::string_view name, std::string& output) {
  const json::value* const value = context.find(name);
  if (value == nullptr) return true;
  const auto text = text_of(*value);
  if (!text || text->size() > kTextBytesMax) return false;
  output = *text;
  return true;
}

// RFC 7519 section 4.1.3: a string, or an array of strings. Nothing if it is neither.
std::optional<std::vector<std::string>> texts_of(const json::value& value) {
  std::vector<std::string> texts;
  const json::array* const array = value.if_array();
  const std::span<const json::value> values =
      array != nullptr ? std::span<const json::value>(array->data(), array->size())
                       : std::span<const json::value>(&value, 1);
  for (const json::value& element : values) {
    const auto text = text_of(element);
    if (!text) return std::nullopt;
    texts.emplace_back(*text);
  }
  return texts;
}

enum class Rounding { kDown, kUp };

// RFC 7519 section 2 (NumericDate). Rounding goes towards the refusal.
std::optional<base::WallTime> time_of(const json::value& value, Rounding rounding) {
  if (const std::int64_t* const whole = value.if_int64()) {
    if (*whole <= -kSecondsLimit || *whole >= kSecondsLimit) return std::nullopt;
    return base::WallTime(seconds(*whole));
  }
  const double* const number = value.if_double();
  if (number == nullptr || !(std::fabs(*number) < static_cast<double>(kSecondsLimit)))
    return std::nullopt;
  const double milliseconds = *number * 1000;
  return base::WallTime(base::Milliseconds(static_cast<std::int64_t>(
      rounding == Rounding::kDown ? std::floor(milliseconds) : std::ceil(milliseconds))));
}

std::string show(base::WallTime time, base::WallTime now) {
  const auto whole = [](base::Milliseconds d) {
    return std::to_string(std::chrono::duration_cast<seconds>(d).count());
  };
  return whole(time.time_since_epoch()) + ", now is " + whole(now.time_since_epoch());
}

std::string show(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts)
    list += (list.empty() ? "'" : ", '") + printable(text) + "'";
  return list.empty() ? "nothing" : printable(list, 512);
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

// RFC 7515 section 4.1.9: the prefix may be left out.
std::string_view media_type(std::string_view type) {
  constexpr std::string_view kPrefix = "application/";
  const bool is_long = equals_ignoring_case(type.substr(0, kPrefix.size()), kPrefix);
  return is_long ? type.substr(kPrefix.size()) : type;
}

std::optional<JwtError> check_type(const ClaimsContext& context, Claims&, std::string* detail) {
  const std::string_view type =
      context.header.type ? std::string_view(*context.header.type) : "JWT";
  if (detail != nullptr) {
    *detail = "typ " +
              (context.header.type ? "'" + printable(type) + "'" : "absent, counts as JWT") +
              ", accepted: " + show(context.policy.token_types);
  }
  const std::string_view wanted = media_type(type);
  const auto same = [wanted](const std::string& accepted) {
    return equals_ignoring_case(media_type(accepted), wanted);
  };
  if (std::ranges::none_of(context.policy.token_types, same)) return JwtError::kWrongType;
  return std::nullopt;
}

std::optional<JwtError> check_issuer(const ClaimsContext& context, Claims& output,
                                     std::string* detail) {
  const json::value* const value = context.find("iss");
  if (value == nullptr) return JwtError::kMissingClaim;
  if (!value->is_string()) return JwtError::kBadClaim;
  const std::string_view issuer(value->get_string());
  if (detail != nullptr) {
    *detail = "iss '" + printable(issuer, 256) + "', wanted '" +
              printable(context.policy.issuer, 256) + "'";
  }
  if (issuer.empty() || issuer != context.policy.issuer) return JwtError::kWrongIssuer;
  output.issuer = issuer;
  return std::nullopt;
}

std::optional<JwtError> check_audience(const ClaimsContext& context, Claims& output,
                                       std::string* detail) {
  const auto& wanted = context.policy.audience;
  const json::value* const value = context.find("aud");
  if (value == nullptr) {
    if (wanted.empty()) return std::nullopt;
    return JwtError::kMissingClaim;
  }
  auto audience = texts_of(*value);
  if (!audience) return JwtError::kBadClaim;
  if (detail != nullptr) {
    *detail = "aud " + show(*audience) + ", wanted " +
              (wanted.empty() ? "any" : "one of " + show(wanted));
  }
  const auto is_wanted = [&wanted](const std::string& name) {
    return std::ranges::find(wanted, name) != wanted.end();
  };
  if (!wanted.empty() && std::ranges::none_of(*audience, is_wanted))
    return JwtError::kWrongAudience;
  output.audience = std::move(*audience);
  return std::nullopt;
}

// Who sends logout tokens with `typ` "JWT", or none, hands out what would otherwise pass here (RFC
// 8725 section 3.12).
bool is_logout(const ClaimsContext& context) {
  const json::value* const events = context.find("events");
  const json::object* const members = events != nullptr ? events->if_object() : nullptr;
  return members != nullptr && members->contains(kLogoutEvent);
}

std::optional<JwtError> check_subject(const ClaimsContext& context, Claims& output,
                                      std::string* detail) {
  if (is_logout(context)) {
    if (detail != nullptr) *detail = "this is a logout token: it ends a login and proves none";
    return JwtError::kWrongType;
  }
  if (context.find("sub") == nullptr) return JwtError::kMissingClaim;
  if (!read_identifier(context, "sub", output.subject)) return JwtError::kBadClaim;
  if (detail != nullptr) *detail = "sub '" + printable(output.subject, 255) + "'";
  return std::nullopt;
}

std::optional<JwtError> check_expiry(const ClaimsContext& context, Claims& output,
                                     std::string* detail) {
  const json::value* const value = context.find("exp");
  if (value == nullptr) return JwtError::kMissingClaim;
  const auto time = time_of(*value, Rounding::kDown);
  if (!time) return JwtError::kBadClaim;
  if (detail != nullptr) *detail = "exp " + show(*time, context.now);
  // RFC 7519 section 4.1.4: on or after.
  if (context.now >= *time + leeway_of(context.policy)) return JwtError::kExpired;
  output.expires_at = *time;
  return std::nullopt;
}

std::optional<JwtError> check_start(const ClaimsContext& context, std::string_view name,
                                    std::optional<base::WallTime>& output, std::string* detail) {
  const json::value* const value = context.find(name);
  if (value == nullptr) {
    if (detail != nullptr) *detail = std::string(name) + " absent";
    return std::nullopt;
  }
  const auto time = time_of(*value, Rounding::kUp);
  if (!time) return JwtError::kBadClaim;
  if (detail != nullptr) *detail = std::string(name) + " " + show(*time, context.now);
  if (*time > context.now + leeway_of(context.policy)) return JwtError::kNotYetValid;
  output = *time;
  return std::nullopt;
}

std::optional<JwtError> check_not_before(const ClaimsContext& context, Claims& output,
                                         std::string* detail) {
  return check_start(context, "nbf", output.not_before, detail);
}

// A token from the future was made by a clock that is wrong, or is a trick.
std::optional<JwtError> check_issued_at(const ClaimsContext& context, Claims& output,
                                        std::string* detail) {
  return check_start(context, "iat", output.issued_at, detail);
}

std::optional<JwtError> check_identifiers(const ClaimsContext& context, Claims& output,
                                          std::string* detail) {
  if (!read_identifier(context, "sid", output.session) ||
      !read_identifier(context, "jti", output.token_id) ||
      !read_identifier(context, "client_id", output.client_id)) {
    if (detail != nullptr) *detail = "sid, jti or client_id is not a text of 1 to 255 bytes";
    return JwtError::kBadClaim;
  }
  if (detail != nullptr) {
    *detail = "sid '" + printable(output.session) + "', jti '" + printable(output.token_id) +
              "', client_id '" + printable(output.client_id) + "'";
  }
  return std::nullopt;
}

void split_scopes(std::string_view text, std::vector<std::string>& scopes) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) scopes.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::optional<JwtError> check_scopes(const ClaimsContext& context, Claims& output,
                                     std::string* detail) {
  const json::value* value = context.find("scope");
  const bool is_scope = value != nullptr;
  if (!is_scope) value = context.find("scp");
  if (value != nullptr && value->is_string()) {
    const std::string_view text(value->get_string());
    if (has_control_characters(text)) return JwtError::kBadClaim;
    split_scopes(text, output.scopes);
  } else if (value != nullptr) {
    // Only `scp` may be an array: RFC 8693 gives `scope` one form.
    auto scopes = is_scope || !value->is_array() ? std::nullopt : texts_of(*value);
    if (!scopes) return JwtError::kBadClaim;
    output.scopes = std::move(*scopes);
  }
  if (detail != nullptr) *detail = show(output.scopes);
  return std::nullopt;
}

std::optional<JwtError> check_confirmation(const ClaimsContext& context, Claims& output,
                                           std::string* detail) {
  const json::value* const value = context.find("cnf");
  if (value == nullptr) {
    if (detail != nullptr) *detail = "not bound to a sender";
    return std::nullopt;
  }
  const json::object* const confirmation = value->if_object();
  if (confirmation == nullptr) return JwtError::kBadClaim;
  const json::value* const thumbprint = confirmation->if_contains("x5t#S256");
  if (thumbprint != nullptr) {
    const auto text = text_of(*thumbprint);
    const auto bytes = text ? base::base64url_decode(*text) : std::nullopt;
    if (!bytes || bytes->size() != 32) return JwtError::kBadClaim;
    output.confirmation_x5t_s256.emplace(*text);
  }
  output.has_other_confirmation = confirmation->size() > (thumbprint != nullptr ? 1U : 0U);
  if (detail != nullptr) {
    *detail = thumbprint != nullptr ? "bound to a client certificate"
                                    : "bound by a method that is not checked";
  }
  return std::nullopt;
}

constexpr std::array<ClaimCheck, 10> kChecks = {{
    {"type", check_type},
    {"issuer", check_issuer},
    {"audience", check_audience},
    {"subject", check_subject, false},
    {"expiry", check_expiry},
    {"not before", check_not_before},
    {"issued at", check_issued_at},
    {"identifiers", check_identifiers},
    {"scopes", check_scopes, false},
    {"confirmation", check_confirmation, false},
}};

}  // namespace

base::Milliseconds leeway_of(const JwtPolicy& policy) {
  return std::clamp<seconds>(policy.leeway, seconds(0), std::chrono::days(1));
}

std::span<const ClaimCheck> claim_checks() {
  return kChecks;
}

bool read_subject_if_any(const ClaimsContext& context, Claims& output) {
  return read_identifier(context, "sub", output.subject);
}

}  // namespace sallyport::jose
