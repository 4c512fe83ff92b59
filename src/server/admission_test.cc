#include "server/admission.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::server {
namespace {

using namespace std::chrono_literals;
using Pending = Admission::Pending;

constexpr base::MonoTime kStart{1000s};

http::IpAddress v4(std::uint32_t number) {
  return http::IpAddress::from_v4({static_cast<std::uint8_t>(number >> 24), static_cast<std::uint8_t>(number >> 16),
                                   static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}

ServerLimits limits() {
  return {.pending = 4, .pending_per_address = 2, .failures_per_address = {3, std::chrono::minutes(1)}};
}

TEST(Admission, CountsSocketsInAllAndPerAddress) {
  Admission admission(limits());
  EXPECT_EQ(admission.enter(v4(1)), Pending::kOk);
  EXPECT_EQ(admission.enter(v4(1)), Pending::kOk);
  EXPECT_EQ(admission.enter(v4(1)), Pending::kAddressFull);
  admission.leave(v4(1));
  EXPECT_EQ(admission.enter(v4(2)), Pending::kOk);
  EXPECT_EQ(admission.enter(v4(3)), Pending::kOk);
  EXPECT_EQ(admission.enter(v4(4)), Pending::kFull);
  EXPECT_EQ(admission.pending(), 5U);
}

TEST(Admission, RefusesAnAddressThatFailsTooOftenButForATrickle) {
  Admission admission(limits());
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(admission.may_verify(v4(1), kStart));
    admission.failed(v4(1), kStart);
  }
  EXPECT_TRUE(admission.over_limit(v4(1), kStart));
  EXPECT_TRUE(admission.may_verify(v4(1), kStart)) << "one in a while";
  EXPECT_FALSE(admission.may_verify(v4(1), kStart));
  EXPECT_TRUE(admission.may_verify(v4(1), kStart + 1s));
  EXPECT_FALSE(admission.over_limit(v4(2), kStart)) << "somebody else";
  EXPECT_TRUE(admission.may_verify(v4(1), kStart + 60s));
  EXPECT_FALSE(admission.over_limit(v4(1), kStart + 60s));
  EXPECT_EQ(admission.failing(), 0U) << "forgotten when the time is over";
}

TEST(Admission, KnowsNoMoreFailingAddressesThanItsCeilingHoweverManyFail) {
  Admission admission(limits());
  for (std::uint32_t i = 0; i < 2 * Admission::kFailuresMax; ++i) admission.failed(v4(i), kStart);
  EXPECT_EQ(admission.failing(), Admission::kFailuresMax);
  // Full of others, it still counts the next one.
  for (int i = 0; i < 3; ++i) admission.failed(v4(0xffffffff), kStart);
  EXPECT_TRUE(admission.over_limit(v4(0xffffffff), kStart));
  EXPECT_EQ(admission.failing(), Admission::kFailuresMax);
}

TEST(Admission, ForgetsOldFailuresFirst) {
  Admission admission(limits());
  for (std::uint32_t i = 0; i < Admission::kFailuresMax - 1; ++i) admission.failed(v4(i), kStart);
  for (int i = 0; i < 3; ++i) admission.failed(v4(0xfffffffe), kStart + 20s);
  admission.failed(v4(0xffffffff), kStart + 20s);
  EXPECT_EQ(admission.failing(), 2U);
  EXPECT_TRUE(admission.over_limit(v4(0xfffffffe), kStart + 20s));
}

// Going over everything for each failure would let whoever fills the table stop all workers.
TEST(Admission, LooksThroughAFullTableOnceASecondAtMost) {
  Admission admission(limits());
  for (std::uint32_t i = 0; i < Admission::kFailuresMax; ++i) admission.failed(v4(i), kStart);
  const auto time_of = [&](std::uint32_t from) {
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint32_t i = 0; i < 20'000; ++i) admission.failed(v4(from + i), kStart + 1s);
    return std::chrono::steady_clock::now() - begin;
  };
  // 20,000 times 65,536 entries would be more than a billion looks.
  EXPECT_LT(time_of(0x80000000), 2s);
  EXPECT_EQ(admission.failing(), Admission::kFailuresMax);
}

TEST(Admission, TakesPlacesOfPendingSocketsFromNobodyWhenFailuresAreForgotten) {
  Admission admission(limits());
  EXPECT_EQ(admission.enter(v4(1)), Pending::kOk);
  EXPECT_EQ(admission.enter(v4(1)), Pending::kOk);
  for (std::uint32_t i = 0; i < Admission::kFailuresMax + 10; ++i) admission.failed(v4(i), kStart);
  EXPECT_EQ(admission.enter(v4(1)), Pending::kAddressFull);
}

}  // namespace
}  // namespace sallyport::server
