#include "core/ws/decoder.h"

#include <algorithm>
#include <cstring>

#include "core/base/assert.h"
#include "core/ws/deflate.h"
#include "core/ws/mask.h"

namespace sallyport::ws {
namespace {

constexpr std::uint8_t kFin = 0x80;
constexpr std::uint8_t kRsv1 = 0x40;
constexpr std::uint8_t kRsv23 = 0x30;
constexpr std::uint8_t kOpcodeBits = 0x0F;
constexpr std::uint8_t kMaskBit = 0x80;

std::string_view view_of(std::span<const char> bytes) noexcept {
  return {bytes.data(), bytes.size()};
}

std::uint8_t byte_at(const char* at) noexcept {
  return static_cast<std::uint8_t>(*at);
}

bool known(Opcode opcode) noexcept {
  switch (opcode) {
    case Opcode::kContinuation:
    case Opcode::kText:
    case Opcode::kBinary:
    case Opcode::kClose:
    case Opcode::kPing:
    case Opcode::kPong:
      return true;
  }
  return false;
}

std::uint64_t big_endian(const char* at, std::size_t bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | byte_at(at + i);
  return value;
}

Violation violation_of(CloseError error) noexcept {
  switch (error) {
    case CloseError::kTruncated:
      return Violation::kCloseTruncated;
    case CloseError::kCode:
      return Violation::kCloseCode;
    case CloseError::kReasonText:
      return Violation::kCloseReason;
    case CloseError::kReasonTooLong:
      return Violation::kControlTooLong;
  }
  return Violation::kCloseTruncated;
}

}  // namespace

// What is known of a frame after some of its header. `violation` may be set before `complete` is.
struct Decoder::Header {
  Violation violation = Violation::kNone;
  bool complete = false;
  std::uint8_t size = 0;
  Opcode opcode = Opcode::kContinuation;
  bool fin = false;
  bool rsv1 = false;
  std::uint32_t key = 0;
  std::uint64_t length = 0;
};

Event Decoder::next(std::span<char>& input, Inflater* inflater) {
  // Nearly every frame is a small, whole, uncompressed message; it touches no state but the
  // counter.
  if (phase_ == Phase::kClear && input.size() >= 2) [[likely]] {
    const std::uint8_t first = byte_at(input.data());
    const std::uint8_t second = byte_at(input.data() + 1);
    const std::size_t length = second & 0x7F;
    const bool masked = role_ == Role::kServer;
    const std::size_t header = masked ? 6 : 2;
    if ((first == (kFin | 1) || first == (kFin | 2)) &&
        (second & kMaskBit) == (masked ? kMaskBit : 0) && length < 126 &&
        input.size() >= header + length && length <= limits_.message_bytes) {
      const std::span<char> payload = input.subspan(header, length);
      if (masked) {
        std::uint32_t key;
        std::memcpy(&key, input.data() + 2, 4);
        apply_mask(payload, key);
      }
      control_frames_ = 0;
      const Opcode opcode{static_cast<std::uint8_t>(first & kOpcodeBits)};
      if (opcode == Opcode::kText && !valid_utf8(view_of(payload))) [[unlikely]] {
        input = {};
        return fail(Violation::kInvalidUtf8);
      }
      input = input.subspan(header + length);
      return {.kind = Event::Kind::kMessage, .opcode = opcode, .payload = view_of(payload)};
    }
  }
  return next_in_general(input, inflater);
}

Event Decoder::next_in_general(std::span<char>& input, Inflater* inflater) {
  drop_delivered();
  std::optional<Event> event;
  while (phase_ != Phase::kClosed && !event) {
    if (phase_ != Phase::kPayload) {
      Header header;
      const bool complete = read_header(input, header);
      if (header.violation != Violation::kNone) {
        event = fail(header.violation);
        break;
      }
      if (!complete) return {};
      begin_frame(header);
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, input.size()));
    const std::span<char> piece = input.first(size);
    input = input.subspan(size);
    if (key_ != 0) {
      apply_mask(piece, key_);
      key_ = advance_key(key_, size);
    }
    remaining_ -= size;
    event = is_control(frame_opcode_) ? take_control(piece) : take_data(piece, inflater);
    if (!event && remaining_ > 0) return {};
  }
  if (phase_ == Phase::kClosed) input = {};
  return event ? *event : Event{};
}

