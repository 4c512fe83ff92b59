#include "server/keys.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "core/base/secret.h"

namespace sallyport {
namespace {

[[noreturn]] void fault(const std::string& where, const jose::KeyFailure& failure) {
  throw std::runtime_error(where + ": " + failure.detail);
}

Keys loaded(jose::KeySet keys) {
  return Keys(std::make_shared<const Keys::Loaded>(Keys::Loaded{.keys = std::move(keys)}));
}

// Reads the file now, and later when it has changed.
Keys from_file(const std::string& path, const std::function<jose::KeySet(const std::string& path)>& read) {
  const io::FileStamp before = io::stamp_of(path);
  return Keys(std::make_shared<const Keys::Loaded>(
      Keys::Loaded{.keys = read(path), .reload = [read, path] { return read(path); }, .file = {path, before}}));
}

jose::KeySet set_of_one(std::expected<jose::Key, jose::KeyFailure> key, const std::string& where) {
  if (!key) fault(where, key.error());
  auto keys = jose::KeySet::from_keys({std::move(*key)});
  if (!keys) fault(where, keys.error());
  return std::move(*keys);
}

// The two are taken for each other, and a parser of the one has nothing helpful to say of the other.
bool is_pem(std::string_view text) { return text.find("-----BEGIN ") != std::string_view::npos; }
bool is_json(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  return begin != std::string_view::npos && text[begin] == '{';
}

jose::KeySet set_of_jwks(std::string_view json, const std::string& where) {
  if (is_pem(json) && !is_json(json)) {
    throw std::runtime_error(where + ": is a PEM, not a JWK Set; a public key in PEM is read with "
                                     "public_key_file");
  }
  auto keys = jose::KeySet::from_jwks(json);
  if (!keys) fault(where, keys.error());
  return std::move(*keys);
}

jose::KeySet read_jwks(const std::string& path) { return set_of_jwks(read_file(path, jose::kKeySetBytesMax), path); }

jose::KeySet read_public_key(const std::string& path) {
  const std::string text = read_file(path, jose::kPemBytesMax);
  if (is_json(text)) {
    throw std::runtime_error(path + ": is JSON, not a PEM; a JWK Set is read with jwks_file");
  }
  return set_of_one(jose::Key::from_public_pem(text), path);
}

jose::KeySet read_secret(const std::string& path) {
  std::string text = read_file(path, jose::kSecretBytesMax + 2);
  const base::Secret whole(text);
  base::wipe(text.data(), text.size());
  std::string_view secret = whole.reveal();
  // Editors and `echo` end a file with a newline that nobody means to be part of the secret.
  if (secret.ends_with('\n')) secret.remove_suffix(1);
  if (secret.ends_with('\r')) secret.remove_suffix(1);
  return set_of_one(jose::Key::from_secret(secret), path);
}

}  // namespace

std::string read_file(const std::string& path, std::size_t bytes_max) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + ": cannot be opened: " + std::strerror(errno));
  // Room for what the file says it holds and one byte more. If that is filled too it holds more than it says, as
  // a pipe does, which says nothing.
  std::error_code error;
  const std::uintmax_t told = std::filesystem::file_size(path, error);
  std::string text(!error && told < bytes_max ? static_cast<std::size_t>(told) + 1 : bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  auto size = static_cast<std::size_t>(file.gcount());
  if (size == text.size() && size <= bytes_max) {
    text.resize(bytes_max + 1);
    file.read(text.data() + size, static_cast<std::streamsize>(text.size() - size));
    size += static_cast<std::size_t>(file.gcount());
  }
  if (file.bad()) {
    std::error_code ignored;
    const bool folder = std::filesystem::is_directory(path, ignored);
    throw std::runtime_error(path + (folder ? ": is a folder, not a file" : ": cannot be read"));
  }
  text.resize(size);
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

std::expected<jose::KeySet, std::string> fetch_keys(const Keys& keys, KeyUser user) {
  const Keys::Loaded& loaded = keys.loaded();
  if (!loaded.make_source) return loaded.keys;
  boost::asio::io_context control(1);
  std::string why = "they could not be fetched";
  const auto listen = [&why](const LogEvent& event) {
    if (event.level < LogLevel::kWarn) return;
    for (const auto& [key, value] : event.fields) {
      const auto* const text = std::get_if<std::string>(&value);
      if (key == "detail" && text != nullptr) why = *text;
    }
  };
  const std::shared_ptr<KeySource> source = loaded.make_source(std::move(user));
  source->start({control, listen});
  // Whatever it answers, there has been a fetch then.
  boost::asio::co_spawn(control, source->find(std::string()),
                        [&control](const std::exception_ptr&, KeySource::Search) { control.stop(); });
  control.run();
  source->stop();
  jose::KeySet fetched = source->current();
  if (fetched.empty()) return std::unexpected(std::move(why));
  return fetched;
}

Keys jwks_file(const std::string& path) { return from_file(path, read_jwks); }

Keys jwks_text(std::string_view json) { return loaded(set_of_jwks(json, "JWK Set")); }

Keys public_key_file(const std::string& path) { return from_file(path, read_public_key); }

Keys public_key_text(std::string_view pem) {
  return loaded(set_of_one(jose::Key::from_public_pem(pem), "public key"));
}

Keys secret_file(const std::string& path) { return from_file(path, read_secret); }

Keys secret_text(std::string_view secret) {
  return loaded(set_of_one(jose::Key::from_secret(secret), "secret"));
}

}  // namespace sallyport
