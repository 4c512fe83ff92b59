#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/jose/key.h"

namespace sallyport::jose {

/// True if `signature` (raw bytes, RFC 7518 section 3) is `key`'s over `input`. False also if the
/// key is not bound to the algorithm or the signature does not have exactly its length. HMACs are
/// compared in constant time. Safe to call from several threads with the same key.
[[nodiscard]] bool verify_signature(std::string_view input, std::string_view signature,
                                    const Key& key, Algorithm algorithm);

/// The raw signature over `input`, or nothing if the key is public or not bound to the algorithm.
[[nodiscard]] std::optional<std::string> make_signature(std::string_view input, const Key& key,
                                                        Algorithm algorithm);

}  // namespace sallyport::jose
