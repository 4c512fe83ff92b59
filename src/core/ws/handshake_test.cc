#include "core/ws/handshake.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace sallyport::ws {
namespace {

TEST(Handshake, AnswersTheExampleOfTheRfc) {
  EXPECT_EQ(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(Handshake, AcceptsKeysOfSixteenBytes) {
  EXPECT_TRUE(valid_key("dGhlIHNhbXBsZSBub25jZQ=="));
  EXPECT_TRUE(valid_key("AAAAAAAAAAAAAAAAAAAAAA=="));
  EXPECT_TRUE(valid_key("/////////////////////w=="));
  EXPECT_TRUE(valid_key("+/+/+/+/+/+/+/+/+/+/+A=="));
}

TEST(Handshake, RefusesEverythingElse) {
  for (const std::string key :
       {"", "==", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZQA=", "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBsZSBub25jZR==",  // an unused bit is set
        "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25j_Q==", "dGhlIHNhbXBsZSBub25j-Q==",
        " GhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==\n", "dGhlIHNhbXBs=SBub25jZQ=="}) {
    EXPECT_FALSE(valid_key(key)) << key;
  }
  EXPECT_FALSE(valid_key(std::string("\0GhlIHNhbXBsZSBub25jZQ==", 24)));
}

TEST(Handshake, MakesKeysThatAreValid) {
  std::array<std::uint8_t, 16> random{};
  for (int i = 0; i < 256; ++i) {
    random.fill(static_cast<std::uint8_t>(i));
    random[15] = static_cast<std::uint8_t>(7 * i);
    EXPECT_TRUE(valid_key(make_key(random))) << i;
  }
}

}  // namespace
}  // namespace sallyport::ws
