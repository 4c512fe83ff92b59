#include "server/file_value.h"

#include <algorithm>
#include <exception>

#include "server/events.h"

namespace sallyport {
namespace {

using server::Event;
using File = io::FileWatch::File;
using Kind = io::FileStamp::Kind;

std::vector<File> stamped(const std::vector<std::string>& paths) {
  std::vector<File> files;
  for (const std::string& path : paths) files.push_back({path, io::stamp_of(path)});
  return files;
}

}  // namespace

FileBacked::FileBacked(std::string user, const std::vector<std::string>& paths, Load load)
    : user_(std::move(user)), load_(std::move(load)), files_(stamped(paths)), value_(load_()) {}

FileBacked::FileBacked(std::string user, std::vector<File> files, Value value, Load load)
    : user_(std::move(user)), load_(std::move(load)), files_(std::move(files)), value_(std::move(value)) {}

void FileBacked::start(const VerifierHost& host) {
  if (watch_) return;
  const bool readable_again =
      std::ranges::all_of(files_, [](const File& file) { return file.stamp.kind == Kind::kRegular; });
  if (!readable_again) return;
  log_ = host.log;
  watch_.emplace(host.control, files_, [this] { reload(); });
}

void FileBacked::stop() noexcept {
  watch_.reset();
  log_ = {};
}

void FileBacked::reload() {
  std::string changed;
  bool readable = true;
  for (File& file : files_) {
    const io::FileStamp now = io::stamp_of(file.path);
    if (now != file.stamp) changed += (changed.empty() ? "" : ", ") + file.path;
    // A pipe would have this thread wait for whoever writes it.
    readable = readable && now.kind != Kind::kOther;
    file.stamp = now;
  }
  const auto failed = [&](const std::string& detail) {
    Event(log_, LogLevel::kError, "keys.reload_failed")
        .with("verifier", user_)
        .with("file", changed)
        .with("detail", detail)
        .with("effect", "what was read before stays in use");
  };
  if (!readable) return failed("is no regular file any more");
  Value fresh;
  try {
    fresh = load_();
  } catch (const std::exception& error) {
    return failed(error.what());
  }
  // Written while it was read: the watch sees that too, and comes again.
  if (std::ranges::any_of(files_, [](const File& file) { return io::stamp_of(file.path) != file.stamp; })) return;
  {
    const std::lock_guard lock(mutex_);
    value_.swap(fresh);
  }
  // Afterwards: who knows the new epoch must not meet the old value.
  epoch_.fetch_add(1, std::memory_order_release);
  Event(log_, LogLevel::kInfo, "keys.reloaded").with("verifier", user_).with("file", changed);
}

}  // namespace sallyport
