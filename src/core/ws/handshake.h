#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sallyport::ws {

/// True if `key` is the base64 form of exactly 16 bytes in its one canonical spelling: 22
/// characters, two pads, unused bits zero (RFC 6455 sections 4.1 and 4.2.1).
[[nodiscard]] bool valid_key(std::string_view key) noexcept;

/// The Sec-WebSocket-Accept value that answers `key` (RFC 6455 section 4.2.2). It says nothing
/// about whether the key is valid.
[[nodiscard]] std::string accept_key(std::string_view key);

/// The Sec-WebSocket-Key of a client made of 16 fresh random bytes.
[[nodiscard]] std::string make_key(std::span<const std::uint8_t, 16> random);

}  // namespace sallyport::ws
