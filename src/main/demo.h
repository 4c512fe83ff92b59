#pragma once

#include "main/command_line.h"

namespace sallyport::main {

/// Runs the demonstration on a loopback address until SIGTERM or SIGINT. Returns the exit status.
[[nodiscard]] int demo(const DemoCommand& command);

}  // namespace sallyport::main
