#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sallyport::jose {

/// `text` for a log or a message: printable ASCII, anything else as '?', cut at `limit`.
[[nodiscard]] inline std::string printable(std::string_view text, std::size_t limit = 64) {
  std::string result;
  for (const char c : text.substr(0, limit)) result.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  if (text.size() > limit) result += "...";
  return result;
}

}  // namespace sallyport::jose
