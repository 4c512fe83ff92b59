#pragma once

#include <string>
#include <vector>

#include "feature/config/reading.h"

namespace sallyport::config {

/// Reads every [[route]] of the file's top level. `verifiers` are the names that are defined, with
/// or without faults; those without are in `config.verifiers`. The server's part has been read
/// before.
void read_routes(Section& root, Reading& reading, const std::vector<std::string>& verifiers,
                 Config& config);

}  // namespace sallyport::config
