#include "core/jose/jws.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <atomic>
#include <thread>

#include "core/base/base64url.h"
#include "core/jose/signature.h"
#include "core/jose/test_keys.h"

namespace sallyport::jose {
namespace {

using enum Algorithm;

JwsError error_of(std::string_view token, const KeySet& keys,
                  std::span<const Algorithm> allowed = kAllAlgorithms) {
  const auto result = verify_compact(token, keys, allowed);
  EXPECT_FALSE(result.has_value());
  return result.has_value() ? JwsError{-1} : result.error();
}

class EveryAlgorithm : public testing::TestWithParam<Algorithm> {};
INSTANTIATE_TEST_SUITE_P(Jws, EveryAlgorithm, testing::ValuesIn(kAllAlgorithms),
                         [](const auto& param) { return std::string(to_string(param.param)); });

TEST_P(EveryAlgorithm, VerifiesWhatItSigned) {
  const Key& key = test_key(GetParam());
  const std::string token = sign_compact("the payload", key, GetParam()).value();
  const KeySet keys = public_set(key);
  const auto result = verify_compact(token, keys, kAllAlgorithms);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->payload, "the payload");
  EXPECT_EQ(result->header.algorithm, GetParam());
  EXPECT_EQ(result->header.key_id, key.kid());
  EXPECT_EQ(result->header.type, "JWT");
  EXPECT_FALSE(result->header.ignored_header_keys);
  EXPECT_EQ(result->key, &keys.keys()[0]);
}

TEST_P(EveryAlgorithm, RefusesTheKeysOfEveryOtherAlgorithm) {
  for (const Algorithm other : kAllAlgorithms) {
    if (other == GetParam()) continue;
    if (family_of(other) == Family::kHmac && family_of(GetParam()) == Family::kHmac) continue;
    const std::string header = R"({"alg":")" + std::string(to_string(GetParam())) + R"("})";
    const std::string token =
        sign_compact_with_header(header, "the payload", test_key(GetParam()), GetParam()).value();
    EXPECT_EQ(error_of(token, public_set(test_key(other))), JwsError::kUnknownKey)
        << to_string(other);
    EXPECT_EQ(sign_compact("x", test_key(other), GetParam()),
              std::unexpected(JwsError::kUnsupportedAlgorithm));
    EXPECT_FALSE(verify_signature("x", std::string(64, 'x'), test_key(other), GetParam()));
  }
}

TEST_P(EveryAlgorithm, RefusesASignatureThatIsCutExtendedOrFlipped) {
  const Key& key = test_key(GetParam());
  const std::string input = "header.payload";
  const std::string signature = make_signature(input, key, GetParam()).value();
  ASSERT_TRUE(verify_signature(input, signature, key, GetParam()));
  EXPECT_FALSE(verify_signature(input, "", key, GetParam()));
  EXPECT_FALSE(verify_signature(input, signature.substr(1), key, GetParam()));
  EXPECT_FALSE(verify_signature(input, signature.substr(0, signature.size() - 1), key, GetParam()));
  EXPECT_FALSE(verify_signature(input, signature + '\0', key, GetParam()));
  EXPECT_FALSE(verify_signature(input, '\0' + signature, key, GetParam()));
  EXPECT_FALSE(verify_signature(input + "x", signature, key, GetParam()));
  EXPECT_FALSE(verify_signature(input, std::string(signature.size(), '\0'), key, GetParam()));
  EXPECT_FALSE(verify_signature(input, std::string(signature.size(), '\xFF'), key, GetParam()));
  for (std::size_t i = 0; i < signature.size(); ++i) {
    std::string flipped = signature;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_FALSE(verify_signature(input, flipped, key, GetParam())) << i;
  }
}

TEST_P(EveryAlgorithm, VerifiesFromSeveralThreadsAtOnce) {
  const KeySet keys = public_set(test_key(GetParam()));
  const std::string token = sign_compact("the payload", test_key(GetParam()), GetParam()).value();
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 50; ++n) {
        if (verify_compact(token, keys, kAllAlgorithms).has_value()) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 200);
}

TEST_P(EveryAlgorithm, LeavesNothingInTheErrorQueue) {
  ERR_clear_error();
  const KeySet keys = public_set(test_key(GetParam()));
  std::string token = sign_compact("the payload", test_key(GetParam()), GetParam()).value();
  token.replace(token.size() - 8, 4, token[token.size() - 8] == 'A' ? "BBBB" : "AAAA");
  EXPECT_EQ(error_of(token, keys), JwsError::kBadSignature);
  EXPECT_FALSE(Key::from_public_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
                   .has_value());
  EXPECT_EQ(ERR_peek_error(), 0U);
}

std::string token_of(std::string_view header, const Key& key, Algorithm algorithm) {
  return sign_compact_with_header(header, "{}", key, algorithm).value();
}

