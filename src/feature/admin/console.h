#pragma once

#include <span>
#include <string_view>

namespace sallyport::admin {

/// A file of the console that was compiled in; both views live as long as the program.
struct ConsoleFile {
  std::string_view name;  ///< such as "index.html", which is the page itself
  std::string_view bytes;
};

/// The console's page and its parts, which hold no data and may be given to anybody: the page asks for the
/// token.
[[nodiscard]] std::span<const ConsoleFile> console_files();

/// What the page may do: run and show what comes from here, and ask this API. Neither form nor link nor frame
/// can carry anything elsewhere.
inline constexpr std::string_view kConsolePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace sallyport::admin
