#include "feature/config/finding.h"

#include <algorithm>
#include <utility>

namespace sallyport::config {
namespace {

constexpr std::size_t kQuotedBytesMax = 80;

}  // namespace

std::string to_string(const Finding& finding) {
  std::string line = finding.file + ":" + std::to_string(finding.line) + ": " +
                     (finding.severity == Severity::kError ? "error: " : "warning: ") +
                     finding.text;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return line;
}

std::string in_quotes(std::string_view text) {
  if (text.size() <= kQuotedBytesMax) return "\"" + std::string(text) + "\"";
  std::size_t end = kQuotedBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return "\"" + std::string(text.substr(0, end)) + "...\"";
}

void Findings::error(int line, std::string text) {
  add(line, Severity::kError, std::move(text));
}

void Findings::warning(int line, std::string text) {
  add(line, Severity::kWarning, std::move(text));
}

void Findings::add(int line, Severity severity, std::string text) {
  if (severity == Severity::kError) ++errors_;
  line = std::max(line, 1);
  by_line_.emplace(line, Finding{file_, line, severity, std::move(text)});
}

std::vector<Finding> Findings::take() {
  std::vector<Finding> list;
  for (auto& [line, finding] : std::exchange(by_line_, {})) list.push_back(std::move(finding));
  errors_ = 0;
  return list;
}

}  // namespace sallyport::config
