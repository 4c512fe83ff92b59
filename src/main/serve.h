#pragma once

#include "main/command_line.h"

namespace sallyport::main {

/// Runs the server until SIGTERM or SIGINT. Returns the exit status.
[[nodiscard]] int serve(const ServeCommand& command);

/// Prints what is wrong with a configuration, or that nothing is. Returns the exit status.
[[nodiscard]] int check(const CheckCommand& command);

}  // namespace sallyport::main
