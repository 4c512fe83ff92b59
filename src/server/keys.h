#pragma once

#include <span>
#include <string>

#include "core/jose/key.h"
#include "sallyport/verifier.h"

namespace sallyport {

struct Keys::Loaded {
  jose::KeySet keys;
};

/// Why none of the keys can be used with any of the algorithms; empty if at least one can.
[[nodiscard]] std::string misfit_of(const jose::KeySet& keys,
                                    std::span<const jose::Algorithm> algorithms);

/// Reads a whole file of at most `bytes_max` bytes. Throws std::runtime_error that names the file.
[[nodiscard]] std::string read_file(const std::string& path, std::size_t bytes_max);

}  // namespace sallyport
