#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport::base {

using Sha1 = std::array<std::uint8_t, 20>;
using Sha256 = std::array<std::uint8_t, 32>;

[[nodiscard]] Sha1 sha1(std::string_view data);
[[nodiscard]] Sha256 sha256(std::string_view data);

/// HMAC with SHA-256 (RFC 2104). The key may have any length.
[[nodiscard]] Sha256 hmac_sha256(std::string_view key, std::string_view data);

/// Standard base64 with padding (RFC 4648 section 4), as Sec-WebSocket-Accept wants it.
[[nodiscard]] std::string base64(std::string_view data);

/// Lower-case hexadecimal.
[[nodiscard]] std::string hex(std::string_view data);

}  // namespace sallyport::base
