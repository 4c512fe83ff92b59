#pragma once

// What a Key holds. For this folder's .cc files only: it knows OpenSSL.

#include <array>
#include <boost/json/object.hpp>
#include <expected>
#include <string>
#include <string_view>

#include "core/base/secret.h"
#include "core/jose/key.h"
#include "core/jose/openssl_ptr.h"
#include "core/jose/printable.h"

namespace sallyport::jose {

struct KeyData {
  std::string kid;
  AlgorithmSet algorithms;
  Family family = Family::kHmac;
  bool is_private = false;
  PkeyPtr pkey;         // null for HMAC
  base::Secret secret;  // empty for all others

  // A context initialised for verification per algorithm, or null where the algorithm is not
  // allowed. They are never used directly, only copied: a copy is cheaper than an initialisation,
  // and reading one from several threads needs no lock.
  std::array<DigestContextPtr, kAlgorithmCount> verifiers;
  std::array<MacContextPtr, kAlgorithmCount> macs;
};

/// Examines an asymmetric key and makes it a Key for those of `wanted` that its kind and curve
/// serve.
[[nodiscard]] std::expected<Key, KeyFailure> adopt_pkey(PkeyPtr pkey, std::string_view kid,
                                                        AlgorithmSet wanted, bool is_private);

/// The same for an HMAC secret and those of `wanted` for which it is long enough.
[[nodiscard]] std::expected<Key, KeyFailure> adopt_secret(std::string_view secret,
                                                          std::string_view kid,
                                                          AlgorithmSet wanted);

/// The message digest that `algorithm` hashes with; null for EdDSA. Owned by OpenSSL.
[[nodiscard]] const EVP_MD* digest_of(Algorithm algorithm);

/// Sets RSA's padding as RFC 7518 sections 3.3 and 3.5 say: for PS* a salt as long as the hash.
[[nodiscard]] bool set_padding(EVP_PKEY_CTX* context, Algorithm algorithm);

/// One JWK of a set. If its private part was ignored, `*has_private` is set.
[[nodiscard]] std::expected<Key, KeyFailure> key_from_jwk(const boost::json::object& jwk,
                                                          bool* has_private);

}  // namespace sallyport::jose
