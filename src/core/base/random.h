#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sallyport::base {

/// Fills `output` from the system's cryptographic generator. Aborts the process if there is none:
/// no caller could go on safely.
void random_bytes(std::span<std::uint8_t> output);

/// `bytes` random bytes as base64url text: 16 for a connection's id, 32 for a bearer secret.
[[nodiscard]] std::string random_id(std::size_t bytes);

/// A uniformly distributed number, for jitter and frame masks.
[[nodiscard]] std::uint32_t random_u32();

}  // namespace sallyport::base
