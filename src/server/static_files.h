#pragma once

#include <string>
#include <string_view>

#include "sallyport/request.h"

namespace sallyport::server {

/// Files below one folder. Read on every request: these are a page and its parts, not a download server.
class StaticFiles {
 public:
  static constexpr std::size_t kFileBytesMax = 16 * 1024 * 1024;  ///< larger files are not found

  /// Throws std::invalid_argument if `folder` is not a folder.
  explicit StaticFiles(std::string folder);

  /// Answers with the file at `rest`, the decoded path below the route, or index.html for a folder. Names that
  /// begin with a dot, and links that lead out of the folder, are not found.
  [[nodiscard]] Response serve(std::string_view rest) const;

 private:
  std::string folder_;  // canonical
};

/// The media type that belongs to a file name's ending.
[[nodiscard]] std::string_view media_type(std::string_view name) noexcept;

/// What a static answer carries beside its body.
[[nodiscard]] Response page(std::string body, std::string_view name);

}  // namespace sallyport::server
