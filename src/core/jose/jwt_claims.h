#pragma once

// The checks of a verified token's claims, one function each; for this folder's .cc files only.

#include <boost/json/object.hpp>
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
};

/// All of them, in the order in which they run.
[[nodiscard]] std::span<const ClaimCheck> claim_checks();

}  // namespace sallyport::jose
