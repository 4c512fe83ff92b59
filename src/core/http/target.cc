#include "core/http/target.h"

#include <algorithm>
#include <array>

#include "core/http/grammar.h"

namespace sallyport::http {
namespace {

enum : unsigned char { kPathChar = 1, kQueryChar = 2, kHostChar = 4 };

constexpr auto kCharClass = [] {
  std::array<unsigned char, 256> table{};
  const auto add = [&](std::string_view characters, unsigned char classes) {
    for (const char c : characters) table[static_cast<unsigned char>(c)] |= classes;
  };
  constexpr std::string_view kUnreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  add(kUnreserved, kPathChar | kQueryChar | kHostChar);
  add("!$&'()*+,;=", kPathChar | kQueryChar | kHostChar);  // sub-delims
  add(":@/%", kPathChar | kQueryChar);
  add("?", kQueryChar);
  // RFC 3986 would have these escaped, but the URL standard of the browsers leaves them as they are
  // in a query (`?filter[room]=1`), and nothing in this library gives them a meaning.
  add("[]{}|^`", kQueryChar);
  return table;
}();

bool all_of_class(std::string_view text, unsigned char wanted) noexcept {
  return std::ranges::all_of(
      text, [&](char c) { return (kCharClass[static_cast<unsigned char>(c)] & wanted) != 0; });
}

// Also with a parameter behind it: some upstreams read "/..;x/" as "/../".
bool is_dot_segment(std::string_view decoded) noexcept {
  const std::string_view name = decoded.substr(0, decoded.find(';'));
  return name == "." || name == "..";
}

bool is_plain_segment(std::string_view segment) noexcept {
  return !segment.empty() && !is_dot_segment(segment);
}

bool is_path(std::string_view path) {
  if (path.empty() || path.front() != '/' || !all_of_class(path, kPathChar)) return false;
  path.remove_prefix(1);
  while (!path.empty()) {
    const std::size_t end = path.find('/');
    const std::string_view segment = path.substr(0, end);
    const bool fine = segment.find('%') == std::string_view::npos
                          ? is_plain_segment(segment)
                          : decode_segment(segment).has_value();
    if (!fine) return false;
    if (end == std::string_view::npos) break;
    path.remove_prefix(end + 1);  // a trailing slash leaves nothing, which ends the loop
  }
  return true;
}

bool is_query(std::string_view query) {
  if (!all_of_class(query, kQueryChar)) return false;
  if (query.find('%') == std::string_view::npos) return true;
  const auto decoded = percent_decode(query, Plus::kIsPlus);
  return decoded && decoded->find('\0') == std::string::npos;
}

std::size_t scheme_size(std::string_view target) noexcept {
  for (const std::string_view scheme : {"http://", "https://", "ws://", "wss://"}) {
    if (equals_ignoring_case(target.substr(0, scheme.size()), scheme)) return scheme.size();
  }
  return 0;
}

bool is_port(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5) return false;
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value <= 65535;
}

}  // namespace

std::optional<std::string> decode_segment(std::string_view segment) {
  auto decoded = percent_decode(segment, Plus::kIsPlus);
  if (!decoded || !is_plain_segment(*decoded) || !is_utf8(*decoded)) return std::nullopt;
  const bool harmless = std::ranges::all_of(*decoded, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f && c != '/' && c != '\\';
  });
  if (!harmless) return std::nullopt;
  return decoded;
}

std::optional<TargetParts> split_target(std::string_view target) {
  TargetParts parts;
  if (target.empty()) return std::nullopt;
  if (target.front() != '/') {
    parts.authority = scheme_size(target);
    if (parts.authority == 0) return std::nullopt;
    const std::size_t end = std::min(target.find_first_of("/?", parts.authority), target.size());
    parts.authority_size = end - parts.authority;
    if (!is_authority(target.substr(parts.authority, parts.authority_size))) return std::nullopt;
    parts.path = end;
  }
  const std::size_t mark = target.find('?', parts.path);
  parts.path_size = std::min(mark, target.size()) - parts.path;
  if (mark != std::string_view::npos) {
    parts.has_query = true;
    parts.query = mark + 1;
    parts.query_size = target.size() - parts.query;
  }
  const std::string_view path = target.substr(parts.path, parts.path_size);
  const bool omitted = path.empty() && parts.authority_size > 0;
  if (!omitted && !is_path(path)) return std::nullopt;
  if (parts.has_query && !is_query(target.substr(parts.query))) return std::nullopt;
  parts.escaped_path = path.find('%') != std::string_view::npos;
  return parts;
}

bool is_target_char(char c) noexcept {
  return kCharClass[static_cast<unsigned char>(c)] != 0;
}

bool is_authority(std::string_view text) noexcept {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    const std::string_view address = text.substr(1, end - 1);
    const bool plausible = address.size() >= 2 && std::ranges::all_of(address, [](char c) {
                             return c == ':' || c == '.' || (c >= '0' && c <= '9') ||
                                    (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
                           });
    const std::string_view rest = text.substr(end + 1);
    return plausible && (rest.empty() || (rest.front() == ':' && is_port(rest.substr(1))));
  }
  const std::size_t colon = text.find(':');
  const std::string_view host = text.substr(0, colon);
  if (host.empty() || !all_of_class(host, kHostChar)) return false;
  return colon == std::string_view::npos || is_port(text.substr(colon + 1));
}

}  // namespace sallyport::http
