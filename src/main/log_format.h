#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "sallyport/log.h"
#include "sallyport/principal.h"

namespace sallyport::main {

inline constexpr std::size_t kLogValueBytesMax = 1024;  ///< longer values are cut, and end in "..."

/// "2025-01-31T12:00:00.123Z" (RFC 3339).
[[nodiscard]] std::string format_time(WallTime time);

/// One event as a JSON object on one line, without the line's end. What a peer has chosen cannot
/// end the line or the string, nor reach a terminal as a control sequence: control characters (C1
/// too), line separators and characters that turn the writing direction are escaped, invalid UTF-8
/// is U+FFFD.
[[nodiscard]] std::string format_json(const LogEvent& event, WallTime time);

/// The same for people: `TIME level event key=value key="a value with spaces"`.
[[nodiscard]] std::string format_text(const LogEvent& event, WallTime time);

}  // namespace sallyport::main
