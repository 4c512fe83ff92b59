#include "core/http/route_pattern.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace sallyport::http {
namespace {

RoutePattern pattern_of(std::string_view text) {
  auto pattern = RoutePattern::parse(text);
  EXPECT_TRUE(pattern.has_value()) << (pattern ? "" : pattern.error());
  return std::move(pattern).value_or(RoutePattern());
}

// "name=value;..." or nothing if the path does not match.
std::optional<std::string> matched(std::string_view pattern, std::string_view path) {
  const auto params = pattern_of(pattern).match(path);
  if (!params) return std::nullopt;
  std::string text;
  for (const RouteParam& param : *params) text += param.name + "=" + param.value + ";";
  return text;
}

TEST(RoutePattern, MatchesPaths) {
  const struct {
    std::string_view pattern, path;
    std::optional<std::string_view> params;
  } cases[] = {
      {"/", "/", ""},
      {"/", "/a", std::nullopt},
      {"/chat", "/chat", ""},
      {"/chat", "/chat/", std::nullopt},
      {"/chat", "/Chat", std::nullopt},
      {"/chat", "/cha", std::nullopt},
      {"/chat", "/chats", std::nullopt},
      {"/chat", "/chat/a", std::nullopt},
      {"/chat", "/ch%61t", ""},
      {"/chat/", "/chat/", ""},
      {"/chat/", "/chat", std::nullopt},
      {"/chat/", "/chat/a", std::nullopt},
      {"/chat/:room", "/chat/blue", "room=blue;"},
      {"/chat/:room", "/chat/bl%C3%BCe%20x", "room=blüe x;"},
      {"/chat/:room", "/chat/..x", "room=..x;"},
      {"/chat/:room", "/chat/", std::nullopt},
      {"/chat/:room", "/chat", std::nullopt},
      {"/chat/:room", "/chat/a/b", std::nullopt},
      {"/chat/:room", "/chat/a/", std::nullopt},
      {"/chat/:room/", "/chat/a/", "room=a;"},
      {"/:a/:b", "/x/y", "a=x;b=y;"},
      {"/:a/x/:b", "/1/x/2", "a=1;b=2;"},
      {"/files/*", "/files/a/b%20c", "*=a/b c;"},
      {"/files/*", "/files/a/", "*=a/;"},
      {"/files/*", "/files/", "*=;"},
      {"/files/*", "/files", std::nullopt},
      {"/*", "/", "*=;"},
      {"/*", "/a", "*=a;"},
      {"/:a/*", "/x/y/z", "a=x;*=y/z;"},
      {"/b%20c", "/b%20c", ""},
  };
  for (const auto& c : cases)
    EXPECT_EQ(matched(c.pattern, c.path), c.params) << c.pattern << " " << c.path;
}

TEST(RoutePattern, RefusesEscapesThatWouldChangeThePath) {
  for (const std::string_view path :
       {"/x/a%2fb", "/x/a%2Fb", "/x/a%5cb", "/x/..", "/x/%2e%2e", "/x/.", "/x/%2E", "/x/a%00",
        "/x/a%0a", "/x/a%7f", "/x/%ff", "/x/a%", "/x/a%2", "/x//", "//x", "/x/a%zz", "/x/..;a", "",
        "x/a"}) {
    EXPECT_EQ(matched("/x/:room", path), std::nullopt) << path;
    EXPECT_EQ(matched("/x/*", path), std::nullopt) << path;
    EXPECT_EQ(matched("/*", path), std::nullopt) << path;
  }
}

TEST(RoutePattern, ExplainsWhatItDoesNotUnderstand) {
  for (const std::string_view text :
       {"",    "chat", "//",     "//a",    "/a//b",     "/*/a",  "/*/",     "/a*",    "/a/b*",
        "/:",  "/:1",  "/:a-b",  "/:a/:a", "/a:b",      "/**",   "/a b",    "/a?b",   "/a#b",
        "/..", "/./a", "/a%2fb", "/%",     "/\xc3\xa4", "/a\\b", "/:room?", "/{room}"}) {
    const auto pattern = RoutePattern::parse(text);
    ASSERT_FALSE(pattern.has_value()) << text;
    EXPECT_TRUE(pattern.error().starts_with("path \"" + std::string(text) + "\": "))
        << pattern.error();
  }
}

TEST(RoutePattern, OrdersTheMoreSpecificFirst) {
  const std::vector<std::string> expected = {"/a/b/c", "/a/b/:x", "/a/b/*", "/a/:x/c", "/a/:x/:y",
                                             "/a/:x/", "/a/:x",   "/a/",    "/a",      "/a/*",
                                             "/:x/b",  "/:x",     "/",      "/*"};
  std::vector<RoutePattern> patterns;
  for (const std::string& text : expected) patterns.push_back(pattern_of(text));
  std::ranges::reverse(patterns);
  std::ranges::sort(patterns, [](const auto& a, const auto& b) { return a < b; });
  std::vector<std::string> sorted;
  for (const RoutePattern& pattern : patterns) sorted.push_back(pattern.text());
  EXPECT_EQ(sorted, expected);
  EXPECT_TRUE(pattern_of("/a/:x") == pattern_of("/a/:y"));
  EXPECT_FALSE(pattern_of("/a/:x") == pattern_of("/a/:x/"));
}

}  // namespace
}  // namespace sallyport::http
