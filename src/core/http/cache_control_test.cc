#include "core/http/cache_control.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::http {
namespace {

using namespace std::chrono_literals;

std::optional<std::chrono::seconds> life(std::vector<std::string_view> fields, std::string_view age = {}) {
  return freshness(fields, age);
}

TEST(CacheControl, SaysNothingIfTheFieldsDoNot) {
  EXPECT_EQ(life({}), std::nullopt);
  EXPECT_EQ(life({""}), std::nullopt);
  EXPECT_EQ(life({"public, must-revalidate"}), std::nullopt);
  EXPECT_EQ(life({"s-maxage=60, x-max-age=70"}), std::nullopt);
}

TEST(CacheControl, ReadsMaxAgeInAnySpelling) {
  EXPECT_EQ(life({"max-age=600"}), 600s);
  EXPECT_EQ(life({"public,MAX-AGE=600 ,private"}), 600s);
  EXPECT_EQ(life({"public", "max-age=\"600\""}), 600s);
  EXPECT_EQ(life({"max-age=0"}), 0s);
  EXPECT_EQ(life({"max-age=600, max-age=60", "max-age=6000"}), 60s);
}

TEST(CacheControl, IgnoresAValueThatIsNoNumber) {
  for (const char* const bad : {"max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=1s", "max-age= 1",
                                "max-age=\"", "max-age=\"1", "max-age=0x10", "max-age==1"}) {
    EXPECT_EQ(life({bad}), std::nullopt) << bad;
  }
  EXPECT_EQ(life({"max-age=x, max-age=5"}), 5s);
}

TEST(CacheControl, BoundsWhatIsTooLarge) {
  EXPECT_EQ(life({"max-age=" + std::string(400, '9')}), std::chrono::seconds(std::int64_t{1} << 31));
}

TEST(CacheControl, IsNotFreshIfItMayNotBeKept) {
  EXPECT_EQ(life({"max-age=600, no-store"}), 0s);
  EXPECT_EQ(life({"No-Cache"}), 0s);
}

TEST(CacheControl, TakesOffWhatTheReplyHasSpentInCaches) {
  EXPECT_EQ(life({"max-age=600"}, "100"), 500s);
  EXPECT_EQ(life({"max-age=600"}, "601"), 0s);
  EXPECT_EQ(life({"max-age=600"}, std::string(400, '9')), 0s);
  EXPECT_EQ(life({"max-age=600"}, "soon"), 600s);
  EXPECT_EQ(life({}, "100"), std::nullopt);
}

}  // namespace
}  // namespace sallyport::http
