#pragma once

// What the parts of a configuration share while it is read; for this folder's .cc files only.

#include <filesystem>
#include <string>
#include <string_view>

#include "feature/config/config.h"
#include "feature/config/finding.h"
#include "feature/config/section.h"

namespace sallyport::config {

struct Reading {
  Findings& findings;
  const Files& files;
  std::filesystem::path folder;  ///< of the configuration file
  bool off_loopback = false;     ///< some listener can be reached from other machines

  /// A path of the file; relative ones start in its folder.
  [[nodiscard]] std::string path(std::string_view text) const { return (folder / text).string(); }
};

}  // namespace sallyport::config
