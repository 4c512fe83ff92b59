#include "main/log_format.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <set>
#include <variant>

#include "core/http/grammar.h"

namespace sallyport::main {
namespace {

constexpr std::string_view kReplacement = "\\ufffd";

// The length of the UTF-8 sequence that begins with this byte, 0 if none does.
std::size_t sequence_bytes(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xf0 && lead < 0xf5) return 4;
  return 0;
}

std::uint32_t decode(std::string_view sequence) {
  constexpr std::array<std::uint32_t, 5> kLeadMask{0, 0x7f, 0x1f, 0x0f, 0x07};
  std::uint32_t code = static_cast<unsigned char>(sequence[0]) & kLeadMask[sequence.size()];
  for (const char c : sequence.substr(1))
    code = (code << 6) | (static_cast<unsigned char>(c) & 0x3f);
  return code;
}

// What a terminal or a log reader could take for something else than a character of the value.
bool is_hazard(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
         code == 0x061c || code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

void append_character(std::string& out, std::string_view sequence) {
  const std::uint32_t code = decode(sequence);
  if (is_hazard(code)) {
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(code));
    out += escaped;
    return;
  }
  if (code == '"' || code == '\\') out += '\\';
  out += sequence;
}

// The inside of a JSON string (RFC 8259 section 7).
void append_escaped(std::string& out, std::string_view text) {
  const bool cut = text.size() > kLogValueBytesMax;
  if (cut) {
    std::size_t end = kLogValueBytesMax;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text = text.substr(0, end);
  }
  while (!text.empty()) {
    const std::size_t size = sequence_bytes(static_cast<unsigned char>(text[0]));
    if (size == 0 || size > text.size() || !http::is_utf8(text.substr(0, size))) {
      out += kReplacement;
      text.remove_prefix(1);
      continue;
    }
    append_character(out, text.substr(0, size));
    text.remove_prefix(size);
  }
  if (cut) out += "...";
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}

bool needs_quotes(std::string_view text) {
  return text.empty() || !std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
         });
}

void append_value(std::string& out, const LogEvent::Value& value, bool always_quoted) {
  if (const auto* const text = std::get_if<std::string>(&value)) {
    if (always_quoted || needs_quotes(*text) || text->size() > kLogValueBytesMax) {
      append_quoted(out, *text);
    } else {
      out += *text;
    }
  } else if (const auto* const number = std::get_if<std::int64_t>(&value)) {
    out += std::to_string(*number);
  } else {
    out += std::get<bool>(value) ? "true" : "false";
  }
}

}  // namespace

std::string format_time(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  char text[48];
  std::snprintf(
      text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return text;
}

std::string format_json(const LogEvent& event, WallTime time) {
  std::string out = R"({"time":")" + format_time(time) + R"(","level":")" +
                    std::string(name(event.level)) + R"(","event":)";
  append_quoted(out, event.name);
  // Two members of one name mean different things to different readers, so the later one gets
  // another.
  std::set<std::string> used{"time", "level", "event"};
  for (const auto& [key, value] : event.fields) {
    std::string member(key);
    while (!used.insert(member).second) member += '_';
    out += ',';
    append_quoted(out, member);
    out += ':';
    append_value(out, value, true);
  }
  out += '}';
  return out;
}

std::string format_text(const LogEvent& event, WallTime time) {
  std::string out = format_time(time) + " ";
  out += name(event.level);
  out.append(5 - std::min<std::size_t>(5, name(event.level).size()), ' ');
  out += ' ';
  append_escaped(out, event.name);
  for (const auto& [key, value] : event.fields) {
    out += ' ';
    append_escaped(out, key);
    out += '=';
    append_value(out, value, false);
  }
  return out;
}

}  // namespace sallyport::main
