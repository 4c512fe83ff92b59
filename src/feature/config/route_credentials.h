#pragma once

#include <optional>
#include <string>
#include <vector>

#include "feature/config/section.h"
#include "sallyport/credentials.h"

namespace sallyport::config {

/// One item of `credentials`: "cookie:sid" and the line on which it stands.
struct PlacedCredential {
  CredentialKind kind;
  std::string spelled;
  int line = 1;
};

/// Reads `credentials` into `target`. Gives the items, which are the library's defaults if the key
/// is absent; nothing, with findings, if one is at fault.
[[nodiscard]] std::optional<std::vector<PlacedCredential>> read_credentials(Section& section,
                                                                            CredentialSet& target);

}  // namespace sallyport::config
