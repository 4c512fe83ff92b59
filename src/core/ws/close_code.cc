#include "core/ws/close_code.h"

#include <cstring>

#include "core/ws/utf8.h"

namespace sallyport::ws {

std::expected<CloseStatus, CloseError> parse_close(std::string_view payload) noexcept {
  if (payload.empty()) return CloseStatus{};
  if (payload.size() == 1) return std::unexpected(CloseError::kTruncated);
  const auto number = static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                                 static_cast<unsigned char>(payload[1]));
  const CloseStatus status{.code = CloseCode{number}, .reason = payload.substr(2)};
  if (!valid_on_the_wire(status.code)) return std::unexpected(CloseError::kCode);
  if (status.reason.size() > kCloseReasonMax) return std::unexpected(CloseError::kReasonTooLong);
  if (!valid_utf8(status.reason)) return std::unexpected(CloseError::kReasonText);
  return status;
}

std::expected<ClosePayload, CloseError> encode_close(CloseCode code,
                                                     std::string_view reason) noexcept {
  ClosePayload payload;
  if (code == CloseCode::kNoStatus && reason.empty()) return payload;
  if (!valid_on_the_wire(code)) return std::unexpected(CloseError::kCode);
  if (reason.size() > kCloseReasonMax) return std::unexpected(CloseError::kReasonTooLong);
  if (!valid_utf8(reason)) return std::unexpected(CloseError::kReasonText);
  const auto number = static_cast<std::uint16_t>(code);
  payload.bytes[0] = static_cast<char>(number >> 8);
  payload.bytes[1] = static_cast<char>(number & 0xFF);
  if (!reason.empty()) std::memcpy(payload.bytes.data() + 2, reason.data(), reason.size());
  payload.size = static_cast<std::uint8_t>(2 + reason.size());
  return payload;
}

std::string_view fit_reason(std::string_view reason) noexcept {
  if (reason.size() <= kCloseReasonMax) return reason;
  std::size_t size = kCloseReasonMax;
  while (size > 0 && (static_cast<unsigned char>(reason[size]) & 0xC0) == 0x80) --size;
  return reason.substr(0, size);
}

}  // namespace sallyport::ws
