#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/jose/algorithm.h"

namespace sallyport::jose {

inline constexpr std::size_t kKeySetBytesMax = 256 * 1024;
inline constexpr std::size_t kKeysMax = 64;
inline constexpr std::size_t kKeyIdBytesMax = 255;
inline constexpr std::size_t kPemBytesMax = 64 * 1024;
inline constexpr std::size_t kSecretBytesMax = 4 * 1024;
inline constexpr int kRsaBitsMin = 2048;
inline constexpr int kRsaBitsMax = 8192;  ///< larger ones only serve to burn the verifier's time

enum class KeyError {
  kMalformed,       ///< not the format it should be, or a member missing or of the wrong type
  kTooLarge,        ///< over a limit of this header
  kTooManyKeys,     ///< more than kKeysMax in a set
  kUnsupported,     ///< a kind of key, curve or algorithm that is not served here
  kWrongUse,        ///< meant for something else than signatures (`use`, `key_ops`)
  kWrongKind,       ///< private where public was asked for, the reverse, or a PEM as HMAC secret
  kWeak,            ///< RSA or HMAC key too short, bad exponent, known weak generator, small order
  kInvalid,         ///< not a key: a point off its curve, for example
  kNoUsableKey,     ///< a set with nothing in it that could verify
  kDuplicateKeyId,  ///< two keys of one family with the same key id
  kMixedKinds,      ///< HMAC secrets and public keys in one set
};

[[nodiscard]] std::string_view to_string(KeyError error);

/// Why a key or set was refused. `detail` is for the operator: one or more sentences in printable
/// ASCII that name members and key ids and never contain key material.
struct KeyFailure {
  KeyError code;
  std::string detail;
};

struct KeyData;

/// One key, bound when it is loaded to the algorithms it may be used with (RFC 8725 section 3.1):
/// nothing that arrives in a token can widen that. Immutable; copies share the key and are cheap;
/// safe to use from several threads at once.
class Key {
 public:
  /// From one JWK (RFC 7517). Only the public part is used; an `oct` key is the exception, it is
  /// whole.
  [[nodiscard]] static std::expected<Key, KeyFailure> from_jwk(std::string_view text);

  /// From "PUBLIC KEY" (SPKI), or from the first "CERTIFICATE", of which only the key is looked at:
  /// neither its chain nor its dates mean anything here. An RSA key may be used with RS* and PS*.
  [[nodiscard]] static std::expected<Key, KeyFailure> from_public_pem(std::string_view pem,
                                                                      std::string_view kid = {});

  /// From an unencrypted private key (PKCS#8 or the older forms): it signs and verifies.
  [[nodiscard]] static std::expected<Key, KeyFailure> from_private_pem(std::string_view pem,
                                                                       std::string_view kid = {});

  /// From the bytes of an HMAC secret, for each HS* whose hash is not longer than the secret. A
  /// text that is a PEM is refused: publishing it is what it was made for.
  [[nodiscard]] static std::expected<Key, KeyFailure> from_secret(std::string_view secret,
                                                                  std::string_view kid = {});

  /// The key id, or an empty string if it has none.
  [[nodiscard]] const std::string& kid() const noexcept;
  [[nodiscard]] AlgorithmSet algorithms() const noexcept;
  [[nodiscard]] bool allows(Algorithm algorithm) const noexcept {
    return algorithms().contains(algorithm);
  }
  [[nodiscard]] Family family() const noexcept;
  /// True for private keys and secrets.
  [[nodiscard]] bool can_sign() const noexcept;

  /// For this folder's own files (core/jose/key_data.h).
  explicit Key(std::shared_ptr<const KeyData> data) noexcept : data_(std::move(data)) {}
  [[nodiscard]] const KeyData& data() const noexcept { return *data_; }

 private:
  std::shared_ptr<const KeyData> data_;  // shared so that a snapshot of keys can be held per worker
};

/// A set of keys as one source publishes them. Immutable; copies are cheap and share the keys. Safe
/// to use from several threads at once.
class KeySet {
 public:
  /// No keys: every token meets JwsError::kUnknownKey.
  KeySet() = default;

  /// From a JWK Set (RFC 7517 section 5). A key that cannot be used is left out with a note, so
  /// that an issuer may publish what we do not know. Refused as a whole: more than kKeysMax keys,
  /// none usable, two usable ones of one family with the same kid, secrets beside public keys.
  [[nodiscard]] static std::expected<KeySet, KeyFailure> from_jwks(std::string_view text);

  /// From keys loaded one by one, under the same rules.
  [[nodiscard]] static std::expected<KeySet, KeyFailure> from_keys(std::vector<Key> keys);

  [[nodiscard]] bool empty() const noexcept { return keys().empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return keys().size(); }
  /// The keys in their published order, valid while this set or a copy of it lives.
  [[nodiscard]] std::span<const Key> keys() const noexcept;
  /// What was left out or ignored, a sentence each in printable ASCII; valid like `keys()`.
  [[nodiscard]] std::span<const std::string> notes() const noexcept;

 private:
  struct Contents;
  [[nodiscard]] static std::expected<KeySet, KeyFailure> assemble(std::vector<Key> keys,
                                                                  std::vector<std::string> notes);
  std::shared_ptr<const Contents> contents_;  // published to workers as one immutable snapshot
};

}  // namespace sallyport::jose
