#include "core/auth/access.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace sallyport::auth {
namespace {

Principal with(std::vector<std::string> scopes, std::string claims = {}) {
  Principal who;
  who.issuer = "https://id.example";
  who.subject = "alice";
  who.scopes = std::move(scopes);
  who.claims = std::move(claims);
  return who;
}

Requirements demand(std::string claim, std::vector<std::string> values) {
  Requirements requirements;
  requirements.claims.emplace(std::move(claim), std::move(values));
  return requirements;
}

bool met(const char* claims, std::string name, std::vector<std::string> values) {
  const auto failure = unmet(demand(std::move(name), std::move(values)), with({}, claims));
  EXPECT_TRUE(!failure || *failure == Failure::kForbidden);
  return !failure;
}

TEST(Requirements, AreMetByAnyoneWhereThereAreNone) {
  EXPECT_EQ(unmet({}, with({})), std::nullopt);
}

TEST(Requirements, DemandEveryScope) {
  const Requirements both{.scopes = {"chat", "write"}};
  EXPECT_EQ(unmet(both, with({"write", "other", "chat"})), std::nullopt);
  EXPECT_EQ(unmet(both, with({"chat"})), Failure::kInsufficientScope);
  EXPECT_EQ(unmet(both, with({})), Failure::kInsufficientScope);
}

TEST(Requirements, CompareScopesWholeAndByCase) {
  const Requirements chat{.scopes = {"chat"}};
  for (const char* const scope : {"Chat", "chat ", "chatter", "cha", "chat write", "", "*"}) {
    EXPECT_EQ(unmet(chat, with({scope})), Failure::kInsufficientScope) << scope;
  }
}

TEST(Requirements, SayScopeBeforeClaimsSinceTheChallengeNamesIt) {
  Requirements requirements = demand("tenant", {"acme"});
  requirements.scopes = {"chat"};
  EXPECT_EQ(unmet(requirements, with({})), Failure::kInsufficientScope);
  EXPECT_EQ(unmet(requirements, with({"chat"})), Failure::kForbidden);
  EXPECT_EQ(unmet(requirements, with({"chat"}, R"({"tenant":"acme"})")), std::nullopt);
}

TEST(Requirements, AcceptAClaimThatEqualsOneOfTheValues) {
  EXPECT_TRUE(met(R"({"role":"staff"})", "role", {"admin", "staff"}));
  EXPECT_FALSE(met(R"({"role":"guest"})", "role", {"admin", "staff"}));
  EXPECT_FALSE(met(R"({"role":"Staff"})", "role", {"admin", "staff"}));
  EXPECT_FALSE(met(R"({"role":"staff "})", "role", {"admin", "staff"}));
  EXPECT_FALSE(met(R"({"Role":"staff"})", "role", {"staff"}));
  EXPECT_FALSE(met(R"({"x":{"role":"staff"}})", "role", {"staff"}));
}

TEST(Requirements, AcceptAnArrayThatContainsOneOfTheValues) {
  EXPECT_TRUE(met(R"({"role":["guest","staff"]})", "role", {"admin", "staff"}));
  EXPECT_FALSE(met(R"({"role":["guest"]})", "role", {"admin", "staff"}));
  EXPECT_FALSE(met(R"({"role":[]})", "role", {"admin"}));
  EXPECT_FALSE(met(R"({"role":[["admin"]]})", "role", {"admin"}));
  EXPECT_FALSE(met(R"({"role":[{"role":"admin"}]})", "role", {"admin"}));
  EXPECT_FALSE(met(R"({"role":"admin,staff"})", "role", {"admin"}));
  EXPECT_FALSE(met(R"({"role":["admin staff"]})", "role", {"admin"}));
}

TEST(Requirements, CompareNumbersAsNumbers) {
  EXPECT_TRUE(met(R"({"tenant":7})", "tenant", {"7"}));
  EXPECT_TRUE(met(R"({"tenant":[1,7]})", "tenant", {"7"}));
  EXPECT_TRUE(met(R"({"tenant":-7})", "tenant", {"-7"}));
  EXPECT_TRUE(met(R"({"tenant":18446744073709551615})", "tenant", {"18446744073709551615"}));
  EXPECT_TRUE(met(R"({"level":1.5})", "level", {"1.5"}));
  EXPECT_TRUE(met(R"({"level":150e-2})", "level", {"1.5"}));
  for (const char* const other :
       {"", "07", "70", "8", "7.0", " x7", "seven", "true", "[7]", "\"7\""}) {
    EXPECT_FALSE(met(R"({"tenant":7})", "tenant", {other})) << other;
  }
  EXPECT_FALSE(met(R"({"tenant":9007199254740993})", "tenant", {"9007199254740992"}));
}

TEST(Requirements, CompareBooleansByTheirNames) {
  EXPECT_TRUE(met(R"({"email_verified":true})", "email_verified", {"true"}));
  EXPECT_FALSE(met(R"({"email_verified":false})", "email_verified", {"true"}));
  EXPECT_TRUE(met(R"({"email_verified":false})", "email_verified", {"false"}));
  EXPECT_FALSE(met(R"({"email_verified":1})", "email_verified", {"true"}));
  EXPECT_TRUE(met(R"({"email_verified":"true"})", "email_verified", {"true"}));
}

TEST(Requirements, AreNotMetByWhatHasNoPlainValue) {
  EXPECT_FALSE(met(R"({"role":null})", "role", {"null", ""}));
  EXPECT_FALSE(met(R"({"role":{}})", "role", {"{}", ""}));
  EXPECT_FALSE(met(R"({"role":[null]})", "role", {"null", ""}));
  EXPECT_TRUE(met(R"({"role":""})", "role", {""}));
  EXPECT_FALSE(met(R"({})", "role", {""}));
}

TEST(Requirements, AreNotMetWhereNoValueIsAllowed) {
  EXPECT_FALSE(met(R"({"role":"admin"})", "role", {}));
}

TEST(Requirements, DemandEveryClaim) {
  Requirements requirements = demand("tenant", {"acme"});
  requirements.claims.emplace("role", std::vector<std::string>{"admin", "staff"});
  EXPECT_EQ(unmet(requirements, with({}, R"({"tenant":"acme","role":"staff"})")), std::nullopt);
  EXPECT_EQ(unmet(requirements, with({}, R"({"tenant":"acme"})")), Failure::kForbidden);
  EXPECT_EQ(unmet(requirements, with({}, R"({"role":"staff"})")), Failure::kForbidden);
}

TEST(Requirements, AreNotMetByClaimsThatCannotBeRead) {
  for (const char* const claims :
       {"", "{", "null", "[]", "\"role\"", R"({"role":"admin"} x)",
        R"({"role":"x","role":"admin"})", R"({"role":"admin",})", R"(["role","admin"])"}) {
    EXPECT_FALSE(met(claims, "role", {"admin"})) << claims;
  }
}

TEST(Claims, GiveTheTextOfAStringAndOfNothingElse) {
  const Claims claims(R"({"a":"x","b":7,"c":["x"],"d":null,"e":"","\u0066":"\u00e9"})");
  EXPECT_EQ(claims.text("a"), "x");
  EXPECT_EQ(claims.text("e"), "");
  EXPECT_EQ(claims.text("f"), "\xC3\xA9");
  for (const char* const name : {"b", "c", "d", "g", "A", ""}) {
    EXPECT_EQ(claims.text(name), std::nullopt) << name;
  }
}

TEST(Claims, AnswerNoWhereTheyAreTooDeepOrTooLong) {
  const std::string deep = std::string(40, '[') + std::string(40, ']');
  EXPECT_EQ(Claims(R"({"a":"x","d":)" + deep + "}").text("a"), std::nullopt);
  EXPECT_EQ(Claims(R"({"a":"x","d":")" + std::string(300'000, 'x') + "\"}").text("a"),
            std::nullopt);
}

TEST(Principal, AnswersForItsScopesAndClaims) {
  const Principal who = with({"chat"}, R"({"tenant":"acme","roles":["a","b"],"level":7})");
  EXPECT_TRUE(who.has_scope("chat"));
  EXPECT_FALSE(who.has_scope("cha"));
  EXPECT_FALSE(who.has_scope(""));
  EXPECT_EQ(who.claim("tenant"), "acme");
  EXPECT_EQ(who.claim("level"), std::nullopt);
  EXPECT_TRUE(who.claim_contains("roles", "b"));
  EXPECT_FALSE(who.claim_contains("roles", "c"));
  EXPECT_TRUE(who.claim_contains("level", "7"));
  EXPECT_FALSE(with({}).claim_contains("roles", "b"));
  EXPECT_EQ(with({}).claim("tenant"), std::nullopt);
}

}  // namespace
}  // namespace sallyport::auth
