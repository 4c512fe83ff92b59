#include "core/http/route_pattern.h"

#include <algorithm>

#include "core/http/grammar.h"
#include "core/http/target.h"

namespace sallyport::http {
namespace {

bool is_name(std::string_view text) noexcept {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !text.empty() && letter(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

// The rest of a path behind a slash, decoded segment by segment; nothing if a segment is not fine.
std::optional<std::string> decode_rest(std::string_view rest) {
  std::string decoded;
  while (!rest.empty()) {
    const std::size_t end = rest.find('/');
    const auto segment = decode_segment(rest.substr(0, end));
    if (!segment) return std::nullopt;
    decoded += *segment;
    if (end == std::string_view::npos) return decoded;
    decoded += '/';
    rest.remove_prefix(end + 1);
  }
  return decoded;
}

}  // namespace

auto RoutePattern::parse_segment(std::string_view text)
    -> std::expected<Segment, std::string_view> {
  if (text.empty()) return std::unexpected("a segment is empty");
  if (text == "*") return Segment{.kind = Kind::kRest, .text = "*"};
  if (text.front() == ':') {
    if (!is_name(text.substr(1))) {
      return std::unexpected("a parameter is a colon and a name of letters, digits and _");
    }
    return Segment{.kind = Kind::kParam, .text = std::string(text.substr(1))};
  }
  if (text.find_first_of(":*") != std::string_view::npos) {
    return std::unexpected(
        "a colon or asterisk must stand at the start of a segment, the asterisk alone");
  }
  if (!std::ranges::all_of(text, is_target_char) ||
      text.find_first_of("?[]{}|^`") != std::string_view::npos) {
    return std::unexpected("a literal has characters that no path has; write them as %XX");
  }
  auto decoded = decode_segment(text);
  if (!decoded)
    return std::unexpected("a segment is a dot segment or has a %XX that is not allowed");
  return Segment{.kind = Kind::kLiteral, .text = std::move(*decoded)};
}

std::expected<RoutePattern, std::string> RoutePattern::parse(std::string_view text) {
  const auto fail = [&](std::string_view why) {
    return std::unexpected("path \"" + std::string(text) + "\": " + std::string(why));
  };
  if (!text.starts_with('/')) return fail("it must begin with a slash");
  RoutePattern pattern;
  pattern.text_ = text;
  std::string_view rest = text.substr(1);
  while (!rest.empty()) {
    if (!pattern.segments_.empty() && pattern.segments_.back().kind == Kind::kRest) {
      return fail("nothing may follow the asterisk");
    }
    const std::size_t end = rest.find('/');
    auto segment = parse_segment(rest.substr(0, end));
    if (!segment) return fail(segment.error());
    const bool repeated = std::ranges::any_of(pattern.segments_, [&](const Segment& other) {
      return segment->kind == Kind::kParam && other.kind == Kind::kParam &&
             other.text == segment->text;
    });
    if (repeated) return fail("a parameter's name occurs twice");
    const bool rest_kind = segment->kind == Kind::kRest;
    pattern.segments_.push_back(std::move(*segment));
    if (end == std::string_view::npos) break;
    if (rest_kind) return fail("nothing may follow the asterisk");
    rest.remove_prefix(end + 1);
    pattern.trailing_slash_ = rest.empty();
  }
  return pattern;
}

std::optional<std::vector<RouteParam>> RoutePattern::match(std::string_view raw_path) const {
  if (!raw_path.starts_with('/')) return std::nullopt;
  raw_path.remove_prefix(1);
  std::vector<RouteParam> params;
  bool more = true;  // a slash has just been consumed
  for (const Segment& segment : segments_) {
    if (!more) return std::nullopt;
    if (segment.kind == Kind::kRest) {
      auto value = decode_rest(raw_path);
      if (!value) return std::nullopt;
      params.push_back({.name = segment.text, .value = std::move(*value)});
      return params;
    }
    const std::size_t end = raw_path.find('/');
    const std::string_view text = raw_path.substr(0, end);
    const bool plain = text.find('%') == std::string_view::npos;
    if (segment.kind == Kind::kLiteral && plain) {
      if (text != segment.text) return std::nullopt;
    } else {
      auto value = decode_segment(text);
      if (!value) return std::nullopt;
      if (segment.kind == Kind::kLiteral) {
        if (*value != segment.text) return std::nullopt;
      } else {
        params.push_back({.name = segment.text, .value = std::move(*value)});
      }
    }
    more = end != std::string_view::npos;
    raw_path.remove_prefix(more ? end + 1 : raw_path.size());
  }
  // Without segments the pattern is "/" itself. Otherwise a slash behind the last segment must be
  // in both or in neither, and nothing may follow it.
  const bool slash_matches = segments_.empty() || more == trailing_slash_;
  if (!raw_path.empty() || !slash_matches) return std::nullopt;
  return params;
}

std::weak_ordering operator<=>(const RoutePattern& a, const RoutePattern& b) noexcept {
  const std::size_t common = std::min(a.segments_.size(), b.segments_.size());
  for (std::size_t i = 0; i < common; ++i) {
    const auto& left = a.segments_[i];
    const auto& right = b.segments_[i];
    if (left.kind != right.kind) return left.kind <=> right.kind;
    if (left.kind == RoutePattern::Kind::kLiteral && left.text != right.text) {
      return left.text <=> right.text;
    }
  }
  // A pattern that ends here comes before one that goes on with a rest ("/a/" before "/a/*") and,
  // so that this is an order, behind one that goes on with anything else.
  if (a.segments_.size() != b.segments_.size()) {
    const bool a_longer = a.segments_.size() > common;
    const auto& next = a_longer ? a.segments_[common] : b.segments_[common];
    const bool a_first = a_longer != (next.kind == RoutePattern::Kind::kRest);
    return a_first ? std::weak_ordering::less : std::weak_ordering::greater;
  }
  return b.trailing_slash_ <=> a.trailing_slash_;
}

}  // namespace sallyport::http
