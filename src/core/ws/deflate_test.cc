#include "core/ws/deflate.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "core/ws/decoder.h"
#include "core/ws/test_frames.h"

namespace sallyport::ws {
namespace {

std::string inflated(std::string_view compressed, std::uint64_t limit = 1 << 20) {
  Inflater inflater;
  const auto result = inflater.inflate(compressed, limit);
  EXPECT_TRUE(result);
  return result ? std::string(*result) : "";
}

InflateError refused(std::string_view compressed, std::uint64_t limit = 1 << 20) {
  Inflater inflater;
  const auto result = inflater.inflate(compressed, limit);
  EXPECT_FALSE(result);
  return result ? InflateError{255} : result.error();
}

// Stored blocks, which any peer may send: deflate without compression.
std::string stored(std::string_view text) {
  std::string out;
  const auto size = static_cast<unsigned>(text.size());
  out += bytes({0x00, static_cast<int>(size & 0xFF), static_cast<int>(size >> 8),
                static_cast<int>(~size & 0xFF), static_cast<int>(~size >> 8 & 0xFF)});
  return out.append(text) + bytes({0x00});
}

TEST(Inflater, ReadsTheExamplesOfTheRfc) {
  // RFC 7692 section 7.2.3: one block, without compression, with BFINAL, and two blocks.
  EXPECT_EQ(inflated(bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00})), "Hello");
  EXPECT_EQ(inflated(bytes({0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00})),
            "Hello");
  EXPECT_EQ(inflated(bytes({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00})), "Hello");
  EXPECT_EQ(inflated(bytes(
                {0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00})),
            "Hello");
  EXPECT_EQ(inflated(bytes({0x00})), "");
}

TEST(Inflater, RefusesWhatIsNotAWholeMessage) {
  const std::string whole = bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(refused(whole.substr(0, size)), InflateError::kCorrupt) << size;
  }
  EXPECT_EQ(refused("\xff\xff\xff"), InflateError::kCorrupt);
  EXPECT_EQ(refused(bytes({0x07, 0x00})), InflateError::kCorrupt);
  // A final block that nothing follows, not even the empty block that ends a message.
  EXPECT_EQ(refused(bytes({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00})), InflateError::kCorrupt);
  // A match at distance 1, with a byte in front of it and with none.
  const std::string match = bytes({0x02, 0x02, 0x00, 0x00});
  EXPECT_EQ(inflated(bytes({0x00, 0x01, 0x00, 0xfe, 0xff, 'a'}) + match), "aaaa");
  EXPECT_EQ(refused(match), InflateError::kCorrupt);
}

TEST(Inflater, StaysUsableAfterARefusal) {
  Inflater inflater;
  EXPECT_FALSE(inflater.inflate("\xff\xff\xff", 100));
  EXPECT_FALSE(inflater.inflate(stored("too long"), 3));
  EXPECT_EQ(*inflater.inflate(stored("fine"), 100), "fine");
}

TEST(Inflater, ChecksTheLimitExactly) {
  Deflater deflater;
  for (const std::size_t size : {1, 100, 4095, 4096, 4097, 65536, 100'000}) {
    const std::string text(size, 'z');
    const std::string stored_text = size < 65536 ? stored(text) : "";
    for (const std::string& compressed :
         {std::string(deflater.deflate(text).value_or("")), stored_text}) {
      if (compressed.empty()) continue;
      EXPECT_EQ(inflated(compressed, size), text);
      EXPECT_EQ(inflated(compressed, UINT64_MAX), text);
      EXPECT_EQ(refused(compressed, size - 1), InflateError::kTooLarge);
    }
  }
  EXPECT_EQ(inflated(bytes({0x00}), 0), "");
  EXPECT_EQ(refused(stored("x"), 0), InflateError::kTooLarge);
}

TEST(Inflater, BoundsItsMemoryAgainstABomb) {
  Deflater deflater(9);
  const std::string bomb(*deflater.deflate(std::string(1 << 20, '\0'), 15));
  ASSERT_LT(bomb.size(), 2048U);
  Inflater inflater;
  const auto result = inflater.inflate(bomb, 64 * 1024);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), InflateError::kTooLarge);
  EXPECT_LE(inflater.output_capacity(), 64U * 1024 + 1);

  Decoder decoder(Role::kServer, {.message_bytes = 64 * 1024});
  decoder.allow_compressed(true);
  std::vector<Said> said;
  feed(decoder, masked(Opcode::kBinary, bomb, true, true), said, &inflater);
  EXPECT_EQ(said, std::vector{violated(Violation::kInflatedTooBig)});
  EXPECT_EQ(said.front().code, CloseCode::kMessageTooBig);
  EXPECT_LE(inflater.output_capacity(), 64U * 1024 + 1);
}

