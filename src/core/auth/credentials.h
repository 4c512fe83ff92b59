#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/secret.h"
#include "core/http/head.h"
#include "core/http/subprotocol.h"
#include "sallyport/credentials.h"
#include "sallyport/failure.h"

namespace sallyport::auth {

/// A credential that has been taken out of its request.
struct Credential {
  CredentialKind kind = CredentialKind::kNone;
  base::Secret token;
  /// Header fields that a verifier wants to see, by their lower-case names.
  std::vector<std::pair<std::string, base::Secret>> fields = {};
  /// The TLS client certificate in DER, shared with the connection; empty if there is none.
  std::shared_ptr<const std::string> certificate = {};
};

/// True for credentials that a browser attaches by itself, so that Origin is what tells a page's own
/// request from a forged one.
[[nodiscard]] bool ambient(CredentialKind kind) noexcept;

/// What of a handshake is asked for, and what stands beside its head.
struct CredentialQuestion {
  const CredentialSet& accepted;
  /// Lower-case names of the fields that the route's verifiers want to see.
  std::span<const std::string> wanted_fields = {};
  /// The TLS client certificate in DER, if the peer proved to have one.
  std::shared_ptr<const std::string> certificate = {};
};

/// Takes the one credential out of a handshake. Two of them, or one given twice, are refused whatever they
/// say: whoever can add a second one to a victim's request must not get to choose (RFC 6750 section 2).
/// What was found, and what looks like a bearer credential on a transport that is not accepted, is erased
/// from `head` and from `offer`, also when the answer is an error.
[[nodiscard]] std::expected<std::optional<Credential>, Failure> take_credential(
    http::Head& head, http::SubprotocolOffer* offer, const CredentialQuestion& question);

}  // namespace sallyport::auth
