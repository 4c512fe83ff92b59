#pragma once

#include "server/route_table.h"

namespace sallyport::server {

/// The body of `POST /.sallyport/refresh`: `{"connection":C}`.
inline constexpr std::size_t kRefreshBodyBytes = 4 * 1024;

/// A new credential for an open connection, for protocols in which it has no place. Whoever names a connection that
/// is not theirs changes nothing about it.
[[nodiscard]] awaitable<Response> refresh_connection(EndpointCall call);

}  // namespace sallyport::server
