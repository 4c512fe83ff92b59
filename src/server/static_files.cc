#include "server/static_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "core/http/answer.h"

namespace sallyport::server {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kTypes{{
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".txt", "text/plain; charset=utf-8"},
    {".md", "text/plain; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".webp", "image/webp"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".webmanifest", "application/manifest+json"},
}};

// A file that was changed a moment ago may change again within the grain of its time.
constexpr std::chrono::nanoseconds kRest = std::chrono::seconds(2);
constexpr std::size_t kEntryBytes = 512;  // what an entry costs beside its content

Response problem(std::uint16_t status, std::string_view reason) {
  const http::Answer problem = http::problem(status, reason);
  return {.status = status, .body = problem.body, .content_type = "application/problem+json"};
}
Response not_found() { return problem(404, "not_found"); }

struct File {
  explicit File(const std::string& path)
      : descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~File() {
    if (descriptor >= 0) ::close(descriptor);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int descriptor;
};

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bool is_hidden(std::string_view rest) {
  return rest.starts_with('.') || rest.find("/.") != std::string_view::npos;
}

}  // namespace

std::string_view media_type(std::string_view name) noexcept {
  for (const auto& [ending, type] : kTypes) {
    if (name.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

Response page(Frame body, std::string_view name) {
  return {.content_type = std::string(media_type(name)),
          .fields = {{"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-cache"}},
          .shared_body = std::move(body)};
}

// ---- The cache

FileCache::Stamp FileCache::stamp_of(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = status.st_size,
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

std::expected<Frame, FileCache::Fault> FileCache::load(const std::string& path) {
  const File file(path);
  struct stat status{};
  if (file.descriptor < 0 || ::fstat(file.descriptor, &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<std::uint64_t>(status.st_size) > kFileBytesMax) {
    return std::unexpected(Fault::kNotFound);
  }
  const Stamp stamp = stamp_of(status);
  if (Frame cached = find(path, stamp)) return cached;
  const auto size = static_cast<std::size_t>(status.st_size);
  if (!make_room(size + kEntryBytes)) return std::unexpected(Fault::kNoRoom);
  // Counted before it is read, so that many who ask at once do not all read it beyond the limit.
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t read = ::read(file.descriptor, text.data() + done, size - done);
    if (read < 0 && errno == EINTR) continue;
    if (read <= 0) break;  // it has become shorter
    done += static_cast<std::size_t>(read);
  }
  text.resize(done);
  Frame content = budget_.share(std::move(text), size + kEntryBytes);
  if (done != size) return content;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::int64_t rested_ns =
      std::chrono::nanoseconds(now).count() - std::max(stamp.modified_ns, stamp.changed_ns);
  return rested_ns < kRest.count() ? content : keep(path, stamp, std::move(content));
}

Frame FileCache::find(const std::string& path, const Stamp& stamp) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(path);
  if (found == entries_.end() || found->second.stamp != stamp) return nullptr;
  uses_.splice(uses_.begin(), uses_, found->second.use);
  return found->second.content;
}

// Gives up what was not asked for the longest. What is on its way to somebody stays in memory all the same.
bool FileCache::make_room(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  while (!budget_.take(bytes)) {
    if (uses_.empty()) return false;
    entries_.erase(uses_.back());
    uses_.pop_back();
  }
  return true;
}

Frame FileCache::keep(const std::string& path, const Stamp& stamp, Frame content) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(path);
  if (found == entries_.end()) {
    uses_.push_front(path);
    entries_.emplace(path, Entry{stamp, content, uses_.begin()});
    return content;
  }
  // Another worker may have read it meanwhile: one copy is enough.
  if (found->second.stamp == stamp) return found->second.content;
  found->second.stamp = stamp;
  found->second.content = content;
  return content;
}

// ---- A folder

StaticFiles::StaticFiles(std::string folder, std::shared_ptr<FileCache> cache) : cache_(std::move(cache)) {
  std::error_code error;
  const fs::path path = fs::canonical(folder, error);
  if (error || !fs::is_directory(path)) {
    throw std::invalid_argument("\"" + folder + "\" is not a folder that can be read");
  }
  folder_ = path.string();
}

Response StaticFiles::serve(std::string_view rest) const {
  if (is_hidden(rest) || rest.find('\0') != std::string_view::npos) return not_found();
  std::error_code error;
  fs::path path = fs::path(folder_) / fs::path(rest).relative_path();
  if (fs::is_directory(path, error)) path /= "index.html";
  path = fs::canonical(path, error);  // resolves links: what counts is where the file really is
  if (error || !fs::is_regular_file(path, error)) return not_found();
  const fs::path folder(folder_);
  const auto [folder_end, rest_begin] =
      std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  if (folder_end != folder.end()) return not_found();
  auto content = cache_->load(path.string());
  if (content) return page(std::move(*content), path.string());
  return content.error() == FileCache::Fault::kNoRoom ? problem(503, "unavailable") : not_found();
}

}  // namespace sallyport::server
