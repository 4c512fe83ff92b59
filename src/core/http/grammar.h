#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// The few pieces of HTTP grammar that every module of this folder needs. All of it is ASCII and
// none of it depends on a locale.

namespace sallyport::http {

/// tchar of RFC 9110 section 5.6.2.
[[nodiscard]] bool is_token_char(char c) noexcept;

/// One or more tchar.
[[nodiscard]] bool is_token(std::string_view text) noexcept;

/// What may stand in a field value (RFC 9110 section 5.5): visible characters, space, tab and
/// obs-text; no CR, LF, NUL or other control character.
[[nodiscard]] bool is_field_value(std::string_view text) noexcept;

/// ASCII letters compare without case, everything else as it is.
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept;

/// ASCII letters in lower case.
[[nodiscard]] std::string lower_case(std::string_view text);

/// Without the spaces and tabs at both ends (OWS, RFC 9110 section 5.6.3).
[[nodiscard]] std::string_view trim(std::string_view text) noexcept;

/// True if `text` is well-formed UTF-8 (RFC 3629): no overlong form, no surrogate.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

enum class Plus { kIsPlus, kIsSpace };

/// Resolves %XX (RFC 3986 section 2.1) and, if asked, the `+` of HTML forms. Nothing if an escape
/// is not two hexadecimal digits.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, Plus plus);

/// Splits at `separator` and yields each piece trimmed, empty pieces included: the elements of a
/// comma-separated field or of a Cookie field. The text must outlive the splitter.
class Splitter {
 public:
  Splitter(std::string_view text, char separator) : rest_(text), separator_(separator) {}

  /// The next piece; nothing at the end. An empty text has one empty piece.
  [[nodiscard]] std::optional<std::string_view> next() noexcept {
    if (done_) return std::nullopt;
    const std::size_t end = rest_.find(separator_);
    if (end == std::string_view::npos) {
      done_ = true;
      return trim(rest_);
    }
    const std::string_view piece = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return trim(piece);
  }

 private:
  std::string_view rest_;
  char separator_;
  bool done_ = false;
};

}  // namespace sallyport::http
