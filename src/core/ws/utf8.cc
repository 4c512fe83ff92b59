#include "core/ws/utf8.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace sallyport::ws {
namespace {

// What a byte can mean, as far as the grammar of RFC 3629 section 4 tells bytes apart.
enum Class : std::uint8_t {
  kAscii,     // 00-7F
  kTailLow,   // 80-8F
  kTailMid,   // 90-9F
  kTailHigh,  // A0-BF
  kLead2,     // C2-DF
  kLeadE0,
  kLead3,  // E1-EC, EE, EF
  kLeadEd,
  kLeadF0,
  kLead4,  // F1-F3
  kLeadF4,
  kNever,  // C0, C1, F5-FF
};

// What may come next, numbered as it is packed below. kAccept must be 0: it is the state of a fresh
// validator.
enum State : std::uint8_t {
  kAccept = 0,
  kNeed1 = 6,
  kNeed2 = 12,
  kNeed3 = 18,
  kAfterE0 = 24,  // overlong below A0
  kAfterEd = 30,  // surrogates from A0
  kAfterF0 = 36,  // overlong below 90
  kAfterF4 = 42,  // above U+10FFFF from 90
  kReject = 48,
};

constexpr Class class_of(unsigned byte) noexcept {
  if (byte <= 0x7F) return kAscii;
  if (byte <= 0x8F) return kTailLow;
  if (byte <= 0x9F) return kTailMid;
  if (byte <= 0xBF) return kTailHigh;
  if (byte <= 0xC1) return kNever;
  if (byte <= 0xDF) return kLead2;
  if (byte == 0xE0) return kLeadE0;
  if (byte == 0xED) return kLeadEd;
  if (byte <= 0xEF) return kLead3;
  if (byte == 0xF0) return kLeadF0;
  if (byte <= 0xF3) return kLead4;
  return byte == 0xF4 ? kLeadF4 : kNever;
}

constexpr State next_state(State state, Class byte) noexcept {
  const bool tail = byte == kTailLow || byte == kTailMid || byte == kTailHigh;
  switch (state) {
    case kAccept:
      switch (byte) {
        case kAscii:
          return kAccept;
        case kLead2:
          return kNeed1;
        case kLeadE0:
          return kAfterE0;
        case kLead3:
          return kNeed2;
        case kLeadEd:
          return kAfterEd;
        case kLeadF0:
          return kAfterF0;
        case kLead4:
          return kNeed3;
        case kLeadF4:
          return kAfterF4;
        case kTailLow:
        case kTailMid:
        case kTailHigh:
        case kNever:
          return kReject;
      }
      return kReject;
    case kNeed1:
      return tail ? kAccept : kReject;
    case kNeed2:
      return tail ? kNeed1 : kReject;
    case kNeed3:
      return tail ? kNeed2 : kReject;
    case kAfterE0:
      return byte == kTailHigh ? kNeed1 : kReject;
    case kAfterEd:
      return byte == kTailLow || byte == kTailMid ? kNeed1 : kReject;
    case kAfterF0:
      return byte == kTailMid || byte == kTailHigh ? kNeed2 : kReject;
    case kAfterF4:
      return byte == kTailLow ? kNeed2 : kReject;
    case kReject:
      return kReject;
  }
  return kReject;
}

// For each byte, the next states after all nine, packed into one word: the state is the number of
// bits by which its field is shifted down. A step then waits for a shift, not for a load.
constexpr std::array<std::uint64_t, 256> kSteps = [] {
  std::array<std::uint64_t, 256> steps{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    for (const State state :
         {kAccept, kNeed1, kNeed2, kNeed3, kAfterE0, kAfterEd, kAfterF0, kAfterF4, kReject}) {
      steps[byte] |= std::uint64_t{next_state(state, class_of(byte))} << state;
    }
  }
  return steps;
}();

constexpr std::uint64_t kHighBits = 0x8080'8080'8080'8080ULL;

std::uint64_t load8(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, 8);
  return word;
}

bool ascii16(const char* at) noexcept {
  return ((load8(at) | load8(at + 8)) & kHighBits) == 0;
}

// For fewer than 16 bytes: two loads that may overlap instead of a loop over single bytes.
bool ascii_short(const char* at, std::size_t size) noexcept {
  if (size >= 8) return ((load8(at) | load8(at + size - 8)) & kHighBits) == 0;
  if (size >= 4) {
    std::uint32_t first;
    std::uint32_t last;
    std::memcpy(&first, at, 4);
    std::memcpy(&last, at + size - 4, 4);
    return ((first | last) & 0x8080'8080U) == 0;
  }
  unsigned bits = 0;
  for (std::size_t i = 0; i < size; ++i) bits |= static_cast<unsigned char>(at[i]);
  return bits < 0x80;
}

std::uint8_t step(std::uint8_t state, const char* at, std::size_t size) noexcept {
  std::uint64_t packed = state;
  for (std::size_t i = 0; i < size; ++i) {
    packed = kSteps[static_cast<unsigned char>(at[i])] >> (packed & 63);
  }
  return static_cast<std::uint8_t>(packed & 63);
}

}  // namespace

bool Utf8Validator::feed(std::string_view piece) noexcept {
  const char* at = piece.data();
  std::size_t left = piece.size();
  std::uint8_t state = state_;
  for (; left >= 16; at += 16, left -= 16) {
    if (state == kAccept && ascii16(at)) continue;
    state = step(state, at, 16);
    if (state == kReject) break;
  }
  // A rejection is final, so that what is left of the piece cannot change it.
  if (state == kAccept && ascii_short(at, left)) left = 0;
  if (state != kReject) state = step(state, at, left);
  state_ = state;
  return state != kReject;
}

bool valid_utf8(std::string_view text) noexcept {
  Utf8Validator validator;
  return validator.feed(text) && validator.complete();
}

}  // namespace sallyport::ws
