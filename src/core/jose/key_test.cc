#include "core/jose/key.h"

#include <gtest/gtest.h>

#include <boost/json/value.hpp>

#include "core/base/base64url.h"
#include "core/jose/test_keys.h"

namespace sallyport::jose {
namespace {

using enum Algorithm;

KeyError error_of(const std::expected<Key, KeyFailure>& result) {
  EXPECT_FALSE(result.has_value());
  return result.has_value() ? KeyError{-1} : result.error().code;
}
KeyError error_of(const std::expected<KeySet, KeyFailure>& result) {
  EXPECT_FALSE(result.has_value());
  return result.has_value() ? KeyError{-1} : result.error().code;
}

// The single public JWK of `key`, with members replaced (or removed, by null).
std::string jwk_with(const Key& key, const boost::json::object& changes) {
  boost::json::value set = boost::json::parse(export_jwks({&key, 1}).value());
  boost::json::object jwk = set.at("keys").at(0).as_object();
  for (const auto& [name, value] : changes) {
    if (value.is_null()) {
      jwk.erase(name);
    } else {
      jwk[name] = value;
    }
  }
  return boost::json::serialize(jwk);
}

std::string oct(std::size_t bytes, std::string_view more = "") {
  return R"({"kty":"oct","k":")" + base::base64url_encode(std::string(bytes, 'k')) + "\"" +
         std::string(more) + "}";
}

std::string jwks(std::initializer_list<std::string> keys) {
  std::string text = R"({"keys":[)";
  for (const std::string& key : keys) text += (text.back() == '[' ? "" : ",") + key;
  return text + "]}";
}

TEST(Algorithm, NamesAreExactAndRoundTrip) {
  for (const Algorithm algorithm : kAllAlgorithms) {
    EXPECT_EQ(algorithm_from_name(to_string(algorithm)), algorithm);
  }
  for (const char* const name :
       {"none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "ES256K", "RS1", "EDDSA", "HS"}) {
    EXPECT_EQ(algorithm_from_name(name), std::nullopt) << name;
  }
}

TEST(Key, IsBoundToAlgorithmsByKindCurveAndAlg) {
  const auto algorithms = [](const std::string& jwk) {
    return Key::from_jwk(jwk).value().algorithms();
  };
  EXPECT_EQ(algorithms(jwk_with(test_key(kRs256), {})), (AlgorithmSet{kRs256}));
  EXPECT_EQ(algorithms(jwk_with(test_key(kRs256), {{"alg", nullptr}})),
            (AlgorithmSet{kRs256, kRs384, kRs512, kPs256, kPs384, kPs512}));
  EXPECT_EQ(algorithms(jwk_with(test_key(kRs256), {{"alg", "PS384"}})), (AlgorithmSet{kPs384}));
  EXPECT_EQ(algorithms(jwk_with(test_key(kEs256), {{"alg", nullptr}})), (AlgorithmSet{kEs256}));
  EXPECT_EQ(algorithms(jwk_with(test_key(kEs384), {{"alg", nullptr}})), (AlgorithmSet{kEs384}));
  EXPECT_EQ(algorithms(jwk_with(test_key(kEs512), {{"alg", nullptr}})), (AlgorithmSet{kEs512}));
  EXPECT_EQ(algorithms(jwk_with(test_key(kEdDsa), {{"alg", nullptr}})), (AlgorithmSet{kEdDsa}));
  EXPECT_EQ(algorithms(oct(64)), (AlgorithmSet{kHs256, kHs384, kHs512}));
  EXPECT_EQ(algorithms(oct(48)), (AlgorithmSet{kHs256, kHs384}));
  EXPECT_EQ(algorithms(oct(32)), (AlgorithmSet{kHs256}));
  EXPECT_EQ(algorithms(oct(64, R"(,"alg":"HS384")")), (AlgorithmSet{kHs384}));
}

TEST(Key, RefusesAnAlgThatDoesNotFitItsKind) {
  EXPECT_EQ(error_of(Key::from_jwk(jwk_with(test_key(kRs256), {{"alg", "HS256"}}))),
            KeyError::kUnsupported);
  EXPECT_EQ(error_of(Key::from_jwk(jwk_with(test_key(kRs256), {{"alg", "ES256"}}))),
            KeyError::kUnsupported);
  EXPECT_EQ(error_of(Key::from_jwk(jwk_with(test_key(kEs256), {{"alg", "ES384"}}))),
            KeyError::kUnsupported);
  EXPECT_EQ(error_of(Key::from_jwk(jwk_with(test_key(kEs256), {{"alg", "HS256"}}))),
            KeyError::kUnsupported);
  EXPECT_EQ(error_of(Key::from_jwk(jwk_with(test_key(kEdDsa), {{"alg", "ES256"}}))),
            KeyError::kUnsupported);
  EXPECT_EQ(error_of(Key::from_jwk(jwk_with(test_key(kEs256), {{"alg", "none"}}))),
            KeyError::kUnsupported);
  EXPECT_EQ(error_of(Key::from_jwk(jwk_with(test_key(kEs256), {{"alg", 1}}))),
            KeyError::kMalformed);
  EXPECT_FALSE(Key::from_jwk(oct(64, R"(,"alg":"RS256")")).has_value());
  EXPECT_FALSE(Key::from_jwk(oct(64, R"(,"alg":"A256GCM")")).has_value());
}

TEST(Key, RefusesUsesOtherThanVerification) {
  const auto code = [](const boost::json::object& changes) {
    return error_of(Key::from_jwk(jwk_with(test_key(kEs256), changes)));
  };
  EXPECT_EQ(code({{"use", "enc"}}), KeyError::kWrongUse);
  EXPECT_EQ(code({{"use", "SIG"}}), KeyError::kWrongUse);
  EXPECT_EQ(code({{"use", 1}}), KeyError::kWrongUse);
  EXPECT_EQ(code({{"key_ops", boost::json::array{"encrypt"}}}), KeyError::kWrongUse);
  EXPECT_EQ(code({{"key_ops", boost::json::array{}}}), KeyError::kWrongUse);
  EXPECT_EQ(code({{"key_ops", "verify"}}), KeyError::kWrongUse);
  EXPECT_TRUE(Key::from_jwk(jwk_with(test_key(kEs256), {{"use", nullptr}})).has_value());
  EXPECT_TRUE(
      Key::from_jwk(jwk_with(test_key(kEs256), {{"key_ops", boost::json::array{"sign", "verify"}}}))
          .has_value());
}

TEST(Key, RefusesWeakRsaKeys) {
  const auto code = [](const std::string& n, const std::string& e) {
    return error_of(Key::from_jwk(R"({"kty":"RSA","n":")" + base::base64url_encode(n) +
                                  R"(","e":")" + base::base64url_encode(e) + "\"}"));
  };
  using namespace std::string_literals;
  const std::string long_enough(256, '\xF1');
  EXPECT_EQ(code(std::string(255, '\xF1'), "\x01\x00\x01"s), KeyError::kWeak);
  EXPECT_EQ(code("\x7F"s + std::string(255, '\xF1'), "\x01\x00\x01"s),
            KeyError::kWeak);  // 2047 bits
  EXPECT_EQ(code(long_enough, "\x01"s), KeyError::kWeak);
  EXPECT_EQ(code(long_enough, "\x02"s), KeyError::kWeak);
  EXPECT_EQ(code(long_enough, "\x01\x00\x00"s), KeyError::kWeak);
  EXPECT_EQ(code(long_enough, "\x01"s + std::string(8, '\x01')), KeyError::kTooLarge);
  EXPECT_EQ(code(std::string(1025, '\xF1'), "\x01\x00\x01"s), KeyError::kTooLarge);
  EXPECT_EQ(code(std::string(255, '\xF1') + "\xF0", "\x01\x00\x01"s), KeyError::kInvalid);  // even
  EXPECT_EQ(code("\0"s + long_enough, "\x01\x00\x01"s), KeyError::kMalformed);
  EXPECT_EQ(code(long_enough, "\0\x01\x00\x01"s), KeyError::kMalformed);
  EXPECT_EQ(code(long_enough, ""), KeyError::kMalformed);
  EXPECT_TRUE(Key::from_jwk(R"({"kty":"RSA","n":")" + base::base64url_encode(long_enough) +
                            R"(","e":"Aw"})"));
}

