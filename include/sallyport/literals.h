#pragma once

#include <cstdint>

namespace sallyport {

/// A size in bytes. Write it as `64_KiB`.
using Bytes = std::uint64_t;

inline namespace literals {

constexpr Bytes operator""_B(unsigned long long n) { return n; }
constexpr Bytes operator""_KiB(unsigned long long n) { return n * 1024; }
constexpr Bytes operator""_MiB(unsigned long long n) { return n * 1024 * 1024; }

}  // namespace literals
}  // namespace sallyport
