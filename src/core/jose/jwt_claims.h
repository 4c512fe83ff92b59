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