TEST(Key, RefusesPointsOffTheirCurveOrOfAnotherLength) {
  const Key& key = test_key(kEs256);
  const boost::json::value set = boost::json::parse(export_jwks({&key, 1}).value());
  const std::string x(set.at("keys").at(0).at("x").as_string());
  const std::string y(set.at("keys").at(0).at("y").as_string());
  const auto code = [&key](const boost::json::object& changes) {
    return error_of(Key::from_jwk(jwk_with(key, changes)));
  };
  EXPECT_EQ(code({{"x", y}, {"y", x}}), KeyError::kInvalid);
  EXPECT_EQ(code({{"x", std::string(43, 'A')}, {"y", std::string(43, 'A')}}), KeyError::kInvalid);
  EXPECT_EQ(code({{"y", nullptr}}), KeyError::kMalformed);
  EXPECT_EQ(code({{"x", base::base64url_encode(*base::base64url_decode(x) + '\0')}}),
            KeyError::kMalformed);
  EXPECT_EQ(code({{"x", x + "="}}), KeyError::kMalformed);
  EXPECT_EQ(code({{"crv", "P-384"}}), KeyError::kMalformed);
  EXPECT_EQ(code({{"crv", "secp256k1"}}), KeyError::kUnsupported);
  EXPECT_EQ(code({{"crv", 1}}), KeyError::kMalformed);
}

