#include "core/base/base64url.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace sallyport::base {
namespace {

// RFC 4648 section 5, a bit at a time.
std::optional<std::string> slowly(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string data;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    for (int i = 5; i >= 0; --i) {
      bits = (bits << 1) | ((value >> i) & 1);
      if (++count % 8 == 0) {
        data.push_back(static_cast<char>(bits));
        bits = 0;
      }
    }
  }
  if (text.size() % 4 == 1 || bits != 0) return std::nullopt;
  return data;
}

TEST(Base64Url, AgreesWithTheDefinitionOnEveryTextOfTwoBytes) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text{static_cast<char>(a), static_cast<char>(b)};
      ASSERT_EQ(base64url_decode(text), slowly(text)) << a << " " << b;
    }
  }
}

TEST(Base64Url, RefusesEveryForeignByteAtEveryPlace) {
  for (std::size_t size = 2; size <= 11; ++size) {
    for (std::size_t place = 0; place < size; ++place) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'A');
        text[place] = static_cast<char>(byte);
        ASSERT_EQ(base64url_decode(text), slowly(text)) << size << " " << place << " " << byte;
      }
    }
  }
}

TEST(Base64Url, AgreesWithTheDefinitionOnTextsByChance) {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string data(random() % 40, '\0');
    for (char& c : data) c = static_cast<char>(random());
    std::string text = base64url_encode(data);
    ASSERT_EQ(base64url_decode(text), data);
    ASSERT_EQ(slowly(text), data);
    if (text.empty()) continue;
    text[random() % text.size()] = "AQgw-_+/= \n\0."[random() % 13];
    ASSERT_EQ(base64url_decode(text), slowly(text)) << text;
    text.resize(random() % (text.size() + 1));
    ASSERT_EQ(base64url_decode(text), slowly(text)) << text;
  }
}

}  // namespace
}  // namespace sallyport::base
