#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/jose/key.h"

namespace sallyport::jose {

inline constexpr std::size_t kTokenBytesMax = 8 * 1024;
inline constexpr std::size_t kHeaderBytesMax = 1024;
/// A token without a kid is tried with at most so many keys, so that it cannot buy many
/// verifications.
inline constexpr std::size_t kCandidateKeysMax = 4;

enum class JwsError {
  kTooLarge,              ///< the token or its header is over its limit
  kMalformed,             ///< not a compact JWS of canonical base64url with a sound JSON header
  kUnsupportedHeader,     ///< `crit` or `b64`: an extension that must be understood and is not
  kUnsupportedAlgorithm,  ///< not allowed by the caller, or not what the key is bound to; "none"
  kUnknownKey,            ///< no key of the set fits: worth one refetch of the set, no more
  kBadSignature,
};

[[nodiscard]] std::string_view to_string(JwsError error);

/// The protected header (RFC 7515 section 4). Until the signature has been verified it is a claim
/// of whoever sent it.
struct JwsHeader {
  std::string json;                    ///< as it was sent, decoded
  std::string algorithm_name;          ///< `alg`, whatever it says
  std::optional<Algorithm> algorithm;  ///< the same if it is one that exists here
  std::optional<std::string> key_id;
  std::optional<std::string> type;
  bool ignored_header_keys =
      false;  ///< it had `jku`, `x5u`, `jwk` or `x5c`; they were not looked at
};

/// The three parts of a compact JWS, decoded; `signing_input` points into the token.
struct CompactJws {
  JwsHeader header;
  std::string payload;
  std::string signature;
  std::string_view signing_input;
};

struct VerifiedJws {
  JwsHeader header;
  std::string payload;
  const Key* key;  ///< the one that verified; lives as long as the key set or a copy of it
};

/// Takes a token apart and checks its form, without any key: what it returns is not proven.
[[nodiscard]] std::expected<CompactJws, JwsError> parse_compact(std::string_view token);

/// Verifies a compact JWS (RFC 7515 section 5.2). The keys and `allowed` decide which algorithms
/// are possible; the token's `alg` and `kid` only choose among those pairs. If keys have the
/// token's kid, only they are tried. If none has it, only keys without any kid are. Nothing of the
/// payload is interpreted. Safe to call from several threads with the same keys.
[[nodiscard]] std::expected<VerifiedJws, JwsError> verify_compact(
    std::string_view token, const KeySet& keys, std::span<const Algorithm> allowed);

/// The same for a token that `parse_compact` has taken apart.
[[nodiscard]] std::expected<const Key*, JwsError> find_verifying_key(
    const CompactJws& jws, const KeySet& keys, std::span<const Algorithm> allowed);

/// Signs `payload` under a header of `alg`, `typ` (unless `type` is empty) and the key's `kid`.
/// kUnsupportedAlgorithm if the key cannot sign with this algorithm.
[[nodiscard]] std::expected<std::string, JwsError> sign_compact(std::string_view payload,
                                                                const Key& key, Algorithm algorithm,
                                                                std::string_view type = "JWT");

/// The same under a header given as JSON text, which is not checked.
[[nodiscard]] std::expected<std::string, JwsError> sign_compact_with_header(
    std::string_view header_json, std::string_view payload, const Key& key, Algorithm algorithm);

}  // namespace sallyport::jose