// True if the header is complete. What there is of an incomplete one is kept.
bool Decoder::read_header(std::span<char>& input, Header& header) {
  if (header_held_ == 0) {
    header = parse(input);
    if (header.violation != Violation::kNone) return false;
    if (header.complete) {
      input = input.subspan(header.size);
      return true;
    }
    if (input.empty()) return false;
    // An incomplete header is shorter than the longest one, so it fits.
    std::memcpy(header_.data(), input.data(), input.size());
    header_held_ = static_cast<std::uint8_t>(input.size());
    phase_ = Phase::kHeader;
    input = {};
    return false;
  }
  // Byte by byte, so that not one byte of the payload is taken for the header.
  while (!input.empty()) {
    header_[header_held_++] = input.front();
    input = input.subspan(1);
    header = parse(std::span(header_).first(header_held_));
    if (header.violation != Violation::kNone) return false;
    if (header.complete) {
      header_held_ = 0;
      return true;
    }
  }
  return false;
}

// Looks at the bytes in their order, so that the first broken rule is reported whether the rest of
// the header is there or not.
Decoder::Header Decoder::parse(std::span<const char> bytes) const noexcept {
  Header header;
  if (bytes.empty()) return header;
  const std::uint8_t first = byte_at(bytes.data());
  header.violation = check_first_byte(first);
  if (header.violation != Violation::kNone || bytes.size() < 2) return header;
  header.opcode = Opcode{static_cast<std::uint8_t>(first & kOpcodeBits)};
  header.fin = (first & kFin) != 0;
  header.rsv1 = (first & kRsv1) != 0;

  const std::uint8_t second = byte_at(bytes.data() + 1);
  const bool masked = (second & kMaskBit) != 0;
  const std::uint8_t short_length = second & 0x7F;
  if (masked != (role_ == Role::kServer)) {
    header.violation = masked ? Violation::kMaskedFrame : Violation::kUnmaskedFrame;
    return header;
  }
  if (is_control(header.opcode) && short_length > kControlPayloadMax) {
    header.violation = Violation::kControlTooLong;
    return header;
  }

  const std::size_t length_bytes = short_length < 126 ? 0 : short_length == 126 ? 2 : 8;
  if (bytes.size() < 2 + length_bytes) return header;
  header.length = length_bytes == 0 ? short_length : big_endian(bytes.data() + 2, length_bytes);
  if (length_bytes == 8 && (header.length >> 63) != 0) {
    header.violation = Violation::kLengthHighBit;
  } else if ((length_bytes == 2 && header.length < 126) ||
             (length_bytes == 8 && header.length <= 0xFFFF)) {
    header.violation = Violation::kLengthNotMinimal;
  } else {
    header.violation = check_limits(header);
  }
  if (header.violation != Violation::kNone) return header;

  header.size = static_cast<std::uint8_t>(2 + length_bytes + (masked ? 4 : 0));
  if (bytes.size() < header.size) return header;
  if (masked) std::memcpy(&header.key, bytes.data() + 2 + length_bytes, 4);
  header.complete = true;
  return header;
}

Violation Decoder::check_first_byte(std::uint8_t byte) const noexcept {
  const Opcode opcode{static_cast<std::uint8_t>(byte & kOpcodeBits)};
  const bool rsv1 = (byte & kRsv1) != 0;
  if ((byte & kRsv23) != 0 || (rsv1 && !compression_)) return Violation::kReservedBit;
  if (!known(opcode)) return Violation::kReservedOpcode;
  if (is_control(opcode)) {
    if (rsv1) return Violation::kCompressedControl;
    return (byte & kFin) == 0 ? Violation::kFragmentedControl : Violation::kNone;
  }
  if (opcode == Opcode::kContinuation) {
    if (!message_open_) return Violation::kUnexpectedContinuation;
    return rsv1 ? Violation::kCompressedContinuation : Violation::kNone;
  }
  return message_open_ ? Violation::kExpectedContinuation : Violation::kNone;
}

Violation Decoder::check_limits(const Header& header) const noexcept {
  if (is_control(header.opcode)) {
    const bool counted = header.opcode != Opcode::kClose;
    return counted && control_frames_ >= limits_.control_frames_between_data
               ? Violation::kTooManyControlFrames
               : Violation::kNone;
  }
  const bool compressed = message_open_ ? message_compressed_ : header.rsv1;
  std::uint64_t allowed = limits_.message_bytes;
  if (compressed) {
    // What does not compress is stored, with 5 bytes for each of the blocks, the smallest of which
    // that zlib makes hold 127 bytes.
    const std::uint64_t slack = allowed / 16 + 64;
    allowed = allowed > UINT64_MAX - slack ? UINT64_MAX : allowed + slack;
  }
  const std::uint64_t held = buffer_.size();
  if (held > allowed || header.length > allowed - held) return Violation::kMessageTooBig;
  const std::uint32_t frames = message_open_ ? fragments_ + 1 : 1;
  if (!header.fin && frames >= limits_.fragments) return Violation::kTooManyFragments;
  return Violation::kNone;
}

