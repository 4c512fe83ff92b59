#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/ws/frame.h"

namespace sallyport::ws {

/// What stands in the first bytes of a frame apart from its length. A client sets `mask` to four
/// fresh random bytes for each frame (RFC 6455 section 5.3), a server leaves it empty.
struct FrameStart {
  Opcode opcode = Opcode::kBinary;
  bool fin = true;
  bool rsv1 = false;  ///< compressed: on the first frame of a data message only (RFC 7692)
  std::optional<MaskKey> mask = std::nullopt;
};

/// An encoded frame header, in place.
struct FrameHeader {
  std::array<char, kHeaderBytesMax> bytes;
  std::uint8_t size = 0;
  [[nodiscard]] std::string_view view() const noexcept { return {bytes.data(), size}; }
};

/// The size of the header that `sender` puts before `payload_size` bytes: 2 to 14.
[[nodiscard]] constexpr std::size_t header_size(std::uint64_t payload_size, Role sender) noexcept {
  const std::size_t length_bytes = payload_size < 126 ? 0 : payload_size <= 0xFFFF ? 2 : 8;
  return 2 + length_bytes + (sender == Role::kClient ? 4 : 0);
}

/// The size of the whole frame.
[[nodiscard]] constexpr std::uint64_t frame_size(std::uint64_t payload_size, Role sender) noexcept {
  return header_size(payload_size, sender) + payload_size;
}

/// FIN, RSV1 and the opcode in one byte (RFC 6455 section 5.2).
[[nodiscard]] constexpr char first_byte(const FrameStart& start) noexcept {
  return static_cast<char>(static_cast<unsigned>(start.opcode) | (start.fin ? 0x80U : 0U) |
                           (start.rsv1 ? 0x40U : 0U));
}

/// Encodes a header with the shortest form of the length (RFC 6455 section 5.2). Whatever is asked
/// for is encoded, a protocol violation included; `payload_size` must be below 2^63.
[[nodiscard]] inline FrameHeader encode_header(const FrameStart& start,
                                               std::uint64_t payload_size) noexcept {
  FrameHeader header;
  header.bytes[0] = first_byte(start);
  const unsigned masked = start.mask ? 0x80U : 0U;
  std::size_t size = 2;
  if (payload_size < 126) {
    header.bytes[1] = static_cast<char>(masked | static_cast<unsigned>(payload_size));
  } else {
    const std::size_t length_bytes = payload_size <= 0xFFFF ? 2 : 8;
    header.bytes[1] = static_cast<char>(masked | (length_bytes == 2 ? 126U : 127U));
    for (std::size_t i = length_bytes; i > 0; --i) {
      header.bytes[size++] = static_cast<char>((payload_size >> (8 * (i - 1))) & 0xFF);
    }
  }
  if (start.mask) {
    std::memcpy(header.bytes.data() + size, start.mask->data(), 4);
    size += 4;
  }
  header.size = static_cast<std::uint8_t>(size);
  return header;
}

/// Writes a frame to the front of `out`, masking the payload if there is a key, and returns its
/// size; 0, and nothing written, if `out` is smaller than the frame. `payload` may not overlap
/// `out`.
[[nodiscard]] std::size_t write_frame(std::span<char> out, const FrameStart& start,
                                      std::string_view payload) noexcept;

/// Appends a frame to `out`.
void append_frame(std::string& out, const FrameStart& start, std::string_view payload);

}  // namespace sallyport::ws
