// The only file that sees toml++ (its headers are heavy). The target compiles it without
// exceptions.

#include "feature/config/tree.h"

#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace sallyport::config {
namespace {

int line_of(const toml::source_region& source) {
  return source.begin.line == 0 ? 1 : static_cast<int>(source.begin.line);
}

// The parser recurses on nesting, and so does the destruction of what it has parsed: a line of a
// hundred thousand dotted keys would end the process instead of being refused.
std::optional<SyntaxError> check_shape(std::string_view text) {
  if (text.size() > kConfigBytesMax) {
    return SyntaxError{1, "the file is larger than " + std::to_string(kConfigBytesMax) + " bytes"};
  }
  int line = 1;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > kConfigLineBytesMax) {
      return SyntaxError{line, "the line is longer than " + std::to_string(kConfigLineBytesMax) +
                                   " bytes; write a list over several lines"};
    }
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line;
  }
  return std::nullopt;
}

class Converter {
 public:
  std::expected<Table, SyntaxError> convert(const toml::table& table) {
    Table result = convert_table(table, 1);
    if (error_) return std::unexpected(std::move(*error_));
    return result;
  }

 private:
  bool too_deep(const toml::node& node, int depth) {
    if (depth <= kConfigDepthMax) return false;
    if (!error_)
      error_ = SyntaxError{line_of(node.source()), "tables or lists are nested too deeply"};
    return true;
  }

  Table convert_table(const toml::table& table, int depth) {
    Table result;
    if (too_deep(table, depth)) return result;
    for (const auto& [key, value] : table) {
      const int line = line_of(key.source());
      Node node = convert_node(value, depth + 1);
      result.entries.push_back({std::string(key.str()), line, std::move(node)});
    }
    return result;
  }

  Node convert_node(const toml::node& node, int depth) {
    const int line = line_of(node.source());
    if (const auto* table = node.as_table()) return {convert_table(*table, depth), line};
    if (const auto* array = node.as_array()) {
      List list;
      if (too_deep(node, depth)) return {std::move(list), line};
      for (const toml::node& item : *array) list.items.push_back(convert_node(item, depth + 1));
      return {std::move(list), line};
    }
    if (const auto* text = node.as_string()) return {text->get(), line};
    if (const auto* integer = node.as_integer()) return {integer->get(), line};
    if (const auto* number = node.as_floating_point()) return {number->get(), line};
    if (const auto* boolean = node.as_boolean()) return {boolean->get(), line};
    return {Moment{}, line};
  }

  std::optional<SyntaxError> error_;
};

}  // namespace

const Entry* Table::find(std::string_view key) const noexcept {
  const auto entry = std::find_if(entries.begin(), entries.end(),
                                  [&](const Entry& candidate) { return candidate.key == key; });
  return entry == entries.end() ? nullptr : &*entry;
}

std::string_view kind_of(const Node& node) noexcept {
  struct Visitor {
    std::string_view operator()(const std::string&) const { return "a string"; }
    std::string_view operator()(std::int64_t) const { return "an integer"; }
    std::string_view operator()(double) const { return "a number with a fraction"; }
    std::string_view operator()(bool) const { return "a boolean"; }
    std::string_view operator()(const Moment&) const { return "a date or time"; }
    std::string_view operator()(const List&) const { return "a list"; }
    std::string_view operator()(const Table&) const { return "a table"; }
  };
  return std::visit(Visitor{}, node.value);
}

std::expected<Table, SyntaxError> parse_toml(std::string_view text) {
  if (auto fault = check_shape(text)) return std::unexpected(std::move(*fault));
  const toml::parse_result result = toml::parse(text);
  if (!result) {
    const toml::parse_error& error = result.error();
    return std::unexpected(
        SyntaxError{line_of(error.source()), "TOML syntax: " + std::string(error.description())});
  }
  return Converter().convert(result.table());
}

}  // namespace sallyport::config
