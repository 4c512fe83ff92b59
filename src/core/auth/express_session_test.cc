#include "core/auth/express_session.h"

#include <gtest/gtest.h>

namespace sallyport::auth {
namespace {

using namespace std::chrono_literals;
using base::WallTime;

constexpr WallTime kNow{std::chrono::sys_days(std::chrono::year(2026) / 11 / 24) + 10h};

using Result = std::expected<ExpressSession, ExpressSessionError>;
Result read(std::string_view json, const ExpressPaths& paths = {.subject = "/passport/user"},
            std::optional<base::Milliseconds> remaining = 60s) {
  return read_express_session(json, paths, remaining, kNow);
}
ExpressSessionError error_of(const Result& result) {
  EXPECT_FALSE(result);
  return result ? ExpressSessionError{} : result.error();
}

TEST(ExpressSession, ReadsThePassportUserThatConnectRedisStores) {
  const auto session = read(
      R"({"cookie":{"originalMaxAge":60000,"expires":"2026-11-24T11:01:13.684Z","httpOnly":true,"path":"/"},)"
      R"("passport":{"user":"ada"}})");
  ASSERT_TRUE(session);
  EXPECT_EQ(session->subject, "ada");
  EXPECT_TRUE(session->scopes.empty());
  EXPECT_EQ(session->claims, "");
  EXPECT_EQ(session->expires_at, kNow + 60s) << "the store's life counts, not the cookie's";
}

TEST(ExpressSession, TakesAnIntegerAsSubject) {
  EXPECT_EQ(read(R"({"passport":{"user":42}})")->subject, "42");
  EXPECT_EQ(read(R"({"passport":{"user":-1}})")->subject, "-1");
  EXPECT_EQ(read(R"({"passport":{"user":18446744073709551615}})")->subject, "18446744073709551615");
  EXPECT_EQ(read(R"({"passport":{"user":0}})")->subject, "0");
}

TEST(ExpressSession, FindsTheSubjectWhereThePointerSays) {
  EXPECT_EQ(read(R"({"userId":"ada"})", {.subject = "/userId"})->subject, "ada");
  EXPECT_EQ(read(R"({"a/b":{"~":["x","ada"]}})", {.subject = "/a~1b/~0/1"})->subject, "ada");
}

TEST(ExpressSession, DoesNotTakeASessionWithoutSubjectForALogin) {
  for (const char* const json :
       {R"({})", R"({"cookie":{}})", R"({"passport":{}})", R"({"passport":null})", R"({"passport":{"user":null}})",
        R"({"passport":{"user":""}})", R"({"passport":"user"})", R"({"passport":[{"user":"ada"}]})"}) {
    EXPECT_EQ(error_of(read(json)), ExpressSessionError::kAnonymous) << json;
  }
}

TEST(ExpressSession, RefusesSubjectsThatAreNeitherTextNorInteger) {
  for (const char* const user : {"true", "false", "1.5", "1e3", "[1]", R"({"id":1})", R"("a\u0000b")", R"("a\nb")"}) {
    EXPECT_EQ(error_of(read(std::string(R"({"passport":{"user":)") + user + "}}")), ExpressSessionError::kBadSubject)
        << user;
  }
  EXPECT_TRUE(read(R"({"passport":{"user":")" + std::string(255, 'x') + "\"}}"));
  EXPECT_EQ(error_of(read(R"({"passport":{"user":")" + std::string(256, 'x') + "\"}}")),
            ExpressSessionError::kBadSubject);
}

TEST(ExpressSession, RefusesWhatIsNotOneStrictObject) {
  for (const char* const json :
       {"", "null", "[]", "\"ada\"", "{", R"({"passport":{"user":"ada"}}x)", R"({'passport':{'user':'ada'}})",
        R"({"passport":{"user":"ada","user":"eve"}})", R"({"passport":{"user":"ada"},"passport":{"user":"eve"}})",
        "{\"passport\":{\"user\":\"\xff\"}}", R"({"passport":{"user":"ada"},})"}) {
    EXPECT_EQ(error_of(read(json)), ExpressSessionError::kNotAnObject) << json;
  }
  std::string deep = R"({"passport":{"user":"ada"},"x":)";
  for (int i = 0; i < 32; ++i) deep += "[";
  for (int i = 0; i < 32; ++i) deep += "]";
  EXPECT_EQ(error_of(read(deep + "}")), ExpressSessionError::kNotAnObject);
}