void Decoder::begin_frame(const Header& header) noexcept {
  phase_ = Phase::kPayload;
  frame_opcode_ = header.opcode;
  fin_ = header.fin;
  key_ = header.key;
  remaining_ = header.length;
  if (is_control(header.opcode)) {
    ++control_frames_;
    return;
  }
  control_frames_ = 0;
  if (message_open_) {
    ++fragments_;
    return;
  }
  message_open_ = true;
  message_opcode_ = header.opcode;
  message_compressed_ = header.rsv1;
  fragments_ = 1;
}

std::optional<Event> Decoder::take_control(std::span<char> piece) {
  if (remaining_ == 0 && control_held_ == 0) return finish_control(view_of(piece));
  hold(piece);
  control_held_ = static_cast<std::uint8_t>(control_held_ + piece.size());
  if (remaining_ > 0) return std::nullopt;
  delivered_ = true;
  return finish_control(view_of(std::span(buffer_).last(control_held_)));
}

std::optional<Event> Decoder::take_data(std::span<char> piece, Inflater* inflater) {
  if (message_opcode_ == Opcode::kText && !message_compressed_ && !utf8_.feed(view_of(piece))) {
    return fail(Violation::kInvalidUtf8);
  }
  const bool last = fin_ && remaining_ == 0;
  if (last && buffer_.empty()) return finish_message(view_of(piece), inflater);
  hold(piece);
  if (last) {
    delivered_ = true;
    return finish_message(view_of(buffer_), inflater);
  }
  if (remaining_ == 0) phase_ = Phase::kHeader;
  return std::nullopt;
}

Event Decoder::finish_control(std::string_view payload) {
  phase_ = message_open_ || delivered_ ? Phase::kHeader : Phase::kClear;
  if (frame_opcode_ != Opcode::kClose) {
    const bool ping = frame_opcode_ == Opcode::kPing;
    return {.kind = ping ? Event::Kind::kPing : Event::Kind::kPong, .payload = payload};
  }
  const auto status = parse_close(payload);
  if (!status) return fail(violation_of(status.error()));
  phase_ = Phase::kClosed;
  message_open_ = false;  // nobody will finish it: the next call gives its memory back as well
  delivered_ = true;
  return {.kind = Event::Kind::kClose, .code = status->code, .payload = status->reason};
}

Event Decoder::finish_message(std::string_view payload, Inflater* inflater) {
  message_open_ = false;
  phase_ = delivered_ ? Phase::kHeader : Phase::kClear;
  if (message_compressed_) {
    SALLYPORT_ASSERT(inflater != nullptr);
    const auto inflated = inflater->inflate(payload, limits_.message_bytes);
    if (!inflated) {
      return fail(inflated.error() == InflateError::kTooLarge ? Violation::kInflatedTooBig
                                                              : Violation::kInvalidDeflate);
    }
    payload = *inflated;
    if (message_opcode_ == Opcode::kText && !valid_utf8(payload)) {
      return fail(Violation::kInvalidUtf8);
    }
  } else if (message_opcode_ == Opcode::kText && !utf8_.complete()) {
    return fail(Violation::kInvalidUtf8);
  }
  return {.kind = Event::Kind::kMessage, .opcode = message_opcode_, .payload = payload};
}

Event Decoder::fail(Violation violation) noexcept {
  phase_ = Phase::kClosed;
  message_open_ = false;
  header_held_ = 0;
  control_held_ = 0;
  delivered_ = false;
  std::vector<char>().swap(buffer_);
  return {
      .kind = Event::Kind::kViolation, .violation = violation, .code = close_code_of(violation)};
}

// Grows with what has arrived, never with what a header claims; but not past the end of a frame
// that is known to be the last.
void Decoder::hold(std::span<const char> piece) {
  const std::size_t needed = buffer_.size() + piece.size();
  if (needed > buffer_.capacity()) {
    std::uint64_t wanted = std::max(needed, 2 * buffer_.capacity());
    if (fin_) wanted = std::min(wanted, needed + remaining_);
    buffer_.reserve(static_cast<std::size_t>(wanted));
  }
  buffer_.insert(buffer_.end(), piece.begin(), piece.end());
}

void Decoder::drop_delivered() noexcept {
  if (!delivered_) return;
  delivered_ = false;
  if (message_open_) buffer_.erase(buffer_.end() - control_held_, buffer_.end());
  control_held_ = 0;
  if (!message_open_ || buffer_.empty()) std::vector<char>().swap(buffer_);
  if (phase_ == Phase::kHeader && !message_open_ && header_held_ == 0) phase_ = Phase::kClear;
}

}  // namespace sallyport::ws
