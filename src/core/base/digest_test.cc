#include "core/base/digest.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/base/random.h"

namespace sallyport::base {
namespace {

template <typename Digest>
std::string text_of(const Digest& digest) {
  return hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

TEST(Digest, MatchesThePublishedExamples) {
  EXPECT_EQ(text_of(sha1("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(text_of(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(base64("any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
}

TEST(Random, IdsDoNotRepeat) {
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) seen.insert(random_id(16));
  EXPECT_EQ(seen.size(), 10'000U);
  EXPECT_EQ(random_id(16).size(), 22U);
  EXPECT_EQ(random_id(100).size(), 134U);
}

}  // namespace
}  // namespace sallyport::base
