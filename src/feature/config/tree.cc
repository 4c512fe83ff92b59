// The only file that sees toml++ (its headers are heavy). The target compiles it without
// exceptions.

#include "feature/config/tree.h"

#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/http/grammar.h"

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
    if (!http::is_utf8(text.substr(0, end))) return SyntaxError{line, "the line is not UTF-8"};
    if (end > kConfigLineBytesMax) {
      return SyntaxError{line, "the line is longer than " + std::to_string(kConfigLineBytesMax) +
                                   " bytes; write a list over several lines"};
    }
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line;
  }
  return std::nullopt;
}

// Characters outside ASCII travel through the parser in disguise: each of their bytes as a
// character of the last private plane, U+100080 to U+1000FF. The parser's classification of
// characters has undefined behaviour for some of those below U+10000 (U+025D is one) wherever they
// stand outside a string; above, it has none.
std::string disguise(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) {
      result += "\xF4\x80";
      result += byte < 0xC0 ? '\x82' : '\x83';
      result += static_cast<char>(byte < 0xC0 ? byte : byte - 0x40);
    } else {
      result += c;
    }
  }
  return result;
}

// The reverse. The parser's own characters outside ASCII, from escapes, stay as they are.
std::string reveal(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    if (text.size() >= 4 && text.starts_with("\xF4\x80") &&
        (text[2] == '\x82' || text[2] == '\x83')) {
      const auto last = static_cast<unsigned char>(text[3]);
      result += static_cast<char>(text[2] == '\x82' ? last : last + 0x40);
      text.remove_prefix(4);
    } else {
      result += text.front();
      text.remove_prefix(1);
    }
  }
  return result;
}

std::string_view line_at(std::string_view text, int line) {
  for (; line > 1; --line) text.remove_prefix(std::min(text.find('\n') + 1, text.size()));
  return text.substr(0, text.find('\n'));
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// A quotation mark that was forgotten: the parser speaks of the line's end as of a control
// character.
std::string_view unclosed_string(std::string_view description, std::string_view content,
                                 std::string_view text) {
  const auto says = [&](std::string_view words) {
    return description.find(words) != std::string_view::npos;
  };
  if (!says("string: ")) return {};
  if (says("end-of-file")) {
    const bool several = text.find("\"\"\"") != std::string_view::npos ||
                         text.find("'''") != std::string_view::npos;
    return several ? "a string of several lines is not closed"
                   : "the string is not closed on its line";
  }
  if (content.ends_with('\r')) content.remove_suffix(1);
  const bool has_control = std::any_of(content.begin(), content.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
  return says("control characters") && !has_control ? "the string is not closed on its line"
                                                    : std::string_view();
}

SyntaxError explain(const toml::parse_error& error, std::string_view text) {
  const int line = line_of(error.source());
  const std::string_view content = line_at(text, line);
  SyntaxError result{line, "TOML syntax: " + reveal(error.description())};
  if (const auto unclosed = unclosed_string(error.description(), content, text); !unclosed.empty()) {
    result.text = "TOML syntax: " + std::string(unclosed);
  }
  // Of a character in disguise the description shows a byte.
  if (!http::is_utf8(result.text)) result.text = "TOML syntax: this cannot be read";
  if (!is_ascii(content)) {
    result.text += "; the line has characters outside ASCII: quotation marks must be \" or '";
  }
  return result;
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

  // An escape can spell what a disguise looks like; then nothing sound need come out.
  std::string restored(std::string_view text, int line) {
    std::string result = reveal(text);
    if (!http::is_utf8(result) && !error_) {
      error_ = SyntaxError{line, "an escape names a character that cannot be taken"};
    }
    return result;
  }

  Table convert_table(const toml::table& table, int depth) {
    Table result;
    if (too_deep(table, depth)) return result;
    for (const auto& [key, value] : table) {
      const int line = line_of(key.source());
      Node node = convert_node(value, depth + 1);
      result.entries.push_back({restored(key.str(), line), line, std::move(node)});
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
    if (const auto* text = node.as_string()) return {restored(text->get(), line), line};
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
  if (text.starts_with("\xEF\xBB\xBF"))
    text.remove_prefix(3);  // the mark that some editors begin with
  const toml::parse_result result = toml::parse(disguise(text));
  if (!result) return std::unexpected(explain(result.error(), text));
  return Converter().convert(result.table());
}

}  // namespace sallyport::config
