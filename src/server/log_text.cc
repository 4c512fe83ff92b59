#include "server/log_text.h"

#include <algorithm>

#include "core/http/origin.h"

namespace sallyport::server {
namespace {

constexpr std::size_t kPathBytesMax = 200;
constexpr std::size_t kSegmentBytesMax = 31;  // 128 random bits in hexadecimal digits are longer
constexpr std::string_view kHidden = "...";

void append_segment(std::string& out, std::string_view segment) {
  if (segment.size() > kSegmentBytesMax || segment.starts_with("eyJ")) {
    out += kHidden;
    return;
  }
  for (const char c : segment) out += c > ' ' && c < 0x7f ? c : '?';
}

}  // namespace

std::string path_for_log(std::string_view raw_path) {
  raw_path = raw_path.substr(0, raw_path.find('?'));
  std::string out;
  while (!raw_path.empty()) {
    const std::size_t end = std::min(raw_path.find('/'), raw_path.size());
    append_segment(out, raw_path.substr(0, end));
    if (end < raw_path.size()) out += '/';
    raw_path.remove_prefix(std::min(end + 1, raw_path.size()));
    if (out.size() > kPathBytesMax) {
      out.resize(kPathBytesMax);
      return out.append(kHidden);
    }
  }
  return out;
}

std::string foreign_origin_for_log(std::string_view value) {
  const auto origin = http::Origin::parse(value);
  if (!origin) return "the Origin is none of a page: " + std::string(http::describe(origin.error()));
  return "the Origin " + origin->text() + " is not among the route's; if that page is yours, list it in origins";
}

}  // namespace sallyport::server
