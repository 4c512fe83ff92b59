#include "server/inflight.h"

#include <gtest/gtest.h>

namespace sallyport::server {
namespace {

TEST(Inflight, KnowsTheFirstThatHasNotArrived) {
  Inflight inflight;
  EXPECT_FALSE(inflight.first());
  inflight.add(100, 7);
  inflight.add(200, 9);
  EXPECT_EQ(inflight.first(), 7U);
  inflight.arrived(99);
  EXPECT_EQ(inflight.first(), 7U);
  inflight.arrived(100);
  EXPECT_EQ(inflight.first(), 9U);
  inflight.arrived(5000);
  EXPECT_FALSE(inflight.first());
  EXPECT_TRUE(inflight.empty());
}

TEST(Inflight, NeverHoldsMoreThanAKilobyteAndErrsTowardsTheEarlier) {
  Inflight inflight;
  for (std::uint64_t i = 1; i <= 10'000; ++i) {
    inflight.add(i * 10, i);
    ASSERT_EQ(inflight.first(), 1U);
  }
  for (std::uint64_t arrived = 0; arrived < 10'000; arrived += 7) {
    inflight.arrived(arrived * 10);
    ASSERT_TRUE(inflight.first());
    ASSERT_LE(*inflight.first(), arrived + 1);
  }
  inflight.arrived(100'000);
  EXPECT_FALSE(inflight.first());
}

TEST(Inflight, AsksWhenItHasGrownAndLessOftenWhereThatDoesNotHelp) {
  Inflight inflight;
  int asked = 0;
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    inflight.add(i, i);
    if (!inflight.due()) continue;
    ++asked;
    inflight.arrived(0);
  }
  EXPECT_GT(asked, 5);
  EXPECT_LT(asked, 60);
}

TEST(Inflight, KnowsWhatWillNeverBeWritten) {
  Inflight inflight;
  inflight.add(100, 1);
  inflight.add(200, 2);
  inflight.add(300, 3);
  inflight.cut(200);
  EXPECT_EQ(inflight.first(), 1U);
  inflight.arrived(1000);  // a Close that was written in their place counts for nothing
  EXPECT_EQ(inflight.first(), 3U);
  EXPECT_FALSE(inflight.empty());
}

TEST(Inflight, CountsNothingAsArrivedInTheMiddleOfWhatWasDropped) {
  Inflight inflight;
  inflight.add(100, 1);
  inflight.add(200, 2);
  inflight.add(300, 3);
  inflight.blur(250);
  inflight.add(350, 4);
  inflight.arrived(249);
  EXPECT_EQ(inflight.first(), 1U);
  inflight.arrived(250);
  EXPECT_EQ(inflight.first(), 4U);
}

}  // namespace
}  // namespace sallyport::server
