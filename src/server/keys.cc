#include "server/keys.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "core/base/secret.h"

namespace sallyport {
namespace {

[[noreturn]] void fault(const std::string& where, const jose::KeyFailure& failure) {
  throw std::runtime_error(where + ": " + failure.detail);
}

Keys loaded(jose::KeySet keys) {
  return Keys(std::make_shared<const Keys::Loaded>(Keys::Loaded{std::move(keys)}));
}

Keys from_one(std::expected<jose::Key, jose::KeyFailure> key, const std::string& where) {
  if (!key) fault(where, key.error());
  auto keys = jose::KeySet::from_keys({std::move(*key)});
  if (!keys) fault(where, keys.error());
  return loaded(std::move(*keys));
}

Keys from_jwks(std::string_view json, const std::string& where) {
  auto keys = jose::KeySet::from_jwks(json);
  if (!keys) fault(where, keys.error());
  return loaded(std::move(*keys));
}

}  // namespace

std::string read_file(const std::string& path, std::size_t bytes_max) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + ": cannot be opened: " + std::strerror(errno));
  std::string text(bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) throw std::runtime_error(path + ": cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > bytes_max) {
    throw std::runtime_error(path + ": is larger than " + std::to_string(bytes_max) + " bytes");
  }
  return text;
}

std::string misfit_of(const jose::KeySet& keys, std::span<const jose::Algorithm> algorithms) {
  std::string usable;
  for (const jose::Key& key : keys.keys()) {
    for (const jose::Algorithm algorithm : algorithms) {
      if (key.allows(algorithm)) return {};
    }
    for (const jose::Algorithm algorithm : jose::kAllAlgorithms) {
      if (!key.allows(algorithm)) continue;
      if (!usable.empty()) usable += ", ";
      usable += jose::to_string(algorithm);
    }
  }
  return "none of the keys can be used with the allowed algorithms; they are for " + usable;
}

Keys jwks_file(const std::string& path) {
  return from_jwks(read_file(path, jose::kKeySetBytesMax), path);
}

Keys jwks_text(std::string_view json) { return from_jwks(json, "JWK Set"); }

Keys public_key_file(const std::string& path) {
  return from_one(jose::Key::from_public_pem(read_file(path, jose::kPemBytesMax)), path);
}

Keys public_key_text(std::string_view pem) {
  return from_one(jose::Key::from_public_pem(pem), "public key");
}

Keys secret_file(const std::string& path) {
  std::string text = read_file(path, jose::kSecretBytesMax + 2);
  const base::Secret whole(text);
  base::wipe(text.data(), text.size());
  std::string_view secret = whole.reveal();
  // Editors and `echo` end a file with a newline that nobody means to be part of the secret.
  if (secret.ends_with('\n')) secret.remove_suffix(1);
  if (secret.ends_with('\r')) secret.remove_suffix(1);
  return from_one(jose::Key::from_secret(secret), path);
}

Keys secret_text(std::string_view secret) {
  return from_one(jose::Key::from_secret(secret), "secret");
}

}  // namespace sallyport
