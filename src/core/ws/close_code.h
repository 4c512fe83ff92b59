#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

#include "core/ws/frame.h"

namespace sallyport::ws {

/// Why a connection closes (RFC 6455 section 7.4.1 and the IANA registry). Any 16-bit value can be
/// held; `valid_on_the_wire` says which may be sent or received.
enum class CloseCode : std::uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,
  kProtocolError = 1002,
  kUnsupportedData = 1003,
  kNoStatus = 1005,  ///< never sent: stands for a Close frame without a code
  kAbnormal = 1006,  ///< never sent: stands for a connection lost without a Close frame
  kInvalidPayload = 1007,
  kPolicyViolation = 1008,
  kMessageTooBig = 1009,
  kMandatoryExtension = 1010,
  kInternalError = 1011,
  kServiceRestart = 1012,
  kTryAgainLater = 1013,
  kBadGateway = 1014,
  kTlsHandshake = 1015,  ///< never sent: stands for a failed TLS handshake
  kUnauthorized = 3000,
  kForbidden = 3003,
  kTimeout = 3008,
};

/// True for 1000-1003, 1007-1014 and 3000-4999: the codes that have a meaning in a Close frame
/// (RFC 6455 section 7.4.2). The rest is reserved or unassigned.
[[nodiscard]] constexpr bool valid_on_the_wire(CloseCode code) noexcept {
  const auto number = static_cast<std::uint16_t>(code);
  return (number >= 1000 && number <= 1003) || (number >= 1007 && number <= 1014) ||
         (number >= 3000 && number <= 4999);
}

/// A reason shares the 125 bytes of a control payload with the code.
inline constexpr std::size_t kCloseReasonMax = kControlPayloadMax - 2;

enum class CloseError : std::uint8_t {
  kTruncated,      ///< one byte: half a code
  kCode,           ///< a code that may not be on the wire
  kReasonText,     ///< the reason is not UTF-8
  kReasonTooLong,  ///< over `kCloseReasonMax`
};

/// What a Close frame said. `reason` points into the payload it was parsed from.
struct CloseStatus {
  CloseCode code = CloseCode::kNoStatus;
  std::string_view reason;
};

/// Reads the payload of a Close frame (RFC 6455 section 5.5.1). An empty one is `kNoStatus`.
[[nodiscard]] std::expected<CloseStatus, CloseError> parse_close(std::string_view payload) noexcept;

/// The payload of a Close frame, in place.
struct ClosePayload {
  std::array<char, kControlPayloadMax> bytes;
  std::uint8_t size = 0;
  [[nodiscard]] std::string_view view() const noexcept { return {bytes.data(), size}; }
};

/// Writes the payload of a Close frame. `kNoStatus` without a reason gives the empty payload; other
/// codes that may not be on the wire, and reasons that are too long or not UTF-8, are refused.
[[nodiscard]] std::expected<ClosePayload, CloseError> encode_close(
    CloseCode code, std::string_view reason = {}) noexcept;

/// The longest beginning of `reason` that fits a Close frame and splits no character. Valid UTF-8
/// stays valid; for a reason of foreign origin, before `encode_close`.
[[nodiscard]] std::string_view fit_reason(std::string_view reason) noexcept;

}  // namespace sallyport::ws
