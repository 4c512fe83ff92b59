#pragma once

#include <string>
#include <vector>

#include "feature/config/reading.h"

namespace sallyport::config {

/// Reads every [verifier.NAME] of the file's top level. Returns the names of all of them, those
/// with faults too, so that a route which names one is not told that it does not exist.
std::vector<std::string> read_verifiers(Section& root, Reading& reading, Config& config);

}  // namespace sallyport::config
