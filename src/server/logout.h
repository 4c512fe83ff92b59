#pragma once

#include "server/route_table.h"

namespace sallyport::server {

/// The body of `POST /.sallyport/backchannel-logout`: a form with a logout token.
inline constexpr std::size_t kLogoutBodyBytes = 16 * 1024;

/// OpenID Connect Back-Channel Logout 1.0: an issuer says that a login has ended, and so do its sockets, before the
/// answer. A token counts once. With a `sid` it means that session and no other of the same subject; without one,
/// all logins of the subject until then, but none that comes afterwards.
[[nodiscard]] awaitable<Response> backchannel_logout(EndpointCall call);

}  // namespace sallyport::server
