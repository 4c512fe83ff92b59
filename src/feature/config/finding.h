#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport::config {

enum class Severity : std::uint8_t { kError, kWarning };

/// One thing that a person should change in a configuration file: what is wrong, where, and what to
/// do.
struct Finding {
  std::string file;
  int line = 1;
  Severity severity = Severity::kError;
  std::string text;

  friend bool operator==(const Finding&, const Finding&) = default;
};

/// "FILE:LINE: error: text". Control characters, which the file can bring in by escapes, come out
/// as '?'.
[[nodiscard]] std::string to_string(const Finding& finding);

/// `text` in double quotes, for a finding; a long one is cut, at a character.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// Collects what is found in one file, so that a person sees all of it at once.
class Findings {
 public:
  explicit Findings(std::string file) : file_(std::move(file)) {}

  void error(int line, std::string text);
  void warning(int line, std::string text);

  [[nodiscard]] bool has_errors() const noexcept { return errors_ != 0; }
  [[nodiscard]] std::size_t error_count() const noexcept { return errors_; }
  /// All of them by line; those of one line in the order in which they were found.
  [[nodiscard]] std::vector<Finding> take();

 private:
  void add(int line, Severity severity, std::string text);

  std::string file_;
  std::multimap<int, Finding> by_line_;  // equal lines keep the order of their insertion
  std::size_t errors_ = 0;
};

}  // namespace sallyport::config
