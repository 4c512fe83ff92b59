#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sallyport::config {

inline constexpr std::size_t kConfigBytesMax = std::size_t{1024} * 1024;
inline constexpr std::size_t kConfigLineBytesMax = std::size_t{16} * 1024;
inline constexpr int kConfigDepthMax = 16;  ///< tables and lists within each other

struct Node;
struct Entry;

/// A date or time, which no key takes.
struct Moment {};

struct List {
  std::vector<Node> items;
};

struct Table {
  std::vector<Entry> entries;

  /// The entry of that key, or null; lives as long as the table.
  [[nodiscard]] const Entry* find(std::string_view key) const noexcept;
};

/// A value of a configuration file and the line on which it begins. The tree keeps the parser's own
/// types, and the compile time of its headers, out of everything that reads a configuration.
struct Node {
  using Value = std::variant<std::string, std::int64_t, double, bool, Moment, List, Table>;

  Value value;
  int line = 1;
};

struct Entry {
  std::string key;
  int line = 1;  ///< of the key
  Node node;
};

/// What a value is, for a person: "a string", "a list".
[[nodiscard]] std::string_view kind_of(const Node& node) noexcept;

struct SyntaxError {
  int line = 1;
  std::string text;
};

/// Parses TOML 1.0. The parser stops at the first violation of the syntax; a doubled key is one.
[[nodiscard]] std::expected<Table, SyntaxError> parse_toml(std::string_view text);

}  // namespace sallyport::config
