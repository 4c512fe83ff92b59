#include "core/ws/encoder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/ws/test_frames.h"

namespace sallyport::ws {
namespace {

TEST(Encoder, WritesTheExamplesOfTheRfc) {
  EXPECT_EQ(plain(Opcode::kText, "Hello"), "\x81\x05Hello");  // RFC 6455 section 5.7
  EXPECT_EQ(masked(Opcode::kText, "Hello"), "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
  EXPECT_EQ(plain(Opcode::kText, "Hel", false), bytes({0x01, 0x03}) + "Hel");
  EXPECT_EQ(plain(Opcode::kContinuation, "lo"), bytes({0x80, 0x02}) + "lo");
  EXPECT_EQ(plain(Opcode::kPing, "Hello"), "\x89\x05Hello");
  EXPECT_EQ(plain(Opcode::kBinary, std::string(256, 'x')).substr(0, 4), bytes({0x82, 0x7E, 1, 0}));
  EXPECT_EQ(plain(Opcode::kBinary, std::string(65536, 'x')).substr(0, 10),
            bytes({0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0}));
  EXPECT_EQ(plain(Opcode::kText, "x", true, true), bytes({0xC1, 1}) + "x");
}

TEST(Encoder, UsesTheShortestLengthAndSaysTheSizeBeforehand) {
  struct Case {
    std::uint64_t payload;
    std::size_t header;
  };
  for (const Case& c : std::vector<Case>{
           {0, 2}, {125, 2}, {126, 4}, {65535, 4}, {65536, 10}, {(1ULL << 63) - 1, 10}}) {
    EXPECT_EQ(header_size(c.payload, Role::kServer), c.header);
    EXPECT_EQ(header_size(c.payload, Role::kClient), c.header + 4);
    EXPECT_EQ(encode_header({}, c.payload).size, c.header);
    EXPECT_EQ(encode_header({.mask = kTestKey}, c.payload).size, c.header + 4);
    EXPECT_EQ(frame_size(c.payload, Role::kServer), c.payload + c.header);
  }
}

TEST(Encoder, WritesIntoASpanWhatItAppends) {
  for (const std::size_t size : {0, 1, 2, 20, 125, 126, 200, 65535, 65536}) {
    const std::string payload(size, 'p');
    for (const bool mask : {false, true}) {
      FrameStart start{.opcode = Opcode::kText};
      if (mask) start.mask = kTestKey;
      std::string appended = "before";
      append_frame(appended, start, payload);
      std::string room(appended.size() - 6 + 3, '#');
      ASSERT_EQ(write_frame(room, start, payload), appended.size() - 6);
      EXPECT_EQ("before" + room, appended + "###");
    }
  }
}

TEST(Encoder, WritesNothingIntoASpanThatIsTooSmall) {
  for (const std::size_t size : {0, 5, 126, 70000}) {
    const std::string payload(size, 'p');
    for (const Role role : {Role::kServer, Role::kClient}) {
      FrameStart start{.opcode = Opcode::kText};
      if (role == Role::kClient) start.mask = kTestKey;
      const auto whole = static_cast<std::size_t>(frame_size(size, role));
      for (std::size_t less = 1; less <= std::min<std::size_t>(whole, 20); ++less) {
        std::string room(whole - less, '#');
        EXPECT_EQ(write_frame(room, start, payload), 0U);
        EXPECT_EQ(room, std::string(whole - less, '#'));
      }
    }
  }
}

}  // namespace
}  // namespace sallyport::ws
