#pragma once

#include <chrono>
#include <cstdint>

namespace sallyport::base {

using Milliseconds = std::chrono::milliseconds;

/// A moment of the monotonic clock: what deadlines are made of. It never jumps.
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Milliseconds>;
/// A moment of the wall clock: what tokens speak of. It can be stepped in both directions.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Milliseconds>;

inline constexpr MonoTime kNever = MonoTime::max();
inline constexpr WallTime kForever = WallTime::max();

/// Both clocks, read once per turn of a loop and passed down as a value.
struct Now {
  MonoTime mono;
  WallTime wall;
};

}  // namespace sallyport::base
