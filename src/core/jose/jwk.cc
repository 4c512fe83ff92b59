// Keys from JSON (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).

#include <openssl/core_names.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <utility>

#include "core/base/base64url.h"
#include "core/base/json.h"
#include "core/jose/key_data.h"

namespace sallyport::jose {
namespace {

namespace json = boost::json;

std::unexpected<KeyFailure> refuse(KeyError code, std::string detail) {
  return std::unexpected(KeyFailure{code, std::move(detail)});
}

std::optional<std::string_view> string_member(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string_view(value->get_string());
}

std::optional<std::string> bytes_member(const json::object& object, std::string_view name) {
  const auto text = string_member(object, name);
  return text ? base::base64url_decode(*text) : std::nullopt;
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Empty means that the key may verify; otherwise the reason why not.
std::string wrong_use(const json::object& jwk) {
  if (const json::value* const use = jwk.if_contains("use")) {
    if (!use->is_string() || use->get_string() != "sig") return "its use is not 'sig'";
  }
  if (const json::value* const operations = jwk.if_contains("key_ops")) {
    if (!operations->is_array()) return "its key_ops is not an array";
    const auto& array = operations->get_array();
    const auto is_verify = [](const json::value& v) {
      return v.is_string() && v.get_string() == "verify";
    };
    if (std::ranges::none_of(array, is_verify)) return "its key_ops does not contain 'verify'";
  }
  return {};
}

PkeyPtr pkey_from_params(const char* type, OSSL_PARAM_BLD* builder) {
  const ParamsPtr params(OSSL_PARAM_BLD_to_param(builder));
  const PkeyContextPtr context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* pkey = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &pkey, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  return PkeyPtr(pkey);
}

std::expected<PkeyPtr, KeyFailure> rsa_from_jwk(const json::object& jwk) {
  const auto modulus = bytes_member(jwk, "n");
  const auto exponent = bytes_member(jwk, "e");
  if (!modulus || !exponent)
    return refuse(KeyError::kMalformed, "its n or e is missing or not base64url");
  // RFC 7518 section 2 (Base64urlUInt): the shortest form, so that a key has one thumbprint.
  if (modulus->empty() || exponent->empty() || modulus->front() == '\0' ||
      exponent->front() == '\0') {
    return refuse(KeyError::kMalformed, "its n or e is empty or begins with a zero byte");
  }
  if (modulus->size() > static_cast<std::size_t>(kRsaBitsMax) / 8 || exponent->size() > 8) {
    return refuse(KeyError::kTooLarge, "its n or e is too long");
  }
  const BigPtr n(BN_bin2bn(bytes_of(*modulus), static_cast<int>(modulus->size()), nullptr));
  const BigPtr e(BN_bin2bn(bytes_of(*exponent), static_cast<int>(exponent->size()), nullptr));
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  if (!n || !e || !builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return refuse(KeyError::kInvalid, "OpenSSL cannot take the key");
  }
  PkeyPtr pkey = pkey_from_params("RSA", builder.get());
  if (!pkey) return refuse(KeyError::kInvalid, "OpenSSL cannot take the key");
  return pkey;
}

struct Curve {
  std::string_view name;
  const char* group;
  std::size_t coordinate_bytes;
};
constexpr std::array<Curve, 3> kCurves = {
    {{"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48}, {"P-521", "secp521r1", 66}}};

std::expected<PkeyPtr, KeyFailure> ec_from_jwk(const json::object& jwk) {
  const auto name = string_member(jwk, "crv");
  if (!name) return refuse(KeyError::kMalformed, "its crv is missing or not a string");
  const auto* const curve = std::ranges::find(kCurves, *name, &Curve::name);
  if (curve == kCurves.end()) return refuse(KeyError::kUnsupported, "its curve is not supported");
  const auto x = bytes_member(jwk, "x");
  const auto y = bytes_member(jwk, "y");
  // RFC 7518 section 6.2.1.2: as long as the curve's coordinates, leading zeros included.
  if (!x || !y || x->size() != curve->coordinate_bytes || y->size() != curve->coordinate_bytes) {
    return refuse(KeyError::kMalformed,
                  "its x or y is missing, not base64url, or not of the curve's length");
  }
  const std::string point = '\x04' + *x + *y;
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) !=
          1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return refuse(KeyError::kInvalid, "OpenSSL cannot take the key");
  }
  PkeyPtr pkey = pkey_from_params("EC", builder.get());
  if (!pkey) return refuse(KeyError::kInvalid, "the point is not on the curve");
  return pkey;
}

std::expected<PkeyPtr, KeyFailure> okp_from_jwk(const json::object& jwk) {
  const auto curve = string_member(jwk, "crv");
  if (!curve) return refuse(KeyError::kMalformed, "its crv is missing or not a string");
  if (*curve != "Ed25519") return refuse(KeyError::kUnsupported, "its curve is not supported");
  const auto x = bytes_member(jwk, "x");
  if (!x || x->size() != 32)
    return refuse(KeyError::kMalformed, "its x is missing or not 32 bytes");
  PkeyPtr pkey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(*x), x->size()));
  if (!pkey) return refuse(KeyError::kInvalid, "OpenSSL cannot take the key");
  return pkey;
}

std::expected<std::string_view, KeyFailure> kid_of(const json::object& jwk) {
  const json::value* const kid = jwk.if_contains("kid");
  if (kid == nullptr) return std::string_view();
  if (!kid->is_string() || kid->get_string().empty()) {
    return refuse(KeyError::kMalformed, "its kid is not a string or empty");
  }
  return std::string_view(kid->get_string());
}

std::expected<AlgorithmSet, KeyFailure> algorithms_of(const json::object& jwk) {
  AlgorithmSet algorithms;
  const json::value* const name = jwk.if_contains("alg");
  if (name == nullptr) {
    // The kind of key then decides, not the token.
    for (const Algorithm algorithm : kAllAlgorithms) algorithms.add(algorithm);
    return algorithms;
  }
  if (!name->is_string()) return refuse(KeyError::kMalformed, "its alg is not a string");
  const auto algorithm = algorithm_from_name(name->get_string());
  if (!algorithm)
    return refuse(KeyError::kUnsupported, "its alg is not a supported signature algorithm");
  algorithms.add(*algorithm);
  return algorithms;
}

std::string note_of(const json::value& entry, std::size_t index, std::string_view text) {
  std::string note = "key " + std::to_string(index);
  if (const json::object* const jwk = entry.if_object()) {
    if (const auto kid = string_member(*jwk, "kid")) note += " (kid '" + printable(*kid) + "')";
  }
  note += ": ";
  note += text;
  return note;
}

// Kind and kid in one text. A key that was meant to verify but is broken still takes up its name:
// which of two keys of a name its tokens are for is not for us to guess.
std::string name_of(const json::object& jwk) {
  return std::string(string_member(jwk, "kty").value_or("")) + ' ' +
         std::string(string_member(jwk, "kid").value_or(""));
}
std::string name_of(const Key& key) {
  switch (key.family()) {
    case Family::kHmac:
      return "oct " + key.kid();
    case Family::kRsa:
      return "RSA " + key.kid();
    case Family::kEcdsa:
      return "EC " + key.kid();
    case Family::kEdDsa:
      return "OKP " + key.kid();
  }
  return {};
}
bool claims_a_name(const json::value& entry, KeyError error) {
  const json::object* const jwk = entry.if_object();
  return jwk != nullptr && !string_member(*jwk, "kid").value_or("").empty() &&
         error != KeyError::kWrongUse && error != KeyError::kUnsupported;
}

KeyError error_of(base::JsonError error) {
  return error == base::JsonError::kTooLarge ? KeyError::kTooLarge : KeyError::kMalformed;
}

}  // namespace

std::expected<Key, KeyFailure> key_from_jwk(const json::object& jwk, bool* has_private) {
  const ErrorScope errors;
  *has_private = false;
  const auto kty = string_member(jwk, "kty");
  if (!kty) return refuse(KeyError::kMalformed, "its kty is missing or not a string");
  if (std::string reason = wrong_use(jwk); !reason.empty()) {
    return refuse(KeyError::kWrongUse, std::move(reason));
  }
  const auto kid = kid_of(jwk);
  if (!kid) return std::unexpected(kid.error());
  const auto algorithms = algorithms_of(jwk);
  if (!algorithms) return std::unexpected(algorithms.error());
  if (*kty == "oct") {
    auto secret = bytes_member(jwk, "k");
    if (!secret) return refuse(KeyError::kMalformed, "its k is missing or not base64url");
    auto key = adopt_secret(*secret, *kid, *algorithms);
    base::wipe(secret->data(), secret->size());
    return key;
  }
  *has_private = jwk.contains("d");
  std::expected<PkeyPtr, KeyFailure> pkey =
      refuse(KeyError::kUnsupported, "its kty is not supported");
  if (*kty == "RSA") pkey = rsa_from_jwk(jwk);
  if (*kty == "EC") pkey = ec_from_jwk(jwk);
  if (*kty == "OKP") pkey = okp_from_jwk(jwk);
  if (!pkey) return std::unexpected(std::move(pkey.error()));
  return adopt_pkey(std::move(*pkey), *kid, *algorithms, false);
}

std::expected<Key, KeyFailure> Key::from_jwk(std::string_view text) {
  const auto value = base::parse_json(text, {.bytes = kKeySetBytesMax});
  if (!value) return refuse(error_of(value.error()), "the JWK is not strict JSON");
  if (!value->is_object()) return refuse(KeyError::kMalformed, "the JWK is not an object");
  bool has_private = false;
  return key_from_jwk(value->get_object(), &has_private);
}

std::expected<KeySet, KeyFailure> KeySet::from_jwks(std::string_view text) {
  const auto value = base::parse_json(text, {.bytes = kKeySetBytesMax});
  if (!value) return refuse(error_of(value.error()), "the JWK Set is not strict JSON or too large");
  const json::object* const object = value->if_object();
  const json::value* const entries = object == nullptr ? nullptr : object->if_contains("keys");
  if (entries == nullptr || !entries->is_array()) {
    return refuse(KeyError::kMalformed, "the JWK Set has no array 'keys'");
  }
  if (entries->get_array().size() > kKeysMax) {
    return refuse(KeyError::kTooManyKeys, "the JWK Set has more than 64 keys");
  }
  std::vector<Key> keys;
  std::vector<std::string> notes;
  std::vector<std::string> broken;
  std::size_t index = 0;
  for (const json::value& entry : entries->get_array()) {
    const json::object* const jwk = entry.if_object();
    bool has_private = false;
    auto key = jwk != nullptr ? key_from_jwk(*jwk, &has_private)
                              : refuse(KeyError::kMalformed, "it is not an object");
    if (key && has_private) {
      notes.push_back(note_of(entry, index,
                              "its private part has been published; only the public part is used"));
    }
    if (key) {
      keys.push_back(std::move(*key));
    } else {
      notes.push_back(note_of(entry, index, "left out, " + key.error().detail));
      if (claims_a_name(entry, key.error().code)) broken.push_back(name_of(*jwk));
    }
    ++index;
  }
  for (const Key& key : keys) {
    if (std::ranges::find(broken, name_of(key)) == broken.end()) continue;
    return refuse(KeyError::kDuplicateKeyId,
                  "a broken key has the kid '" + printable(key.kid()) + "' of another one");
  }
  return assemble(std::move(keys), std::move(notes));
}

}  // namespace sallyport::jose
