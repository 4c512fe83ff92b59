#pragma once

#include "feature/config/config.h"
#include "sallyport/log.h"

namespace sallyport::main {

/// Where the server's events go: stderr, one write(2) each, from any thread. Events below the level
/// are dropped before they are formatted.
[[nodiscard]] LogSink make_log(const config::LogSettings& settings);

}  // namespace sallyport::main
