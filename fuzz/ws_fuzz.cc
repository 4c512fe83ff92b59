// The decoder, fed whole and in pieces: both must say the same, hold nothing between messages and
// stay within the limits. The input begins with one byte of settings and a number of pieces with
// their sizes; the rest is the stream (and, once more, an extension offer, a handshake key and a
// Close).

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/assert.h"
#include "core/ws/close_code.h"
#include "core/ws/decoder.h"
#include "core/ws/deflate.h"
#include "core/ws/encoder.h"
#include "core/ws/handshake.h"
#include "core/ws/negotiation.h"
#include "core/ws/utf8.h"

namespace {

using namespace sallyport::ws;

struct Said {
  Event::Kind kind;
  Opcode opcode;
  Violation violation;
  CloseCode code;
  std::string payload;
  bool operator==(const Said&) const = default;
};

struct Settings {
  Role role;
  bool compression;
  DecoderLimits limits;
};

Settings settings_of(std::uint8_t byte) {
  return {.role = (byte & 1) != 0 ? Role::kClient : Role::kServer,
          .compression = (byte & 2) != 0,
          .limits = {.message_bytes = (byte & 4) != 0 ? 64U : 4096U,
                     .fragments = (byte & 8) != 0 ? 2U : 64U,
                     .control_frames_between_data = (byte & 16) != 0 ? 2U : 64U}};
}

void check(const Event& event, const Settings& settings) {
  switch (event.kind) {
    case Event::Kind::kNeedMore:
      return;
    case Event::Kind::kMessage:
      SALLYPORT_ASSERT(event.payload.size() <= settings.limits.message_bytes);
      SALLYPORT_ASSERT(event.opcode == Opcode::kText || event.opcode == Opcode::kBinary);
      if (event.opcode == Opcode::kText) SALLYPORT_ASSERT(valid_utf8(event.payload));
      return;
    case Event::Kind::kPing:
    case Event::Kind::kPong:
      SALLYPORT_ASSERT(event.payload.size() <= kControlPayloadMax);
      return;
    case Event::Kind::kClose:
      SALLYPORT_ASSERT(encode_close(event.code, event.payload).has_value());
      return;
    case Event::Kind::kViolation:
      SALLYPORT_ASSERT(event.violation != Violation::kNone);
      SALLYPORT_ASSERT(valid_on_the_wire(event.code));
      return;
  }
}

std::vector<Said> decode(const Settings& settings, std::string_view stream,
                         std::span<const std::uint8_t> sizes, Inflater& inflater) {
  Decoder decoder(settings.role, settings.limits);
  decoder.allow_compressed(settings.compression);
  std::vector<Said> said;
  std::size_t turn = 0;
  while (!stream.empty()) {
    const std::size_t size =
        sizes.empty() ? stream.size() : std::size_t{1} + sizes[turn++ % sizes.size()];
    // An allocation of its own, so that the sanitizer sees a step beyond the piece.
    std::vector<char> piece(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(
                                                                 std::min(size, stream.size())));
    stream.remove_prefix(piece.size());
    std::span<char> input(piece);
    while (true) {
      const bool was_closed = decoder.closed();
      const Event event = decoder.next(input, &inflater);
      check(event, settings);
      if (event.kind == Event::Kind::kNeedMore) break;
      SALLYPORT_ASSERT(!was_closed);
      said.push_back(
          {event.kind, event.opcode, event.violation, event.code, std::string(event.payload)});
    }
    SALLYPORT_ASSERT(input.empty());
    if (decoder.idle() || decoder.closed()) SALLYPORT_ASSERT(decoder.held_bytes() == 0);
    SALLYPORT_ASSERT(decoder.held_bytes() <= 2 * settings.limits.message_bytes + 512);
  }
  return said;
}

// What was understood must be understood again from our own frames.
void round_trip(const Settings& settings, const std::vector<Said>& said, Inflater& inflater) {
  std::string stream;
  for (const Said& s : said) {
    FrameStart start{.opcode = s.opcode};
    if (settings.role == Role::kServer) start.mask = MaskKey{1, 2, 3, 4};
    if (s.kind == Event::Kind::kPing) start.opcode = Opcode::kPing;
    if (s.kind == Event::Kind::kPong) start.opcode = Opcode::kPong;
    if (s.kind == Event::Kind::kViolation) return;
    if (s.kind == Event::Kind::kClose) {
      start.opcode = Opcode::kClose;
      append_frame(stream, start, encode_close(s.code, s.payload)->view());
    } else {
      append_frame(stream, start, s.payload);
    }
  }
  // Written whole, a message no longer stands between the control frames that came before its first
  // and after its first fragment.
  Settings relaxed = settings;
  relaxed.limits.control_frames_between_data = UINT32_MAX;
  SALLYPORT_ASSERT(decode(relaxed, stream, {}, inflater) == said);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static Inflater inflater;
  const Settings settings = settings_of(data[0]);
  const std::size_t pieces = std::min<std::size_t>(data[1] % 8, size - 2);
  const std::span<const std::uint8_t> sizes(data + 2, pieces);
  const std::string_view stream(reinterpret_cast<const char*>(data) + 2 + pieces,
                                size - 2 - pieces);

  const std::vector<Said> whole = decode(settings, stream, {}, inflater);
  const std::uint8_t single = 0;
  SALLYPORT_ASSERT(decode(settings, stream, {&single, 1}, inflater) == whole);
  if (!sizes.empty()) SALLYPORT_ASSERT(decode(settings, stream, sizes, inflater) == whole);
  round_trip(settings, whole, inflater);

  if (const auto agreed = accept_offer(stream, 12); agreed && *agreed) {
    SALLYPORT_ASSERT(accept_response((*agreed)->response, 12).has_value());
  }
  if (valid_key(stream)) SALLYPORT_ASSERT(accept_key(stream).size() == 28);
  if (const auto status = parse_close(stream)) {
    SALLYPORT_ASSERT(encode_close(status->code, status->reason)->view() == stream);
  }
  return 0;
}