TEST(Jws, TheCallerDecidesWhichAlgorithmsThereAre) {
  const Key& key = test_key(kEs256);
  const std::string token = sign_compact("{}", key, kEs256).value();
  EXPECT_TRUE(verify_compact(token, public_set(key), std::array{kEs256}).has_value());
  EXPECT_EQ(error_of(token, public_set(key), std::array{kEs384, kHs256}),
            JwsError::kUnsupportedAlgorithm);
  EXPECT_EQ(error_of(token, public_set(key), {}), JwsError::kUnsupportedAlgorithm);
}

TEST(Jws, AKidSelectsAndAnUnknownOneIsSaidToBeUnknown) {
  const Key first = generate_key(kEs256, "first").value();
  const Key second = generate_key(kEs256, "second").value();
  const KeySet both = set_of({first, second});
  const auto token = [](const Key& key, const char* kid) {
    return token_of(std::string(R"({"alg":"ES256","kid":")") + kid + "\"}", key, kEs256);
  };
  EXPECT_EQ(verify_compact(token(second, "second"), both, kAllAlgorithms)->key->kid(), "second");
  EXPECT_EQ(error_of(token(second, "first"), both), JwsError::kBadSignature);
  EXPECT_EQ(error_of(token(second, "third"), both), JwsError::kUnknownKey);
  EXPECT_EQ(error_of(token(second, "SECOND"), both), JwsError::kUnknownKey);
  EXPECT_EQ(error_of(token(second, "../../dev/null"), both), JwsError::kUnknownKey);
  EXPECT_EQ(error_of(token(first, "first"), KeySet()), JwsError::kUnknownKey);
  // A known kid whose key serves another algorithm is no reason to fetch anything.
  EXPECT_EQ(error_of(token_of(R"({"alg":"ES384","kid":"first"})", test_key(kEs384), kEs384), both),
            JwsError::kUnsupportedAlgorithm);
}

TEST(Jws, AKeyWithoutAKidServesTokensThatHaveOne) {
  const Key& key = test_key(kEs256);
  const KeySet nameless = set_of({Key::from_public_pem(export_public_pem(key).value()).value()});
  EXPECT_TRUE(verify_compact(sign_compact("{}", key, kEs256).value(), nameless, kAllAlgorithms)
                  .has_value());
  const std::string forged =
      sign_compact("{}", generate_key(kEs256, "key-ES256").value(), kEs256).value();
  EXPECT_EQ(error_of(forged, nameless), JwsError::kBadSignature);
  // With named keys beside it, a miss may mean that the set is out of date.
  const KeySet mixed = set_of({nameless.keys()[0], generate_key(kEs256, "other").value()});
  EXPECT_TRUE(
      verify_compact(sign_compact("{}", key, kEs256).value(), mixed, kAllAlgorithms).has_value());
  EXPECT_EQ(error_of(forged, mixed), JwsError::kUnknownKey);
}

TEST(Jws, WithoutAKidAtMostFourFittingKeysAreTried) {
  std::vector<Key> keys{test_key(kRs256), test_key(kEs384)};  // these do not fit and do not count
  for (int i = 0; i < 5; ++i) keys.push_back(generate_key(kEs256, std::to_string(i)).value());
  const KeySet set = set_of(keys);
  const auto token = [](const Key& key) {
    return token_of(R"({"alg":"ES256"})", key, kEs256);
  };
  EXPECT_EQ(verify_compact(token(keys[5]), set, kAllAlgorithms)->key->kid(), "3");
  EXPECT_EQ(error_of(token(keys[6]), set), JwsError::kBadSignature);
}

