#include "core/jose/mint.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "core/base/base64url.h"
#include "core/base/digest.h"
#include "core/base/random.h"
#include "core/jose/key_data.h"

namespace sallyport::jose {
namespace {

namespace json = boost::json;

std::unexpected<KeyFailure> refuse(KeyError code, std::string detail) {
  return std::unexpected(KeyFailure{code, std::move(detail)});
}

// An unsigned number in base64url, in its shortest form or padded to `width` bytes.
std::string number_param(const EVP_PKEY* pkey, const char* name, int width = 0) {
  BIGNUM* raw = nullptr;
  EVP_PKEY_get_bn_param(pkey, name, &raw);
  const BigPtr number(raw);
  if (!number) return {};
  std::string bytes(static_cast<std::size_t>(width > 0 ? width : BN_num_bytes(number.get())), '\0');
  if (BN_bn2binpad(number.get(), reinterpret_cast<unsigned char*>(bytes.data()),
                   static_cast<int>(bytes.size())) < 0) {
    return {};
  }
  return base::base64url_encode(bytes);
}

// The members that make the key, in the order of their names: what RFC 7638 section 3.2 hashes.
json::object public_members(const KeyData& key) {
  const EVP_PKEY* const pkey = key.pkey.get();
  json::object members;
  switch (key.family) {
    case Family::kRsa:
      members["e"] = number_param(pkey, OSSL_PKEY_PARAM_RSA_E);
      members["kty"] = "RSA";
      members["n"] = number_param(pkey, OSSL_PKEY_PARAM_RSA_N);
      break;
    case Family::kEcdsa: {
      const int width = (EVP_PKEY_get_bits(pkey) + 7) / 8;
      members["crv"] = width == 32 ? "P-256" : width == 48 ? "P-384" : "P-521";
      members["kty"] = "EC";
      members["x"] = number_param(pkey, OSSL_PKEY_PARAM_EC_PUB_X, width);
      members["y"] = number_param(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, width);
      break;
    }
    case Family::kEdDsa: {
      std::string x(32, '\0');
      std::size_t size = x.size();
      EVP_PKEY_get_raw_public_key(pkey, reinterpret_cast<unsigned char*>(x.data()), &size);
      members["crv"] = "Ed25519";
      members["kty"] = "OKP";
      members["x"] = base::base64url_encode(x);
      break;
    }
    case Family::kHmac:
      break;
  }
  return members;
}

std::string thumbprint_of(const KeyData& key) {
  const base::Sha256 digest = base::sha256(json::serialize(public_members(key)));
  return base::base64url_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

PkeyPtr generate_pkey(Algorithm algorithm, int rsa_bits) {
  switch (algorithm) {
    case Algorithm::kEs256:
      return PkeyPtr(EVP_EC_gen("P-256"));
    case Algorithm::kEs384:
      return PkeyPtr(EVP_EC_gen("P-384"));
    case Algorithm::kEs512:
      return PkeyPtr(EVP_EC_gen("P-521"));
    case Algorithm::kEdDsa:
      return PkeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    case Algorithm::kRs256:
    case Algorithm::kRs384:
    case Algorithm::kRs512:
    case Algorithm::kPs256:
    case Algorithm::kPs384:
    case Algorithm::kPs512:
      return PkeyPtr(EVP_RSA_gen(static_cast<unsigned>(rsa_bits)));
    case Algorithm::kHs256:
    case Algorithm::kHs384:
    case Algorithm::kHs512:
      break;
  }
  return nullptr;
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

std::expected<Key, KeyFailure> generate_key(Algorithm algorithm, std::string_view kid,
                                            int rsa_bits) {
  const ErrorScope errors;
  if (family_of(algorithm) == Family::kHmac) {
    return refuse(KeyError::kUnsupported, "HS* algorithms have a secret, not a key pair");
  }
  if (rsa_bits < kRsaBitsMin || rsa_bits > kRsaBitsMax) {
    return refuse(KeyError::kWeak, "RSA keys have 2048 to 8192 bits");
  }
  PkeyPtr pkey = generate_pkey(algorithm, rsa_bits);
  if (!pkey) return refuse(KeyError::kInvalid, "OpenSSL could not make a key");
  if (!kid.empty()) return adopt_pkey(std::move(pkey), kid, {algorithm}, true);
  KeyData data;
  data.family = family_of(algorithm);
  data.pkey = std::move(pkey);
  const std::string name = thumbprint_of(data);
  return adopt_pkey(std::move(data.pkey), name, {algorithm}, true);
}

base::Secret generate_secret(Algorithm algorithm) {
  std::string text = base::random_id(hash_bytes(algorithm));
  base::Secret secret(text);
  base::wipe(text.data(), text.size());
  return secret;
}

std::expected<base::Secret, KeyFailure> export_private_pem(const Key& key) {
  const ErrorScope errors;
  const KeyData& data = key.data();
  if (!data.pkey || !data.is_private) return refuse(KeyError::kWrongKind, "not a private key");
  // Secure memory is wiped when the BIO is freed.
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), data.pkey.get(), nullptr, nullptr, 0,
                                            nullptr, nullptr) != 1) {
    return refuse(KeyError::kInvalid, "OpenSSL could not write the key");
  }
  std::string text = text_of(bio.get());
  base::Secret pem(text);
  base::wipe(text.data(), text.size());
  return pem;
}

std::expected<std::string, KeyFailure> export_public_pem(const Key& key) {
  const ErrorScope errors;
  const KeyData& data = key.data();
  if (!data.pkey) return refuse(KeyError::kWrongKind, "a secret has no public part");
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PUBKEY(bio.get(), data.pkey.get()) != 1) {
    return refuse(KeyError::kInvalid, "OpenSSL could not write the key");
  }
  return text_of(bio.get());
}

std::expected<std::string, KeyFailure> export_jwks(std::span<const Key> keys) {
  const ErrorScope errors;
  json::array list;
  for (const Key& key : keys) {
    if (!key.data().pkey) return refuse(KeyError::kWrongKind, "a secret is never published");
    json::object jwk = public_members(key.data());
    jwk["use"] = "sig";
    if (!key.kid().empty()) jwk["kid"] = key.kid();
    if (key.algorithms().size() == 1) {
      for (const Algorithm algorithm : kAllAlgorithms) {
        if (key.allows(algorithm)) jwk["alg"] = to_string(algorithm);
      }
    }
    list.push_back(std::move(jwk));
  }
  return json::serialize(json::object{{"keys", std::move(list)}});
}

std::expected<std::string, KeyFailure> thumbprint(const Key& key) {
  const ErrorScope errors;
  if (!key.data().pkey)
    return refuse(KeyError::kWrongKind, "the thumbprint of a secret is not made");
  return thumbprint_of(key.data());
}

}  // namespace sallyport::jose
