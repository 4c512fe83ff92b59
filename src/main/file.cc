#include "main/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sallyport::main {
namespace {

std::unexpected<std::string> fault(const std::string& path, int error) {
  if (error == EEXIST) return std::unexpected(path + " exists already; --force replaces it");
  return std::unexpected(path + ": cannot be written: " + std::strerror(error));
}

int write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fsync(descriptor) == 0 || errno == EINVAL ? 0 : errno;
}

// Links refuse to replace and renames replace, both in one step.
int put_in_place(const std::string& temporary, const std::string& path, Existing existing) {
  if (existing == Existing::kReplace)
    return std::rename(temporary.c_str(), path.c_str()) == 0 ? 0 : errno;
  const int error = ::link(temporary.c_str(), path.c_str()) == 0 ? 0 : errno;
  ::unlink(temporary.c_str());
  return error;
}

}  // namespace

std::expected<void, std::string> write_file(const std::string& path, std::string_view text,
                                            unsigned mode, Existing existing) {
  std::string temporary = path + ".XXXXXX";
  const int descriptor = ::mkostemp(temporary.data(), O_CLOEXEC);  // mode 0600
  if (descriptor < 0) return fault(path, errno);
  int error = write_all(descriptor, text);
  if (error == 0 && ::fchmod(descriptor, mode) != 0) error = errno;
  ::close(descriptor);
  if (error == 0) error = put_in_place(temporary, path, existing);
  if (error == 0) return {};
  ::unlink(temporary.c_str());
  return fault(path, error);
}

bool file_exists(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0;
}

}  // namespace sallyport::main
