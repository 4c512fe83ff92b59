#include "core/jose/jwt.h"

#include <gtest/gtest.h>

#include <boost/json/object.hpp>
#include <functional>

#include "core/base/base64url.h"
#include "core/jose/test_keys.h"

namespace sallyport::jose {
namespace {

using enum Algorithm;
using namespace std::chrono_literals;

constexpr base::WallTime kNow{std::chrono::seconds(1'800'000'000)};

JwtPolicy policy_of() {
  return {.issuer = "https://id.example.com/", .audience = {"chat"}, .algorithms = {kHs256}};
}

// The claims of a sound token, with members replaced by the JSON texts of `changes` (null text:
// removed).
std::string claims_with(std::initializer_list<std::pair<const char*, const char*>> changes = {}) {
  std::vector<std::pair<std::string, std::string>> members = {
      {"iss", "\"https://id.example.com/\""},
      {"sub", "\"alice\""},
      {"aud", "\"chat\""},
      {"exp", "1800000060"}};
  for (const auto& change : changes) {
    std::erase_if(members, [&change](const auto& member) { return member.first == change.first; });
    if (change.second != nullptr) members.emplace_back(change.first, change.second);
  }
  std::string json = "{";
  for (const auto& [name, text] : members) {
    if (json.size() > 1) json += ',';
    json.append("\"").append(name).append("\":").append(text);
  }
  return json + "}";
}

std::string token_of(std::string_view claims, std::string_view header = R"({"alg":"HS256"})") {
  return sign_compact_with_header(header, claims, test_key(kHs256), kHs256).value();
}

std::expected<Claims, JwtError> verify(std::string_view claims, base::WallTime now = kNow,
                                       const JwtPolicy& policy = policy_of()) {
  return verify_jwt(token_of(claims), policy, public_set(test_key(kHs256)), now);
}

JwtError error_of(const std::expected<Claims, JwtError>& result) {
  EXPECT_FALSE(result.has_value());
  return result.has_value() ? JwtError{-1} : result.error();
}

TEST(Jwt, GivesTheClaimsOfASoundToken) {
  const std::string json =
      claims_with({{"sid", "\"s1\""},
                   {"jti", "\"t1\""},
                   {"client_id", "\"web\""},
                   {"scope", "\"chat read\""},
                   {"iat", "1799999990"},
                   {"nbf", "1799999991"},
                   {"cnf", R"({"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"})"}});
  // The thumbprint of RFC 8705 section 3.1 has unused bits set in its last character.
  EXPECT_EQ(error_of(verify(json)), JwtError::kBadClaim);
  std::string sound = json;
  sound.replace(sound.find("dg2"), 3, "dg0");
  const auto claims = verify(sound);
  ASSERT_TRUE(claims.has_value());
  EXPECT_EQ(claims->issuer, "https://id.example.com/");
  EXPECT_EQ(claims->subject, "alice");
  EXPECT_EQ(claims->audience, std::vector<std::string>{"chat"});
  EXPECT_EQ(claims->session, "s1");
  EXPECT_EQ(claims->token_id, "t1");
  EXPECT_EQ(claims->client_id, "web");
  EXPECT_EQ(claims->scopes, (std::vector<std::string>{"chat", "read"}));
  EXPECT_EQ(claims->expires_at, kNow + 60s);
  EXPECT_EQ(claims->issued_at, kNow - 10s);
  EXPECT_EQ(claims->not_before, kNow - 9s);
  EXPECT_EQ(claims->confirmation_x5t_s256, "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0");
  EXPECT_FALSE(claims->has_other_confirmation);
  EXPECT_FALSE(claims->ignored_header_keys);
  EXPECT_EQ(claims->json, sound);
}

TEST(Jwt, OptionalClaimsMayBeAbsent) {
  const auto claims = verify(claims_with());
  ASSERT_TRUE(claims.has_value());
  EXPECT_EQ(claims->session, "");
  EXPECT_EQ(claims->token_id, "");
  EXPECT_TRUE(claims->scopes.empty());
  EXPECT_FALSE(claims->issued_at.has_value());
  EXPECT_FALSE(claims->not_before.has_value());
  EXPECT_FALSE(claims->confirmation_x5t_s256.has_value());
}

TEST(Jwt, ExpiresAtExpPlusLeewayToTheMillisecond) {
  const std::string claims = claims_with();
  const base::WallTime exp = kNow + 60s;
  EXPECT_TRUE(verify(claims, exp - 1ms).has_value());
  EXPECT_TRUE(verify(claims, exp).has_value());
  EXPECT_TRUE(verify(claims, exp + 30s - 1ms).has_value());
  EXPECT_EQ(error_of(verify(claims, exp + 30s)), JwtError::kExpired);
  EXPECT_EQ(error_of(verify(claims, exp + 30s + 1ms)), JwtError::kExpired);
  JwtPolicy strict = policy_of();
  for (const std::chrono::seconds leeway : {0s, -100s}) {
    strict.leeway = leeway;
    EXPECT_TRUE(verify(claims, exp - 1ms, strict).has_value());
    EXPECT_EQ(error_of(verify(claims, exp, strict)), JwtError::kExpired);
  }
}

TEST(Jwt, TokensFromTheFutureAreNotYetValid) {
  for (const char* const name : {"nbf", "iat"}) {
    const std::string claims = claims_with({{name, "1800000005"}});
    EXPECT_TRUE(verify(claims, kNow).has_value()) << name;
    EXPECT_TRUE(verify(claims, kNow + 5s - 30s).has_value()) << name;
    EXPECT_EQ(error_of(verify(claims, kNow + 5s - 30s - 1ms)), JwtError::kNotYetValid) << name;
  }
}

TEST(Jwt, FractionsOfASecondCount) {
  EXPECT_EQ(verify(claims_with({{"exp", "1800000060.5"}}))->expires_at, kNow + 60500ms);
  EXPECT_EQ(error_of(verify(claims_with({{"exp", "1799999970.0"}}))), JwtError::kExpired);
  EXPECT_TRUE(verify(claims_with({{"exp", "1799999970.25"}})).has_value());
  EXPECT_TRUE(verify(claims_with({{"exp", "1.8e9"}})).has_value());
  EXPECT_EQ(error_of(verify(claims_with({{"nbf", "1800000030.25"}}))), JwtError::kNotYetValid);
}

TEST(Jwt, AHugeLeewayDoesNotOverflow) {
  JwtPolicy policy = policy_of();
  policy.leeway = std::chrono::seconds::max();
  const std::string claims = claims_with({{"exp", "9007199254740991"}});
  EXPECT_TRUE(verify(claims, kNow, policy).has_value());
  EXPECT_EQ(error_of(verify(claims_with(), kNow + 60s + std::chrono::days(1), policy)),
            JwtError::kExpired);
}

struct ClaimCase {
  const char* name;
  const char* json;  // null: the claim is absent
  std::optional<JwtError> error;
};

TEST(Jwt, JudgesEachFormOfAClaim) {
  using enum JwtError;
  const std::string long_text = "\"" + std::string(255, 'x') + "\"";
  const std::string too_long = "\"" + std::string(256, 'x') + "\"";
  const ClaimCase cases[] = {
      {"exp", nullptr, kMissingClaim},
      {"exp", "\"1800000060\"", kBadClaim},
      {"exp", "true", kBadClaim},
      {"exp", "null", kBadClaim},
      {"exp", "[1800000060]", kBadClaim},
      {"exp", "{}", kBadClaim},
      {"exp", "NaN", kMalformed},
      {"exp", "1e999", kMalformed},
      {"exp", "1e300", kBadClaim},
      {"exp", "-1e300", kBadClaim},
      {"exp", "9223372036854775808", kBadClaim},
      {"exp", "9223372036854775807", kBadClaim},
      {"exp", "18446744073709551616", kBadClaim},
      {"exp", "-9223372036854775808", kBadClaim},
      {"exp", "9007199254740992", kBadClaim},
      {"exp", "9007199254740992.0", kBadClaim},
      {"exp", "9007199254740991", std::nullopt},
      {"exp", "-9007199254740991", kExpired},
      {"exp", "-9007199254740992", kBadClaim},
      {"exp", "-1", kExpired},
      {"exp", "0", kExpired},
      {"exp", "-0.0", kExpired},
      {"nbf", "\"0\"", kBadClaim},
      {"nbf", "null", kBadClaim},
      {"nbf", "1e300", kBadClaim},
      {"nbf", "9007199254740991", kNotYetValid},
      {"nbf", "-9007199254740991", std::nullopt},
      {"iat", "false", kBadClaim},
      {"iat", "9007199254740993", kBadClaim},
      {"iat", "1800000031", kNotYetValid},
      {"iss", nullptr, kMissingClaim},
      {"iss", "null", kBadClaim},
      {"iss", "[\"https://id.example.com/\"]", kBadClaim},
      {"iss", "\"\"", kWrongIssuer},
      {"iss", "\"https://id.example.com\"", kWrongIssuer},
      {"iss", "\"https://id.example.com//\"", kWrongIssuer},
      {"iss", "\"https://ID.example.com/\"", kWrongIssuer},
      {"iss", "\"https://id.example.com/\\u0000\"", kWrongIssuer},
      {"iss", "\"https:\\/\\/id.example.com/\"", std::nullopt},
      {"aud", nullptr, kMissingClaim},
      {"aud", "\"other\"", kWrongAudience},
      {"aud", "\"CHAT\"", kWrongAudience},
      {"aud", "[]", kWrongAudience},
      {"aud", "[\"other\",\"chat\"]", std::nullopt},
      {"aud", "[\"other\",[\"chat\"]]", kBadClaim},
      {"aud", "[[\"chat\"]]", kBadClaim},
      {"aud", "[\"chat\",1]", kBadClaim},
      {"aud", "{\"chat\":1}", kBadClaim},
      {"aud", "\"\"", kBadClaim},
      {"aud", "null", kBadClaim},
      {"sub", nullptr, kMissingClaim},
      {"sub", "\"\"", kBadClaim},
      {"sub", "1", kBadClaim},
      {"sub", "null", kBadClaim},
      {"sub", "[\"alice\"]", kBadClaim},
      {"sub", "\"admin\\u0000x\"", kBadClaim},
      {"sub", "\"a\\r\\nb\"", kBadClaim},
      {"sub", long_text.c_str(), std::nullopt},
      {"sub", too_long.c_str(), kBadClaim},
      {"sub", "\"\\u00e9\"", std::nullopt},
      {"sid", "1", kBadClaim},
      {"sid", "\"\"", kBadClaim},
      {"jti", "null", kBadClaim},
      {"jti", too_long.c_str(), kBadClaim},
      {"client_id", "{}", kBadClaim},
      {"scope", "[\"chat\"]", kBadClaim},
      {"scope", "1", kBadClaim},
      {"scope", "\"a\\tb\"", kBadClaim},
      {"scope", "\"\"", std::nullopt},
      {"scp", "[\"chat\",1]", kBadClaim},
      {"scp", "{}", kBadClaim},
      {"cnf", "\"x\"", kBadClaim},
      {"cnf", "{\"x5t#S256\":1}", kBadClaim},
      {"cnf", "{\"x5t#S256\":\"AAAA\"}", kBadClaim},
      {"cnf", "{}", std::nullopt},
  };
  for (const ClaimCase& c : cases) {
    const auto result = verify(claims_with({{c.name, c.json}}));
    const std::string text = std::string(c.name) + " " + (c.json == nullptr ? "absent" : c.json);
    EXPECT_EQ(result.has_value(), !c.error.has_value()) << text;
    if (c.error && !result) {
      EXPECT_EQ(to_string(result.error()), to_string(*c.error)) << text;
    }
  }
}

TEST(Jwt, ReadsScopesInEachOfTheirForms) {
  const auto scopes = [](const char* name, const char* json) {
    return verify(claims_with({{name, json}}))->scopes;
  };
  const std::vector<std::string> both{"a", "b"};
  EXPECT_EQ(scopes("scope", "\"a b\""), both);
  EXPECT_EQ(scopes("scope", "\" a  b \""), both);
  EXPECT_EQ(scopes("scp", "\"a b\""), both);
  EXPECT_EQ(scopes("scp", "[\"a\",\"b\"]"), both);
  EXPECT_EQ(verify(claims_with({{"scope", "\"a b\""}, {"scp", "\"admin\""}}))->scopes, both);
}

TEST(Jwt, SaysWhenATokenIsBoundInAWayThatIsNotChecked) {
  EXPECT_TRUE(verify(claims_with({{"cnf", "{\"jkt\":\"x\"}"}}))->has_other_confirmation);
  EXPECT_FALSE(verify(claims_with({{"cnf", "{}"}}))->has_other_confirmation);
}

TEST(Jwt, AnEmptyPolicyMatchesNothingExceptAudiences) {
  JwtPolicy policy = policy_of();
  policy.audience.clear();
  EXPECT_TRUE(verify(claims_with({{"aud", nullptr}}), kNow, policy).has_value());
  EXPECT_TRUE(verify(claims_with({{"aud", "\"other\""}}), kNow, policy).has_value());
  EXPECT_EQ(error_of(verify(claims_with({{"aud", "1"}}), kNow, policy)), JwtError::kBadClaim);
  policy.issuer.clear();
  EXPECT_EQ(error_of(verify(claims_with({{"iss", "\"\""}}), kNow, policy)), JwtError::kWrongIssuer);
  policy = policy_of();
  policy.algorithms.clear();
  EXPECT_EQ(error_of(verify(claims_with(), kNow, policy)), JwtError::kUnsupportedAlgorithm);
  policy = policy_of();
  policy.token_types.clear();
  EXPECT_EQ(error_of(verify(claims_with(), kNow, policy)), JwtError::kWrongType);
}

TEST(Jwt, ComparesTheTypeWithoutCaseAndPrefix) {
  const auto with_type = [](const std::string& type, std::vector<std::string> accepted) {
    JwtPolicy policy = policy_of();
    policy.token_types = std::move(accepted);
    const std::string header =
        type.empty() ? R"({"alg":"HS256"})" : R"({"alg":"HS256","typ":")" + type + "\"}";
    return verify_jwt(token_of(claims_with(), header), policy, public_set(test_key(kHs256)), kNow);
  };
  for (const char* const type :
       {"JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT", ""}) {
    EXPECT_TRUE(with_type(type, {"JWT", "at+jwt"}).has_value()) << type;
  }
  for (const char* const type :
       {"logout+jwt", "dpop+jwt", "JOSE", "at+jwt2", "application/application/jwt", "text/jwt"}) {
    EXPECT_EQ(error_of(with_type(type, {"JWT", "at+jwt"})), JwtError::kWrongType) << type;
  }
  EXPECT_EQ(error_of(with_type("JWT", {"at+jwt"})), JwtError::kWrongType);
  EXPECT_EQ(error_of(with_type("", {"at+jwt"})), JwtError::kWrongType);
  EXPECT_TRUE(with_type("logout+jwt", {"application/logout+jwt"}).has_value());
}

TEST(Jwt, PeeksTheIssuerOnlyOfAWellFormedToken) {
  const KeySet other = public_set(test_key(kEs256));
  EXPECT_EQ(peek_issuer(token_of(claims_with())), "https://id.example.com/");
  EXPECT_EQ(peek_issuer(token_of(claims_with({{"iss", nullptr}}))),
            std::unexpected(JwtError::kMissingClaim));
  EXPECT_EQ(peek_issuer(token_of(claims_with({{"iss", "1"}}))),
            std::unexpected(JwtError::kBadClaim));
  EXPECT_EQ(peek_issuer(token_of(R"({"iss":"a","iss":"b"})")),
            std::unexpected(JwtError::kMalformed));
  EXPECT_EQ(peek_issuer(token_of(R"(["iss"])")), std::unexpected(JwtError::kMalformed));
  EXPECT_EQ(peek_issuer("a.b.c"), std::unexpected(JwtError::kMalformed));
  EXPECT_EQ(peek_issuer(std::string(9000, 'a')), std::unexpected(JwtError::kTooLarge));
}

TEST(Jwt, NamesTheKeyThatIsMissingOfATokenThatNothingElseIsWrongWith) {
  const auto missing = [](const std::string& token) { return missing_key_of(token, policy_of(), kNow); };
  EXPECT_EQ(missing(token_of(claims_with(), R"({"alg":"HS256","kid":"new"})")), "new");
  EXPECT_EQ(missing(token_of(claims_with())), "");
}

TEST(Jwt, NamesNoMissingKeyIfTheTokenWouldBeRefusedUnderAnyKey) {
  const auto why = [](std::string_view claims, std::string_view header = R"({"alg":"HS256","kid":"new"})") {
    const auto missing = missing_key_of(token_of(claims, header), policy_of(), kNow);
    return missing ? JwtError{-1} : missing.error();
  };
  EXPECT_EQ(why(claims_with({{"iss", "\"https://evil.example.com/\""}})), JwtError::kWrongIssuer);
  EXPECT_EQ(why(claims_with({{"iss", nullptr}})), JwtError::kMissingClaim);
  EXPECT_EQ(why(claims_with({{"aud", "\"other\""}})), JwtError::kWrongAudience);
  EXPECT_EQ(why(claims_with({{"exp", "1799999970"}})), JwtError::kExpired);
  EXPECT_EQ(why(claims_with({{"exp", nullptr}})), JwtError::kMissingClaim);
  EXPECT_EQ(why(claims_with({{"nbf", "1800000031"}})), JwtError::kNotYetValid);
  EXPECT_EQ(why(claims_with({{"sub", "1"}})), JwtError::kBadClaim);
  EXPECT_EQ(why(claims_with(), R"({"alg":"HS256","typ":"logout+jwt"})"), JwtError::kWrongType);
  EXPECT_EQ(why(claims_with(), R"({"alg":"ES256","kid":"new"})"), JwtError::kUnsupportedAlgorithm);
  EXPECT_EQ(why(claims_with(), R"({"alg":"none","kid":"new"})"), JwtError::kUnsupportedAlgorithm);
  EXPECT_EQ(why(claims_with(), R"({"alg":"HS256","crit":["x"]})"), JwtError::kUnsupportedHeader);
  EXPECT_EQ(why("[]"), JwtError::kMalformed);
  const std::string unsigned_token = token_of(claims_with());
  EXPECT_EQ(missing_key_of(unsigned_token.substr(0, unsigned_token.rfind('.') + 1), policy_of(), kNow),
            std::unexpected(JwtError::kBadSignature));
}

std::string outcome_of(const std::vector<JwtCheck>& checks) {
  std::string text;
  for (const JwtCheck& check : checks)
    text += (check.passed ? "+" : "-") + std::string(check.name) + " ";
  return text;
}

TEST(Jwt, ExplainsEachCheckInOrderAndShowsSeveralFaultsAtOnce) {
  const KeySet keys = public_set(test_key(kHs256));
  const auto explain = [&keys](std::string_view token) {
    return outcome_of(explain_jwt(token, policy_of(), keys, kNow));
  };
  EXPECT_EQ(explain(token_of(claims_with())),
            "+format +algorithm +key +signature +claims +type +issuer +audience +subject +expiry "
            "+not before "
            "+issued at +identifiers +scopes +confirmation ");
  EXPECT_EQ(explain(token_of(claims_with({{"exp", "1"}, {"aud", "\"x\""}, {"sub", nullptr}}))),
            "+format +algorithm +key +signature +claims +type +issuer -audience -subject -expiry "
            "+not before "
            "+issued at +identifiers +scopes +confirmation ");
  EXPECT_EQ(explain("a.b"), "-format ");
  EXPECT_EQ(explain(token_of("{}", R"({"alg":"none"})")), "+format -algorithm ");
  const std::string other = sign_compact("{}", generate_key(kEs256, "x").value(), kEs256).value();
  JwtPolicy es256 = policy_of();
  es256.algorithms = {kEs256};
  EXPECT_EQ(outcome_of(explain_jwt(other, es256, public_set(test_key(kEs256)), kNow)),
            "+format +algorithm -key ");
  std::string forged = token_of(claims_with());
  forged.back() = forged.back() == 'A' ? 'E' : 'A';
  EXPECT_EQ(explain(forged), "+format +algorithm +key -signature ");
  EXPECT_EQ(explain(token_of("[]")), "+format +algorithm +key +signature -claims ");
}

TEST(Jwt, TheExplanationAgreesWithTheVerdictAndNeverQuotesTheToken) {
  const KeySet keys = public_set(test_key(kHs256));
  const std::vector<std::string> tokens = {
      token_of(claims_with()),
      token_of(claims_with({{"exp", "1"}})),
      token_of(claims_with({{"iss", "\"\\u001b[31mred\""}})),
      token_of(claims_with({{"scope", "\"a\\nb\""}})),
      token_of("{}"),
      token_of(claims_with(), R"({"alg":"HS256","kid":"unknown"})"),
      "x.y.z"};
  for (const std::string& token : tokens) {
    const auto checks = explain_jwt(token, policy_of(), keys, kNow);
    bool all = true;
    for (const JwtCheck& check : checks) {
      all = all && check.passed;
      EXPECT_FALSE(check.detail.empty()) << check.name;
      EXPECT_EQ(check.detail.find(token), std::string::npos);
      EXPECT_EQ(check.detail.find(token.substr(token.rfind('.') + 1)), std::string::npos);
      for (const char c : check.detail) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << check.detail;
    }
    EXPECT_EQ(all, verify_jwt(token, policy_of(), keys, kNow).has_value());
  }
}

}  // namespace
}  // namespace sallyport::jose
