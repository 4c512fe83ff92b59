// The load generator: one thread, one epoll loop, its own framing, so that a client costs less than
// any server under test. bench/README.md says what its figures mean.

#include <cstdio>
#include <exception>

#include "bench/load/modes.h"
#include "bench/load/options.h"
#include "bench/load/process.h"

int main(int argc, char** argv) {
  try {
    const sallyport::bench::Options options = sallyport::bench::parse_options(argc, argv);
    if (options.core >= 0) sallyport::bench::pin_to_core(options.core);
    sallyport::bench::run(options);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_load: %s\n", error.what());
    return 1;
  }
}
