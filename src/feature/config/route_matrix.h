#pragma once

#include <vector>

#include "feature/config/reading.h"
#include "feature/config/route_credentials.h"

namespace sallyport::config {

/// A verifier of a route and the line on which the route names it.
struct PlacedVerifier {
  const VerifierEntry* entry;
  int line = 1;
};

/// What a route asks for and whom it asks.
struct RouteAuthority {
  std::vector<PlacedCredential> credentials;
  std::vector<PlacedVerifier> verifiers;
  /// False if a verifier that the route names is at fault: then nothing is known of what it takes.
  bool complete = true;
};

/// Reports the credentials that no verifier of the route takes, the verifiers that take none of its
/// credentials, and what the two need from elsewhere: the table in docs/credentials.md.
void check_matrix(Section& route, const Reading& reading, const RouteAuthority& authority);

/// Warns of verifiers that are never asked. The issuer alone decides who is, so that no key of
/// another issuer can ever vouch for it.
void warn_of_shadowed(Section& route, const RouteAuthority& authority);

/// Warns, at most once, where a login that has ended elsewhere goes on here for long.
void warn_of_long_logins(Section& route, const RouteAuthority& authority,
                         std::chrono::milliseconds max_session);

}  // namespace sallyport::config
