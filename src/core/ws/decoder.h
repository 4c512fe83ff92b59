#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/ws/close_code.h"
#include "core/ws/frame.h"
#include "core/ws/utf8.h"
#include "core/ws/violation.h"

namespace sallyport::ws {

class Inflater;

/// What a peer may make us hold or do. Each is checked as soon as a frame's header is known, before
/// anything is allocated for the frame.
struct DecoderLimits {
  /// The payload of a message, all fragments together, on the wire and when inflated. Over it:
  /// `kMessageTooBig` or `kInflatedTooBig`, close 1009. (A compressed message may be a sixteenth
  /// longer on the wire: deflate grows what it cannot shrink.)
  std::uint64_t message_bytes = 64 * 1024;
  /// The frames of a message; 1 forbids fragmentation (0 means the same). A frame that cannot be
  /// the last one allowed gives `kTooManyFragments`, close 1009.
  std::uint32_t fragments = 1024;
  /// Pings and Pongs with no data frame between them. Over it: `kTooManyControlFrames`, close 1008.
  /// A decoder has no clock: its owner calls `renew_control_frames` on a timer, or a peer that only
  /// listens and answers pings would run into the limit after some time.
  std::uint32_t control_frames_between_data = 64;
};

/// One thing that a peer said.
struct Event {
  enum class Kind : std::uint8_t {
    kNeedMore,   ///< the input is used up, and nothing is complete
    kMessage,    ///< a whole text or binary message
    kPing,       ///< to be answered with a Pong of the same payload
    kPong,       ///< an answer to our Ping, or unasked for
    kClose,      ///< the peer closes: `code` (1005 if it gave none), and `payload` is the reason
    kViolation,  ///< the peer broke a rule: fail the connection with `code`
  };

  Kind kind = Kind::kNeedMore;
  Opcode opcode = Opcode::kContinuation;   ///< kMessage: kText or kBinary
  Violation violation = Violation::kNone;  ///< kViolation: which rule
  CloseCode code = CloseCode::kNoStatus;   ///< kClose: the peer's; kViolation: ours to send
  std::string_view payload = {};  ///< valid until the decoder, or the Inflater, is used again
};

/// Takes frames apart as RFC 6455 section 5 has it, strictly, and puts messages together. A pull
/// parser without I/O: the same bytes give the same events however they are cut. An idle decoder
/// owns no heap memory. Belongs to one thread.
class Decoder {
 public:
  explicit Decoder(Role role, DecoderLimits limits = {}) noexcept : limits_(limits), role_(role) {}
  Decoder(Decoder&&) noexcept = default;
  Decoder& operator=(Decoder&&) noexcept = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() = default;

  /// Takes bytes from the front of `input`, unmasking them in place, until something is complete.
  /// Call it until it returns `kNeedMore`: then `input` is empty, and memory that the last event
  /// pointed into is given back. A message that lies whole and in one frame in `input` is not
  /// copied. An invalid text message is reported with the byte that makes it invalid, not when it
  /// ends (a compressed one when it ends).
  ///
  /// `inflater` serves compressed messages; it may be shared by all decoders of a thread and must
  /// then not be used for another message before the event has been dealt with. It must be given
  /// in every call once `allow_compressed(true)` was called.
  ///
  /// After `kClose` or `kViolation` all further input is discarded.
  [[nodiscard]] Event next(std::span<char>& input, Inflater* inflater = nullptr);

  /// Replaces the limits, also within a message; frames whose header is already known stay
  /// accepted.
  void set_limits(DecoderLimits limits) noexcept { limits_ = limits; }
  [[nodiscard]] const DecoderLimits& limits() const noexcept { return limits_; }

  /// Whether permessage-deflate was negotiated, so that RSV1 may mark a message as compressed
  /// (RFC 7692 section 6). False at first; takes effect with the next message.
  void allow_compressed(bool allowed) noexcept { compression_ = allowed; }

  /// Begins the count of `control_frames_between_data` again. For a timer of the owner.
  void renew_control_frames() noexcept { control_frames_ = 0; }

  /// True between two messages: nothing of a frame or a message is held.
  [[nodiscard]] bool idle() const noexcept {
    return phase_ != Phase::kPayload && phase_ != Phase::kClosed && header_held_ == 0 &&
           !message_open_;
  }

  /// True after `kClose` or `kViolation`.
  [[nodiscard]] bool closed() const noexcept { return phase_ == Phase::kClosed; }

  /// The heap memory held for a partial message, for accounting.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return buffer_.capacity(); }

 private:
  enum class Phase : std::uint8_t {
    kClear,    // between messages and nothing held: the fast path applies
    kHeader,   // before or within a header
    kPayload,  // within a payload
    kClosed,
  };
  struct Header;

  Event next_in_general(std::span<char>& input, Inflater* inflater);
  [[nodiscard]] bool read_header(std::span<char>& input, Header& header);
  [[nodiscard]] Header parse(std::span<const char> bytes) const noexcept;
  [[nodiscard]] Violation check_first_byte(std::uint8_t byte) const noexcept;
  [[nodiscard]] Violation check_limits(const Header& header) const noexcept;
  void begin_frame(const Header& header) noexcept;
  [[nodiscard]] std::optional<Event> take_control(std::span<char> piece);
  [[nodiscard]] std::optional<Event> take_data(std::span<char> piece, Inflater* inflater);
  [[nodiscard]] Event finish_control(std::string_view payload);
  [[nodiscard]] Event finish_message(std::string_view payload, Inflater* inflater);
  [[nodiscard]] Event fail(Violation violation) noexcept;
  void hold(std::span<const char> piece);
  void drop_delivered() noexcept;

  DecoderLimits limits_;
  // The payload so far of an open message, then that of a control frame that is not whole yet.
  // After the delivery of either, what the event points into, until the next call.
  std::vector<char> buffer_;
  std::uint64_t remaining_ = 0;  // of the payload of the frame
  std::uint32_t key_ = 0;        // the next payload byte meets its first byte; 0 if unmasked
  std::uint32_t fragments_ = 0;  // frames of the open message
  std::uint32_t control_frames_ = 0;
  std::array<char, kHeaderBytesMax> header_{};
  std::uint8_t header_held_ = 0;
  std::uint8_t control_held_ = 0;  // bytes of a control payload at the end of buffer_
  Role role_;
  Phase phase_ = Phase::kClear;
  Opcode frame_opcode_ = Opcode::kContinuation;
  Opcode message_opcode_ = Opcode::kContinuation;
  Utf8Validator utf8_;  // between messages always complete, or the last one would have failed
  bool fin_ = false;
  bool message_open_ = false;
  bool message_compressed_ = false;
  bool delivered_ = false;  // buffer_ holds a delivered payload
  bool compression_ = false;
};

static_assert(sizeof(Decoder) <= 96, "a million idle connections hold a million of these");

}  // namespace sallyport::ws
