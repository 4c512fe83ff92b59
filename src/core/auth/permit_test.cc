#include "core/auth/permit.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport::auth {
namespace {

using namespace std::string_literals;

ChannelPattern pattern(std::string_view text) {
  auto parsed = ChannelPattern::parse(text);
  EXPECT_TRUE(parsed.has_value()) << text;
  return parsed ? std::move(*parsed) : ChannelPattern();
}

Principal alice() {
  Principal who;
  who.subject = "alice";
  who.scopes = {"chat", "write"};
  who.claims =
      R"({"tenant":"acme","path":"a/b","empty":"","star":"*","level":7,"teams":["x"],"brace":"{sub}"})";
  return who;
}

std::string_view param(std::string_view name) {
  if (name == "room") return "blue";
  if (name == "deep") return "blue/green";
  if (name == "star") return "*";
  return {};
}

bool matches(std::string_view text, std::string_view channel) {
  return pattern(text).matches(channel, alice(), param);
}

TEST(ChannelPattern, MatchesALiteralAndNothingElse) {
  EXPECT_TRUE(matches("room/blue", "room/blue"));
  for (const char* const other : {"", "room/blu", "room/blue ", "room/bluee", "Room/blue",
                                  "xroom/blue", "room", "room/", "room/blue/"}) {
    EXPECT_FALSE(matches("room/blue", other)) << other;
  }
  EXPECT_TRUE(matches("a.b", "a.b"));
  EXPECT_FALSE(matches("a.b", "axb"));
  EXPECT_TRUE(matches("[a-z]?\\", "[a-z]?\\"));
}

TEST(ChannelPattern, LetsAWildcardStandForOneLevelAndNotForNothing) {
  EXPECT_TRUE(matches("room/*", "room/blue"));
  EXPECT_TRUE(matches("room/*", "room/b"));
  EXPECT_TRUE(matches("room/*", "room/*"));
  EXPECT_FALSE(matches("room/*", "room/"));
  EXPECT_FALSE(matches("room/*", "room"));
  EXPECT_FALSE(matches("room/*", "room/a/b"));
  EXPECT_FALSE(matches("room/*", "room//"));
  EXPECT_FALSE(matches("room/*", "room//a"));
  EXPECT_FALSE(matches("room/*", "room/a/"));
  EXPECT_TRUE(matches("*", "anything"));
  EXPECT_FALSE(matches("*", "any/thing"));
  EXPECT_FALSE(matches("*", ""));
  EXPECT_TRUE(matches("*/*", "a/b"));
  EXPECT_FALSE(matches("*/*", "a/b/c"));
  EXPECT_FALSE(matches("*/*", "/b"));
}

TEST(ChannelPattern, LetsAWildcardStandWithinALevel) {
  EXPECT_TRUE(matches("user-*-inbox", "user-alice-inbox"));
  EXPECT_TRUE(matches("user-*-inbox", "user-a-inbox-inbox"));
  EXPECT_FALSE(matches("user-*-inbox", "user--inbox"));
  EXPECT_FALSE(matches("user-*-inbox", "user-a/b-inbox"));
  EXPECT_FALSE(matches("user-*-inbox", "user-alice-inbox2"));
  EXPECT_TRUE(matches("*a*a", "xaya"));
  EXPECT_TRUE(matches("*a*a", "aaaa"));
  EXPECT_FALSE(matches("*a*a", "aaa"));
  EXPECT_TRUE(matches("*b/*c", "abb/cc"));
}

// What the rules say, in the most obvious and slowest way.
bool reference(std::string_view glob, std::string_view text) {
  if (glob.empty()) return text.empty();
  if (glob.front() != '*') {
    return !text.empty() && text.front() == glob.front() &&
           reference(glob.substr(1), text.substr(1));
  }
  for (std::size_t n = 1; n <= text.size() && text[n - 1] != '/'; ++n) {
    if (reference(glob.substr(1), text.substr(n))) return true;
  }
  return false;
}

TEST(ChannelPattern, AgreesWithTheDefinitionOnShortTexts) {
  std::mt19937 random(7);
  const auto text = [&random](std::string_view alphabet, std::size_t longest) {
    std::string result;
    for (std::size_t n = 1 + random() % longest; n > 0; --n) {
      result.push_back(alphabet[random() % alphabet.size()]);
    }
    return result;
  };
  int matched = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string glob = text("ab/***", 8);
    while (glob.find("**") != std::string::npos) glob.erase(glob.find("**"), 1);
    const ChannelPattern compiled = pattern(glob);
    for (int j = 0; j < 5; ++j) {
      const std::string channel = text("aab/", 10);
      const bool expected = reference(glob, channel);
      matched += expected ? 1 : 0;
      ASSERT_EQ(compiled.matches(channel, alice(), param), expected) << glob << " on " << channel;
    }
  }
  EXPECT_GT(matched, 1000);
}

