#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/ws/frame.h"

namespace sallyport::ws {

/// The key as one word whose bytes lie in memory as they do in the frame, whatever the byte order
/// of the machine.
[[nodiscard]] constexpr std::uint32_t key_word(MaskKey key) noexcept {
  return std::bit_cast<std::uint32_t>(key);
}

/// The key for the rest of a payload of which `bytes` bytes have been masked (RFC 6455 section 5.3:
/// byte i meets key byte i mod 4).
[[nodiscard]] constexpr std::uint32_t advance_key(std::uint32_t key, std::size_t bytes) noexcept {
  const int bits = static_cast<int>(8 * (bytes % 4));
  if constexpr (std::endian::native == std::endian::little) {
    return std::rotr(key, bits);
  } else {
    return std::rotl(key, bits);
  }
}

/// Masks or unmasks `data` in place; its first byte meets the first byte of `key`.
inline void apply_mask(std::span<char> data, std::uint32_t key) noexcept {
  char* at = data.data();
  std::size_t left = data.size();
  const std::uint64_t wide = key * 0x1'0000'0001ULL;
  // Four independent words a step: compilers turn them into vector registers, also at -O2.
  while (left >= 32) {
    std::array<std::uint64_t, 4> words;
    std::memcpy(words.data(), at, 32);
    words[0] ^= wide;
    words[1] ^= wide;
    words[2] ^= wide;
    words[3] ^= wide;
    std::memcpy(at, words.data(), 32);
    at += 32;
    left -= 32;
  }
  while (left >= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    word ^= wide;
    std::memcpy(at, &word, 8);
    at += 8;
    left -= 8;
  }
  if ((left & 4) != 0) {
    std::uint32_t word;
    std::memcpy(&word, at, 4);
    word ^= key;
    std::memcpy(at, &word, 4);
    at += 4;
  }
  const auto bytes = std::bit_cast<MaskKey>(key);
  for (std::size_t i = 0; i < (left & 3); ++i) {
    at[i] = static_cast<char>(static_cast<std::uint8_t>(at[i]) ^ bytes[i]);
  }
}

/// The same for a piece that begins `offset` bytes into the payload.
inline void apply_mask(std::span<char> data, MaskKey key, std::size_t offset = 0) noexcept {
  apply_mask(data, advance_key(key_word(key), offset));
}

}  // namespace sallyport::ws
