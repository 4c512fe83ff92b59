#pragma once

#include "core/http/route_pattern.h"
#include "feature/config/reading.h"

namespace sallyport::config {

/// Reads what decides who may connect to a route and what they may do there: origins, scopes,
/// claims, addresses.
void read_access(Section& section, Route& route);

/// Reads [[route.permit]]. `path` is the route's, or null if it is at fault; a permit may name only
/// its parameters.
void read_permits(Section& section, Reading& reading, const http::RoutePattern* path, Route& route);

}  // namespace sallyport::config
