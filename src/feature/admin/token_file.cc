#include "feature/admin/token_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include "core/base/secret.h"
#include "server/keys.h"

namespace sallyport::admin {
namespace {

constexpr std::chrono::seconds kSettled{2};  // longer than a file system's clock stands still

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bool is_visible(char c) noexcept {
  return c > ' ' && c < '\x7f';
}

std::string_view bytes_of(const base::Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

const std::string& TokenFile::refresh() {
  struct stat status{};
  if (::stat(path_.c_str(), &status) != 0) {
    fault_ = path_ + ": cannot be opened: " + std::strerror(errno);
    digest_.reset();
    stamp_.reset();
    return fault_;
  }
  const Stamp stamp{.device = status.st_dev,
                    .inode = status.st_ino,
                    .size = status.st_size,
                    .modified_ns = nanoseconds(status.st_mtim),
                    .changed_ns = nanoseconds(status.st_ctim)};
  if (stamp_ == stamp) return fault_;
  exposed_ = (status.st_mode & S_IROTH) != 0;
  if (S_ISREG(status.st_mode)) {
    read();
  } else {  // a pipe would make this thread wait
    fault_ = path_ + ": is not a regular file";
    digest_.reset();
  }
  const auto age =
      std::chrono::system_clock::now().time_since_epoch() - std::chrono::nanoseconds(stamp.changed_ns);
  stamp_.reset();
  if (age > kSettled) stamp_ = stamp;
  return fault_;
}

void TokenFile::read() {
  digest_.reset();
  std::string text;
  try {
    text = read_file(path_, kBytesMax);
  } catch (const std::runtime_error& error) {
    fault_ = error.what();
    return;
  }
  std::string_view token = text;
  while (token.ends_with('\n') || token.ends_with('\r')) token.remove_suffix(1);
  if (token.size() < kBytesMin) {
    fault_ = path_ + ": a token of at least 16 characters is needed; make one with: openssl rand -hex 32";
  } else if (!std::all_of(token.begin(), token.end(), is_visible)) {
    fault_ = path_ +
             ": a token is one line of visible ASCII characters without spaces; make one with: "
             "openssl rand -hex 32";
  } else {
    digest_ = base::sha256(token);
    fault_.clear();
  }
  base::wipe(text.data(), text.size());
}

// Digests are equally long, whatever was presented.
bool TokenFile::accepts(std::string_view presented) const {
  if (!digest_ || presented.size() > kBytesMax) return false;
  return base::equal_constant_time(bytes_of(base::sha256(presented)), bytes_of(*digest_));
}

}  // namespace sallyport::admin
