#include "bench/load/process.h"

#include <sched.h>

#include <ctime>
#include <stdexcept>
#include <string>

namespace sallyport::bench {

void pin_to_core(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(core), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    throw std::runtime_error("cannot pin to core " + std::to_string(core));
  }
}

std::chrono::nanoseconds cpu_time(int pid) {
  // The CPU clock of a whole process may be read by others (clock_getcpuclockid(3)). Unlike the
  // sum over /proc/PID/task/*/schedstat it keeps the time of threads that have ended.
  clockid_t clock = 0;
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
    throw std::runtime_error("no process " + std::to_string(pid));
  }
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace sallyport::bench
