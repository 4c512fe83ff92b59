#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sallyport::ws {

/// What a frame carries (RFC 6455 section 5.2). Other values are reserved and refused.
enum class Opcode : std::uint8_t {
  kContinuation = 0x0,
  kText = 0x1,
  kBinary = 0x2,
  kClose = 0x8,
  kPing = 0x9,
  kPong = 0xA,
};

/// Which end of the connection we are. A server's peer must mask, a client's peer must not
/// (RFC 6455 section 5.1).
enum class Role : std::uint8_t { kServer, kClient };

/// The four bytes of a masking key in the order in which they stand in the frame.
using MaskKey = std::array<std::uint8_t, 4>;

/// Two bytes, an 8-byte length and a masking key.
inline constexpr std::size_t kHeaderBytesMax = 14;

/// The payload of a Close, Ping or Pong (RFC 6455 section 5.5).
inline constexpr std::size_t kControlPayloadMax = 125;

[[nodiscard]] constexpr bool is_control(Opcode opcode) noexcept {
  return (static_cast<std::uint8_t>(opcode) & 0x8) != 0;
}

}  // namespace sallyport::ws
