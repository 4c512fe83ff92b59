#pragma once

#include "server/route_table.h"

namespace sallyport::server {

/// Adds what every listener serves below /.sallyport for pages that cannot set a header on a WebSocket and cannot
/// read why one was refused: `POST ticket` and `GET preflight`. A path that the application has taken stays its
/// own. Answers go to other origins only where the route in question allows them (Fetch, CORS protocol).
void add_public_endpoints(RouteTable& routes);

}  // namespace sallyport::server
