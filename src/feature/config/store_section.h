#pragma once

#include "feature/config/reading.h"

namespace sallyport::config {

/// `[store]`: what keeps revocations.
void read_store(Section& root, Reading& reading, Config& config);
/// `[admin]`: who may administer, and where.
void read_admin(Section& root, Reading& reading, Config& config);

}  // namespace sallyport::config