TEST(Key, RefusesSmallOrderAndInvalidEd25519Points) {
  const auto code = [](std::string bytes) {
    bytes.resize(32, '\0');
    return error_of(Key::from_jwk(R"({"kty":"OKP","crv":"Ed25519","x":")" +
                                  base::base64url_encode(bytes) + "\"}"));
  };
  const std::string ones(30, '\xFF');
  EXPECT_EQ(code(""), KeyError::kWeak);
  EXPECT_EQ(code("\x01"), KeyError::kWeak);
  EXPECT_EQ(code("\xec" + ones + "\x7f"), KeyError::kWeak);
  EXPECT_EQ(code("\xec" + ones + "\xff"), KeyError::kWeak);
  EXPECT_EQ(code(*base::base64url_decode("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU")),
            KeyError::kWeak);
  EXPECT_EQ(code(*base::base64url_decode("xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o")),
            KeyError::kWeak);
  EXPECT_EQ(code("\xed" + ones + "\x7f"), KeyError::kInvalid);  // p: not reduced
  EXPECT_EQ(code("\xee" + ones + "\x7f"), KeyError::kInvalid);
  EXPECT_EQ(code("\x02"), KeyError::kInvalid);  // no such point
  EXPECT_FALSE(Key::from_jwk(R"({"kty":"OKP","crv":"Ed448","x":"AA"})").has_value());
  EXPECT_FALSE(Key::from_jwk(R"({"kty":"OKP","crv":"X25519","x":")" + std::string(43, 'A') + "\"}")
                   .has_value());
  // Every key that OpenSSL makes passes: half of all encodings are points, so a wrong test would
  // show.
  for (int i = 0; i < 32; ++i) {
    const Key key = generate_key(kEdDsa).value();
    EXPECT_TRUE(KeySet::from_jwks(export_jwks({&key, 1}).value()).has_value());
  }
}

TEST(Key, RefusesSecretsThatAreTooShortTooLongOrAPem) {
  EXPECT_EQ(error_of(Key::from_secret("")), KeyError::kWeak);
  EXPECT_EQ(error_of(Key::from_secret(std::string(31, 'x'))), KeyError::kWeak);
  EXPECT_EQ(Key::from_secret(std::string(32, 'x')).value().algorithms(), (AlgorithmSet{kHs256}));
  EXPECT_TRUE(Key::from_secret(std::string(4096, 'x')).has_value());
  EXPECT_EQ(error_of(Key::from_secret(std::string(4097, 'x'))), KeyError::kTooLarge);
  const std::string pem = export_public_pem(test_key(kRs256)).value();
  EXPECT_EQ(error_of(Key::from_secret(pem)), KeyError::kWrongKind);
  EXPECT_EQ(error_of(Key::from_secret("\n  " + pem)), KeyError::kWrongKind);
  EXPECT_EQ(error_of(Key::from_jwk(oct(47, R"(,"alg":"HS384")"))), KeyError::kWeak);
}

