#include "core/http/query.h"

#include <gtest/gtest.h>

namespace sallyport::http {
namespace {

TEST(Query, FindsAndDecodesAParameter) {
  const struct {
    std::string_view query;
    std::optional<std::string_view> value;
  } cases[] = {
      {"path=/chat/blue", "/chat/blue"},
      {"a=1&path=%2Fchat%2Fblue&b=2", "/chat/blue"},
      {"p%61th=x", "x"},
      {"path=a+b%20c%2Bd", "a b c+d"},
      {"path=a=b=", "a=b="},
      {"path=", ""},
      {"path", ""},
      {"&&path=x&&", "x"},
      {"Path=x", std::nullopt},
      {"xpath=x&paths=y&a=path", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& c : cases) {
    const auto found = find_query_parameter(c.query, "path");
    ASSERT_TRUE(found.has_value()) << c.query;
    EXPECT_EQ(*found, c.value) << c.query;
  }
}

TEST(Query, RefusesANameThatOccursTwiceInAnySpelling) {
  for (const std::string_view query :
       {"ticket=a&ticket=a", "ticket=a&x=1&t%69cket=b", "ticket&ticket=a"}) {
    const auto found = find_query_parameter(query, "ticket");
    ASSERT_FALSE(found.has_value()) << query;
    EXPECT_EQ(found.error(), QueryError::kDuplicate);
  }
}

TEST(Query, RefusesBrokenEscapesAndText) {
  for (const std::string_view query : {"ticket=%", "ticket=%2", "ticket=%zz", "%zz=1&ticket=a",
                                       "ticket=%00", "ticket=%ff", "ticket=%c0%af"}) {
    const auto found = find_query_parameter(query, "ticket");
    ASSERT_FALSE(found.has_value()) << query;
    EXPECT_EQ(found.error(), QueryError::kMalformed);
  }
}

}  // namespace
}  // namespace sallyport::http
