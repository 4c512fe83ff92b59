// Examines keys and binds them to algorithms; see key_data.h.

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "core/base/assert.h"
#include "core/jose/key_data.h"

namespace sallyport::jose {
namespace {

std::unexpected<KeyFailure> refuse(KeyError code, std::string detail) {
  return std::unexpected(KeyFailure{code, std::move(detail)});
}

BigPtr big_param(const EVP_PKEY* pkey, const char* name) {
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(pkey, name, &number);
  return BigPtr(number);
}

// CVE-2017-15361: a widely deployed generator made primes of the form k*M + 65537^a mod M, so that
// the modulus lies in the subgroup of 65537 modulo each of these primes. A sound key does so by
// chance once in 2^27.
bool has_roca_fingerprint(const BIGNUM* modulus) {
  static constexpr std::array<std::uint32_t, 17> kPrimes = {11, 13, 17,  19,  37,  53,  61,  71, 73,
                                                            79, 97, 103, 107, 109, 127, 151, 157};
  return std::ranges::all_of(kPrimes, [modulus](std::uint32_t prime) {
    const auto residue = static_cast<std::uint32_t>(BN_mod_word(modulus, prime));
    std::uint32_t power = 1;
    do {
      if (power == residue) return true;
      power = power * 65537 % prime;
    } while (power != 1);
    return false;
  });
}

std::optional<KeyFailure> examine_rsa(const EVP_PKEY* pkey) {
  const BigPtr n = big_param(pkey, OSSL_PKEY_PARAM_RSA_N);
  const BigPtr e = big_param(pkey, OSSL_PKEY_PARAM_RSA_E);
  if (!n || !e) return KeyFailure{KeyError::kInvalid, "the RSA key has no modulus or exponent"};
  const int bits = BN_num_bits(n.get());
  if (bits < kRsaBitsMin)
    return KeyFailure{KeyError::kWeak, "the RSA key is shorter than 2048 bits"};
  if (bits > kRsaBitsMax)
    return KeyFailure{KeyError::kTooLarge, "the RSA key is longer than 8192 bits"};
  if (!BN_is_odd(n.get())) return KeyFailure{KeyError::kInvalid, "the RSA modulus is even"};
  if (!BN_is_odd(e.get()) || BN_is_one(e.get()) || BN_num_bits(e.get()) > 64) {
    return KeyFailure{KeyError::kWeak, "the RSA exponent is 1, even, or longer than 64 bits"};
  }
  if (has_roca_fingerprint(n.get())) {
    return KeyFailure{KeyError::kWeak,
                      "the RSA key comes from a generator known to be weak (ROCA)"};
  }
  return std::nullopt;
}

std::optional<KeyFailure> examine_ec(EVP_PKEY* pkey) {
  const PkeyContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, pkey, nullptr));
  if (!context || EVP_PKEY_public_check(context.get()) != 1) {
    return KeyFailure{KeyError::kInvalid, "the point is not on the curve"};
  }
  return std::nullopt;
}

// Coordinates of points with an order of 1, 2, 4 or 8, little endian and without the sign bit: with
// such a key there are signatures that fit any message. Those at or above p are the same points
// again.
constexpr std::array<std::array<std::uint8_t, 32>, 5> kSmallOrder = {{
    {0x00},
    {0x01},
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
     0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
     0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
     0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
     0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
}};