TEST(Key, ReadsPublicPemAndRefusesPrivateOnes) {
  for (const Algorithm algorithm : {kRs256, kEs256, kEs384, kEs512, kEdDsa}) {
    const Key& key = test_key(algorithm);
    const auto loaded = Key::from_public_pem(export_public_pem(key).value(), "p");
    ASSERT_TRUE(loaded.has_value());
    EXPECT_TRUE(loaded->allows(algorithm));
    EXPECT_FALSE(loaded->can_sign());
    EXPECT_EQ(loaded->kid(), "p");
    EXPECT_EQ(thumbprint(*loaded).value(), thumbprint(key).value());
    const base::Secret pem = export_private_pem(key).value();
    EXPECT_EQ(error_of(Key::from_public_pem(pem.reveal())), KeyError::kWrongKind);
    EXPECT_EQ(error_of(Key::from_private_pem(export_public_pem(key).value())),
              KeyError::kWrongKind);
    EXPECT_TRUE(Key::from_private_pem(pem.reveal()).value().can_sign());
  }
  const std::string one = export_public_pem(test_key(kEs256)).value();
  EXPECT_EQ(error_of(Key::from_public_pem(one + one)), KeyError::kMalformed);
  EXPECT_EQ(error_of(Key::from_public_pem("")), KeyError::kMalformed);
  EXPECT_EQ(error_of(Key::from_public_pem(
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
            KeyError::kMalformed);
  EXPECT_EQ(error_of(Key::from_public_pem(one + std::string(65536, ' '))), KeyError::kTooLarge);
}

// Made with: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test
// -days 1
constexpr std::string_view kCertificate = R"(-----BEGIN CERTIFICATE-----
MIIBcjCCARmgAwIBAgIUJxEsVYBnCe7aHvwsx2fFt+okxlUwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAeFw0yNjExMjQwNTQ3MTZaFw0yNjExMjUwNTQ3MTZa
MA8xDTALBgNVBAMMBHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATU87vc
4hfp58sFV3Ix8jeG6BYBTa+UYEE3EIJUjtZHipXx62zixAVG5Itt8A5nnj4U0Szg
d/lMlLxPsR5iUSN8o1MwUTAdBgNVHQ4EFgQUM/IjxkGyJg7u/Ia8kHuJpt94vxsw
HwYDVR0jBBgwFoAUM/IjxkGyJg7u/Ia8kHuJpt94vxswDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNHADBEAiAmns2GK5R8U1IonqzjIrDfyz4SiDkmHQQWMCcF
a44O3gIgP7IgvXjGR5Bh85zZXygZdCTATY+OX2lpVrwWEIcUqXE=
-----END CERTIFICATE-----
)";
constexpr std::string_view kCertificateKey = R"(-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1PO73OIX6efLBVdyMfI3hugWAU2v
lGBBNxCCVI7WR4qV8ets4sQFRuSLbfAOZ54+FNEs4Hf5TJS8T7EeYlEjfA==
-----END PUBLIC KEY-----
)";
// Made with: openssl genpkey -algorithm ed25519 -aes-128-cbc -pass pass:secret
constexpr std::string_view kEncrypted = R"(-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhxSmIndvxiHgICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEENQJEXXbakcZf5uOOejLNVUEQA3i
FvYZ7ZpejEEOBah80UnYeuUhvwiZxrWEjqeF3yeVJiD7VdxjiXPRINAyGgSpDy5a
28SqhLnkGNSrydQT3m0=
-----END ENCRYPTED PRIVATE KEY-----
)";
// An elliptic curve that JOSE does not have, and an RSA key of 1024 bits.
constexpr std::string_view kOtherCurve = R"(-----BEGIN PUBLIC KEY-----
MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAElyFr5ZcNlGRv/ZT8NQkI+tLaUVnIxsEE
nbLS0XctRIYmMDVbMUSndCt8gtiQkzvYjGfEOnyr1gd2l4OMo6KnUg==
-----END PUBLIC KEY-----
)";
constexpr std::string_view kShortRsa = R"(-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDQSFC1tGl08XYvYuHV1XjDRC68
thwH/ygQ7UALcZ8JZtNUrpO8EbPg6+9kP+VFJLSZm9g+ko0eAxDa8kJNIKbNrGsW
ihAoCnKg8FfuUw09keNpiT8uxNeCI/NntHOVUkj785gdAK3W2fsShPL48NJtuNbr
EltyJ+dGysa/si96JwIDAQAB
-----END PUBLIC KEY-----
)";

TEST(Key, TakesTheKeyOfACertificate) {
  const auto key = Key::from_public_pem(kCertificate);
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(export_public_pem(*key).value(), kCertificateKey);
}

TEST(Key, RefusesEncryptedUnknownAndShortKeysInPem) {
  EXPECT_EQ(error_of(Key::from_private_pem(kEncrypted)), KeyError::kMalformed);
  EXPECT_EQ(error_of(Key::from_public_pem(kOtherCurve)), KeyError::kUnsupported);
  EXPECT_EQ(error_of(Key::from_public_pem(kShortRsa)), KeyError::kWeak);
}

TEST(KeySet, LeavesOutWhatItCannotUseAndSaysSo) {
  const std::string good = jwk_with(test_key(kEs256), {});
  const auto set = KeySet::from_jwks(jwks(
      {R"({"kty":"new"})", good, jwk_with(test_key(kRs256), {{"use", "enc"}, {"kid", "e\u001bnc"}}),
       "7", "{}", R"({"kty":"EC","crv":"P-256"})", jwk_with(test_key(kEdDsa), {{"kid", ""}})}));
  ASSERT_TRUE(set.has_value());
  ASSERT_EQ(set->size(), 1U);
  EXPECT_EQ(set->keys()[0].kid(), "key-ES256");
  ASSERT_EQ(set->notes().size(), 6U);
  EXPECT_EQ(set->notes()[0], "key 0: left out, its kty is not supported");
  EXPECT_EQ(set->notes()[1], "key 2 (kid 'e?nc'): left out, its use is not 'sig'");
  EXPECT_EQ(set->notes()[2], "key 3: left out, it is not an object");
}

