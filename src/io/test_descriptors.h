#pragma once

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>

namespace sallyport::io::test {

/// How many descriptors this process has open.
inline std::size_t open_descriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  std::size_t count = 0;
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count - 3;  // ".", ".." and the folder's own
}

/// As long as it lives, the process cannot open more than `spare` further descriptors.
class DescriptorShortage {
 public:
  explicit DescriptorShortage(unsigned spare = 0) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    // The lowest free number: no hole is below it, so as a limit it leaves none at all.
    const int free = ::dup(0);
    ::close(free);
    rlimit tight = before_;
    tight.rlim_cur = static_cast<rlim_t>(free) + spare;
    ::setrlimit(RLIMIT_NOFILE, &tight);
  }
  ~DescriptorShortage() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorShortage(const DescriptorShortage&) = delete;
  DescriptorShortage& operator=(const DescriptorShortage&) = delete;

 private:
  rlimit before_{};
};

}  // namespace sallyport::io::test
