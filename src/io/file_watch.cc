#include "io/file_watch.h"

#include <sys/stat.h>

#include <utility>

namespace sallyport::io {
namespace {

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

FileStamp stamp_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {.kind = S_ISREG(status.st_mode) ? FileStamp::Kind::kRegular : FileStamp::Kind::kOther,
          .device = std::uint64_t{status.st_dev},
          .inode = std::uint64_t{status.st_ino},
          .size = static_cast<std::uint64_t>(status.st_size),
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

FileWatch::FileWatch(boost::asio::io_context& context, std::vector<File> files, std::function<void()> changed)
    : files_(std::move(files)), changed_(std::move(changed)), timer_(context) {
  for (const File& file : files_) seen_.push_back(file.stamp);
  look_after(kEvery);
}

void FileWatch::look_after(std::chrono::milliseconds pause) {
  timer_.expires_after(pause);
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
    if (!error && !alive.expired()) look();
  });
}

void FileWatch::look() {
  bool changed = false;
  bool settled = true;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const FileStamp now = stamp_of(files_[i].path);
    settled = settled && now == seen_[i];
    changed = changed || now != files_[i].stamp;
    seen_[i] = now;
  }
  if (!changed) return look_after(kEvery);
  if (!settled) return look_after(kSettle);
  for (std::size_t i = 0; i < files_.size(); ++i) files_[i].stamp = seen_[i];
  look_after(kEvery);
  // The last thing: it may end this object.
  const std::function<void()> tell = changed_;
  tell();
}

}  // namespace sallyport::io
