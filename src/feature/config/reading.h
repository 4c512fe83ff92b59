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
  const Factories& factories;
  std::filesystem::path folder;        ///< of the configuration file
  bool off_loopback = false;           ///< some listener can be reached from other machines
  bool asks_for_certificates = false;  ///< of clients, in the TLS handshake
  bool unnamed_verifier = false;  ///< there is a [verifier] without a name, which has been reported

  /// A path of the file; relative ones start in its folder.
  [[nodiscard]] std::string path(std::string_view text) const { return (folder / text).string(); }
};

}  // namespace sallyport::config
