#pragma once

#include "feature/config/section.h"
#include "sallyport/credentials.h"

namespace sallyport::config {

/// Reads `credentials`; leaves `target` alone if the key is absent or at fault.
void read_credentials(Section& section, CredentialSet& target);

}  // namespace sallyport::config
