#pragma once

#include <memory>
#include <vector>

#include "core/http/address.h"
#include "io/tls.h"
#include "sallyport/app.h"
#include "server/route_table.h"

namespace sallyport::server {

/// What a server is set up to be: its routes, its certificate, its limits before authentication. A reload replaces
/// it as a whole. Immutable once it serves; every worker holds the one that it goes by, and every connection the one
/// that its route belongs to.
struct Site {
  /// Throws std::invalid_argument on a trusted proxy that is no address block, std::runtime_error on a certificate
  /// or key that cannot be used.
  explicit Site(const AppOptions& options);

  std::uint64_t number = 0;  // counts reloads
  AppOptions options;        // what it was made from
  ServerLimits limits;
  std::string public_url;
  bool insecure_plaintext;
  std::vector<http::CidrBlock> trusted_proxies;
  std::shared_ptr<const io::TlsContext> tls;  // null: plain text
  bool asks_for_certificates;                 // of clients
  RouteTable routes;
  bool check_loopback_host = false;           // every listener is on loopback and no public URL is set
};

using SiteRef = std::shared_ptr<const Site>;

[[nodiscard]] inline std::shared_ptr<const Verifier> verifier_of(const WsRouteRef& route) {
  return {route, &route->spec.auth.verifier};
}

}  // namespace sallyport::server
