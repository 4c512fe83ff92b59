#pragma once

#include <string>
#include <string_view>

#include "server/metrics.h"

namespace sallyport::admin {

/// What `metrics_text` is, for Content-Type.
inline constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that is counted, in Prometheus' text format. Every series is there from the start, with 0, so
/// that a first failure is seen as an increase. Labels are routes as they were registered and words from our
/// own tables: nothing that a peer chose, so their number is bounded.
[[nodiscard]] std::string metrics_text(const server::MetricsSnapshot& snapshot);

}  // namespace sallyport::admin
