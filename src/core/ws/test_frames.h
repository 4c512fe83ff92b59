#pragma once

// For the tests of this folder: frames as text, and what a decoder said as comparable values.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <ostream>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/ws/decoder.h"
#include "core/ws/encoder.h"

namespace sallyport::ws {

inline constexpr MaskKey kTestKey = {0x37, 0xFA, 0x21, 0x3D};

/// A frame of a client, masked.
inline std::string masked(Opcode opcode, std::string_view payload, bool fin = true,
                          bool rsv1 = false, MaskKey key = kTestKey) {
  std::string out;
  append_frame(out, {.opcode = opcode, .fin = fin, .rsv1 = rsv1, .mask = key}, payload);
  return out;
}

/// A frame of a server.
inline std::string plain(Opcode opcode, std::string_view payload, bool fin = true,
                         bool rsv1 = false) {
  std::string out;
  append_frame(out, {.opcode = opcode, .fin = fin, .rsv1 = rsv1}, payload);
  return out;
}

inline std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out.push_back(static_cast<char>(value));
  return out;
}

/// An Event that owns its payload.
struct Said {
  Event::Kind kind = Event::Kind::kNeedMore;
  Opcode opcode = Opcode::kContinuation;
  Violation violation = Violation::kNone;
  CloseCode code = CloseCode::kNoStatus;
  std::string payload = {};

  bool operator==(const Said&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Said& said) {
    return out << "{kind " << static_cast<int>(said.kind) << ", opcode "
               << static_cast<int>(said.opcode) << ", " << name_of(said.violation) << ", code "
               << static_cast<int>(said.code) << ", " << said.payload.size() << " bytes}";
  }
};

inline Said message(Opcode opcode, std::string payload) {
  return {.kind = Event::Kind::kMessage, .opcode = opcode, .payload = std::move(payload)};
}
inline Said ping(std::string payload) {
  return {.kind = Event::Kind::kPing, .payload = std::move(payload)};
}
inline Said pong(std::string payload) {
  return {.kind = Event::Kind::kPong, .payload = std::move(payload)};
}
inline Said closed(CloseCode code, std::string reason) {
  return {.kind = Event::Kind::kClose, .code = code, .payload = std::move(reason)};
}
inline Said violated(Violation violation) {
  return {
      .kind = Event::Kind::kViolation, .violation = violation, .code = close_code_of(violation)};
}

/// Feeds one piece, appending what is said before the decoder wants more.
inline void feed(Decoder& decoder, std::string piece, std::vector<Said>& said,
                 Inflater* inflater = nullptr) {
  std::span<char> input(piece);
  while (true) {
    const Event event = decoder.next(input, inflater);
    if (event.kind == Event::Kind::kNeedMore) break;
    said.push_back({.kind = event.kind,
                    .opcode = event.opcode,
                    .violation = event.violation,
                    .code = event.code,
                    .payload = std::string(event.payload)});
  }
  // The contract of kNeedMore.
  if (!input.empty()) said.push_back({.payload = "input was left over"});
}

/// Feeds `stream` in pieces whose sizes `next_size` gives.
inline std::vector<Said> feed_all(Decoder& decoder, std::string_view stream,
                                  const std::function<std::size_t()>& next_size,
                                  Inflater* inflater = nullptr) {
  std::vector<Said> said;
  while (!stream.empty()) {
    const std::size_t size = std::min(stream.size(), next_size());
    feed(decoder, std::string(stream.substr(0, size)), said, inflater);
    stream.remove_prefix(size);
  }
  return said;
}

inline std::vector<Said> feed_whole(Decoder& decoder, std::string_view stream,
                                    Inflater* inflater = nullptr) {
  return feed_all(decoder, stream, [&] { return stream.size(); }, inflater);
}

inline std::string random_text(std::mt19937& random, std::size_t size) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random() & 0xFF);
  return text;
}

}  // namespace sallyport::ws
