#pragma once

#include <cstdint>
#include <string_view>

namespace sallyport::ws {

/// Validates UTF-8 that arrives in pieces, exactly as RFC 3629 section 4 has it: no overlong forms,
/// no surrogates, nothing above U+10FFFF. One byte of state, no allocation.
class Utf8Validator {
 public:
  /// Takes the next piece. False as soon as the text so far cannot be the beginning of any valid
  /// text, that is with the piece that holds the violating byte; and from then on.
  [[nodiscard]] bool feed(std::string_view piece) noexcept;

  /// True if what was fed ends between two characters.
  [[nodiscard]] bool complete() const noexcept { return state_ == 0; }

  void reset() noexcept { state_ = 0; }

 private:
  std::uint8_t state_ = 0;
};

/// True if `text` as a whole is valid UTF-8.
[[nodiscard]] bool valid_utf8(std::string_view text) noexcept;

}  // namespace sallyport::ws
