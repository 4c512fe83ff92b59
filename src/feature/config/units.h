#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <string_view>

#include "sallyport/app.h"
#include "sallyport/literals.h"

namespace sallyport::config {

inline constexpr std::chrono::milliseconds kDurationMax = std::chrono::hours(24 * 3650);

/// "64KiB": a whole number and B, KiB, MiB or GiB. All three errors are sentences for a person.
[[nodiscard]] std::expected<Bytes, std::string> parse_size(std::string_view text);

/// "30s": a whole number and ms, s, m, h or d; at most ten years. With a leading minus only where
/// `allow_negative` says so.
[[nodiscard]] std::expected<std::chrono::milliseconds, std::string> parse_duration(
    std::string_view text, bool allow_negative = false);

/// "60/1m": a number of at least 1, a slash, and a duration that is not zero.
[[nodiscard]] std::expected<Rate, std::string> parse_rate(std::string_view text);

/// The shortest exact spelling, such as "64KiB" or "90s".
[[nodiscard]] std::string format_size(Bytes size);
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

}  // namespace sallyport::config
