#include "feature/config/units.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "feature/config/finding.h"

namespace sallyport::config {
namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 4> kSizes{{{"B", 1},
                                      {"KiB", std::uint64_t{1} << 10},
                                      {"MiB", std::uint64_t{1} << 20},
                                      {"GiB", std::uint64_t{1} << 30}}};
constexpr std::array<Unit, 5> kDurations{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

struct Number {
  std::uint64_t value;
  std::string_view rest;
};

// Digits only: no sign, no space, no base prefix.
std::optional<Number> take_number(std::string_view text) {
  Number number{0, {}};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number.value);
  if (error != std::errc()) return std::nullopt;
  number.rest = text.substr(static_cast<std::size_t>(end - text.data()));
  return number;
}

template <std::size_t N>
std::optional<std::uint64_t> scaled(std::string_view text, const std::array<Unit, N>& units) {
  const auto number = take_number(text);
  if (!number) return std::nullopt;
  for (const Unit& unit : units) {
    if (unit.name != number->rest) continue;
    if (number->value > std::numeric_limits<std::uint64_t>::max() / unit.factor)
      return std::nullopt;
    return number->value * unit.factor;
  }
  return std::nullopt;
}

template <std::size_t N>
std::string spelled(std::uint64_t value, const std::array<Unit, N>& units) {
  for (std::size_t i = units.size(); i-- > 1;) {
    if (value != 0 && value % units[i].factor == 0) {
      return std::to_string(value / units[i].factor) + std::string(units[i].name);
    }
  }
  return std::to_string(value) + std::string(units[0].name);
}

}  // namespace

std::expected<Bytes, std::string> parse_size(std::string_view text) {
  if (const auto size = scaled(text, kSizes)) return *size;
  return std::unexpected(
      in_quotes(text) +
      " is not a size; write a whole number and B, KiB, MiB or GiB, such as \"64KiB\"");
}

std::expected<milliseconds, std::string> parse_duration(std::string_view text,
                                                        bool allow_negative) {
  std::string_view digits = text;
  const bool negative = allow_negative && digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  const auto size = scaled(digits, kDurations);
  if (!size) {
    return std::unexpected(
        in_quotes(text) +
        " is not a duration; write a whole number and ms, s, m, h or d, such as \"30s\"");
  }
  if (*size > static_cast<std::uint64_t>(kDurationMax.count())) {
    return std::unexpected(in_quotes(text) + " is longer than ten years");
  }
  const milliseconds duration(static_cast<std::int64_t>(*size));
  return negative ? -duration : duration;
}

std::expected<Rate, std::string> parse_rate(std::string_view text) {
  const auto number = take_number(text);
  if (!number || !number->rest.starts_with('/')) {
    return std::unexpected(
        in_quotes(text) +
        " is not a rate; write how many, a slash and a duration, such as \"60/1m\"");
  }
  const auto within = parse_duration(number->rest.substr(1));
  if (!within) return std::unexpected("the rate " + in_quotes(text) + ": " + within.error());
  if (number->value == 0 || number->value > std::numeric_limits<std::uint32_t>::max() ||
      *within == milliseconds(0)) {
    return std::unexpected(
        "the rate " + in_quotes(text) +
        ": the number must be from 1 to 4294967295 and the duration more than zero");
  }
  return Rate{static_cast<std::uint32_t>(number->value), *within};
}

std::string format_size(Bytes size) {
  return spelled(size, kSizes);
}

std::string format_duration(milliseconds duration) {
  if (duration < milliseconds(0)) return "-" + format_duration(-duration);
  if (duration == milliseconds(0)) return "0s";
  return spelled(static_cast<std::uint64_t>(duration.count()), kDurations);
}

}  // namespace sallyport::config
