#pragma once

#include <cstdint>
#include <expected>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "sallyport/request.h"
#include "server/byte_budget.h"

struct stat;

namespace sallyport::server {

/// Files in memory, each once however many answers hold it, until it changes. Thread-safe.
class FileCache {
 public:
  static constexpr std::size_t kFileBytesMax = 16 * 1024 * 1024;  ///< larger files are not found
  static constexpr std::size_t kBytes = 64 * 1024 * 1024;         ///< files in memory, cached or on their way

  enum class Fault { kNotFound, kNoRoom };

  explicit FileCache(std::size_t bytes = kBytes) : budget_(bytes) {}

  /// The file's content. kNoRoom: what peers are still being sent fills the memory for files.
  [[nodiscard]] std::expected<Frame, Fault> load(const std::string& path);

 private:
  // What a file is known by. The content of one with the same stamp is the same, once it has rested a while.
  struct Stamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct Entry {
    Stamp stamp;
    Frame content;
    std::list<std::string>::iterator use;
  };
  [[nodiscard]] static Stamp stamp_of(const struct stat& status);
  [[nodiscard]] Frame find(const std::string& path, const Stamp& stamp);
  [[nodiscard]] bool make_room(std::size_t bytes);
  [[nodiscard]] Frame keep(const std::string& path, const Stamp& stamp, Frame content);

  ByteBudget budget_;
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  std::list<std::string> uses_;  // the last used first
};

/// Files below one folder: a page and its parts.
class StaticFiles {
 public:
  /// Throws std::invalid_argument if `folder` is not a folder.
  StaticFiles(std::string folder, std::shared_ptr<FileCache> cache);

  /// Answers with the file at `rest`, the decoded path below the route, or index.html for a folder. Names that
  /// begin with a dot, and links that lead out of the folder, are not found.
  [[nodiscard]] Response serve(std::string_view rest) const;

 private:
  std::string folder_;  // canonical
  std::shared_ptr<FileCache> cache_;
};

/// The media type that belongs to a file name's ending.
[[nodiscard]] std::string_view media_type(std::string_view name) noexcept;

/// What a static answer carries beside its body.
[[nodiscard]] Response page(Frame body, std::string_view name);

}  // namespace sallyport::server
