#pragma once

#include "feature/config/config.h"

namespace sallyport::main {

/// What the configuration makes verifiers with: the library's own functions. The two live in
/// folders that do not know each other.
[[nodiscard]] config::Factories verifier_factories();

}  // namespace sallyport::main
