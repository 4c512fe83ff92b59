#include "core/jose/mint.h"

#include <gtest/gtest.h>

#include "core/base/base64url.h"
#include "core/jose/jws.h"
#include "core/jose/test_keys.h"

namespace sallyport::jose {
namespace {

using enum Algorithm;

TEST(Mint, TheExportedHalvesBelongTogether) {
  for (const Algorithm algorithm : {kRs256, kPs512, kEs256, kEs384, kEs512, kEdDsa}) {
    const Key key = generate_key(algorithm, {}, 2048).value();
    EXPECT_EQ(key.algorithms(), (AlgorithmSet{algorithm}));
    EXPECT_EQ(key.kid(), thumbprint(key).value());
    EXPECT_EQ(key.kid().size(), 43U);
    const base::Secret pem = export_private_pem(key).value();
    EXPECT_TRUE(pem.reveal().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    const Key signer = Key::from_private_pem(pem.reveal(), key.kid()).value();
    const std::string jwks = export_jwks({&key, 1}).value();
    EXPECT_EQ(jwks.find("\"d\""), std::string::npos);
    const KeySet keys = KeySet::from_jwks(jwks).value();
    EXPECT_TRUE(keys.notes().empty());
    EXPECT_EQ(keys.keys()[0].algorithms(), (AlgorithmSet{algorithm}));
    const std::string token = sign_compact("{}", signer, algorithm).value();
    EXPECT_TRUE(verify_compact(token, keys, kAllAlgorithms).has_value());
  }
}

TEST(Mint, ThumbprintsAreThoseOfTheStandards) {
  // RFC 7638 section 3.1 and RFC 8037 appendix A.3.
  const Key rsa =
      Key::from_jwk(
          R"({"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7)"
          R"(aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4Q)"
          R"(yQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyr)"
          R"(dkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",)"
          R"("e":"AQAB","alg":"RS256","kid":"2011-04-29"})")
          .value();
  EXPECT_EQ(thumbprint(rsa).value(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  const Key okp =
      Key::from_jwk(
          R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})")
          .value();
  EXPECT_EQ(thumbprint(okp).value(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

TEST(Mint, CoordinatesKeepTheirLeadingZeros) {
  // One key in 128 has a coordinate that begins with a zero byte; each must be written in full.
  int leading_zeros = 0;
  for (int i = 0; i < 2000 && leading_zeros < 3; ++i) {
    const Key key = generate_key(kEs256).value();
    const auto set = boost::json::parse(export_jwks({&key, 1}).value());
    for (const char* const name : {"x", "y"}) {
      const auto bytes = base::base64url_decode(set.at("keys").at(0).at(name).as_string());
      ASSERT_EQ(bytes->size(), 32U);
      if (bytes->front() == '\0') ++leading_zeros;
    }
  }
  EXPECT_GT(leading_zeros, 0);
}

TEST(Mint, NeverPublishesASecret) {
  const Key secret = Key::from_secret(kTestSecret).value();
  EXPECT_FALSE(export_jwks({&secret, 1}).has_value());
  EXPECT_FALSE(export_public_pem(secret).has_value());
  EXPECT_FALSE(export_private_pem(secret).has_value());
  EXPECT_FALSE(thumbprint(secret).has_value());
  const KeySet verifier = public_set(test_key(kEs256));
  EXPECT_FALSE(export_private_pem(verifier.keys()[0]).has_value());
}

TEST(Mint, SecretsAreLongEnoughForTheirAlgorithm) {
  for (const Algorithm algorithm : {kHs256, kHs384, kHs512}) {
    const base::Secret secret = generate_secret(algorithm);
    EXPECT_TRUE(Key::from_secret(secret.reveal()).value().allows(algorithm));
    EXPECT_NE(generate_secret(algorithm).reveal(), secret.reveal());
  }
}

TEST(Mint, RefusesWhatHasNoKeyPair) {
  EXPECT_FALSE(generate_key(kHs256).has_value());
  EXPECT_FALSE(generate_key(kRs256, "", 1024).has_value());
  EXPECT_FALSE(generate_key(kRs256, "", 16384).has_value());
  EXPECT_FALSE(generate_key(kEs256, std::string(256, 'k')).has_value());
}

}  // namespace
}  // namespace sallyport::jose
