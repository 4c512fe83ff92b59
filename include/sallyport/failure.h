#pragma once

#include <cstdint>
#include <string_view>

namespace sallyport {

/// Everything that can end a handshake or a connection. Each has one row in a table that gives its
/// HTTP status, its close codes, the word that the peer is told, and what a client should do; see
/// docs/close-codes.md.
enum class Failure : std::uint8_t {
  kBadRequest,          ///< malformed upgrade, two credentials, a doubled parameter
  kNotFound,            ///< no such path
  kUpgradeRequired,     ///< a plain request on a WebSocket route
  kHeaderTooLarge,      ///< request head over `header_bytes`
  kHandshakeTimeout,    ///< request head not complete in time
  kOriginNotAllowed,    ///< Origin refused, or missing where it is required
  kMissingCredentials,  ///< none came, or none on a transport that the route lists
  kInvalidToken,        ///< signature, issuer, audience, type or format
  kTokenExpired,        ///< `now >= exp + leeway`
  kTokenNotYetValid,    ///< `nbf` or `iat` lies in the future
  kTokenRevoked,        ///< revoked by id, subject, session or issuer
  kLoggedOut,           ///< the login at the identity provider ended
  kSubjectChanged,      ///< a refresh named another issuer or subject
  kInsufficientScope,   ///< authenticated, but a scope of the route is missing
  kForbidden,           ///< authenticated, but claims, address or `authorize` say no
  kAuthTimeout,         ///< no first message within `auth_timeout`
  kTooManyRequests,     ///< connections, failures or attempts over their limit
  kRateLimited,         ///< messages or refreshes over their limit
  kPolicy,              ///< the in-band protocol was misused
  kEvicted,             ///< a newer connection of the same subject took the place
  kSessionEnded,        ///< `max_session` reached
  kDraining,            ///< the server is stopping
  kUnavailable,         ///< a verifier cannot be asked, or the server is full
  kUpstream,            ///< the proxied application failed
  kSlowConsumer,        ///< the send queue went over `send_queue_bytes`
  kIdleTimeout,         ///< the peer did not answer pings
  kProtocolError,       ///< RFC 6455 framing violated
  kInvalidPayload,      ///< a text message that is not UTF-8
  kMessageTooBig,       ///< a message over `message_bytes`
  kInternal,            ///< our fault, or a handler threw
};

/// The machine-readable word that a peer is told, such as "token_expired".
[[nodiscard]] std::string_view reason(Failure failure) noexcept;

}  // namespace sallyport