// RFC 8032 section 5.1.3: y < p, and x^2 = (y^2 - 1) / (d y^2 + 1) has a root. OpenSSL 3.0 asks
// this only when it verifies; asked here, a bad key is an error of the configuration.
bool is_edwards_point(const std::array<std::uint8_t, 32>& encoded) {
  const BigContextPtr context(BN_CTX_new());
  const BigPtr p(BN_new());
  const BigPtr y(BN_lebin2bn(encoded.data(), static_cast<int>(encoded.size()), nullptr));
  const BigPtr d(BN_new());
  const BigPtr inverse(BN_new());
  const BigPtr u(BN_new());
  const BigPtr v(BN_new());
  if (!context || !p || !y || !d || !inverse || !u || !v) return false;
  // p = 2^255 - 19, d = -121665 / 121666
  bool fine = BN_set_bit(p.get(), 255) == 1 && BN_sub_word(p.get(), 19) == 1 &&
              BN_set_word(v.get(), 121666) == 1 &&
              BN_mod_inverse(inverse.get(), v.get(), p.get(), context.get()) != nullptr &&
              BN_set_word(d.get(), 121665) == 1 &&
              BN_mod_mul(d.get(), d.get(), inverse.get(), p.get(), context.get()) == 1 &&
              BN_sub(d.get(), p.get(), d.get()) == 1;
  if (!fine || BN_cmp(y.get(), p.get()) >= 0) return false;
  fine = BN_mod_sqr(u.get(), y.get(), p.get(), context.get()) == 1 &&
         BN_mod_mul(v.get(), u.get(), d.get(), p.get(), context.get()) == 1 &&
         BN_add_word(v.get(), 1) == 1 && BN_sub_word(u.get(), 1) == 1 &&
         BN_mod_mul(u.get(), u.get(), v.get(), p.get(), context.get()) == 1;
  // u / v is a square exactly if u * v is.
  return fine && BN_kronecker(u.get(), p.get(), context.get()) >= 0;
}

std::optional<KeyFailure> examine_ed25519(const EVP_PKEY* pkey) {
  std::array<std::uint8_t, 32> encoded{};
  std::size_t size = encoded.size();
  if (EVP_PKEY_get_raw_public_key(pkey, encoded.data(), &size) != 1 || size != encoded.size()) {
    return KeyFailure{KeyError::kInvalid, "the Ed25519 key cannot be read"};
  }
  encoded.back() &= 0x7f;
  if (!is_edwards_point(encoded))
    return KeyFailure{KeyError::kInvalid, "the point is not on the curve"};
  if (std::ranges::find(kSmallOrder, encoded) != kSmallOrder.end()) {
    return KeyFailure{KeyError::kWeak, "the point has a small order"};
  }
  return std::nullopt;
}

struct Kind {
  Family family;
  AlgorithmSet algorithms;
};

std::optional<Kind> kind_of(const EVP_PKEY* pkey) {
  using enum Algorithm;
  if (EVP_PKEY_is_a(pkey, "RSA") == 1) {
    return Kind{Family::kRsa, {kRs256, kRs384, kRs512, kPs256, kPs384, kPs512}};
  }
  if (EVP_PKEY_is_a(pkey, "ED25519") == 1) return Kind{Family::kEdDsa, {kEdDsa}};
  if (EVP_PKEY_is_a(pkey, "EC") != 1) return std::nullopt;
  std::array<char, 64> name{};
  if (EVP_PKEY_get_group_name(pkey, name.data(), name.size(), nullptr) != 1) return std::nullopt;
  const std::string_view curve(name.data());
  if (curve == "prime256v1") return Kind{Family::kEcdsa, {kEs256}};
  if (curve == "secp384r1") return Kind{Family::kEcdsa, {kEs384}};
  if (curve == "secp521r1") return Kind{Family::kEcdsa, {kEs512}};
  return std::nullopt;
}

DigestContextPtr prepare_verifier(EVP_PKEY* pkey, Algorithm algorithm) {
  DigestContextPtr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* inner = nullptr;
  if (!context ||
      EVP_DigestVerifyInit(context.get(), &inner, digest_of(algorithm), nullptr, pkey) != 1 ||
      !set_padding(inner, algorithm)) {
    return nullptr;
  }
  return context;
}

MacContextPtr prepare_mac(std::string_view secret, Algorithm algorithm) {
  const MacPtr mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  if (!mac) return nullptr;
  MacContextPtr context(EVP_MAC_CTX_new(mac.get()));
  std::string digest(EVP_MD_get0_name(digest_of(algorithm)));
  const std::array<OSSL_PARAM, 2> params = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  if (!context || EVP_MAC_init(context.get(), reinterpret_cast<const unsigned char*>(secret.data()),
                               secret.size(), params.data()) != 1) {
    return nullptr;
  }
  return context;
}