TEST(KeySet, UsesOnlyThePublicPartOfAPublishedPrivateKey) {
  const auto set = KeySet::from_jwks(jwks({jwk_with(test_key(kEs256), {{"d", "AAAA"}})}));
  ASSERT_TRUE(set.has_value());
  EXPECT_FALSE(set->keys()[0].can_sign());
  ASSERT_EQ(set->notes().size(), 1U);
  EXPECT_NE(set->notes()[0].find("private part"), std::string::npos);
}

TEST(KeySet, RefusesSetsThatAreUselessOrAmbiguous) {
  const std::string es = jwk_with(test_key(kEs256), {});
  const std::string rs = jwk_with(test_key(kRs256), {});
  EXPECT_EQ(error_of(KeySet::from_jwks(jwks({}))), KeyError::kNoUsableKey);
  EXPECT_EQ(error_of(KeySet::from_jwks(jwks({R"({"kty":"new"})"}))), KeyError::kNoUsableKey);
  EXPECT_EQ(error_of(KeySet::from_jwks(jwks({es, oct(32)}))), KeyError::kMixedKinds);
  EXPECT_EQ(error_of(KeySet::from_jwks(jwks({es, es}))), KeyError::kDuplicateKeyId);
  EXPECT_EQ(
      error_of(KeySet::from_jwks(jwks({rs, jwk_with(test_key(kPs256), {{"kid", "key-RS256"}})}))),
      KeyError::kDuplicateKeyId);
  // RFC 7517 section 4.5: equal names are in order for keys of different kinds.
  EXPECT_TRUE(KeySet::from_jwks(jwks({rs, jwk_with(test_key(kEs256), {{"kid", "key-RS256"}})}))
                  .has_value());
  EXPECT_TRUE(KeySet::from_jwks(jwks({oct(32), oct(48)})).has_value());
  // What is left out confuses nobody.
  EXPECT_TRUE(
      KeySet::from_jwks(jwks({es, jwk_with(test_key(kEs256), {{"use", "enc"}})})).has_value());
}

TEST(KeySet, ABrokenKeyStillTakesUpItsName) {
  const std::string good = jwk_with(test_key(kEs256), {});
  const std::string broken = jwk_with(test_key(kEs256), {{"x", "AAAA"}});
  EXPECT_EQ(error_of(KeySet::from_jwks(jwks({good, broken}))), KeyError::kDuplicateKeyId);
  EXPECT_EQ(error_of(KeySet::from_jwks(jwks({broken, good}))), KeyError::kDuplicateKeyId);
  EXPECT_TRUE(KeySet::from_jwks(jwks({good, jwk_with(test_key(kEs384), {{"x", "AAAA"}})})));
}

TEST(KeySet, RefusesWhatIsNotAKeySet) {
  for (const char* const text :
       {"", "[]", "{}", "null", R"({"keys":{}})", R"({"keys":[]}x)", R"({"keys":[],"keys":[]})"}) {
    EXPECT_EQ(error_of(KeySet::from_jwks(text)), KeyError::kMalformed) << text;
  }
}

TEST(KeySet, KeepsToItsLimits) {
  std::string text = R"({"keys":[)";
  for (int i = 0; i < 64; ++i)
    text += (i == 0 ? "" : ",") + jwk_with(test_key(kEs256), {{"kid", std::to_string(i)}});
  EXPECT_EQ(KeySet::from_jwks(text + "]}").value().size(), 64U);
  EXPECT_EQ(error_of(KeySet::from_jwks(text + ",{}]}")), KeyError::kTooManyKeys);
  EXPECT_EQ(error_of(KeySet::from_jwks(text + "]}" + std::string(kKeySetBytesMax, ' '))),
            KeyError::kTooLarge);
  EXPECT_FALSE(Key::from_jwk(oct(32, R"(,"kid":")" + std::string(256, 'k') + "\"")).has_value());
  EXPECT_TRUE(Key::from_jwk(oct(32, R"(,"kid":")" + std::string(255, 'k') + "\"")).has_value());
}

TEST(KeySet, AnEmptyOneHasNoKeys) {
  const KeySet none;
  EXPECT_TRUE(none.empty());
  EXPECT_TRUE(none.notes().empty());
}

}  // namespace
}  // namespace sallyport::jose
