#pragma once

#include "main/command_line.h"

namespace sallyport::main {

/// Makes a key pair and writes both files. Returns the exit status.
[[nodiscard]] int key_new(const KeyNewCommand& command);

}  // namespace sallyport::main
