#pragma once

#include "bench/load/options.h"

namespace sallyport::bench {

/// Runs the mode of `options` and prints its result as one line of JSON on standard output. Throws
/// std::runtime_error if the server does anything but what is measured.
void run(const Options& options);

}  // namespace sallyport::bench
