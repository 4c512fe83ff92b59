#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "feature/config/finding.h"
#include "feature/config/tree.h"
#include "feature/config/units.h"

namespace sallyport::config {

/// A string of the file and where it stands.
struct PlacedText {
  std::string value;
  int line = 1;
};

/// Whether a string may have no characters.
enum class Empty : std::uint8_t { kRefused, kAllowed };

template <typename T>
struct Range {
  T min;
  T max;
};

/// Reads one table: each `read` takes a key, checks its type and range, and leaves its target
/// alone, with a finding, if it is not as it should be. `finish` reports what nobody has asked for.
/// The table and the findings must outlive it.
class Section {
 public:
  /// `where` begins each finding: "[server]", "route /chat"; empty for the file's own level.
  Section(const Table& table, int line, std::string where, Findings& findings)
      : table_(table), line_(line), where_(std::move(where)), findings_(findings) {}

  [[nodiscard]] bool has(std::string_view key) const noexcept {
    return table_.find(key) != nullptr;
  }
  [[nodiscard]] int line() const noexcept { return line_; }
  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  /// The key's line, or the table's if it is absent.
  [[nodiscard]] int line_of(std::string_view key) const noexcept;

  // Each returns true if the key is there and good.
  bool read_boolean(std::string_view key, bool& target);
  bool read_string(std::string_view key, std::string& target, Empty empty = Empty::kRefused);
  bool read_integer(std::string_view key, std::uint32_t& target, Range<std::uint32_t> range);
  bool read_size(std::string_view key, Bytes& target, Range<Bytes> range);
  bool read_duration(std::string_view key, std::chrono::milliseconds& target,
                     Range<std::chrono::milliseconds> range);
  bool read_rate(std::string_view key, Rate& target);

  /// Nothing if the key is absent or not a list of non-empty strings.
  [[nodiscard]] std::optional<std::vector<PlacedText>> read_texts(std::string_view key);
  /// Likewise; one string counts as a list of one.
  [[nodiscard]] std::optional<std::vector<PlacedText>> read_text_or_texts(std::string_view key);
  [[nodiscard]] const Node* read_any(std::string_view key);
  [[nodiscard]] const Entry* read_table(std::string_view key);
  /// The tables of `[[key]]`; `spelled` is how to write them.
  [[nodiscard]] std::vector<const Node*> read_tables(std::string_view key,
                                                     std::string_view spelled);

  /// One of a few words.
  template <typename E, std::size_t N>
  bool read_choice(std::string_view key, E& target,
                   const std::pair<std::string_view, E> (&choices)[N]) {
    std::vector<std::string> words;
    for (const auto& [word, value] : choices) words.emplace_back(word);
    const auto index = read_choice_index(key, words);
    if (!index) return false;
    target = choices[*index].second;
    return true;
  }

  /// Marks a key that is described for a later version: an error if it is there, but no
  /// misspelling.
  void unavailable(std::string_view key);
  /// Marks a key that belongs elsewhere: an error with that text if it is there.
  void refuse(std::string_view key, const std::string& text);
  /// Marks a key as known without looking at it.
  void ignore(std::string_view key) { known_.emplace_back(key); }

  void error(int line, const std::string& text) { findings_.error(line, prefix() + text); }
  void warning(int line, const std::string& text) { findings_.warning(line, prefix() + text); }
  void wrong_type(std::string_view key, const Node& node, std::string_view expected);

  /// Reports unknown keys, with a suggestion where one is near.
  void finish();

 private:
  [[nodiscard]] std::string prefix() const { return where_.empty() ? where_ : where_ + ": "; }
  [[nodiscard]] const Entry* take(std::string_view key);
  [[nodiscard]] const std::string* take_string(std::string_view key, std::string_view expected);
  [[nodiscard]] std::optional<std::size_t> read_choice_index(std::string_view key,
                                                             const std::vector<std::string>& words);

  const Table& table_;
  int line_;
  std::string where_;
  Findings& findings_;
  std::vector<std::string> known_;
};

/// "not available in this version: " and what.
[[nodiscard]] std::string not_available(std::string_view what);

/// `"echo", "hub" or "static"`.
[[nodiscard]] std::string alternatives(std::span<const std::string> words);

}  // namespace sallyport::config
