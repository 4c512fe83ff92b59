#include "core/auth/access.h"

#include <boost/json/value.hpp>
#include <algorithm>

#include "core/base/json.h"

namespace sallyport::auth {
namespace {

// Claims were bounded when the token was verified; other verifiers' answers are bounded by their transport.
constexpr base::JsonLimits kLimits{.bytes = 256 * 1024, .depth = 32};

bool equals(const boost::json::value& claim, std::string_view value) {
  if (const auto* text = claim.if_string()) return std::string_view(*text) == value;
  if (const bool* flag = claim.if_bool()) return value == (*flag ? "true" : "false");
  if (!claim.is_number()) return false;
  // Compared as numbers, since there are several ways to write one: the library prints 1.5 as 1.5E0.
  const auto number = base::parse_json(value);
  return number && number->is_number() && *number == claim;
}

}  // namespace

struct Claims::Parsed {
  boost::json::object claims;
};

Claims::Claims(std::string_view json) {
  if (json.empty()) return;
  auto value = base::parse_json(json, kLimits);
  if (!value || !value->is_object()) return;
  parsed_ = std::make_unique<const Parsed>(Parsed{std::move(value->get_object())});
}

Claims::~Claims() = default;

std::optional<std::string> Claims::text(std::string_view name) const {
  if (parsed_ == nullptr) return std::nullopt;
  const boost::json::value* const claim = parsed_->claims.if_contains(name);
  if (claim == nullptr || !claim->is_string()) return std::nullopt;
  return std::string(std::string_view(claim->get_string()));
}

bool Claims::contains(std::string_view name, std::string_view value) const {
  if (parsed_ == nullptr) return false;
  const boost::json::value* const claim = parsed_->claims.if_contains(name);
  if (claim == nullptr) return false;
  if (const auto* array = claim->if_array()) {
    return std::any_of(array->begin(), array->end(),
                       [&](const boost::json::value& item) { return equals(item, value); });
  }
  return equals(*claim, value);
}

std::optional<Failure> unmet(const Requirements& requirements, const Principal& who) {
  for (const std::string& scope : requirements.scopes) {
    if (!who.has_scope(scope)) return Failure::kInsufficientScope;
  }
  if (requirements.claims.empty()) return std::nullopt;
  const Claims claims(who.claims);
  for (const auto& [name, allowed] : requirements.claims) {
    const bool met = std::any_of(allowed.begin(), allowed.end(),
                                 [&](const std::string& value) { return claims.contains(name, value); });
    if (!met) return Failure::kForbidden;
  }
  return std::nullopt;
}

}  // namespace sallyport::auth
