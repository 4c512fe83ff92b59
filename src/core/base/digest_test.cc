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
  // RFC 4231 section 4.3.
  EXPECT_EQ(text_of(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
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
