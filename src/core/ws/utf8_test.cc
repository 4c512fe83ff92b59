#include "core/ws/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace sallyport::ws {
namespace {

std::string encode(std::uint32_t point) {
  std::string out;
  const auto put = [&](std::uint32_t byte) {
    out.push_back(static_cast<char>(byte));
  };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3F));
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  }
  return out;
}

// Decodes by arithmetic and encodes again: slow, and unlike what it checks. Returns how many
// bytes the character at `at` has, 0 if there is no valid one.
std::size_t naive_character(const std::string& text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const std::size_t size = byte(at) < 0x80             ? 1
                           : (byte(at) & 0xE0) == 0xC0 ? 2
                           : (byte(at) & 0xF0) == 0xE0 ? 3
                           : (byte(at) & 0xF8) == 0xF0 ? 4
                                                       : 0;
  if (size == 0 || at + size > text.size()) return 0;
  std::uint32_t point = size == 1 ? byte(at) : byte(at) & (0x7FU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
    point = point << 6 | (byte(at + i) & 0x3F);
  }
  if (point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return 0;
  return encode(point) == text.substr(at, size) ? size : 0;
}

bool naive_valid(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = naive_character(text, at);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

TEST(Utf8, AcceptsEveryCodePointAndRefusesSurrogates) {
  for (std::uint32_t point = 0; point <= 0x10FFFF; ++point) {
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    ASSERT_EQ(valid_utf8(encode(point)), !surrogate) << point;
  }
  for (std::uint32_t point = 0x110000; point < 0x140000; ++point) {
    ASSERT_FALSE(valid_utf8(encode(point))) << point;
  }
}

TEST(Utf8, AgreesWithANaiveValidatorOnEveryShortSequence) {
  // All of one to three bytes; with a fourth, those that can begin a character of four.
  const std::vector<int> edges = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      const std::string two = {static_cast<char>(a), static_cast<char>(b)};
      ASSERT_EQ(valid_utf8(two), naive_valid(two)) << a << ' ' << b;
      for (const int c : edges) {
        const std::string three = two + static_cast<char>(c);
        ASSERT_EQ(valid_utf8(three), naive_valid(three)) << a << ' ' << b << ' ' << c;
        for (const int d : edges) {
          const std::string four = three + static_cast<char>(d);
          ASSERT_EQ(valid_utf8(four), naive_valid(four)) << a << ' ' << b << ' ' << c << ' ' << d;
        }
      }
    }
    const std::string one(1, static_cast<char>(a));
    ASSERT_EQ(valid_utf8(one), naive_valid(one)) << a;
  }
}

TEST(Utf8, AgreesWithANaiveValidatorOnRandomTextHoweverItIsCut) {
  std::mt19937 random(7);
  int valid = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (auto characters = random() % 40; characters > 0; --characters) {
      const std::uint32_t limit = random() % 2 ? 0x80 : random() % 2 ? 0x800 : 0x110000;
      std::uint32_t point = random() % limit;
      if (point >= 0xD800 && point <= 0xDFFF) point = 0xD7FF;
      text += encode(point);
    }
    if (random() % 2 != 0 && !text.empty()) {
      text[random() % text.size()] = static_cast<char>(random() & 0xFF);
    }
    const bool expected = naive_valid(text);
    valid += expected ? 1 : 0;
    ASSERT_EQ(valid_utf8(text), expected) << round;
    Utf8Validator validator;
    bool good = true;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = 1 + random() % 20;
      good = validator.feed(std::string_view(text).substr(at, size));
      at += size;
      if (!good) break;
    }
    ASSERT_EQ(good && validator.complete(), expected) << round;
  }
  EXPECT_GT(valid, 5'000);
  EXPECT_LT(valid, 15'000);
}

TEST(Utf8, FailsWithTheViolatingByteAndStaysFailed) {
  struct Case {
    std::string text;
    std::size_t violating;
  };
  const std::vector<Case> cases = {
      {"\xC0\x80", 0},
      {"\xC1\xBF", 0},
      {"\xE0\x9F\xBF", 1},
      {"\xED\xA0\x80", 1},
      {"\xF0\x8F\xBF\xBF", 1},
      {"\xF4\x90\x80", 1},
      {"\xF5\x80", 0},
      {"\xFF", 0},
      {"\x80", 0},
      {"\xE2\x82 ", 2},
      {"\xF0\x9F\x98 ", 3},
      {"a\xC3(", 2},
      {std::string(40, 'a') + "\xE2\x82\xAC" + std::string(9, 'b') + "\xED\xBF\xBF", 53}};
  for (const Case& c : cases) {
    Utf8Validator validator;
    for (std::size_t i = 0; i < c.violating; ++i) {
      ASSERT_TRUE(validator.feed(c.text.substr(i, 1))) << i;
    }
    EXPECT_FALSE(validator.feed(c.text.substr(c.violating, 1)));
    EXPECT_FALSE(validator.feed("fine"));
    EXPECT_FALSE(validator.complete());
    Utf8Validator whole;
    EXPECT_FALSE(whole.feed(c.text));
    EXPECT_TRUE(whole.feed("") == false);
  }
}

TEST(Utf8, SeesABadByteAtEveryPlaceOfALongText) {
  for (std::size_t size = 1; size < 80; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      ASSERT_TRUE(valid_utf8(text));
      text[at] = '\x80';
      ASSERT_FALSE(valid_utf8(text)) << size << ' ' << at;
    }
  }
}

TEST(Utf8, IsIncompleteWithinACharacter) {
  Utf8Validator validator;
  EXPECT_TRUE(validator.complete());
  EXPECT_TRUE(validator.feed("\xE2\x82"));
  EXPECT_FALSE(validator.complete());
  EXPECT_TRUE(validator.feed("\xAC"));
  EXPECT_TRUE(validator.complete());
  EXPECT_TRUE(validator.feed("\xE2"));
  validator.reset();
  EXPECT_TRUE(validator.complete());
  EXPECT_FALSE(valid_utf8("\xE2\x82"));
}

}  // namespace
}  // namespace sallyport::ws
