#include "core/jose/algorithm.h"

namespace sallyport::jose {
namespace {

struct Row {
  std::string_view name;
  Family family;
  std::size_t hash_bytes;
};

// In the order of the enumeration.
constexpr std::array<Row, kAlgorithmCount> kRows = {{
    {"HS256", Family::kHmac, 32},
    {"HS384", Family::kHmac, 48},
    {"HS512", Family::kHmac, 64},
    {"RS256", Family::kRsa, 32},
    {"RS384", Family::kRsa, 48},
    {"RS512", Family::kRsa, 64},
    {"PS256", Family::kRsa, 32},
    {"PS384", Family::kRsa, 48},
    {"PS512", Family::kRsa, 64},
    {"ES256", Family::kEcdsa, 32},
    {"ES384", Family::kEcdsa, 48},
    {"ES512", Family::kEcdsa, 64},
    {"EdDSA", Family::kEdDsa, 64},
}};

const Row& row_of(Algorithm algorithm) {
  return kRows.at(static_cast<std::size_t>(algorithm));
}

}  // namespace

std::string_view to_string(Algorithm algorithm) {
  return row_of(algorithm).name;
}

std::optional<Algorithm> algorithm_from_name(std::string_view name) {
  for (const Algorithm algorithm : kAllAlgorithms) {
    if (row_of(algorithm).name == name) return algorithm;
  }
  return std::nullopt;
}

Family family_of(Algorithm algorithm) {
  return row_of(algorithm).family;
}

std::size_t hash_bytes(Algorithm algorithm) {
  return row_of(algorithm).hash_bytes;
}

}  // namespace sallyport::jose
