#pragma once

#include "feature/config/config.h"
#include "sallyport/log.h"

namespace sallyport::main {

/// Where the server's events go: stderr, one write(2) each, from any thread. Events below the level
/// are dropped before they are formatted. A reader that stands still is not waited for: what it has no room for is
/// dropped, and `log.dropped` says how much when there is room again.
[[nodiscard]] LogSink make_log(const config::LogSettings& settings);

}  // namespace sallyport::main
