#include "core/http/grammar.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::http {
namespace {

TEST(Grammar, KnowsTokens) {
  EXPECT_TRUE(is_token("bearer.abc-_~!#$%&'*+^`|"));
  for (const std::string_view text :
       {"", "a b", "a=b", "a/b", "a,b", "a\"", "a\x7f", "\xc3\xa4", "a\r"}) {
    EXPECT_FALSE(is_token(text)) << text;
  }
}

TEST(Grammar, RefusesControlCharactersInFieldValues) {
  EXPECT_TRUE(is_field_value(""));
  EXPECT_TRUE(is_field_value("a b\tc\xc3\xa4"));
  for (const std::string_view text : {"a\r\nX: y", "a\nb", "a\rb", "\x1b", "\x7f"}) {
    EXPECT_FALSE(is_field_value(text));
  }
  EXPECT_FALSE(is_field_value(std::string(1, '\0')));
}

TEST(Grammar, DecodesEscapesStrictly) {
  EXPECT_EQ(percent_decode("a%20b%2Bc+d", Plus::kIsPlus), "a b+c+d");
  EXPECT_EQ(percent_decode("a+b", Plus::kIsSpace), "a b");
  EXPECT_EQ(percent_decode("%C3%a4", Plus::kIsPlus), "ä");
  for (const std::string_view text : {"%", "%2", "a%", "%g0", "%0g", "%%20", "% 20", "%-1"}) {
    EXPECT_EQ(percent_decode(text, Plus::kIsPlus), std::nullopt) << text;
  }
}

TEST(Grammar, KnowsWellFormedUtf8) {
  for (const std::string_view text :
       {"", "a", "ä", "€", "\xf0\x9f\x94\x92", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  for (const std::string_view text :
       {"\x80", "\xc3", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "a\xff"}) {
    EXPECT_FALSE(is_utf8(text));
  }
}

TEST(Grammar, SplitsAndTrims) {
  const auto pieces = [](std::string_view text) {
    std::vector<std::string> result;
    Splitter splitter(text, ',');
    while (const auto piece = splitter.next()) result.emplace_back(*piece);
    return result;
  };
  EXPECT_EQ(pieces(" a ,\tb,c"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(pieces(""), (std::vector<std::string>{""}));
  EXPECT_EQ(pieces(",a,"), (std::vector<std::string>{"", "a", ""}));
}

}  // namespace
}  // namespace sallyport::http