TEST(ExpressSession, RefusesMoreThan64KiB) {
  const std::string head = R"({"passport":{"user":"ada"},"cart":")";
  const std::size_t rest = kExpressSessionBytesMax - head.size() - 2;
  EXPECT_TRUE(read(head + std::string(rest, 'x') + "\"}"));
  EXPECT_EQ(error_of(read(head + std::string(rest + 1, 'x') + "\"}")), ExpressSessionError::kTooLarge);
}

TEST(ExpressSession, ReadsScopesFromATextOrAnArray) {
  const ExpressPaths paths{.subject = "/user", .scopes = "/scopes"};
  const auto scopes = [&](const char* json) { return read(json, paths)->scopes; };
  EXPECT_EQ(scopes(R"({"user":1,"scopes":"chat  admin"})"), (std::vector<std::string>{"chat", "admin"}));
  EXPECT_EQ(scopes(R"({"user":1,"scopes":["chat","admin"]})"), (std::vector<std::string>{"chat", "admin"}));
  EXPECT_TRUE(scopes(R"({"user":1,"scopes":[]})").empty());
  EXPECT_TRUE(scopes(R"({"user":1,"scopes":null})").empty());
  EXPECT_TRUE(scopes(R"({"user":1})").empty());
  for (const char* const value : {"1", "true", "{}", R"({"chat":true})", R"(["chat",1])", R"(["a\nb"])", R"("a\tb")"}) {
    EXPECT_EQ(error_of(read(std::string(R"({"user":1,"scopes":)") + value + "}", paths)),
              ExpressSessionError::kBadScopes)
        << value;
  }
  EXPECT_TRUE(read(R"({"passport":{"user":1},"scopes":7})")) << "nobody has asked for them";
}

TEST(ExpressSession, UsesTheCookiesOwnEndOnlyWhereTheStoreKnowsNone) {
  const auto until = [](const std::string& expires) {
    return read(R"({"cookie":{"expires":)" + expires + R"(},"passport":{"user":1}})", {.subject = "/passport/user"},
                std::nullopt);
  };
  EXPECT_EQ(until(R"("2026-11-24T10:00:00.001Z")")->expires_at, kNow + 1ms);
  EXPECT_EQ(until(R"("2027-02-28T23:59:59Z")")->expires_at,
            WallTime(std::chrono::sys_days(std::chrono::year(2027) / 2 / 28) + 23h + 59min + 59s));
  EXPECT_FALSE(until("null")->expires_at);
  EXPECT_FALSE(until("false")->expires_at);
  EXPECT_FALSE(read(R"({"passport":{"user":1}})", {.subject = "/passport/user"}, std::nullopt)->expires_at);
  EXPECT_EQ(error_of(until(R"("2026-11-24T10:00:00.000Z")")), ExpressSessionError::kExpired);
  EXPECT_EQ(error_of(until(R"("1999-12-31T23:59:59.999Z")")), ExpressSessionError::kExpired);
  for (const char* const expires : {"true", "0", "1795514400000", R"("")", R"("soon")", R"("2026-11-24")", "{}"}) {
    EXPECT_EQ(error_of(until(expires)), ExpressSessionError::kBadExpiry) << expires;
  }
  EXPECT_EQ(error_of(read(R"({"cookie":1,"passport":{"user":1}})", {.subject = "/passport/user"}, std::nullopt)),
            ExpressSessionError::kBadExpiry);
}

