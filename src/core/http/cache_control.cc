#include "core/http/cache_control.h"

#include <algorithm>
#include <cstdint>

#include "core/http/grammar.h"

namespace sallyport::http {
namespace {

using std::chrono::seconds;

constexpr std::int64_t kSecondsMax = std::int64_t{1} << 31;  // what larger values count as (RFC 9111 section 1.2.2)

std::optional<seconds> delta_seconds(std::string_view text) {
  // Senders must not quote it and some do (RFC 9111 section 5.2.2.1).
  if (text.size() >= 2 && text.starts_with('"') && text.ends_with('"')) text = text.substr(1, text.size() - 2);
  if (text.empty()) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = std::min(value * 10 + (c - '0'), kSecondsMax);
  }
  return seconds(value);
}

}  // namespace

std::optional<seconds> freshness(std::span<const std::string_view> cache_control, std::string_view age) {
  std::optional<seconds> life;
  for (const std::string_view field : cache_control) {
    Splitter directives(field, ',');
    while (const auto directive = directives.next()) {
      const std::size_t equals = std::min(directive->find('='), directive->size());
      const std::string_view name = directive->substr(0, equals);
      if (equals_ignoring_case(name, "no-store") || equals_ignoring_case(name, "no-cache")) return seconds(0);
      if (!equals_ignoring_case(name, "max-age") || equals == directive->size()) continue;
      const auto value = delta_seconds(directive->substr(equals + 1));
      // Of several, the one that makes us ask earlier.
      if (value) life = std::min(*value, life.value_or(*value));
    }
  }
  if (!life) return std::nullopt;
  return std::max(*life - delta_seconds(trim(age)).value_or(seconds(0)), seconds(0));
}

}  // namespace sallyport::http
