#pragma once

#include <optional>
#include <string>

#include "feature/config/reading.h"

namespace sallyport::config {

// Each reads a [verifier.NAME] of one type; nothing, with findings, if it is at fault.

[[nodiscard]] std::optional<VerifierEntry> read_introspection(Section& section, Reading& reading,
                                                              const std::string& name);
[[nodiscard]] std::optional<VerifierEntry> read_session(Section& section, Reading& reading,
                                                        const std::string& name);
[[nodiscard]] std::optional<VerifierEntry> read_api_keys(Section& section, Reading& reading,
                                                         const std::string& name);
[[nodiscard]] std::optional<VerifierEntry> read_certificate(Section& section, Reading& reading,
                                                            const std::string& name);
[[nodiscard]] std::optional<VerifierEntry> read_http(Section& section, Reading& reading,
                                                     const std::string& name);

}  // namespace sallyport::config
