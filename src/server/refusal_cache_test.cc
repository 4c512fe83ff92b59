#include "server/refusal_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::server {
namespace {

using std::chrono_literals::operator""ms;

VerificationCache::Key key(const std::string& token, std::uint32_t route = 0) {
  return {base::sha256(token), route};
}
constexpr base::MonoTime kStart{base::Milliseconds(1'000'000)};

TEST(RefusalCache, RemembersWhyForAMoment) {
  RefusalCache cache;
  cache.insert(key("a"), Failure::kTokenExpired, kStart);
  EXPECT_EQ(cache.find(key("a"), kStart + RefusalCache::kLife - 1ms), Failure::kTokenExpired);
  EXPECT_EQ(cache.find(key("a"), kStart + RefusalCache::kLife), std::nullopt);
  EXPECT_EQ(cache.find(key("b"), kStart), std::nullopt);
}

TEST(RefusalCache, KeepsRoutesApart) {
  RefusalCache cache;
  cache.insert(key("a", 1), Failure::kInvalidToken, kStart);
  EXPECT_EQ(cache.find(key("a", 2), kStart), std::nullopt);
}

TEST(RefusalCache, DoesNotHoldOnToACredentialThatKeepsTrying) {
  RefusalCache cache;
  cache.insert(key("a"), Failure::kInvalidToken, kStart);
  cache.insert(key("a"), Failure::kInvalidToken, kStart + 1000ms);
  EXPECT_EQ(cache.find(key("a"), kStart + RefusalCache::kLife), std::nullopt);
}

TEST(RefusalCache, ForgetsWhatHasEndedAndTheOldestWhenItIsFull) {
  RefusalCache cache;
  for (std::size_t i = 0; i < RefusalCache::kEntriesMax + 10; ++i) {
    cache.insert(key(std::to_string(i)), Failure::kInvalidToken, kStart);
  }
  EXPECT_EQ(cache.size(), RefusalCache::kEntriesMax);
  EXPECT_EQ(cache.find(key("0"), kStart), std::nullopt);
  EXPECT_NE(cache.find(key("10"), kStart), std::nullopt);
  cache.insert(key("later"), Failure::kInvalidToken, kStart + RefusalCache::kLife);
  EXPECT_EQ(cache.size(), 1U);
}

}  // namespace
}  // namespace sallyport::server
