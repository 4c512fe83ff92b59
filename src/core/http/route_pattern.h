#pragma once

#include <compare>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::http {

struct RouteParam {
  std::string name;   ///< as in the pattern, without the colon; "*" for the rest
  std::string value;  ///< percent-decoded, UTF-8
};

/// The path pattern of a route: `/chat/:room` or `/files/*`. Each segment is literal, `:name` (one
/// segment, not empty) or, as the last, `*` (whatever follows, also nothing). A trailing slash
/// counts. Immutable.
class RoutePattern {
 public:
  /// The error is a sentence for the reader of a configuration.
  [[nodiscard]] static std::expected<RoutePattern, std::string> parse(std::string_view text);

  /// Matches a raw path (Head::raw_path). Segments compare decoded, so that no other spelling of a
  /// path evades its route; an escaped slash or dot segment matches nothing.
  [[nodiscard]] std::optional<std::vector<RouteParam>> match(std::string_view raw_path) const;

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

  /// The order in which routes are tried: in the first segment in which two patterns differ in
  /// kind, a literal comes before a parameter and a parameter before the rest. "Less" is tried
  /// first; equivalent patterns (`/a/:x` and `/a/:y`) match the same paths.
  friend std::weak_ordering operator<=>(const RoutePattern& a, const RoutePattern& b) noexcept;
  friend bool operator==(const RoutePattern& a, const RoutePattern& b) noexcept {
    return std::is_eq(a <=> b);
  }

 private:
  enum class Kind { kLiteral, kParam, kRest };  // in the order of precedence
  struct Segment {
    Kind kind = Kind::kLiteral;
    std::string text;  // the literal, decoded, or the name
  };

  [[nodiscard]] static std::expected<Segment, std::string_view> parse_segment(
      std::string_view text);

  std::string text_;
  std::vector<Segment> segments_;
  bool trailing_slash_ = false;
};

}  // namespace sallyport::http
