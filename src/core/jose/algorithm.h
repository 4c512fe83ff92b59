#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace sallyport::jose {

/// The signature algorithms of RFC 7518 section 3 and RFC 8037 section 3.1. "none" is not among
/// them and has no spelling here.
enum class Algorithm : std::uint8_t {
  kHs256,
  kHs384,
  kHs512,
  kRs256,
  kRs384,
  kRs512,
  kPs256,
  kPs384,
  kPs512,
  kEs256,
  kEs384,
  kEs512,
  kEdDsa,  ///< Ed25519 only
};

inline constexpr std::size_t kAlgorithmCount = 13;
inline constexpr std::array<Algorithm, kAlgorithmCount> kAllAlgorithms = {
    Algorithm::kHs256, Algorithm::kHs384, Algorithm::kHs512, Algorithm::kRs256, Algorithm::kRs384,
    Algorithm::kRs512, Algorithm::kPs256, Algorithm::kPs384, Algorithm::kPs512, Algorithm::kEs256,
    Algorithm::kEs384, Algorithm::kEs512, Algorithm::kEdDsa};

/// Which kind of key an algorithm needs. RS* and PS* share the RSA keys.
enum class Family : std::uint8_t { kHmac, kRsa, kEcdsa, kEdDsa };

/// The registered name: "HS256", "EdDSA".
[[nodiscard]] std::string_view to_string(Algorithm algorithm);

/// The algorithm of exactly this name (case matters, RFC 7515 section 4.1.1), or nothing.
[[nodiscard]] std::optional<Algorithm> algorithm_from_name(std::string_view name);

[[nodiscard]] Family family_of(Algorithm algorithm);

/// The length of the algorithm's hash in bytes; for HMAC also the shortest key that is accepted
/// (RFC 7518 section 3.2). 64 for EdDSA, which hashes with SHA-512.
[[nodiscard]] std::size_t hash_bytes(Algorithm algorithm);

/// A small set of algorithms: what a key may be used with.
class AlgorithmSet {
 public:
  constexpr AlgorithmSet() = default;
  constexpr AlgorithmSet(std::initializer_list<Algorithm> algorithms) {
    for (const Algorithm algorithm : algorithms) add(algorithm);
  }
  constexpr void add(Algorithm algorithm) noexcept { bits_ |= bit(algorithm); }
  [[nodiscard]] constexpr bool contains(Algorithm algorithm) const noexcept {
    return (bits_ & bit(algorithm)) != 0;
  }
  [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
  [[nodiscard]] constexpr std::size_t size() const noexcept {
    return static_cast<std::size_t>(std::popcount(bits_));
  }
  [[nodiscard]] constexpr AlgorithmSet common(AlgorithmSet other) const noexcept {
    AlgorithmSet result;
    result.bits_ = bits_ & other.bits_;
    return result;
  }
  friend constexpr bool operator==(AlgorithmSet, AlgorithmSet) = default;

 private:
  static constexpr std::uint32_t bit(Algorithm algorithm) noexcept {
    return 1U << static_cast<unsigned>(algorithm);
  }
  std::uint32_t bits_ = 0;
};

}  // namespace sallyport::jose
