#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/digest.h"

namespace sallyport::admin {

/// The secret by which administrators are known: a file with at least 16 visible ASCII characters, whose line
/// end is not part of it. Only its digest stays in memory. Belongs to one thread.
class TokenFile {
 public:
  static constexpr std::size_t kBytesMin = 16;
  static constexpr std::size_t kBytesMax = 4096;

  explicit TokenFile(std::string path) : path_(std::move(path)) {}

  /// Reads the file again if it has changed since the last time. Why it cannot be used: a sentence that names
  /// it and never its content; empty if it can.
  [[nodiscard]] const std::string& refresh();
  /// Whether that is what `refresh` has read; the time it takes depends on neither. False while there is a
  /// fault.
  [[nodiscard]] bool accepts(std::string_view presented) const;
  /// Users other than its owner and group may read the file.
  [[nodiscard]] bool exposed() const noexcept { return exposed_; }

 private:
  // What a file is known by.
  struct Stamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  void read();

  std::string path_;
  // Of what was read last; nothing: it is read again in any case. A file that changed a moment ago may change
  // again without looking different, as the clock of a file system stands still for a while.
  std::optional<Stamp> stamp_;
  std::optional<base::Sha256> digest_;
  std::string fault_ = "has not been read";
  bool exposed_ = false;
};

}  // namespace sallyport::admin
