#include "core/base/base64url.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace sallyport::base {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// What a character stands for, at each of the four places of a group of 24 bits. A character that
// is none has a bit above them, so that one check covers many groups.
constexpr std::uint32_t kNone = std::uint32_t{1} << 24;
using Table = std::array<std::uint32_t, 256>;
constexpr std::array<Table, 4> kReverse = [] {
  std::array<Table, 4> tables{};
  for (std::size_t place = 0; place < tables.size(); ++place) {
    tables[place].fill(kNone);
    for (std::uint32_t i = 0; i < kAlphabet.size(); ++i) {
      tables[place][static_cast<unsigned char>(kAlphabet[i])] = i << (18 - 6 * place);
    }
  }
  return tables;
}();

std::uint32_t value_of(char c, std::size_t place) {
  return kReverse[place][static_cast<unsigned char>(c)];
}

}  // namespace

std::string base64url_encode(std::string_view data) {
  std::string text;
  const std::size_t rest = data.size() % 3;
  const std::size_t size = (data.size() * 4 + 2) / 3;
  // GCC 12's library hands out the capacity as the size that was asked for.
  text.resize_and_overwrite(size, [&](char* out, std::size_t) {
    const auto* in = reinterpret_cast<const unsigned char*>(data.data());
    const auto put = [&out](std::uint32_t bits, int count) {
      for (int i = 0; i < count; ++i) *out++ = kAlphabet[(bits >> (18 - 6 * i)) & 63];
    };
    for (const auto* const end = in + data.size() - rest; in != end; in += 3) {
      put((std::uint32_t{in[0]} << 16) | (std::uint32_t{in[1]} << 8) | in[2], 4);
    }
    if (rest == 1) put(std::uint32_t{in[0]} << 16, 2);
    if (rest == 2) put((std::uint32_t{in[0]} << 16) | (std::uint32_t{in[1]} << 8), 3);
    return size;
  });
  return text;
}

std::optional<std::string> base64url_decode(std::string_view text) {
  const std::size_t rest = text.size() % 4;
  if (rest == 1) return std::nullopt;
  std::string data;
  std::uint32_t seen = 0;
  const std::size_t size = text.size() * 3 / 4;
  data.resize_and_overwrite(size, [&](char* out, std::size_t) {
    const char* in = text.data();
    for (const char* const end = in + text.size() - rest; in != end; in += 4) {
      const std::uint32_t bits =
          value_of(in[0], 0) | value_of(in[1], 1) | value_of(in[2], 2) | value_of(in[3], 3);
      seen |= bits;
      *out++ = static_cast<char>(bits >> 16);
      *out++ = static_cast<char>(bits >> 8);
      *out++ = static_cast<char>(bits);
    }
    if (rest == 0) return size;
    std::uint32_t bits = value_of(in[0], 0) | value_of(in[1], 1);
    if (rest == 3) bits |= value_of(in[2], 2);
    seen |= bits;
    *out++ = static_cast<char>(bits >> 16);
    if (rest == 3) *out++ = static_cast<char>(bits >> 8);
    // The bits beyond the last whole byte must be zero.
    if ((bits & (rest == 2 ? 0xffffU : 0xffU)) != 0) seen |= kNone;
    return size;
  });
  if ((seen & kNone) != 0) return std::nullopt;
  return data;
}

}  // namespace sallyport::base
