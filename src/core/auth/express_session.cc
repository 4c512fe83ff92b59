#include "core/auth/express_session.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cctype>
#include <utility>

#include "core/base/json.h"

namespace sallyport::auth {
namespace {

namespace json = boost::json;

constexpr base::JsonLimits kLimits{.bytes = kExpressSessionBytesMax, .depth = 32};
constexpr std::size_t kPointerBytesMax = 256;
constexpr std::size_t kSubjectBytesMax = 255;
constexpr std::size_t kScopesMax = 256;
constexpr base::Milliseconds kLifeMax = std::chrono::years(100);
constexpr std::size_t kClaimBytesMax = 1024;
constexpr std::size_t kClaimsBytesMax = std::size_t{8} * 1024;
constexpr std::array<std::string_view, 4> kSecretWords = {"secret", "token", "password", "csrf"};

bool has_control_characters(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

const json::value* find(const json::value& session, const std::string& pointer) {
  json::error_code not_found;
  return session.find_pointer(pointer, not_found);
}

std::expected<std::string, ExpressSessionError> subject_of(const json::value* value) {
  if (value == nullptr || value->is_null()) return std::unexpected(ExpressSessionError::kAnonymous);
  if (const auto* number = value->if_int64()) return std::to_string(*number);
  if (const auto* number = value->if_uint64()) return std::to_string(*number);
  if (!value->is_string()) return std::unexpected(ExpressSessionError::kBadSubject);
  const std::string_view text(value->get_string());
  if (text.empty()) return std::unexpected(ExpressSessionError::kAnonymous);
  if (text.size() > kSubjectBytesMax || has_control_characters(text)) {
    return std::unexpected(ExpressSessionError::kBadSubject);
  }
  return std::string(text);
}

// A text is a list with spaces, as in OAuth.
std::optional<std::vector<std::string>> scopes_of(const json::value* value) {
  std::vector<std::string> scopes;
  if (value == nullptr || value->is_null()) return scopes;
  const auto add = [&](std::string_view scope) {
    if (!scope.empty()) scopes.emplace_back(scope);
    return !has_control_characters(scope) && scopes.size() <= kScopesMax;
  };
  if (const auto* text = value->if_string()) {
    std::string_view rest(*text);
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(' '), rest.size());
      if (!add(rest.substr(0, end))) return std::nullopt;
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return scopes;
  }
  const json::array* const array = value->if_array();
  if (array == nullptr) return std::nullopt;
  for (const json::value& item : *array) {
    if (!item.is_string() || !add(std::string_view(item.get_string()))) return std::nullopt;
  }
  return scopes;
}

bool is_plain(const json::value& value) { return value.is_string() || value.is_number() || value.is_bool(); }

bool is_claim(std::string_view name, const json::value& value) {
  if (name == "cookie") return false;
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool secret = std::ranges::any_of(
      kSecretWords, [&](std::string_view word) { return lower.find(word) != std::string::npos; });
  if (secret) return false;
  const json::array* const array = value.if_array();
  return array != nullptr ? std::ranges::all_of(*array, is_plain) : is_plain(value);
}

std::string claims_of(const json::object& session) {
  std::string claims;
  for (const auto& [name, value] : session) {
    if (!is_claim(std::string_view(name), value)) continue;
    const std::string text = json::serialize(name) + ":" + json::serialize(value);
    if (text.size() > kClaimBytesMax || claims.size() + text.size() + 2 > kClaimsBytesMax) continue;
    claims += (claims.empty() ? "{" : ",") + text;
  }
  return claims.empty() ? claims : claims + "}";
}

// `cookie.expires`; nothing if the session does not end by itself.
std::expected<std::optional<base::WallTime>, ExpressSessionError> own_expiry(const json::object& session) {
  const json::value* const cookie = session.if_contains("cookie");
  if (cookie == nullptr) return std::nullopt;
  if (!cookie->is_object()) return std::unexpected(ExpressSessionError::kBadExpiry);
  const json::value* const expires = cookie->get_object().if_contains("expires");
  const bool none = expires == nullptr || expires->is_null() || (expires->is_bool() && !expires->get_bool());
  if (none) return std::nullopt;
  const auto time = expires->is_string() ? parse_json_date(std::string_view(expires->get_string())) : std::nullopt;
  if (!time) return std::unexpected(ExpressSessionError::kBadExpiry);
  return time;
}

// Digits of a fixed place; nothing if one of them is none.
std::optional<int> number_at(std::string_view text, std::size_t from, std::size_t size) {
  int number = 0;
  for (const char c : text.substr(from, size)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

}  // namespace

std::string ExpressPaths::fault_of(std::string_view pointer) {
  if (!pointer.starts_with('/')) return "a JSON pointer begins with a slash, such as /passport/user";
  if (pointer.size() > kPointerBytesMax) return "the JSON pointer is longer than 256 bytes";
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] != '~') continue;
    if (i + 1 == pointer.size() || (pointer[i + 1] != '0' && pointer[i + 1] != '1')) {
      return "in a JSON pointer ~ is written ~0, and a slash within a name ~1";
    }
  }
  return {};
}

