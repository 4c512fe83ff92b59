// The public test vectors. They are not part of the project; without them these tests are skipped.

#include <gtest/gtest.h>

#include <set>

#include "core/base/base64url.h"
#include "core/jose/jwt.h"
#include "core/jose/test_keys.h"

namespace sallyport::jose {
namespace {

namespace json = boost::json;
using enum Algorithm;

// Their files go beyond our own parser's limits on purpose.
json::value read_json(const std::filesystem::path& path) {
  json::parse_options options;
  options.max_depth = 64;
  return json::parse(file_text(path), {}, options);
}

// The keys of a group: one JWK or a set; for key pairs the public half.
std::expected<KeySet, KeyFailure> keys_of(const json::object& group) {
  const json::object& source =
      group.contains("public") ? group.at("public").as_object() : group.at("private").as_object();
  if (source.contains("keys")) return KeySet::from_jwks(json::serialize(source));
  return KeySet::from_jwks(R"({"keys":[)" + json::serialize(source) + "]}");
}

// Two cases are meant to have wrong padding and have lost it: they equal the valid case 357.
bool is_broken_case(std::int64_t id) {
  return id == 367 || id == 370;
}

// Cases that the suite accepts and we refuse, each for a reason.
std::string_view refusal_of(std::int64_t id) {
  switch (id) {
    case 346:
    case 350:
      return "the key says PS256 and the token PS384: the key decides";
    case 347:
    case 351:
      return "the key's alg is 'ES521', which does not exist";
    case 372:
    case 373:
      return "a character outside base64url's alphabet";
    default:
      return {};
  }
}

struct Tally {
  int accepted = 0;
  int refused = 0;
};

Tally run_wycheproof(const std::filesystem::path& path) {
  Tally tally;
  const json::value root = read_json(path);
  for (const json::value& group : root.at("testGroups").as_array()) {
    const auto keys = keys_of(group.as_object());
    for (const json::value& test : group.at("tests").as_array()) {
      const std::int64_t id = test.at("tcId").as_int64();
      const json::value& jws = test.at("jws");
      const std::string token =
          jws.is_string() ? std::string(jws.as_string()) : json::serialize(jws);
      const bool accepted = keys && verify_compact(token, *keys, kAllAlgorithms).has_value();
      const bool expected = (test.at("result").as_string() == "valid" || is_broken_case(id)) &&
                            refusal_of(id).empty();
      EXPECT_EQ(accepted, expected) << path.filename() << " " << id << " " << test.at("comment");
      ++(accepted ? tally.accepted : tally.refused);
    }
  }
  return tally;
}

TEST(Wycheproof, SignaturesAreJudgedAsPublished) {
  const auto path = vectors("wycheproof/json_web_signature_test.json");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no test vectors at " << path;
  const Tally tally = run_wycheproof(path);
  EXPECT_EQ(tally.accepted, 42);  // 46 valid ones, 6 less and 2 more for the reasons above
  EXPECT_EQ(tally.accepted + tally.refused, 401);
}

TEST(Wycheproof, KeySetsAreJudgedAsPublished) {
  const auto path = vectors("wycheproof/json_web_key_test.json");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no test vectors at " << path;
  const Tally tally = run_wycheproof(path);
  EXPECT_EQ(tally.accepted, 5);
  EXPECT_EQ(tally.accepted + tally.refused, 26);
}

KeySet key_of_example(const json::value& example) {
  return KeySet::from_jwks(R"({"keys":[)" + json::serialize(example.at("input").at("key")) + "]}")
      .value();
}

void expect_compact_example(const std::filesystem::path& path) {
  const json::value example = read_json(path);
  const KeySet keys = key_of_example(example);
  const std::string token(example.at("output").at("compact").as_string());
  const auto result = verify_compact(token, keys, kAllAlgorithms);
  ASSERT_TRUE(result.has_value()) << path;
  EXPECT_EQ(result->payload, std::string(example.at("input").at("payload").as_string()));
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(verify_compact(changed, keys, kAllAlgorithms).has_value()) << path << " " << i;
  }
}

TEST(Rfc7520, CompactExamplesVerifyAndNoFlippedByteDoes) {
  const auto folder = vectors("rfc7520");
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "no test vectors at " << folder;
  expect_compact_example(folder / "jws/4_1.rsa_v15_signature.json");
  expect_compact_example(folder / "jws/4_2.rsa-pss_signature.json");
  expect_compact_example(folder / "jws/4_3.ecdsa_signature.json");
  expect_compact_example(folder / "jws/4_4.hmac-sha2_integrity_protection.json");
  expect_compact_example(folder / "curve25519/jws.json");
}

TEST(Rfc7520, DetachedAndJsonSerialisationsAreRefused) {
  const auto folder = vectors("rfc7520/jws");
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "no test vectors at " << folder;
  int seen = 0;
  for (const char* const name :
       {"4_5.signature_with_detached_content.json", "4_6.protecting_specific_header_fields.json",
        "4_7.protecting_content_only.json", "4_8.multiple_signatures.json"}) {
    const json::value example = read_json(folder / name);
    const json::value& input = example.at("input").at("key");
    KeySet keys;
    if (input.is_array()) {
      // 4.8 signs with three keys, a secret among them: the set by itself is refused.
      EXPECT_FALSE(KeySet::from_jwks(R"({"keys":)" + json::serialize(input) + "}").has_value());
      keys = KeySet::from_jwks(R"({"keys":[)" + json::serialize(input.at(0)) + "]}").value();
    } else {
      keys = key_of_example(example);
    }
    for (const auto& form : example.at("output").as_object()) {
      const json::value& value = form.value();
      const std::string text =
          value.is_string() ? std::string(value.as_string()) : json::serialize(value);
      EXPECT_FALSE(verify_compact(text, keys, kAllAlgorithms).has_value())
          << name << " " << form.key();
      ++seen;
    }
  }
  EXPECT_GE(seen, 6);
}

TEST(Rfc7520, KeysAreReadAndEncryptionKeysAreNot) {
  const auto folder = vectors("rfc7520/jwk");
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "no test vectors at " << folder;
  for (const char* const name :
       {"3_1.ec_public_key.json", "3_2.ec_private_key.json", "3_3.rsa_public_key.json",
        "3_4.rsa_private_key.json", "3_5.symmetric_key_mac_computation.json"}) {
    EXPECT_TRUE(Key::from_jwk(file_text(folder / name)).has_value()) << name;
  }
  EXPECT_FALSE(Key::from_jwk(file_text(folder / "3_6.symmetric_key_encryption.json")).has_value());
}

TEST(JsonTestSuite, NoDocumentPassesAsAHeaderAndOnlyTheValidOnesAsAClaim) {
  const auto folder = vectors("jsontestsuite");
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "no test vectors at " << folder;
  const Key& key = test_key(kHs256);
  const KeySet keys = public_set(key);
  const JwtPolicy policy{.issuer = "i", .algorithms = {kHs256}};
  const base::WallTime now{std::chrono::seconds(1)};
  int accepted = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".json") continue;
    const std::string text = file_text(entry.path());
    const auto sign = [&key](std::string_view header, std::string_view claims) {
      return sign_compact_with_header(header, claims, key, kHs256).value();
    };
    EXPECT_FALSE(verify_compact(sign(text, "{}"), keys, kAllAlgorithms).has_value()) << name;
    EXPECT_FALSE(verify_jwt(sign(R"({"alg":"HS256"})", text), policy, keys, now).has_value())
        << name;
    const std::string claims = R"({"iss":"i","sub":"s","exp":2,"x":)" + text + "}";
    const auto result = verify_jwt(sign(R"({"alg":"HS256"})", claims), policy, keys, now);
    if (name.starts_with("n_")) {
      EXPECT_FALSE(result.has_value()) << name;
    }
    if (name.starts_with("y_")) {
      EXPECT_EQ(result.has_value(), !name.starts_with("y_object_duplicated_key")) << name;
    }
    if (result) ++accepted;
  }
  EXPECT_GE(accepted, 93);
}

}  // namespace
}  // namespace sallyport::jose