TEST(ChannelPattern, IsNotMadeSlowByAChannelThatNearlyFits) {
  std::string glob;
  for (int i = 0; i < 60; ++i) glob += "*a";
  const std::string channel(kChannelBytesMax, 'a');
  EXPECT_TRUE(matches(glob, channel));
  EXPECT_FALSE(matches(glob + "b", channel));  // by trying everything this would never end
}

TEST(ChannelPattern, PutsInWhoTheConnectionIs) {
  EXPECT_TRUE(matches("user/{sub}", "user/alice"));
  EXPECT_FALSE(matches("user/{sub}", "user/mallory"));
  EXPECT_FALSE(matches("user/{sub}", "user/alice2"));
  EXPECT_FALSE(matches("user/{sub}", "user/{sub}"));
  EXPECT_TRUE(matches("room/{param.room}", "room/blue"));
  EXPECT_FALSE(matches("room/{param.room}", "room/green"));
  EXPECT_TRUE(matches("{claim.tenant}/{param.room}-{sub}*", "acme/blue-alice1"));
  EXPECT_FALSE(matches("{claim.tenant}/{param.room}-{sub}*", "acme/blue-alice"));
}

TEST(ChannelPattern, MatchesNothingWhereAValueIsMissingOrEmpty) {
  for (const char* const channel : {"x/", "x", "x/a", "x//"}) {
    EXPECT_FALSE(matches("x/{param.other}", channel)) << channel;
    EXPECT_FALSE(matches("x/{claim.other}", channel)) << channel;
    EXPECT_FALSE(matches("x/{claim.empty}", channel)) << channel;
    EXPECT_FALSE(matches("x/{claim.level}", channel)) << channel;
    EXPECT_FALSE(matches("x/{claim.teams}", channel)) << channel;
  }
  EXPECT_FALSE(matches("x/{claim.level}", "x/7"));
  Principal nobody;
  EXPECT_FALSE(pattern("x/{sub}").matches("x/", nobody, param));
  EXPECT_FALSE(pattern("x/{claim.tenant}").matches("x/acme", nobody, param));
}

TEST(ChannelPattern, LetsNoValueReachIntoAnotherLevel) {
  EXPECT_FALSE(matches("t/{claim.path}", "t/a/b"));
  EXPECT_FALSE(matches("t/{param.deep}", "t/blue/green"));
  Principal who = alice();
  who.subject = "alice/admin";
  EXPECT_FALSE(pattern("user/{sub}").matches("user/alice/admin", who, param));
  EXPECT_FALSE(pattern("user/{sub}*").matches("user/alice/admin2", who, param));
}

TEST(ChannelPattern, TakesAValueLiterally) {
  EXPECT_TRUE(matches("x/{claim.star}", "x/*"));
  EXPECT_FALSE(matches("x/{claim.star}", "x/anything"));
  EXPECT_TRUE(matches("x/{param.star}", "x/*"));
  EXPECT_FALSE(matches("x/{param.star}", "x/anything"));
  EXPECT_TRUE(matches("x/{claim.brace}", "x/{sub}"));
  EXPECT_FALSE(matches("x/{claim.brace}", "x/alice"));
}

