#pragma once

#include <span>
#include <string_view>

namespace sallyport::main {

/// A file that was compiled in; both views live as long as the program.
struct EmbeddedFile {
  std::string_view name;  ///< relative to the demo's folder, such as "index.html"
  std::string_view bytes;
};

/// The demo's page and its parts, as src/main/CMakeLists.txt lists them.
[[nodiscard]] std::span<const EmbeddedFile> demo_files();

}  // namespace sallyport::main
