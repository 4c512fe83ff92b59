#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sallyport::io {

/// What tells one state of a file from another without reading it.
struct FileStamp {
  enum class Kind : std::uint8_t { kAbsent, kRegular, kOther };
  Kind kind = Kind::kAbsent;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;  ///< of the inode: nobody can set it

  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

/// Follows links, so that a link that is pointed elsewhere counts as a change.
[[nodiscard]] FileStamp stamp_of(const std::string& path);

/// Looks at some files twice a second and tells when one of them has changed and has then stayed as it is for a
/// moment: whoever writes in place is let finish. By looking, since inotify does not see what happens behind links
/// and on other machines. Belongs to the thread of its context.
class FileWatch {
 public:
  static constexpr std::chrono::milliseconds kEvery{500};
  static constexpr std::chrono::milliseconds kSettle{100};

  struct File {
    std::string path;
    FileStamp stamp;  ///< taken before it was read
  };

  /// `changed` runs on the context and may destroy the watch. It is told once for each change, whatever it makes of
  /// it; what the files are by then, it finds out.
  FileWatch(boost::asio::io_context& context, std::vector<File> files, std::function<void()> changed);

 private:
  void look_after(std::chrono::milliseconds pause);
  void look();

  std::vector<File> files_;      // as they were when they were last told of
  std::vector<FileStamp> seen_;  // at the last look
  std::function<void()> changed_;
  boost::asio::steady_timer timer_;
  const std::shared_ptr<const void> alive_ = std::make_shared<char>();  // a timer that has gone off finds out by it
};

}  // namespace sallyport::io
