#pragma once

#include <expected>
#include <optional>

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
};

/// True for credentials that a browser attaches by itself, so that Origin is what tells a page's own
/// request from a forged one.
[[nodiscard]] bool ambient(CredentialKind kind) noexcept;

/// Takes the one credential out of a handshake. Two of them, or one given twice, are refused whatever they
/// say: whoever can add a second one to a victim's request must not get to choose (RFC 6750 section 2).
/// What was found, and what looks like a bearer credential on a transport that is not accepted, is erased
/// from `head` and from `offer`, also when the answer is an error.
[[nodiscard]] std::expected<std::optional<Credential>, Failure> take_credential(
    http::Head& head, http::SubprotocolOffer* offer, const CredentialSet& accepted);

}  // namespace sallyport::auth