bool is_bad_kid(std::string_view kid) {
  return kid.size() > kKeyIdBytesMax || std::ranges::any_of(kid, [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

}  // namespace

const EVP_MD* digest_of(Algorithm algorithm) {
  if (algorithm == Algorithm::kEdDsa) return nullptr;
  switch (hash_bytes(algorithm)) {
    case 32:
      return EVP_sha256();
    case 48:
      return EVP_sha384();
    default:
      return EVP_sha512();
  }
}

bool set_padding(EVP_PKEY_CTX* context, Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kRs256:
    case Algorithm::kRs384:
    case Algorithm::kRs512:
      return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    case Algorithm::kPs256:
    case Algorithm::kPs384:
    case Algorithm::kPs512:
      return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_mgf1_md(context, digest_of(algorithm)) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
    case Algorithm::kHs256:
    case Algorithm::kHs384:
    case Algorithm::kHs512:
    case Algorithm::kEs256:
    case Algorithm::kEs384:
    case Algorithm::kEs512:
    case Algorithm::kEdDsa:
      return true;
  }
  return false;
}

std::expected<Key, KeyFailure> adopt_pkey(PkeyPtr pkey, std::string_view kid, AlgorithmSet wanted,
                                          bool is_private) {
  const ErrorScope errors;
  if (is_bad_kid(kid)) return refuse(KeyError::kMalformed, "the kid is too long or not printable");
  const std::optional<Kind> kind = kind_of(pkey.get());
  if (!kind) return refuse(KeyError::kUnsupported, "the kind of key or its curve is not supported");
  auto data = std::make_shared<KeyData>();
  data->kid = kid;
  data->family = kind->family;
  data->algorithms = kind->algorithms.common(wanted);
  data->is_private = is_private;
  if (data->algorithms.empty()) {
    return refuse(KeyError::kUnsupported, "the key's kind or curve does not fit its algorithm");
  }
  std::optional<KeyFailure> failure;
  switch (kind->family) {
    case Family::kRsa:
      failure = examine_rsa(pkey.get());
      break;
    case Family::kEcdsa:
      failure = examine_ec(pkey.get());
      break;
    case Family::kEdDsa:
      failure = examine_ed25519(pkey.get());
      break;
    case Family::kHmac:
      return refuse(KeyError::kUnsupported, "not a public key");
  }
  if (failure) return std::unexpected(std::move(*failure));
  for (const Algorithm algorithm : kAllAlgorithms) {
    if (!data->algorithms.contains(algorithm)) continue;
    DigestContextPtr verifier = prepare_verifier(pkey.get(), algorithm);
    if (!verifier) return refuse(KeyError::kInvalid, "OpenSSL cannot use the key");
    data->verifiers.at(static_cast<std::size_t>(algorithm)) = std::move(verifier);
  }
  data->pkey = std::move(pkey);
  return Key(std::move(data));
}

std::expected<Key, KeyFailure> adopt_secret(std::string_view secret, std::string_view kid,
                                            AlgorithmSet wanted) {
  const ErrorScope errors;
  if (is_bad_kid(kid)) return refuse(KeyError::kMalformed, "the kid is too long or not printable");
  if (secret.size() > kSecretBytesMax)
    return refuse(KeyError::kTooLarge, "the secret is over 4 KiB");
  auto data = std::make_shared<KeyData>();
  data->kid = kid;
  data->is_private = true;
  for (const Algorithm algorithm : {Algorithm::kHs256, Algorithm::kHs384, Algorithm::kHs512}) {
    // RFC 7518 section 3.2: at least as long as the hash.
    if (!wanted.contains(algorithm) || secret.size() < hash_bytes(algorithm)) continue;
    MacContextPtr mac = prepare_mac(secret, algorithm);
    if (!mac) return refuse(KeyError::kInvalid, "OpenSSL cannot use the secret");
    data->macs.at(static_cast<std::size_t>(algorithm)) = std::move(mac);
    data->algorithms.add(algorithm);
  }
  if (data->algorithms.empty()) {
    return refuse(KeyError::kWeak,
                  "the secret is shorter than the hash of its algorithm (HS256: 32 bytes)");
  }
  data->secret = base::Secret(secret);
  return Key(std::move(data));
}

}  // namespace sallyport::jose