TEST(Jws, IgnoresAndReportsKeysThatTheTokenBringsAlong) {
  const Key mine = generate_key(kEs256, "mine").value();
  const Key theirs = generate_key(kEs256, "theirs").value();
  const std::string jwks = export_jwks({&theirs, 1}).value();
  const std::string jwk = jwks.substr(9, jwks.size() - 11);
  const KeySet set = public_set(mine);
  for (const std::string& member :
       {"\"jwk\":" + jwk, std::string(R"("jku":"https://evil.example/")"),
        std::string(R"("x5u":"https://evil.example/")"), std::string(R"("x5c":["AAAA"])")}) {
    const std::string header = R"({"alg":"ES256",)" + member + "}";
    EXPECT_EQ(error_of(token_of(header, theirs, kEs256), set), JwsError::kBadSignature) << member;
    const auto honest = verify_compact(token_of(header, mine, kEs256), set, kAllAlgorithms);
    ASSERT_TRUE(honest.has_value()) << member;
    EXPECT_TRUE(honest->header.ignored_header_keys);
  }
}

TEST(Jws, RefusesHeadersThatAreNotSound) {
  const Key& key = test_key(kHs256);
  const KeySet set = public_set(key);
  const auto code = [&](const std::string& header) {
    return error_of(token_of(header, key, kHs256), set);
  };
  using namespace std::string_literals;
  for (const std::string& header : {""s,
                                    "[]"s,
                                    "null"s,
                                    "\"HS256\""s,
                                    "{}"s,
                                    R"({"alg":null})"s,
                                    R"({"alg":1})"s,
                                    R"({"alg":["HS256"]})"s,
                                    R"({"alg":""})"s,
                                    R"({"alg":"HS256","alg":"HS256"})"s,
                                    R"({"alg":"HS256","\u0061lg":"none"})"s,
                                    R"({"alg":"HS256"}x)"s,
                                    R"({"alg":"HS256"}{})"s,
                                    "\xEF\xBB\xBF{\"alg\":\"HS256\"}"s,
                                    R"({"alg":"HS256","kid":1})"s,
                                    R"({"alg":"HS256","kid":""})"s,
                                    R"({"alg":"HS256","kid":"a\u0000b"})"s,
                                    R"({"alg":"HS256","kid":"a\nb"})"s,
                                    R"({"alg":"HS256","kid":")"s + std::string(256, 'k') + "\"}",
                                    R"({"alg":"HS256","typ":1})"s,
                                    R"({"alg":"HS256","x":"\ud800"})"s,
                                    "{\"alg\":\"HS256\",\"x\":\"\xFF\"}"s,
                                    R"({"alg":"HS256","x":1e999})"s,
                                    R"({"alg":"HS256","x":[[[[[[[[1]]]]]]]]})"s}) {
    EXPECT_EQ(code(header), JwsError::kMalformed) << header;
  }
  for (const char* const header :
       {R"({"alg":"HS256","crit":["exp"],"exp":1})", R"({"alg":"HS256","crit":["x"]})",
        R"({"alg":"HS256","crit":[]})", R"({"alg":"HS256","crit":null})",
        R"({"alg":"HS256","b64":false,"crit":["b64"]})", R"({"alg":"HS256","b64":false})",
        R"({"alg":"HS256","b64":true})"}) {
    EXPECT_EQ(code(header), JwsError::kUnsupportedHeader) << header;
  }
  EXPECT_TRUE(verify_compact(token_of(R"( { "alg" : "HS256" } )", key, kHs256), set, kAllAlgorithms)
                  .has_value());
}

TEST(Jws, KeepsToItsLimits) {
  const Key& key = test_key(kHs256);
  const KeySet set = public_set(key);
  const auto with_header_of = [&key](std::size_t bytes) {
    std::string header = R"({"alg":"HS256","x":")";
    header += std::string(bytes - header.size() - 2, 'x') + "\"}";
    return token_of(header, key, kHs256);
  };
  EXPECT_TRUE(verify_compact(with_header_of(1024), set, kAllAlgorithms).has_value());
  EXPECT_EQ(error_of(with_header_of(1025), set), JwsError::kTooLarge);
  const auto with_payload_of = [&key](std::size_t bytes) {
    return sign_compact_with_header(R"({"alg":"HS256"})", std::string(bytes, 'x'), key, kHs256)
        .value();
  };
  const std::size_t fixed = with_payload_of(0).size();
  const std::size_t room = (kTokenBytesMax - fixed) / 4 * 3;
  EXPECT_LE(with_payload_of(room).size(), kTokenBytesMax);
  EXPECT_TRUE(verify_compact(with_payload_of(room), set, kAllAlgorithms).has_value());
  EXPECT_EQ(error_of(with_payload_of(room + 3), set), JwsError::kTooLarge);
  EXPECT_EQ(error_of(std::string(1'000'000, '.'), set), JwsError::kTooLarge);
  EXPECT_EQ(error_of(std::string(8192, '.'), set), JwsError::kMalformed);
}

TEST(Jws, RefusesWhatIsNotCanonicalCompactForm) {
  const Key& key = test_key(kHs256);
  const KeySet set = public_set(key);
  const std::string token = sign_compact("{}", key, kHs256).value();
  const std::size_t first = token.find('.');
  const std::size_t second = token.rfind('.');
  for (const std::string& text :
       {std::string(), std::string("."), std::string(".."), token.substr(0, second), token + ".",
        token + ".a.b", " " + token, token + " ", token + "\n", token + "=",
        token.substr(0, first) + "=" + token.substr(first),
        token.substr(0, second) + "=" + token.substr(second), "Bearer " + token,
        token.substr(first), token.substr(0, first) + '\0' + token.substr(first)}) {
    EXPECT_EQ(error_of(text, set), JwsError::kMalformed) << text;
  }
  // "e30" is {}; "e31" would decode to the same bytes if the unused bits did not count.
  std::string spelled = token;
  spelled.replace(first + 1, 3, "e31");
  EXPECT_EQ(error_of(spelled, set), JwsError::kMalformed);
  EXPECT_EQ(error_of(token.substr(0, second + 1), set), JwsError::kBadSignature);
  EXPECT_EQ(error_of(token.substr(0, first + 1) + token.substr(second), set),
            JwsError::kBadSignature);
}

TEST(Jws, VerifiesAnEmptyPayload) {
  const Key& key = test_key(kEs256);
  const auto result =
      verify_compact(sign_compact("", key, kEs256).value(), public_set(key), kAllAlgorithms);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->payload, "");
}

}  // namespace
}  // namespace sallyport::jose
