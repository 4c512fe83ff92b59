#pragma once

#include <optional>
#include <string>

#include "feature/config/reading.h"

namespace sallyport::config {

/// Reads a [verifier.NAME] of type "jwt"; nothing, with findings, if it is at fault.
[[nodiscard]] std::optional<VerifierEntry> read_jwt(Section& section, Reading& reading,
                                                    const std::string& name);

}  // namespace sallyport::config
