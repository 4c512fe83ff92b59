#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace sallyport::config {

inline constexpr std::size_t kSuggestionDistanceMax = 2;

/// How many insertions, deletions, replacements and swaps of neighbours lead from one word to the
/// other.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// `; did you mean "listen"?` with the candidate that is nearest to `word` and at most
/// kSuggestionDistanceMax away (and not a different word altogether), or an empty string.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       std::span<const std::string> candidates);

}  // namespace sallyport::config
