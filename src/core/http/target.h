#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::http {

/// Where the parts of a request target (RFC 9112 section 3.2) lie in its text.
struct TargetParts {
  std::size_t authority = 0;       ///< offset; only meaningful if authority_size > 0
  std::size_t authority_size = 0;  ///< more than 0 in absolute form only
  std::size_t path = 0;            ///< offset of the path
  std::size_t path_size = 0;       ///< 0 only in absolute form without a path, which means "/"
  std::size_t query = 0;           ///< offset behind the "?"
  std::size_t query_size = 0;
  bool has_query = false;
  bool escaped_path = false;  ///< the path has at least one %
};

/// Splits and checks a target. Accepted are the origin form and the absolute form with http, https,
/// ws or wss. Refused, never normalised: other forms, empty segments (so `//evil` too), dot
/// segments however they are escaped, broken escapes, fragments, backslashes, control characters,
/// non-ASCII, and in the path an escaped slash, backslash or control character, and escapes that
/// are not UTF-8.
[[nodiscard]] std::optional<TargetParts> split_target(std::string_view target);

/// Decodes one path segment; nothing if it is empty, a dot segment, or holds what `split_target`
/// refuses. Two callers that decode with this cannot disagree about what a path means.
[[nodiscard]] std::optional<std::string> decode_segment(std::string_view segment);

/// True if `c` may stand in a target at all: the early check of an incremental reader.
[[nodiscard]] bool is_target_char(char c) noexcept;

/// True for `host[:port]` as a Host field or an absolute target may name it (RFC 9110 section 4.2):
/// a name, an IPv4 address or a bracketed IPv6 address, without user information.
[[nodiscard]] bool is_authority(std::string_view text) noexcept;

}  // namespace sallyport::http
