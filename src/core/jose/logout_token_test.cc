#include "core/jose/logout_token.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "core/jose/test_keys.h"

namespace sallyport::jose {
namespace {

using enum Algorithm;
using namespace std::chrono_literals;

constexpr base::WallTime kNow{std::chrono::seconds(1'800'000'000)};
constexpr const char* kEvents = R"({"http://schemas.openid.net/event/backchannel-logout":{}})";
constexpr const char* kHeader = R"({"alg":"HS256","typ":"logout+jwt"})";

JwtPolicy policy_of() {
  return {.issuer = "https://id.example.com/",
          .audience = {"chat"},
          .algorithms = {kHs256},
          .token_types = {"logout+jwt"}};
}

using Changes = std::initializer_list<std::pair<const char*, const char*>>;

// The claims of a sound logout token, with members replaced by the JSON texts of `changes` (null text: removed).
std::string claims_with(Changes changes = {}) {
  std::vector<std::pair<std::string, std::string>> members = {{"iss", "\"https://id.example.com/\""},
                                                              {"aud", "\"chat\""},
                                                              {"sub", "\"alice\""},
                                                              {"sid", "\"s1\""},
                                                              {"jti", "\"t1\""},
                                                              {"iat", "1799999990"},
                                                              {"exp", "1800000110"},
                                                              {"events", kEvents}};
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

std::string token_of(std::string_view claims, std::string_view header = kHeader) {
  return sign_compact_with_header(header, claims, test_key(kHs256), kHs256).value();
}

std::expected<LogoutToken, JwtError> verify_token_text(std::string_view token, base::WallTime now = kNow,
                                                       const JwtPolicy& policy = policy_of()) {
  return verify_logout_token(token, policy, public_set(test_key(kHs256)), now);
}

std::expected<LogoutToken, JwtError> verify(std::string_view claims, base::WallTime now = kNow,
                                            const JwtPolicy& policy = policy_of()) {
  return verify_token_text(token_of(claims), now, policy);
}

JwtError error_of(const std::expected<LogoutToken, JwtError>& result) {
  EXPECT_FALSE(result.has_value());
  return result.has_value() ? JwtError{-1} : result.error();
}

TEST(LogoutToken, SaysWhoseLoginHasEnded) {
  const auto token = verify(claims_with());
  ASSERT_TRUE(token.has_value());
  EXPECT_EQ(token->issuer, "https://id.example.com/");
  EXPECT_EQ(token->subject, "alice");
  EXPECT_EQ(token->session, "s1");
  EXPECT_EQ(token->token_id, "t1");
  EXPECT_EQ(token->issued_at, kNow - 10s);
  EXPECT_EQ(token->valid_until, kNow + 110s + 30s);
}

TEST(LogoutToken, NeedsASubjectOrASession) {
  const auto session = verify(claims_with({{"sub", nullptr}}));
  ASSERT_TRUE(session.has_value());
  EXPECT_EQ(session->subject, "");
  EXPECT_EQ(session->session, "s1");
  const auto subject = verify(claims_with({{"sid", nullptr}}));
  ASSERT_TRUE(subject.has_value());
  EXPECT_EQ(subject->subject, "alice");
  EXPECT_EQ(subject->session, "");
  EXPECT_EQ(error_of(verify(claims_with({{"sub", nullptr}, {"sid", nullptr}}))), JwtError::kMissingClaim);
}

TEST(LogoutToken, IsRefusedForEachOfItsClaims) {
  const struct {
    const char* name;
    const char* text;
    JwtError error;
  } cases[] = {
      {"iss", nullptr, JwtError::kMissingClaim},
      {"iss", "7", JwtError::kBadClaim},
      {"iss", "\"https://id.example.com\"", JwtError::kWrongIssuer},
      {"aud", nullptr, JwtError::kMissingClaim},
      {"aud", "\"other\"", JwtError::kWrongAudience},
      {"aud", "[]", JwtError::kWrongAudience},
      {"aud", "{}", JwtError::kBadClaim},
      {"sub", "\"\"", JwtError::kBadClaim},
      {"sub", "7", JwtError::kBadClaim},
      {"sub", "null", JwtError::kBadClaim},
      {"sid", "\"\"", JwtError::kBadClaim},
      {"sid", "[\"s1\"]", JwtError::kBadClaim},
      {"jti", nullptr, JwtError::kMissingClaim},
      {"jti", "\"\"", JwtError::kBadClaim},
      {"jti", "1", JwtError::kBadClaim},
      {"iat", nullptr, JwtError::kMissingClaim},
      {"iat", "\"1799999990\"", JwtError::kBadClaim},
      {"iat", "1800000031", JwtError::kNotYetValid},
      {"iat", "1799999370", JwtError::kTooOld},
      {"iat", "-1e9", JwtError::kTooOld},
      {"exp", nullptr, JwtError::kMissingClaim},
      {"exp", "\"1800000110\"", JwtError::kBadClaim},
      {"exp", "1799999970", JwtError::kExpired},
      {"nbf", "1800000031", JwtError::kNotYetValid},
      {"nonce", "\"n\"", JwtError::kNoLogout},
      {"nonce", "\"\"", JwtError::kNoLogout},
      {"nonce", "null", JwtError::kNoLogout},
      {"nonce", "{}", JwtError::kNoLogout},
      {"events", nullptr, JwtError::kNoLogout},
      {"events", "null", JwtError::kNoLogout},
      {"events", "{}", JwtError::kNoLogout},
      {"events", "[\"http://schemas.openid.net/event/backchannel-logout\"]", JwtError::kNoLogout},
      {"events", "\"http://schemas.openid.net/event/backchannel-logout\"", JwtError::kNoLogout},
      {"events", R"({"http://schemas.openid.net/event/backchannel-logout":null})", JwtError::kNoLogout},
      {"events", R"({"http://schemas.openid.net/event/backchannel-logout":true})", JwtError::kNoLogout},
      {"events", R"({"http://schemas.openid.net/event/backchannel-logout":[]})", JwtError::kNoLogout},
      {"events", R"({"https://schemas.openid.net/event/backchannel-logout":{}})", JwtError::kNoLogout},
      {"events", R"({"http://schemas.openid.net/event/Backchannel-logout":{}})", JwtError::kNoLogout},
      {"events", R"({"http://schemas.openid.net/event/backchannel-logout/":{}})", JwtError::kNoLogout},
  };
  ASSERT_TRUE(verify(claims_with()).has_value()) << "what all of these change";
  for (const auto& c : cases) {
    EXPECT_EQ(error_of(verify(claims_with({{c.name, c.text}}))), c.error)
        << c.name << " " << (c.text != nullptr ? c.text : "absent");
  }
}

TEST(LogoutToken, MayHaveWhatItNeedNotHave) {
  EXPECT_TRUE(verify(claims_with({{"aud", R"(["x","chat"])"}})).has_value());
  EXPECT_TRUE(verify(claims_with({{"events", R"({"urn:other":1,"http://schemas.openid.net/event/backchannel-logout":{"a":1}})"}}))
                  .has_value());
  EXPECT_TRUE(verify(claims_with({{"trace_id", "\"x\""}, {"scope", "7"}, {"cnf", "7"}})).has_value())
      << "what means something in other tokens only";
}

TEST(LogoutToken, IsWantedAlsoWhereNoAudienceIsChecked) {
  JwtPolicy any = policy_of();
  any.audience = {};
  EXPECT_TRUE(verify(claims_with({{"aud", "\"other\""}}), kNow, any).has_value());
  EXPECT_EQ(error_of(verify(claims_with({{"aud", nullptr}}), kNow, any)), JwtError::kMissingClaim)
      << "section 2.4 wants one";
}

TEST(LogoutToken, AgesToTheMillisecond) {
  const std::string claims = claims_with({{"exp", "1900000000"}});
  const base::WallTime end = kNow - 10s + 10min + 30s;
  ASSERT_TRUE(verify(claims, end - 1ms).has_value());
  EXPECT_EQ(verify(claims, end - 1ms)->valid_until, end);
  EXPECT_EQ(error_of(verify(claims, end)), JwtError::kTooOld);
  const base::WallTime expiry = kNow + 110s + 30s;
  EXPECT_TRUE(verify(claims_with(), expiry - 1ms).has_value());
  EXPECT_EQ(error_of(verify(claims_with(), expiry)), JwtError::kExpired);
}

TEST(LogoutToken, IsKnownByItsType) {
  const auto error = [](std::string_view header) { return error_of(verify_token_text(token_of(claims_with(), header))); };
  EXPECT_EQ(error(R"({"alg":"HS256","typ":"JWT"})"), JwtError::kWrongType);
  EXPECT_EQ(error(R"({"alg":"HS256"})"), JwtError::kWrongType);
  EXPECT_EQ(error(R"({"alg":"HS256","typ":"at+jwt"})"), JwtError::kWrongType);
  EXPECT_EQ(error(R"({"alg":"HS256","typ":"logout"})"), JwtError::kWrongType);
  EXPECT_TRUE(verify_token_text(token_of(claims_with(), R"({"alg":"HS256","typ":"application/logout+jwt"})")).has_value());
  EXPECT_TRUE(verify_token_text(token_of(claims_with(), R"({"alg":"HS256","typ":"Logout+JWT"})")).has_value());
}

TEST(LogoutToken, OfAnotherTypeIsTakenWhereTheOperatorSaysSo) {
  JwtPolicy wide = policy_of();
  wide.token_types = {"logout+jwt", "JWT"};
  for (const char* const header : {R"({"alg":"HS256"})", R"({"alg":"HS256","typ":"JWT"})"}) {
    EXPECT_TRUE(verify_token_text(token_of(claims_with(), header), kNow, wide).has_value()) << header;
    // What the type no longer tells apart the rest still does.
    EXPECT_EQ(error_of(verify_token_text(token_of(claims_with({{"events", nullptr}}), header), kNow, wide)),
              JwtError::kNoLogout);
    EXPECT_EQ(error_of(verify_token_text(token_of(claims_with({{"nonce", "\"n\""}}), header), kNow, wide)),
              JwtError::kNoLogout);
  }
}

TEST(LogoutToken, IsNoAccessTokenUnderAnyType) {
  JwtPolicy access = policy_of();
  access.token_types = {"JWT", "at+jwt", "logout+jwt"};
  for (const char* const type : {"JWT", "at+jwt", "logout+jwt"}) {
    const std::string header = R"({"alg":"HS256","typ":")" + std::string(type) + "\"}";
    const auto claims = verify_jwt(token_of(claims_with(), header), access, public_set(test_key(kHs256)), kNow);
    ASSERT_FALSE(claims.has_value()) << type;
    EXPECT_EQ(claims.error(), JwtError::kWrongType);
    EXPECT_TRUE(verify_jwt(token_of(claims_with({{"events", R"({"urn:other":{}})"}}), header), access,
                           public_set(test_key(kHs256)), kNow)
                    .has_value());
  }
}

TEST(LogoutToken, NeedsItsSignature) {
  std::string forged = token_of(claims_with());
  forged[forged.size() - 10] = forged[forged.size() - 10] == 'A' ? 'B' : 'A';
  EXPECT_EQ(error_of(verify_token_text(forged)), JwtError::kBadSignature);
  // {"alg":"none","typ":"logout+jwt"}
  const std::string sound = token_of(claims_with());
  const std::string none = "eyJhbGciOiJub25lIiwidHlwIjoibG9nb3V0K2p3dCJ9" +
                           sound.substr(sound.find('.'), sound.rfind('.') + 1 - sound.find('.'));
  EXPECT_FALSE(verify_token_text(none).has_value());
  EXPECT_EQ(error_of(verify_token_text("")), JwtError::kMalformed);
  EXPECT_EQ(error_of(verify_token_text("a.b")), JwtError::kMalformed);
  JwtPolicy other = policy_of();
  other.algorithms = {kEs256};
  EXPECT_EQ(error_of(verify(claims_with(), kNow, other)), JwtError::kUnsupportedAlgorithm);
  EXPECT_EQ(error_of(verify_logout_token(token_of(claims_with()), policy_of(), KeySet(), kNow)),
            JwtError::kUnknownKey);
}

TEST(LogoutToken, WithTwoMembersOfOneNameIsNone) {
  std::string doubled = claims_with();
  doubled.insert(1, R"("sid":"s2",)");
  EXPECT_EQ(error_of(verify(doubled)), JwtError::kMalformed);
}

TEST(LogoutToken, IsWorthAFetchOnlyIfItsKeyIsAllThatIsMissing) {
  const std::string header = R"({"alg":"HS256","typ":"logout+jwt","kid":"new"})";
  const auto kid = missing_logout_key_of(token_of(claims_with(), header), policy_of(), kNow);
  ASSERT_TRUE(kid.has_value());
  EXPECT_EQ(*kid, "new");
  for (const char* const name : {"iss", "aud", "jti", "iat", "exp", "events"}) {
    EXPECT_FALSE(missing_logout_key_of(token_of(claims_with({{name, nullptr}}), header), policy_of(), kNow).has_value())
        << name;
  }
  EXPECT_FALSE(missing_key_of(token_of(claims_with(), header), policy_of(), kNow).has_value());
}

}  // namespace
}  // namespace sallyport::jose
