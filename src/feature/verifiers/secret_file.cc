#include "feature/verifiers/secret_file.h"

#include <stdexcept>
#include <string_view>

#include "server/keys.h"

namespace sallyport {
namespace {

constexpr std::size_t kSecretBytesMax = 4096;

}  // namespace

base::Secret read_shared_secret(const std::string& file) {
  std::string text = read_file(file, kSecretBytesMax);
  std::string_view secret = text;
  // Editors and `echo` end a file with a newline that nobody means to be part of the secret.
  if (secret.ends_with('\n')) secret.remove_suffix(1);
  if (secret.ends_with('\r')) secret.remove_suffix(1);
  base::Secret result(secret);
  base::wipe(text.data(), text.size());
  if (result.empty()) throw std::runtime_error(file + ": is empty");
  return result;
}

}  // namespace sallyport
