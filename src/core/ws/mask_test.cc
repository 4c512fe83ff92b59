#include "core/ws/mask.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace sallyport::ws {
namespace {

constexpr MaskKey kKey = {0x37, 0xFA, 0x21, 0x3D};

std::string masked_one_by_one(std::string data, std::size_t offset) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    data[i] = static_cast<char>(static_cast<std::uint8_t>(data[i]) ^ kKey[(offset + i) % 4]);
  }
  return data;
}

TEST(Mask, MasksTheExampleOfTheRfc) {
  std::string data = "Hello";  // RFC 6455 section 5.7
  apply_mask(data, kKey);
  EXPECT_EQ(data, "\x7f\x9f\x4d\x51\x58");
}

TEST(Mask, MasksEveryLengthAtEveryAlignmentAndOffsetAndNothingAround) {
  std::mt19937 random(1);
  for (std::size_t alignment = 0; alignment < 17; ++alignment) {
    for (std::size_t size = 0; size < 100; ++size) {
      std::string whole(alignment + size + 8, '\0');
      for (char& c : whole) c = static_cast<char>(random() & 0xFF);
      for (std::size_t offset = 0; offset < 5; ++offset) {
        std::string actual = whole;
        apply_mask(std::span(actual).subspan(alignment, size), kKey, offset);
        ASSERT_EQ(actual, whole.substr(0, alignment) +
                              masked_one_by_one(whole.substr(alignment, size), offset) +
                              whole.substr(alignment + size))
            << alignment << ' ' << size << ' ' << offset;
      }
    }
  }
}

TEST(Mask, MaskingPieceByPieceIsMaskingTheWhole) {
  const std::string whole(200, 'x');
  for (std::size_t first = 0; first <= 40; ++first) {
    for (std::size_t second = 0; second <= 40; ++second) {
      std::string actual = whole;
      std::uint32_t key = key_word(kKey);
      apply_mask(std::span(actual).first(first), key);
      key = advance_key(key, first);
      apply_mask(std::span(actual).subspan(first, second), key);
      key = advance_key(key, second);
      apply_mask(std::span(actual).subspan(first + second), key);
      ASSERT_EQ(actual, masked_one_by_one(whole, 0)) << first << ' ' << second;
    }
  }
}

}  // namespace
}  // namespace sallyport::ws
