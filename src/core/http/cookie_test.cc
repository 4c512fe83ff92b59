#include "core/http/cookie.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::http {
namespace {

using Fields = std::vector<std::string_view>;

TEST(Cookie, FindsACookieByItsExactName) {
  const struct {
    Fields fields;
    std::optional<std::string_view> value;
  } cases[] = {
      {{"sid=abc"}, "abc"},
      {{"a=1; sid=abc; b=2"}, "abc"},
      {{"a=1;sid=abc;b=2"}, "abc"},
      {{"a=1", "sid=abc"}, "abc"},
      {{"sid=\"abc\""}, "abc"},
      {{"sid="}, ""},
      {{"sid=s%3Aabc.def+/="}, "s%3Aabc.def+/="},
      {{"SID=abc"}, std::nullopt},
      {{"xsid=abc; sidx=def; x=sid=abc"}, std::nullopt},
      {{"sid"}, std::nullopt},
      {{"=sid"}, std::nullopt},
      {{""}, std::nullopt},
      {{}, std::nullopt},
  };
  for (const auto& c : cases) {
    const auto found = find_cookie(c.fields, "sid");
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(*found, c.value);
  }
}

TEST(Cookie, DoesNotJudgeOtherCookies) {
  const auto found = find_cookie(Fields{"junk; {\"a\": 1, \"b\"}; x=a b,c; sid=abc"}, "sid");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(*found, "abc");
}

TEST(Cookie, RefusesANameThatOccursTwice) {
  for (const Fields& fields : {Fields{"sid=a; sid=a"}, Fields{"sid=a", "sid=b"},
                               Fields{"sid=; sid=b"}, Fields{"sid =a; x=y; sid=b"}}) {
    const auto found = find_cookie(fields, "sid");
    ASSERT_FALSE(found.has_value());
    EXPECT_EQ(found.error(), CookieError::kDuplicate);
  }
}

TEST(Cookie, RefusesForbiddenCharactersInTheValue) {
  for (const std::string_view field :
       {"sid=a b", "sid=a,b", "sid=a\"b", "sid=\"a", "sid=a\\b", "sid=\xc3\xa4", "sid=a\tb"}) {
    const auto found = find_cookie(Fields{field}, "sid");
    ASSERT_FALSE(found.has_value()) << field;
    EXPECT_EQ(found.error(), CookieError::kMalformed);
  }
}

}  // namespace
}  // namespace sallyport::http
