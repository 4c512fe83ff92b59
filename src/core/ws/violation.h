#pragma once

#include <cstdint>
#include <string_view>

#include "core/ws/close_code.h"

namespace sallyport::ws {

/// The rule that a peer broke. RFC 6455 unless said otherwise.
enum class Violation : std::uint8_t {
  kNone,
  kReservedBit,             ///< RSV1-3 without an extension that gives it a meaning (5.2)
  kReservedOpcode,          ///< 3-7 or 11-15 (5.2)
  kCompressedControl,       ///< RSV1 on a control frame (RFC 7692 section 6.1)
  kCompressedContinuation,  ///< RSV1 on a frame that is not the first (RFC 7692 section 6.1)
  kFragmentedControl,       ///< a control frame without FIN (5.5)
  kControlTooLong,          ///< a control frame over 125 bytes (5.5)
  kUnexpectedContinuation,  ///< a continuation while no message is open (5.4)
  kExpectedContinuation,    ///< a new data frame while a message is open (5.4)
  kUnmaskedFrame,           ///< from a client (5.1)
  kMaskedFrame,             ///< from a server (5.1)
  kLengthNotMinimal,        ///< a length that fits a shorter form (5.2)
  kLengthHighBit,           ///< a 64-bit length with its top bit set (5.2)
  kCloseTruncated,          ///< a Close payload of one byte (5.5.1)
  kCloseCode,               ///< a Close code that may not be on the wire (7.4)
  kCloseReason,             ///< a Close reason that is not UTF-8 (5.5.1)
  kInvalidUtf8,             ///< a text message that is not UTF-8 (8.1)
  kInvalidDeflate,          ///< a compressed message that does not inflate (RFC 7692 section 7.2.2)
  kMessageTooBig,           ///< over DecoderLimits::message_bytes on the wire
  kInflatedTooBig,          ///< over DecoderLimits::message_bytes when inflated
  kTooManyFragments,        ///< over DecoderLimits::fragments
  kTooManyControlFrames,    ///< over DecoderLimits::control_frames_between_data
};

/// The code to close with: 1002 for framing, 1007 for content, 1009 for size (fragments count as
/// size), 1008 for a flood of control frames.
[[nodiscard]] CloseCode close_code_of(Violation violation) noexcept;

/// The name of the rule in snake_case, for logs and metrics.
[[nodiscard]] std::string_view name_of(Violation violation) noexcept;

}  // namespace sallyport::ws