TEST(Inflater, GivesTheMemoryOfALargeMessageBack) {
  Deflater deflater;
  Inflater inflater;
  const std::string large(*deflater.deflate(std::string(1 << 20, 'x')));
  ASSERT_TRUE(inflater.inflate(large, 1 << 20));
  EXPECT_GE(inflater.output_capacity(), 1U << 20);
  ASSERT_TRUE(inflater.inflate(stored("small"), 1 << 20));
  EXPECT_LE(inflater.output_capacity(), 64U * 1024);
}

TEST(Inflater, ReadsManyFinalBlocksWithoutKeepingAWindowOfEach) {
  std::string blocks;
  for (int i = 0; i < 1000; ++i) blocks += bytes({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00});
  std::string expected;
  for (int i = 0; i < 1000; ++i) expected += "Hello";
  EXPECT_EQ(inflated(blocks + bytes({0x00})), expected);
}

TEST(Deflater, IsUndoneByTheInflaterAtEveryWindow) {
  std::mt19937 random(5);
  Inflater inflater;
  for (const int level : {1, 6, 9}) {
    Deflater deflater(level);
    for (int bits = 9; bits <= 15; ++bits) {
      for (const std::size_t size : {20, 300, 5'000, 70'000}) {
        std::string text;
        while (text.size() < size) text += "word" + std::to_string(random() % 50) + ' ';
        const auto compressed = deflater.deflate(text, bits);
        if (!compressed) {
          EXPECT_LT(text.size(), 50U);
          continue;
        }
        EXPECT_LT(compressed->size(), text.size());
        const auto result = inflater.inflate(*compressed, text.size());
        ASSERT_TRUE(result) << level << ' ' << bits << ' ' << size;
        EXPECT_EQ(*result, text);
      }
    }
  }
}

TEST(Deflater, KeepsNoContextBetweenMessages) {
  Deflater deflater;
  const std::string text = "the same text, the same text, the same text again";
  const std::string first(*deflater.deflate(text));
  ASSERT_TRUE(deflater.deflate(std::string(10'000, 'x')));
  EXPECT_EQ(*deflater.deflate(text), first);
}

TEST(Deflater, GivesUpWhenNothingIsGained) {
  std::mt19937 random(6);
  Deflater deflater;
  EXPECT_FALSE(deflater.deflate(""));
  EXPECT_FALSE(deflater.deflate("ab"));
  for (const std::size_t size : {1, 10, 1000, 100'000}) {
    EXPECT_FALSE(deflater.deflate(random_text(random, size))) << size;
  }
  EXPECT_TRUE(deflater.deflate(std::string(1000, 'x')));
}

TEST(Deflater, AnIncompressibleMessageOfTheLimitPassesTheDecoder) {
  std::mt19937 random(8);
  const std::string payload = random_text(random, 60'000);
  Decoder decoder(Role::kServer, {.message_bytes = 60'000});
  decoder.allow_compressed(true);
  Inflater inflater;
  std::vector<Said> said;
  feed(decoder, masked(Opcode::kBinary, stored(payload), true, true), said, &inflater);
  EXPECT_EQ(said, std::vector{message(Opcode::kBinary, payload)});
}

TEST(DecoderDeflate, OneInflaterServesInterleavedConnections) {
  Deflater deflater;
  Inflater inflater;
  const std::string first_text(1000, 'a');
  const std::string second_text(2000, 'b');
  const std::string first = masked(Opcode::kText, *deflater.deflate(first_text), true, true);
  const std::string second = masked(Opcode::kText, *deflater.deflate(second_text), true, true);
  Decoder a(Role::kServer);
  Decoder b(Role::kServer);
  a.allow_compressed(true);
  b.allow_compressed(true);
  std::vector<Said> from_a;
  std::vector<Said> from_b;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) feed(a, first.substr(i, 1), from_a, &inflater);
    if (i < second.size()) feed(b, second.substr(i, 1), from_b, &inflater);
  }
  EXPECT_EQ(from_a, std::vector{message(Opcode::kText, first_text)});
  EXPECT_EQ(from_b, std::vector{message(Opcode::kText, second_text)});
}

TEST(DecoderDeflate, CompressionAllowedDoesNotMeanEveryMessageIsCompressed) {
  Inflater inflater;
  Decoder decoder(Role::kServer);
  decoder.allow_compressed(true);
  std::vector<Said> said;
  feed(decoder, masked(Opcode::kText, "plain"), said, &inflater);
  feed(decoder, masked(Opcode::kText, "", true, true), said, &inflater);
  EXPECT_EQ(said,
            (std::vector{message(Opcode::kText, "plain"), violated(Violation::kInvalidDeflate)}));
}

}  // namespace
}  // namespace sallyport::ws
