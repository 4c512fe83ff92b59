#pragma once

#include <time.h>

#include <chrono>

namespace sallyport::io::test {

namespace detail {
inline std::chrono::nanoseconds read_clock(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}
}  // namespace detail

/// Processor time that the calling thread, or the whole process, has used so far.
inline std::chrono::nanoseconds thread_cpu_time() { return detail::read_clock(CLOCK_THREAD_CPUTIME_ID); }
inline std::chrono::nanoseconds process_cpu_time() { return detail::read_clock(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace sallyport::io::test
