#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace sallyport::main {

enum class Existing { kKeep, kReplace };

/// Writes a new file of mode `mode` whole or not at all: nobody ever sees half a key, and a private
/// key is never readable by others, not even for a moment. The error is a sentence that names the
/// file.
[[nodiscard]] std::expected<void, std::string> write_file(const std::string& path,
                                                          std::string_view text, unsigned mode,
                                                          Existing existing);

[[nodiscard]] bool file_exists(const std::string& path);

}  // namespace sallyport::main