TEST(ChannelPattern, RefusesATextThatCannotBeMeant) {
  for (const char* const text :
       {"",         "**",       "a/**",    "a/**/b",  "{",       "}",       "a{",
        "a}",       "{}",       "{sub",    "sub}",    "{Sub}",   "{ sub }", "{param}",
        "{param.}", "{claim.}", "{claim}", "{scope}", "{{sub}}", "{sub}}",  "{a{sub}"}) {
    const auto parsed = ChannelPattern::parse(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_TRUE(parsed.error().starts_with("\""s + text + "\": ")) << parsed.error();
  }
  EXPECT_TRUE(ChannelPattern::parse(std::string(kChannelBytesMax, 'a')).has_value());
  EXPECT_FALSE(ChannelPattern::parse(std::string(kChannelBytesMax + 1, 'a')).has_value());
}

TEST(ChannelPattern, KnowsWhetherItNeedsClaims) {
  EXPECT_TRUE(pattern("a/{claim.tenant}").needs_claims());
  EXPECT_FALSE(pattern("a/{param.room}/{sub}/*").needs_claims());
}

TEST(Channel, IsOneTo255BytesOfText) {
  EXPECT_TRUE(valid_channel("a"));
  EXPECT_TRUE(valid_channel("room/blue *{}\"'<>"));
  EXPECT_TRUE(valid_channel("caf\xC3\xA9"));
  EXPECT_TRUE(valid_channel(std::string(kChannelBytesMax, 'a')));
  EXPECT_FALSE(valid_channel(""));
  EXPECT_FALSE(valid_channel(std::string(kChannelBytesMax + 1, 'a')));
  for (const std::string& text : {"a\0b"s, "a\nb"s, "\x1f"s, "a\x7f"s, "\t"s}) {
    EXPECT_FALSE(valid_channel(text));
  }
  for (const char* const text : {"\xFF", "a\xC0\x80", "\xED\xA0\x80", "\xE2\x82"}) {
    EXPECT_FALSE(valid_channel(text));
  }
}

std::vector<ChannelPermit> permits() {
  std::vector<ChannelPermit> list;
  list.push_back({.subscribe = true, .channel = pattern("news")});
  list.push_back({.subscribe = true, .publish = true, .channel = pattern("room/{param.room}")});
  list.push_back({.publish = true, .channel = pattern("admin/*"), .scopes = {"chat", "admin"}});
  list.push_back({.publish = true, .channel = pattern("log/*"), .scopes = {"chat", "write"}});
  return list;
}

bool may(ChannelAction action, std::string_view channel) {
  return permitted(permits(), action, channel, alice(), param);
}

TEST(Permits, AllowWhatTheyListForTheActionTheyList) {
  EXPECT_TRUE(may(ChannelAction::kSubscribe, "news"));
  EXPECT_FALSE(may(ChannelAction::kPublish, "news"));
  EXPECT_TRUE(may(ChannelAction::kSubscribe, "room/blue"));
  EXPECT_TRUE(may(ChannelAction::kPublish, "room/blue"));
  EXPECT_FALSE(may(ChannelAction::kPublish, "room/green"));
  EXPECT_TRUE(may(ChannelAction::kPublish, "log/x"));
  EXPECT_FALSE(may(ChannelAction::kSubscribe, "log/x"));
}

TEST(Permits, DemandAllOfTheirScopes) {
  EXPECT_FALSE(may(ChannelAction::kPublish, "admin/x"));
  Principal admin = alice();
  admin.scopes = {"admin", "chat"};
  EXPECT_TRUE(permitted(permits(), ChannelAction::kPublish, "admin/x", admin, param));
  admin.scopes = {"admin chat"};
  EXPECT_FALSE(permitted(permits(), ChannelAction::kPublish, "admin/x", admin, param));
}

TEST(Permits, ForbidEverythingWhereThereAreNone) {
  EXPECT_FALSE(permitted({}, ChannelAction::kSubscribe, "news", alice(), param));
  const std::vector<ChannelPermit> idle{{.channel = pattern("*")}};
  EXPECT_FALSE(permitted(idle, ChannelAction::kSubscribe, "news", alice(), param));
  EXPECT_FALSE(permitted(idle, ChannelAction::kPublish, "news", alice(), param));
}

}  // namespace
}  // namespace sallyport::auth
