#include "feature/config/section.h"

#include <algorithm>

#include "feature/config/spelling.h"

namespace sallyport::config {

std::string not_available(std::string_view what) {
  return "not available in this version: " + std::string(what);
}

std::string alternatives(std::span<const std::string> words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i != 0) text += i + 1 == words.size() ? " or " : ", ";
    text += "\"" + words[i] + "\"";
  }
  return text;
}

int Section::line_of(std::string_view key) const noexcept {
  const Entry* const entry = table_.find(key);
  return entry == nullptr ? line_ : entry->line;
}

const Entry* Section::take(std::string_view key) {
  known_.emplace_back(key);
  return table_.find(key);
}

void Section::wrong_type(std::string_view key, const Node& node, std::string_view expected) {
  error(node.line, std::string(key) + " must be " + std::string(expected) + ", not " +
                       std::string(kind_of(node)));
}

const std::string* Section::take_string(std::string_view key, std::string_view expected) {
  const Entry* const entry = take(key);
  if (entry == nullptr) return nullptr;
  const auto* const text = std::get_if<std::string>(&entry->node.value);
  if (text == nullptr) wrong_type(key, entry->node, expected);
  return text;
}

bool Section::read_boolean(std::string_view key, bool& target) {
  const Entry* const entry = take(key);
  if (entry == nullptr) return false;
  const bool* const value = std::get_if<bool>(&entry->node.value);
  if (value == nullptr) {
    wrong_type(key, entry->node, "true or false");
    return false;
  }
  target = *value;
  return true;
}

bool Section::read_string(std::string_view key, std::string& target, Empty empty) {
  const std::string* const text = take_string(key, "a string");
  if (text == nullptr) return false;
  if (text->empty() && empty == Empty::kRefused) {
    error(line_of(key), std::string(key) + " must not be empty");
    return false;
  }
  target = *text;
  return true;
}

bool Section::read_integer(std::string_view key, std::uint32_t& target,
                           Range<std::uint32_t> range) {
  const Entry* const entry = take(key);
  if (entry == nullptr) return false;
  const auto* const value = std::get_if<std::int64_t>(&entry->node.value);
  if (value == nullptr) {
    wrong_type(key, entry->node, "an integer");
    return false;
  }
  if (*value < std::int64_t{range.min} || *value > std::int64_t{range.max}) {
    error(entry->line, std::string(key) + " must be from " + std::to_string(range.min) + " to " +
                           std::to_string(range.max));
    return false;
  }
  target = static_cast<std::uint32_t>(*value);
  return true;
}

bool Section::read_size(std::string_view key, Bytes& target, Range<Bytes> range) {
  const std::string* const text = take_string(key, "a size such as \"64KiB\"");
  if (text == nullptr) return false;
  const auto size = parse_size(*text);
  if (!size) {
    error(line_of(key), std::string(key) + ": " + size.error());
    return false;
  }
  if (*size < range.min || *size > range.max) {
    error(line_of(key), std::string(key) + " must be from " + format_size(range.min) + " to " +
                            format_size(range.max));
    return false;
  }
  target = *size;
  return true;
}

bool Section::read_duration(std::string_view key, std::chrono::milliseconds& target,
                            Range<std::chrono::milliseconds> range) {
  const std::string* const text = take_string(key, "a duration such as \"30s\"");
  if (text == nullptr) return false;
  const auto duration = parse_duration(*text);
  if (!duration) {
    error(line_of(key), std::string(key) + ": " + duration.error());
    return false;
  }
  if (*duration < range.min || *duration > range.max) {
    error(line_of(key), std::string(key) + " must be from " + format_duration(range.min) + " to " +
                            format_duration(range.max));
    return false;
  }
  target = *duration;
  return true;
}

bool Section::read_rate(std::string_view key, Rate& target) {
  const std::string* const text = take_string(key, "a rate such as \"60/1m\"");
  if (text == nullptr) return false;
  const auto rate = parse_rate(*text);
  if (!rate) {
    error(line_of(key), std::string(key) + ": " + rate.error());
    return false;
  }
  target = *rate;
  return true;
}

std::optional<std::vector<PlacedText>> Section::read_texts(std::string_view key) {
  const Entry* const entry = take(key);
  if (entry == nullptr) return std::nullopt;
  const List* const list = std::get_if<List>(&entry->node.value);
  if (list == nullptr) {
    wrong_type(key, entry->node, "a list of strings, in brackets");
    return std::nullopt;
  }
  std::vector<PlacedText> texts;
  bool good = true;
  for (const Node& item : list->items) {
    const auto* const text = std::get_if<std::string>(&item.value);
    if (text == nullptr) {
      error(item.line,
            std::string(key) + " must hold strings only, not " + std::string(kind_of(item)));
      good = false;
    } else if (text->empty()) {
      error(item.line, std::string(key) + " must not hold an empty string");
      good = false;
    } else {
      texts.push_back({*text, item.line});
    }
  }
  if (!good) return std::nullopt;
  return texts;
}

std::optional<std::vector<PlacedText>> Section::read_text_or_texts(std::string_view key) {
  const Entry* const entry = table_.find(key);
  if (entry == nullptr || !std::holds_alternative<std::string>(entry->node.value)) return read_texts(key);
  std::string text;
  if (!read_string(key, text)) return std::nullopt;
  return std::vector<PlacedText>{{std::move(text), entry->node.line}};
}

const Node* Section::read_any(std::string_view key) {
  const Entry* const entry = take(key);
  return entry == nullptr ? nullptr : &entry->node;
}

const Entry* Section::read_table(std::string_view key) {
  const Entry* const entry = take(key);
  if (entry == nullptr) return nullptr;
  if (std::holds_alternative<Table>(entry->node.value)) return entry;
  wrong_type(key, entry->node, "a table");
  return nullptr;
}

std::vector<const Node*> Section::read_tables(std::string_view key, std::string_view spelled) {
  std::vector<const Node*> tables;
  const Entry* const entry = take(key);
  if (entry == nullptr) return tables;
  const List* const list = std::get_if<List>(&entry->node.value);
  if (list == nullptr) {
    wrong_type(key, entry->node, "a list of tables, written " + std::string(spelled));
    return tables;
  }
  for (const Node& item : list->items) {
    if (std::holds_alternative<Table>(item.value)) {
      tables.push_back(&item);
    } else {
      error(item.line,
            std::string(key) + " must hold tables only, not " + std::string(kind_of(item)));
    }
  }
  return tables;
}

std::optional<std::size_t> Section::read_choice_index(std::string_view key,
                                                      const std::vector<std::string>& words) {
  const std::string* const text = take_string(key, alternatives(words));
  if (text == nullptr) return std::nullopt;
  const auto found = std::find(words.begin(), words.end(), *text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  error(line_of(key), std::string(key) + " must be " + alternatives(words) + ", not " +
                          in_quotes(*text) + did_you_mean(*text, words));
  return std::nullopt;
}

void Section::unavailable(std::string_view key) {
  refuse(key, not_available(key));
}

void Section::refuse(std::string_view key, const std::string& text) {
  const Entry* const entry = take(key);
  if (entry != nullptr) error(entry->line, text);
}

void Section::finish() {
  for (const Entry& entry : table_.entries) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
    error(entry.line, "unknown key " + in_quotes(entry.key) + did_you_mean(entry.key, known_));
  }
}

}  // namespace sallyport::config
