#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/failure.h"
#include "sallyport/principal.h"

namespace sallyport::auth {

/// Verified claims, parsed once for several questions. Unparsable or absent claims answer every question
/// with "no".
class Claims {
 public:
  explicit Claims(std::string_view json);
  ~Claims();

  /// The claim's value if it is a string.
  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;
  /// True if the claim's value is `value` or an array that contains it. Strings compare as they are,
  /// booleans by their names, and numbers by what `value` is as a JSON number, so that `tenant = "7"`
  /// matches the number 7 (but not 7.0: integers and fractions are told apart).
  [[nodiscard]] bool contains(std::string_view name, std::string_view value) const;

 private:
  struct Parsed;
  std::unique_ptr<const Parsed> parsed_;
};

/// What a route demands of a principal beyond being authenticated. All must hold.
struct Requirements {
  std::vector<std::string> scopes;
  std::map<std::string, std::vector<std::string>> claims;
};

/// Nothing if the principal satisfies them, otherwise what to refuse with.
[[nodiscard]] std::optional<Failure> unmet(const Requirements& requirements, const Principal& who);

}  // namespace sallyport::auth
