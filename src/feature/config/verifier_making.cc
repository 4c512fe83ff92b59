#include "feature/config/verifier_making.h"

namespace sallyport::config {

void report_thrown(const Part& part, const std::exception& error) {
  std::string_view text = error.what();
  const std::string prefix = "verifier " + part.verifier + ": ";
  if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  for (const NamedFile& file : part.files) {
    // Before the colon ends the name, or "key" would be found in "keys: cannot be opened".
    if (!text.starts_with(file.path + ":")) continue;
    return part.section.error(file.line, std::string(file.key) + ": " + std::string(text));
  }
  if (part.key.empty()) return part.section.error(part.section.line(), std::string(text));
  part.section.error(part.section.line_of(part.key),
                     std::string(part.key) + ": " + std::string(text));
}

}  // namespace sallyport::config
