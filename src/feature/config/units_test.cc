#include "feature/config/units.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace sallyport::config {
namespace {

using namespace std::chrono_literals;

TEST(Sizes, AreWholeNumbersWithAUnit) {
  EXPECT_EQ(parse_size("0B"), 0U);
  EXPECT_EQ(parse_size("1B"), 1U);
  EXPECT_EQ(parse_size("64KiB"), 65536U);
  EXPECT_EQ(parse_size("1MiB"), 1048576U);
  EXPECT_EQ(parse_size("3GiB"), 3221225472U);
  EXPECT_EQ(parse_size("007KiB"), 7168U);
}

TEST(Sizes, RefuseEverythingElse) {
  for (const char* text : {"", "64", "KiB", "64KB", "64kib", "64 KiB", " 64KiB", "64KiB ", "-1B",
                           "+1B", "1.5MiB", "1e3B", "0x10B", "64KiBs", "1TiB", "١KiB"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(Sizes, RefuseWhatSixtyFourBitsCannotHold) {
  EXPECT_EQ(parse_size("18446744073709551615B"), UINT64_MAX);
  EXPECT_FALSE(parse_size("18446744073709551616B"));
  EXPECT_EQ(parse_size("17179869183GiB"), 17179869183ULL << 30);
  EXPECT_FALSE(parse_size("17179869184GiB"));
}

TEST(Sizes, SayHowToWriteThem) {
  EXPECT_EQ(
      parse_size("64KB").error(),
      "\"64KB\" is not a size; write a whole number and B, KiB, MiB or GiB, such as \"64KiB\"");
}

TEST(Durations, AreWholeNumbersWithAUnit) {
  EXPECT_EQ(parse_duration("0s"), 0ms);
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("12h"), 12h);
  EXPECT_EQ(parse_duration("1d"), 24h);
  EXPECT_EQ(parse_duration("3650d"), kDurationMax);
}

TEST(Durations, RefuseEverythingElse) {
  for (const char* text :
       {"", "30", "s", "30 s", "30sec", "1h30m", "1.5s", "-1s", "+1s", "30S", "1w", "1us"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
  EXPECT_EQ(parse_duration("3651d").error(), "\"3651d\" is longer than ten years");
  EXPECT_FALSE(parse_duration("18446744073709551615ms"));
  EXPECT_FALSE(parse_duration("18446744073709551615d"));
}

TEST(Durations, AreNegativeOnlyWhereThatIsAsked) {
  EXPECT_EQ(parse_duration("-60s", true), -60s);
  EXPECT_EQ(parse_duration("60s", true), 60s);
  EXPECT_FALSE(parse_duration("--60s", true));
  EXPECT_FALSE(parse_duration("-", true));
  EXPECT_FALSE(parse_duration("-60s"));
}

TEST(Rates, AreANumberAndADuration) {
  const auto rate = parse_rate("60/1m");
  ASSERT_TRUE(rate);
  EXPECT_EQ(rate->count, 60U);
  EXPECT_EQ(rate->within, 1min);
  EXPECT_EQ(parse_rate("4294967295/1ms")->count, 4294967295U);
}

TEST(Rates, RefuseEverythingElse) {
  for (const char* text : {"", "60", "/1m", "60/", "60/1", "60 / 1m", "60/1m/1m", "0/1m", "60/0s",
                           "-1/1m", "4294967296/1m", "60/m"}) {
    EXPECT_FALSE(parse_rate(text)) << text;
  }
}

TEST(Units, AreWrittenInTheLargestThatIsExact) {
  EXPECT_EQ(format_size(0), "0B");
  EXPECT_EQ(format_size(1023), "1023B");
  EXPECT_EQ(format_size(65536), "64KiB");
  EXPECT_EQ(format_size(1ULL << 30), "1GiB");
  EXPECT_EQ(format_duration(0ms), "0s");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(24h), "1d");
  EXPECT_EQ(format_duration(-60s), "-1m");
}

}  // namespace
}  // namespace sallyport::config
