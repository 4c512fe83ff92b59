#pragma once

// Keys and files for this folder's tests.

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/jose/jws.h"
#include "core/jose/mint.h"

namespace sallyport::jose {

inline constexpr std::string_view kTestSecret =
    "a secret for tests of more than sixty-four bytes, which is what HS512 asks for at least";

/// One key per algorithm, made once in a process because RSA takes its time. Its kid is
/// "key-<alg>".
inline const Key& test_key(Algorithm algorithm) {
  static std::map<Algorithm, Key> keys;
  const auto found = keys.find(algorithm);
  if (found != keys.end()) return found->second;
  const std::string kid = "key-" + std::string(to_string(algorithm));
  auto key = family_of(algorithm) == Family::kHmac ? Key::from_secret(kTestSecret, kid)
                                                   : generate_key(algorithm, kid, 2048);
  SALLYPORT_ASSERT(key.has_value());
  return keys.emplace(algorithm, std::move(*key)).first->second;
}

inline KeySet set_of(std::vector<Key> keys) {
  auto set = KeySet::from_keys(std::move(keys));
  SALLYPORT_ASSERT(set.has_value());
  return std::move(*set);
}

/// The public half alone, as a verifier would have it.
inline KeySet public_set(const Key& key) {
  if (key.family() == Family::kHmac) return set_of({key});
  auto set = KeySet::from_jwks(export_jwks({&key, 1}).value());
  SALLYPORT_ASSERT(set.has_value());
  return std::move(*set);
}

inline std::string file_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::filesystem::path vectors(std::string_view folder) {
  return std::filesystem::path(SALLYPORT_VECTORS_DIR) / folder;
}

}  // namespace sallyport::jose
