#include "core/http/forwarded.h"

#include <algorithm>
#include <string>

#include "core/http/grammar.h"

namespace sallyport::http {
namespace {

bool all_digits(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// node-port of RFC 7239 section 6: a number, or an obfuscated one.
bool is_port(std::string_view text) noexcept {
  if (text.starts_with('_')) return text.size() > 1 && is_token(text);
  return !text.empty() && text.size() <= 5 && all_digits(text);
}

// "192.0.2.1", "192.0.2.1:47011", "[2001:db8::1]" or "[2001:db8::1]:47011".
std::optional<IpAddress> parse_node(std::string_view text) {
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    port = text.substr(end + 1);
    text = text.substr(1, end - 1);
    if (text.find(':') == std::string_view::npos) return std::nullopt;
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    port = text.substr(colon);
    text = text.substr(0, colon);
  }
  if (!port.empty() && !(port.starts_with(':') && is_port(port.substr(1)))) return std::nullopt;
  return IpAddress::parse(text);
}

// X-Forwarded-For has no standard; proxies write IPv6 addresses with and without brackets.
std::optional<IpAddress> parse_x_forwarded_for(std::string_view entry) {
  if (const auto address = IpAddress::parse(entry)) return address;
  return parse_node(entry);
}

// Whether the quotation mark at `at` is escaped: an odd number of backslashes stands before it.
bool is_escaped(std::string_view text, std::size_t at) noexcept {
  std::size_t backslashes = 0;
  while (backslashes < at && text[at - 1 - backslashes] == '\\') ++backslashes;
  return backslashes % 2 == 1;
}

// The last `separator` outside of quoted strings. It is looked for from the right because only what stands
// there is a trusted proxy's: a quotation mark that a client has left open must not swallow it.
std::size_t last_separator(std::string_view text, char separator) noexcept {
  bool quoted = false;
  for (std::size_t at = text.size(); at-- > 0;) {
    if (text[at] == '"' && !is_escaped(text, at)) quoted = !quoted;
    if (text[at] == separator && !quoted) return at;
  }
  return std::string_view::npos;
}

// The value of a pair: a token or a quoted string (RFC 9110 section 5.6.4).
std::optional<std::string> parse_value(std::string_view text) {
  if (!text.starts_with('"')) {
    if (!is_token(text)) return std::nullopt;
    return std::string(text);
  }
  if (text.size() < 2 || text.back() != '"') return std::nullopt;
  std::string value;
  const std::string_view inside = text.substr(1, text.size() - 2);
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] == '"') return std::nullopt;
    if (inside[i] == '\\' && ++i == inside.size()) return std::nullopt;
    value.push_back(inside[i]);
  }
  return value;
}

// forwarded-element of RFC 7239 section 4: pairs between semicolons, of which one may be `for`.
std::optional<IpAddress> parse_forwarded(std::string_view element) {
  std::optional<std::string> node;
  while (true) {
    const std::size_t separator = last_separator(element, ';');
    const std::string_view pair =
        trim(separator == std::string_view::npos ? element : element.substr(separator + 1));
    if (!pair.empty()) {  // the grammar allows none between semicolons
      const std::size_t equals = std::min(pair.find('='), pair.size());
      auto value = parse_value(pair.substr(std::min(equals + 1, pair.size())));
      if (!value || !is_token(pair.substr(0, equals))) return std::nullopt;
      if (equals_ignoring_case(pair.substr(0, equals), "for")) {
        if (node) return std::nullopt;  // given twice
        node = std::move(value);
      }
    }
    if (separator == std::string_view::npos) break;
    element = element.substr(0, separator);
  }
  if (!node) return std::nullopt;
  return parse_node(*node);
}

// Hands out the elements of a field's values from the last one to the first.
class Backwards {
 public:
  Backwards(std::span<const std::string_view> values, bool quoting) : values_(values), quoting_(quoting) {}

  std::optional<std::string_view> next() {
    if (!in_value_) {
      if (values_.empty()) return std::nullopt;
      rest_ = values_.back();
      values_ = values_.first(values_.size() - 1);
    }
    const std::size_t comma = quoting_ ? last_separator(rest_, ',') : rest_.rfind(',');
    in_value_ = comma != std::string_view::npos;
    const std::string_view element = in_value_ ? rest_.substr(comma + 1) : rest_;
    if (in_value_) rest_ = rest_.substr(0, comma);
    return trim(element);
  }

 private:
  std::span<const std::string_view> values_;
  std::string_view rest_;
  bool quoting_;
  bool in_value_ = false;
};

using ParseEntry = std::optional<IpAddress> (*)(std::string_view);

IpAddress walk(IpAddress address, std::span<const CidrBlock> trusted, Backwards entries,
               ParseEntry parse) {
  for (std::size_t hop = 0; hop < kForwardedHopsMax && contains(trusted, address); ++hop) {
    const auto entry = entries.next();
    if (!entry) break;
    const auto named = parse(*entry);
    if (!named) break;
    address = *named;
  }
  return address;
}

}  // namespace

std::optional<IpAddress> client_address(const IpAddress& peer, std::span<const CidrBlock> trusted,
                                        const ForwardedFields& fields) {
  const bool has_x = !fields.x_forwarded_for.empty();
  const bool has_standard = !fields.forwarded.empty();
  const IpAddress from_x =
      walk(peer, trusted, Backwards(fields.x_forwarded_for, false), parse_x_forwarded_for);
  const IpAddress from_standard =
      walk(peer, trusted, Backwards(fields.forwarded, true), parse_forwarded);
  if (has_x && has_standard && from_x != from_standard) return std::nullopt;
  return has_x ? from_x : from_standard;
}

}  // namespace sallyport::http
