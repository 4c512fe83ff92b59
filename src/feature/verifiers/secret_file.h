#pragma once

#include <string>

#include "core/base/secret.h"

namespace sallyport {

/// A secret that is shared with someone, of at most 4 KiB; one trailing newline is not part of it. Throws
/// `std::runtime_error` that names the file if it cannot be read or holds nothing.
[[nodiscard]] base::Secret read_shared_secret(const std::string& file);

}  // namespace sallyport
