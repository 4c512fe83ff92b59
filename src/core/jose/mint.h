#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "core/base/secret.h"
#include "core/jose/key.h"

namespace sallyport::jose {

/// Makes a new key pair for `algorithm`, bound to it alone. Without a kid it gets its thumbprint.
/// HS* are refused (kUnsupported): see `generate_secret`. RSA takes a good part of a second.
[[nodiscard]] std::expected<Key, KeyFailure> generate_key(Algorithm algorithm,
                                                          std::string_view kid = {},
                                                          int rsa_bits = 3072);

/// Makes an HMAC secret for Key::from_secret: printable text that carries as many random bytes as
/// the algorithm's hash has.
[[nodiscard]] base::Secret generate_secret(Algorithm algorithm);

/// The private key as unencrypted PKCS#8 PEM. kWrongKind for public keys and secrets.
[[nodiscard]] std::expected<base::Secret, KeyFailure> export_private_pem(const Key& key);

/// The public key as SPKI PEM. kWrongKind for secrets.
[[nodiscard]] std::expected<std::string, KeyFailure> export_public_pem(const Key& key);

/// The public parts as a JWK Set (RFC 7517 section 5) with `use`, `kid` if there is one, and `alg`
/// if the key is bound to a single one. kWrongKind if a secret is among them.
[[nodiscard]] std::expected<std::string, KeyFailure> export_jwks(std::span<const Key> keys);

/// The SHA-256 thumbprint of the public key (RFC 7638), base64url. kWrongKind for secrets, whose
/// thumbprint would give away a hash of them (section 7).
[[nodiscard]] std::expected<std::string, KeyFailure> thumbprint(const Key& key);

}  // namespace sallyport::jose
