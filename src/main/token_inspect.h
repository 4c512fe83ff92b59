#pragma once

#include <string>

#include "feature/config/config.h"
#include "sallyport/principal.h"

namespace sallyport::main {

/// What `token inspect` says.
struct Inspection {
  int status = 0;
  std::string text = {};       ///< for stdout; never has the token
  std::string complaint = {};  ///< for stderr, instead of a text
};

/// Explains a token by a configuration. `wanted` names the verifier; empty: those of the token's
/// issuer, or all of type jwt. Keys that are published at a URL are fetched, which may take some
/// seconds.
[[nodiscard]] Inspection inspect_token(const config::Config& config, const std::string& wanted,
                                       const std::string& token, WallTime now);

}  // namespace sallyport::main
