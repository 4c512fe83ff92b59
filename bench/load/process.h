#pragma once

#include <chrono>

namespace sallyport::bench {

/// Keeps this process on one core. Throws std::runtime_error if the core is not there.
void pin_to_core(int core);

/// The processor time that all threads of a process have used, those that have ended included, by
/// the kernel's scheduler clock: nanoseconds, not ticks. `pid` 0 is this process.
/// Throws std::runtime_error if there is no such process.
[[nodiscard]] std::chrono::nanoseconds cpu_time(int pid);

}  // namespace sallyport::bench
