#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string_view>

namespace sallyport::http {

/// How long a reply may be used without asking again (RFC 9111 section 4.2), by its Cache-Control fields and its
/// Age field (empty if there is none): `max-age` less the time it has spent in caches before us, never below 0. 0
/// also for `no-store` and `no-cache`. Nothing if the fields do not say; a value that is no number says nothing. We
/// are a private cache, so that `s-maxage` and `private` mean nothing here.
[[nodiscard]] std::optional<std::chrono::seconds> freshness(std::span<const std::string_view> cache_control,
                                                            std::string_view age);

}  // namespace sallyport::http
