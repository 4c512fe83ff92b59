#pragma once

#include "feature/config/reading.h"

namespace sallyport::config {

/// Reads [server], [log], [store] and [admin] of the file's top level, `root`.
void read_server(Section& root, Reading& reading, Config& config);

}  // namespace sallyport::config
