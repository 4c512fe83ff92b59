#include "core/jose/signature.h"

#include <openssl/ecdsa.h>

#include <array>
#include <cstdint>
#include <span>

#include "core/base/secret.h"
#include "core/jose/key_data.h"

namespace sallyport::jose {
namespace {

using EcdsaPtr = std::unique_ptr<ECDSA_SIG, Freer<ECDSA_SIG_free>>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::size_t coordinate_bytes(Algorithm algorithm) {
  return algorithm == Algorithm::kEs512 ? 66 : hash_bytes(algorithm);
}

std::optional<std::string> compute_mac(std::string_view input, const KeyData& key,
                                       Algorithm algorithm) {
  const EVP_MAC_CTX* const prepared = key.macs.at(static_cast<std::size_t>(algorithm)).get();
  if (prepared == nullptr) return std::nullopt;
  const MacContextPtr context(EVP_MAC_CTX_dup(prepared));
  std::string mac(hash_bytes(algorithm), '\0');
  std::size_t size = 0;
  if (!context || EVP_MAC_update(context.get(), bytes_of(input), input.size()) != 1 ||
      EVP_MAC_final(context.get(), reinterpret_cast<unsigned char*>(mac.data()), &size,
                    mac.size()) != 1 ||
      size != mac.size()) {
    return std::nullopt;
  }
  return mac;
}

// ECDSA signatures as JOSE has them (R || S, RFC 7518 section 3.4) and as OpenSSL wants them: a DER
// SEQUENCE of two INTEGERs. 2 * (3 + 66) + 3 bytes are the most a P-521 signature can take.
class DerSignature {
 public:
  explicit DerSignature(std::string_view raw) {
    std::array<std::uint8_t, 2 * (3 + 66)> body{};
    const std::size_t half = raw.size() / 2;
    std::size_t size = put_integer(body, raw.substr(0, half));
    size += put_integer(std::span(body).subspan(size), raw.substr(half));
    bytes_[size_++] = 0x30;
    if (size >= 128) bytes_[size_++] = 0x81;
    bytes_[size_++] = static_cast<std::uint8_t>(size);
    for (std::size_t i = 0; i < size; ++i) bytes_[size_++] = body[i];
  }
  [[nodiscard]] std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes_.data()), size_};
  }

 private:
  static std::size_t put_integer(std::span<std::uint8_t> output, std::string_view number) {
    while (number.size() > 1 && number.front() == '\0') number.remove_prefix(1);
    const bool needs_zero = (static_cast<std::uint8_t>(number.front()) & 0x80) != 0;
    std::size_t size = 0;
    output[size++] = 0x02;
    output[size++] = static_cast<std::uint8_t>(number.size() + (needs_zero ? 1 : 0));
    if (needs_zero) output[size++] = 0;
    for (const char c : number) output[size++] = static_cast<std::uint8_t>(c);
    return size;
  }
  std::array<std::uint8_t, 2 * (3 + 66) + 3> bytes_{};
  std::size_t size_ = 0;
};

bool verify_with_pkey(std::string_view input, std::string_view signature, const KeyData& key,
                      Algorithm algorithm) {
  const EVP_MD_CTX* const prepared = key.verifiers.at(static_cast<std::size_t>(algorithm)).get();
  if (prepared == nullptr) return false;
  const DigestContextPtr context(EVP_MD_CTX_new());
  return context && EVP_MD_CTX_copy_ex(context.get(), prepared) == 1 &&
         EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(input),
                          input.size()) == 1;
}

std::optional<std::string> raw_from_der(std::string_view der, std::size_t half) {
  const unsigned char* at = bytes_of(der);
  const EcdsaPtr signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  std::string raw(2 * half, '\0');
  auto* const output = reinterpret_cast<unsigned char*>(raw.data());
  const int width = static_cast<int>(half);
  if (!signature || BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), output, width) != width ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), output + half, width) != width) {
    return std::nullopt;
  }
  return raw;
}

std::optional<std::string> sign_with_pkey(std::string_view input, const KeyData& key,
                                          Algorithm algorithm) {
  const DigestContextPtr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* inner = nullptr;
  std::size_t size = 0;
  if (!context ||
      EVP_DigestSignInit(context.get(), &inner, digest_of(algorithm), nullptr, key.pkey.get()) !=
          1 ||
      !set_padding(inner, algorithm) ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes_of(input), input.size()) != 1) {
    return std::nullopt;
  }
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     bytes_of(input), input.size()) != 1) {
    return std::nullopt;
  }
  signature.resize(size);
  if (key.family == Family::kEcdsa) return raw_from_der(signature, coordinate_bytes(algorithm));
  return signature;
}

}  // namespace

bool verify_signature(std::string_view input, std::string_view signature, const Key& key,
                      Algorithm algorithm) {
  const ErrorScope errors;
  const KeyData& data = key.data();
  if (!data.algorithms.contains(algorithm)) return false;
  switch (family_of(algorithm)) {
    case Family::kHmac: {
      const auto expected = compute_mac(input, data, algorithm);
      return expected && base::equal_constant_time(*expected, signature);
    }
    case Family::kEcdsa:
      return signature.size() == 2 * coordinate_bytes(algorithm) &&
             verify_with_pkey(input, DerSignature(signature).view(), data, algorithm);
    case Family::kRsa:
      // RFC 8017 section 8.2.2 step 1: exactly as long as the modulus.
      return signature.size() == static_cast<std::size_t>(EVP_PKEY_get_size(data.pkey.get())) &&
             verify_with_pkey(input, signature, data, algorithm);
    case Family::kEdDsa:
      return signature.size() == 64 && verify_with_pkey(input, signature, data, algorithm);
  }
  return false;
}

std::optional<std::string> make_signature(std::string_view input, const Key& key,
                                          Algorithm algorithm) {
  const ErrorScope errors;
  const KeyData& data = key.data();
  if (!data.is_private || !data.algorithms.contains(algorithm)) return std::nullopt;
  if (data.family == Family::kHmac) return compute_mac(input, data, algorithm);
  return sign_with_pkey(input, data, algorithm);
}

}  // namespace sallyport::jose