TEST(ExpressSession, EndsWithTheLifeThatTheStoreGivesIt) {
  const char* const json = R"({"cookie":{"expires":"1999-12-31T23:59:59.999Z"},"passport":{"user":1}})";
  EXPECT_EQ(read(json, {.subject = "/passport/user"}, 1ms)->expires_at, kNow + 1ms) << "it has been touched since";
  EXPECT_EQ(error_of(read(json, {.subject = "/passport/user"}, 0ms)), ExpressSessionError::kExpired);
  EXPECT_GT(read(json, {.subject = "/passport/user"}, base::Milliseconds::max())->expires_at, kNow + 24h);
}

TEST(ExpressSession, ClaimsArePlainMembersAndNoSecrets) {
  const auto session = read(
      R"({"cookie":{"path":"/"},"passport":{"user":1},"tenant":"acme","admin":true,"age":7,"ratio":1.5,)"
      R"("roles":["a","b"],"mixed":["a",{}],"nothing":null,"flash":{"info":"x"},"csrfSecret":"x","accessToken":"x",)"
      R"("PASSWORD":"x","_csrf":"x"})");
  EXPECT_EQ(session->claims, R"({"tenant":"acme","admin":true,"age":7,"ratio":1.5E0,"roles":["a","b"]})");
}

TEST(ExpressSession, ClaimsAreBounded) {
  std::string json = R"({"passport":{"user":1},"long":")" + std::string(1100, 'x') + "\",\"first\":\"1\"";
  for (int i = 0; i < 20; ++i) json += ",\"m" + std::to_string(i) + "\":\"" + std::string(900, 'x') + "\"";
  const auto session = read(json + ",\"last\":\"1\"}");
  EXPECT_EQ(session->claims.find("\"long\""), std::string::npos);
  EXPECT_NE(session->claims.find("\"first\""), std::string::npos);
  EXPECT_LE(session->claims.size(), 8U * 1024);
  EXPECT_GT(session->claims.size(), 7U * 1024);
}

TEST(ExpressPaths, SayWhatIsWrongWithAPointer) {
  for (const char* const good : {"/user", "/passport/user", "/", "/a~0b~1c", "/0"}) {
    EXPECT_EQ(ExpressPaths::fault_of(good), "") << good;
  }
  for (const std::string& bad : {std::string(), std::string("user"), std::string("#/user"), std::string("/a~"),
                                 std::string("/a~2"), "/" + std::string(256, 'x')}) {
    EXPECT_NE(ExpressPaths::fault_of(bad), "") << bad;
  }
}

TEST(JsonDate, TakesWhatJavaScriptWritesAndNothingElse) {
  EXPECT_EQ(parse_json_date("2026-11-24T10:00:00.000Z"), kNow);
  EXPECT_EQ(parse_json_date("2026-11-24T10:00:00Z"), kNow);
  EXPECT_EQ(parse_json_date("1970-01-01T00:00:00.001Z"), WallTime(1ms));
  EXPECT_TRUE(parse_json_date("2028-02-29T00:00:00.000Z"));
  for (const char* const text :
       {"", "Z", "2026-11-24T10:00:00.000", "2026-11-24T10:00:00.000z", "2026-11-24 10:00:00.000Z", "2026-11-24T10:00Z",
        "2026-11-24T10:00:00.00Z", "2026-11-24T10:00:00.0000Z", "2026-11-24T10:00:00,000Z", "2026-02-29T00:00:00.000Z",
        "2026-13-01T00:00:00.000Z", "2026-00-01T00:00:00.000Z", "2026-01-00T00:00:00.000Z", "2026-01-01T24:00:00.000Z",
        "2026-01-01T00:60:00.000Z", "2026-01-01T00:00:60.000Z", "+275760-09-13T00:00:00.000Z", "2026-11-24T10:00:00.0x0Z",
        "2026-11-24T10:00:00.-01Z", "-026-11-24T10:00:00.000Z", "2026-11-24T10:00:00.000+00:00"}) {
    EXPECT_FALSE(parse_json_date(text)) << text;
  }
}

}  // namespace
}  // namespace sallyport::auth
