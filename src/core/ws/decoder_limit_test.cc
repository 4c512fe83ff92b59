#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/ws/decoder.h"
#include "core/ws/deflate.h"
#include "core/ws/test_frames.h"

namespace sallyport::ws {
namespace {

std::vector<Said> decode(const std::string& stream, DecoderLimits limits) {
  Decoder decoder(Role::kServer, limits);
  return feed_whole(decoder, stream);
}

TEST(DecoderLimit, MessageBytesAreAllowedExactly) {
  for (const std::size_t limit : {0, 1, 20, 125, 126, 127, 65535, 65536, 65537}) {
    const std::string full(limit, 'x');
    const DecoderLimits limits = {.message_bytes = limit};
    EXPECT_EQ(decode(masked(Opcode::kBinary, full), limits),
              std::vector{message(Opcode::kBinary, full)})
        << limit;
    EXPECT_EQ(decode(masked(Opcode::kBinary, full + 'y'), limits),
              std::vector{violated(Violation::kMessageTooBig)})
        << limit;
  }
}

TEST(DecoderLimit, MessageBytesCountAllFragmentsTogether) {
  const DecoderLimits limits = {.message_bytes = 300};
  const std::string head = masked(Opcode::kBinary, std::string(100, 'x'), false) +
                           masked(Opcode::kContinuation, std::string(100, 'x'), false);
  EXPECT_EQ(decode(head + masked(Opcode::kContinuation, std::string(100, 'x')), limits),
            std::vector{message(Opcode::kBinary, std::string(300, 'x'))});
  EXPECT_EQ(decode(head + masked(Opcode::kContinuation, std::string(101, 'x')), limits),
            std::vector{violated(Violation::kMessageTooBig)});
}

TEST(DecoderLimit, ControlPayloadsDoNotCountForTheMessage) {
  const DecoderLimits limits = {.message_bytes = 10};
  EXPECT_EQ(decode(masked(Opcode::kPing, std::string(125, 'p')), limits),
            std::vector{ping(std::string(125, 'p'))});
  const std::string stream = masked(Opcode::kBinary, "12345", false) +
                             masked(Opcode::kPing, std::string(125, 'p')) +
                             masked(Opcode::kContinuation, "67890");
  const std::vector expected = {ping(std::string(125, 'p')),
                                message(Opcode::kBinary, "1234567890")};
  EXPECT_EQ(decode(stream, limits), expected);
  Decoder decoder(Role::kServer, limits);
  EXPECT_EQ(feed_all(decoder, stream, [] { return 1; }), expected);
}

TEST(DecoderLimit, FragmentsAreAllowedExactly) {
  const std::string first = masked(Opcode::kText, "a", false);
  const std::string middle = masked(Opcode::kContinuation, "b", false);
  const std::string end = masked(Opcode::kContinuation, "c");
  const DecoderLimits three = {.fragments = 3};
  EXPECT_EQ(decode(first + middle + end, three), std::vector{message(Opcode::kText, "abc")});
  EXPECT_EQ(decode(first + middle + middle + end, three),
            std::vector{violated(Violation::kTooManyFragments)});
  // The next message begins to count from the start.
  EXPECT_EQ(decode(first + middle + end + first + middle + end, three).size(), 2U);
}

TEST(DecoderLimit, OneFragmentForbidsFragmentation) {
  for (const std::uint32_t fragments : {0U, 1U}) {
    const DecoderLimits limits = {.fragments = fragments};
    EXPECT_EQ(decode(masked(Opcode::kText, "whole"), limits),
              std::vector{message(Opcode::kText, "whole")});
    EXPECT_EQ(decode(masked(Opcode::kText, "", false), limits),
              std::vector{violated(Violation::kTooManyFragments)});
  }
}

TEST(DecoderLimit, EmptyFragmentsHoldNoMemoryAndAreCounted) {
  Decoder decoder(Role::kServer, {.fragments = 1000});
  std::vector<Said> said;
  feed(decoder, masked(Opcode::kText, "", false), said);
  for (int i = 0; i < 998; ++i) feed(decoder, masked(Opcode::kContinuation, "", false), said);
  EXPECT_TRUE(said.empty());
  EXPECT_EQ(decoder.held_bytes(), 0U);
  feed(decoder, masked(Opcode::kContinuation, "", false), said);
  EXPECT_EQ(said, std::vector{violated(Violation::kTooManyFragments)});
}

TEST(DecoderLimit, ControlFramesAreAllowedExactlyAndRenewed) {
  const DecoderLimits limits = {.control_frames_between_data = 2};
  const std::string ping_frame = masked(Opcode::kPing, "");
  Decoder decoder(Role::kServer, limits);
  std::vector<Said> said;
  feed(decoder, ping_frame + ping_frame + masked(Opcode::kText, "") + ping_frame + ping_frame,
       said);
  EXPECT_EQ(said.size(), 5U);
  EXPECT_FALSE(decoder.closed());
  decoder.renew_control_frames();
  feed(decoder, ping_frame + masked(Opcode::kPong, ""), said);
  EXPECT_EQ(said.size(), 7U);
  // A Close is always heard.
  Decoder closing = Decoder(Role::kServer, limits);
  said.clear();
  feed(closing, ping_frame + ping_frame + masked(Opcode::kClose, ""), said);
  EXPECT_EQ(said.back(), closed(CloseCode::kNoStatus, ""));
  said.clear();
  feed(decoder, ping_frame, said);
  EXPECT_EQ(said, std::vector{violated(Violation::kTooManyControlFrames)});
}

TEST(DecoderLimit, EveryDataFrameBeginsTheCountOfControlFramesAgain) {
  const std::string two_pings = masked(Opcode::kPing, "") + masked(Opcode::kPing, "");
  const std::string stream = masked(Opcode::kText, "a", false) + two_pings +
                             masked(Opcode::kContinuation, "b", false) + two_pings +
                             masked(Opcode::kContinuation, "c") + two_pings +
                             masked(Opcode::kBinary, std::string(200, 'd')) + two_pings;
  const auto said = decode(stream, {.control_frames_between_data = 2});
  EXPECT_EQ(said.size(), 10U);
  EXPECT_EQ(said.back(), ping(""));
}

TEST(DecoderLimit, LimitsChangeBetweenMessagesAndWithinThem) {
  Decoder decoder(Role::kServer, {.message_bytes = 8, .fragments = 1});
  std::vector<Said> said;
  feed(decoder, masked(Opcode::kText, "12345678"), said);
  decoder.set_limits({.message_bytes = 100, .fragments = 3});
  feed(decoder, masked(Opcode::kText, std::string(50, 'a'), false), said);
  feed(decoder, masked(Opcode::kContinuation, std::string(50, 'b')), said);
  EXPECT_EQ(said.size(), 2U);
  feed(decoder, masked(Opcode::kText, std::string(50, 'a'), false), said);
  decoder.set_limits({.message_bytes = 8, .fragments = 3});
  feed(decoder, masked(Opcode::kContinuation, ""), said);
  EXPECT_EQ(said.back(), violated(Violation::kMessageTooBig));
}

TEST(DecoderLimit, AHeaderReservesNothing) {
  Decoder decoder(Role::kServer, {.message_bytes = 1ULL << 40});
  const FrameHeader header =
      encode_header({.opcode = Opcode::kBinary, .mask = kTestKey}, 1ULL << 30);
  std::vector<Said> said;
  feed(decoder, std::string(header.view()), said);
  EXPECT_EQ(decoder.held_bytes(), 0U);
  feed(decoder, std::string(1000, 'x'), said);
  EXPECT_LE(decoder.held_bytes(), 2000U);
  feed(decoder, std::string(100'000, 'x'), said);
  EXPECT_LE(decoder.held_bytes(), 202'000U);
  EXPECT_TRUE(said.empty());
}

TEST(DecoderLimit, MemoryNeverExceedsTheMessageLimitForAKnownEnd) {
  Decoder decoder(Role::kServer, {.message_bytes = 10'000});
  std::vector<Said> said;
  const std::string frame = masked(Opcode::kBinary, std::string(10'000, 'x'));
  for (std::size_t at = 0; at < frame.size(); at += 700) {
    feed(decoder, frame.substr(at, 700), said);
    EXPECT_LE(decoder.held_bytes(), 10'000U);
  }
  EXPECT_EQ(said, std::vector{message(Opcode::kBinary, std::string(10'000, 'x'))});
  EXPECT_EQ(decoder.held_bytes(), 0U);
}

TEST(DecoderLimit, NoMemoryIsHeldBetweenMessages) {
  const std::string stream = masked(Opcode::kText, std::string(3000, 'a'), false) +
                             masked(Opcode::kPing, std::string(100, 'p')) +
                             masked(Opcode::kContinuation, std::string(3000, 'b'));
  for (const std::size_t step : {1, 7, 100, 2000}) {
    Decoder decoder(Role::kServer);
    std::vector<Said> said;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      EXPECT_EQ(decoder.idle(), at == 0) << at;
      feed(decoder, stream.substr(at, step), said);
    }
    EXPECT_EQ(said.size(), 2U);
    EXPECT_TRUE(decoder.idle());
    EXPECT_EQ(decoder.held_bytes(), 0U);
    // A ping that comes in pieces holds memory only until it is whole.
    const std::string split_ping = masked(Opcode::kPing, std::string(125, 'p'));
    feed(decoder, split_ping.substr(0, 50), said);
    EXPECT_FALSE(decoder.idle());
    EXPECT_GT(decoder.held_bytes(), 0U);
    EXPECT_LE(decoder.held_bytes(), 125U);
    feed(decoder, split_ping.substr(50), said);
    EXPECT_TRUE(decoder.idle());
    EXPECT_EQ(decoder.held_bytes(), 0U);
  }
}

TEST(DecoderLimit, ACloseWithinAMessageGivesItsMemoryBack) {
  Decoder decoder(Role::kServer);
  std::vector<Said> said;
  feed(decoder, masked(Opcode::kBinary, std::string(3000, 'a'), false), said);
  EXPECT_GT(decoder.held_bytes(), 0U);
  const std::string close = masked(Opcode::kClose, bytes({0x03, 0xE8}) + "bye");
  feed(decoder, close.substr(0, 9), said);
  feed(decoder, close.substr(9), said);
  EXPECT_EQ(said, std::vector{closed(CloseCode::kNormal, "bye")});
  EXPECT_EQ(decoder.held_bytes(), 0U);
  EXPECT_TRUE(decoder.closed());
}

}  // namespace
}  // namespace sallyport::ws
