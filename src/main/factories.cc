#include "main/factories.h"

#include "sallyport/verifiers.h"

namespace sallyport::main {

config::Factories verifier_factories() {
  return {.jwks = jwks,
          .discovered = discovered,
          .introspection = introspection,
          .express_session = express_session,
          .http_verifier = http_verifier,
          .api_keys = api_keys,
          .client_certificate = client_certificate};
}

}  // namespace sallyport::main