std::string_view describe(ExpressSessionError error) noexcept {
  switch (error) {
    case ExpressSessionError::kTooLarge: return "the stored session is larger than 64 KiB";
    case ExpressSessionError::kNotAnObject: return "what is stored is not a JSON object";
    case ExpressSessionError::kAnonymous: return "nobody has signed in in this session";
    case ExpressSessionError::kBadSubject: return "the session's subject is neither a text nor an integer";
    case ExpressSessionError::kBadScopes: return "the session's scopes are neither a text nor an array of texts";
    case ExpressSessionError::kBadExpiry: return "the session's cookie.expires is not a date";
    case ExpressSessionError::kExpired: return "the session has expired";
  }
  return "unknown";
}

std::optional<base::WallTime> parse_json_date(std::string_view text) {
  using namespace std::chrono;
  constexpr std::string_view kShape = "0000-00-00T00:00:00";
  const bool fraction = text.size() == kShape.size() + 5;
  if ((!fraction && text.size() != kShape.size() + 1) || text.back() != 'Z') return std::nullopt;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] != '0' && text[i] != kShape[i]) return std::nullopt;
  }
  if (fraction && text[kShape.size()] != '.') return std::nullopt;
  const auto year_number = number_at(text, 0, 4);
  const auto month_number = number_at(text, 5, 2);
  const auto day_number = number_at(text, 8, 2);
  const auto hour = number_at(text, 11, 2);
  const auto minute = number_at(text, 14, 2);
  const auto second = number_at(text, 17, 2);
  const auto thousandth = fraction ? number_at(text, 20, 3) : std::optional<int>(0);
  if (!year_number || !month_number || !day_number || !hour || !minute || !second || !thousandth) return std::nullopt;
  const year_month_day date{year(*year_number), month(static_cast<unsigned>(*month_number)),
                            day(static_cast<unsigned>(*day_number))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  return base::WallTime(sys_days(date)) + hours(*hour) + minutes(*minute) + seconds(*second) +
         milliseconds(*thousandth);
}

std::expected<ExpressSession, ExpressSessionError> read_express_session(std::string_view text,
                                                                        const ExpressPaths& paths,
                                                                        std::optional<base::Milliseconds> remaining,
                                                                        base::WallTime now) {
  if (text.size() > kLimits.bytes) return std::unexpected(ExpressSessionError::kTooLarge);
  const auto value = base::parse_json(text, kLimits);
  if (!value || !value->is_object()) return std::unexpected(ExpressSessionError::kNotAnObject);

  ExpressSession session;
  auto subject = subject_of(find(*value, paths.subject));
  if (!subject) return std::unexpected(subject.error());
  session.subject = std::move(*subject);
  if (!paths.scopes.empty()) {
    auto scopes = scopes_of(find(*value, paths.scopes));
    if (!scopes) return std::unexpected(ExpressSessionError::kBadScopes);
    session.scopes = std::move(*scopes);
  }
  if (remaining) {
    session.expires_at = now + std::min(*remaining, kLifeMax);
  } else {
    const auto expiry = own_expiry(value->get_object());
    if (!expiry) return std::unexpected(expiry.error());
    session.expires_at = *expiry;
  }
  if (session.expires_at && *session.expires_at <= now) return std::unexpected(ExpressSessionError::kExpired);
  session.claims = claims_of(value->get_object());
  return session;
}

}  // namespace sallyport::auth
