#pragma once

// How a verifier is made from what has been read; for this folder's .cc files only.

#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "feature/config/section.h"

namespace sallyport::config {

/// A file that a verifier reads, and where the configuration names it.
struct NamedFile {
  std::string_view key;
  std::string path;
  int line = 1;
};

/// Of which verifier a part is made, and by which key; without a key it is the whole of it.
struct Part {
  Section& section;
  const std::string& verifier;
  std::string_view key = {};
  std::span<const NamedFile> files = {};
};

/// What a factory has thrown, as a finding: about one of its files on that file's line, otherwise
/// on the line of the key or the section. The library begins its sentences with the verifier's
/// name, as the section does: once is enough.
void report_thrown(const Part& part, const std::exception& error);

/// Calls the factory. Nothing, with a finding, if it throws, or if there is none for the key.
template <typename T, typename... Parameters, typename... Arguments>
[[nodiscard]] std::optional<T> make_part(const Part& part,
                                         const std::function<T(Parameters...)>& factory,
                                         Arguments&&... arguments) {
  if (!factory) {
    part.section.error(part.section.line_of(part.key), not_available(part.key));
    return std::nullopt;
  }
  try {
    return factory(std::forward<Arguments>(arguments)...);
  } catch (const std::exception& error) {
    report_thrown(part, error);
    return std::nullopt;
  }
}

}  // namespace sallyport::config
