#include "core/ws/violation.h"

namespace sallyport::ws {

CloseCode close_code_of(Violation violation) noexcept {
  switch (violation) {
    case Violation::kNone:
      return CloseCode::kNormal;
    case Violation::kReservedBit:
    case Violation::kReservedOpcode:
    case Violation::kCompressedControl:
    case Violation::kCompressedContinuation:
    case Violation::kFragmentedControl:
    case Violation::kControlTooLong:
    case Violation::kUnexpectedContinuation:
    case Violation::kExpectedContinuation:
    case Violation::kUnmaskedFrame:
    case Violation::kMaskedFrame:
    case Violation::kLengthNotMinimal:
    case Violation::kLengthHighBit:
    case Violation::kCloseTruncated:
    case Violation::kCloseCode:
      return CloseCode::kProtocolError;
    case Violation::kCloseReason:
    case Violation::kInvalidUtf8:
    case Violation::kInvalidDeflate:
      return CloseCode::kInvalidPayload;
    case Violation::kMessageTooBig:
    case Violation::kInflatedTooBig:
    case Violation::kTooManyFragments:
      return CloseCode::kMessageTooBig;
    case Violation::kTooManyControlFrames:
      return CloseCode::kPolicyViolation;
  }
  return CloseCode::kProtocolError;
}

std::string_view name_of(Violation violation) noexcept {
  switch (violation) {
    case Violation::kNone:
      return "none";
    case Violation::kReservedBit:
      return "reserved_bit";
    case Violation::kReservedOpcode:
      return "reserved_opcode";
    case Violation::kCompressedControl:
      return "compressed_control";
    case Violation::kCompressedContinuation:
      return "compressed_continuation";
    case Violation::kFragmentedControl:
      return "fragmented_control";
    case Violation::kControlTooLong:
      return "control_too_long";
    case Violation::kUnexpectedContinuation:
      return "unexpected_continuation";
    case Violation::kExpectedContinuation:
      return "expected_continuation";
    case Violation::kUnmaskedFrame:
      return "unmasked_frame";
    case Violation::kMaskedFrame:
      return "masked_frame";
    case Violation::kLengthNotMinimal:
      return "length_not_minimal";
    case Violation::kLengthHighBit:
      return "length_high_bit";
    case Violation::kCloseTruncated:
      return "close_truncated";
    case Violation::kCloseCode:
      return "close_code";
    case Violation::kCloseReason:
      return "close_reason";
    case Violation::kInvalidUtf8:
      return "invalid_utf8";
    case Violation::kInvalidDeflate:
      return "invalid_deflate";
    case Violation::kMessageTooBig:
      return "message_too_big";
    case Violation::kInflatedTooBig:
      return "inflated_too_big";
    case Violation::kTooManyFragments:
      return "too_many_fragments";
    case Violation::kTooManyControlFrames:
      return "too_many_control_frames";
  }
  return "unknown";
}

}  // namespace sallyport::ws
