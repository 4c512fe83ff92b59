#pragma once

#include <any>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sallyport/connection.h"
#include "sallyport/credentials.h"
#include "sallyport/literals.h"
#include "sallyport/request.h"
#include "sallyport/verifier.h"

namespace sallyport {

/// Who may open a socket on a route, and for how long that holds.
struct Auth {
  Verifier verifier;
  CredentialSet from = header | subprotocol | first_message;
  std::chrono::milliseconds timeout{5000};        ///< upgrade to first message, then 3008
  Bytes pre_auth_bytes = 8 * 1024;                ///< the first message's limit, then 1008
  std::chrono::milliseconds refresh_lead{30'000}; ///< the warning before expiry, at most a fifth of the life
  std::chrono::milliseconds max_session{12 * 3'600'000};  ///< then 1001
};

/// Which pages may open a socket. An Origin header that is there must satisfy it, whatever the credential.
struct Origins {
  enum class Kind : std::uint8_t { kSame, kList, kInsecureAny };
  Kind kind = Kind::kSame;
  std::vector<std::string> list = {};  ///< "https://app.example.com", "https://*.example.com"
};

/// Scheme, host and port of `AppOptions::public_url`; without one, the loopback address that was reached.
inline const Origins same_origin{};
inline const Origins insecure_any_origin{.kind = Origins::Kind::kInsecureAny};
[[nodiscard]] inline Origins origins(std::vector<std::string> list) {
  return {.kind = Origins::Kind::kList, .list = std::move(list)};
}

enum class SlowConsumer : std::uint8_t {
  kClose,       ///< over `send_queue_bytes` the connection is closed
  kDropOldest,  ///< the oldest waiting messages are dropped
};

/// What a connection finds that would be one too many of its subject.
enum class WhenFull : std::uint8_t {
  kEvictOldest,  ///< the subject's oldest connection on the route makes room: 3003 `evicted`
  kReject,       ///< the newcomer is refused: 429
};

struct RouteLimits {
  Bytes message_bytes = 64 * 1024;         ///< then 1009
  std::uint32_t messages_per_second = 0;   ///< 0: no limit; over it 1008
  Bytes send_queue_bytes = 1024 * 1024;    ///< then `slow_consumer`
  SlowConsumer slow_consumer = SlowConsumer::kClose;
  std::chrono::milliseconds ping_interval{25'000};
  /// Silence, pongs included; then the socket is dropped. At least a second.
  std::chrono::milliseconds idle_timeout{60'000};
  /// Open on this route, on all workers, by one issuer and subject; then `when_full`. 0: no limit.
  std::uint32_t connections_per_subject = 32;
  WhenFull when_full = WhenFull::kEvictOldest;
};

enum class Reject : std::uint8_t {
  kAuto,   ///< `kClose` for browsers (an allowed Origin is there), otherwise `kHttp`
  kHttp,   ///< the HTTP status
  kClose,  ///< 101, then a Close frame with a code that JavaScript can read
};

enum class CloseCodes : std::uint8_t {
  kIana,  ///< 3000, 3003, 3008
  k44xx,  ///< 4401, 4403, 4408 and so on
};

/// What a hub route's subjects may do. What no permit allows is forbidden.
struct Permit {
  bool subscribe = false;
  bool publish = false;
  /// Literals, `*` (one or more characters other than a slash), `{param.NAME}`, `{sub}`, `{claim.NAME}`.
  std::string channel;
  std::vector<std::string> scopes = {};  ///< all required
};

/// One WebSocket route. Every setting has a default but the verifier.
/// Callbacks run on the worker of their connection, at the same time as those of other connections on
/// other workers; a callback that throws closes its connection with 1011.
struct Route {
  Auth auth;
  Origins origins = {};
  RouteLimits limits = {};
  std::vector<std::string> scopes = {};  ///< all required
  /// Claim name to allowed values: equal to one of them, or an array that contains one.
  std::map<std::string, std::vector<std::string>> claims = {};
  std::optional<std::vector<std::string>> allow_addresses = {};  ///< CIDR; nothing: all, empty: nobody
  std::vector<std::string> deny_addresses = {};
  Reject reject = Reject::kAuto;
  CloseCodes close_codes = CloseCodes::kIana;
  std::vector<std::string> subprotocols = {};  ///< the application's, most wanted first
  /// False: `Principal::claims` is empty in callbacks, unless the route itself asks for claims. Worth it where
  /// connections are many: a token's claims are often larger than all else that is kept of it.
  bool keep_claims = true;
  bool compression = false;                    ///< permessage-deflate (RFC 7692)

  /// After authentication, whichever way the credential came, and again on every refresh.
  std::function<bool(const Principal&, Request&)> authorize = {};
  std::function<void(Connection&)> on_open = {};
  std::function<void(Connection&, Message)> on_message = {};
  std::function<void(Connection&)> on_drain = {};          ///< the send queue is empty again
  std::function<void(Connection&, const Close&)> on_close = {};  ///< exactly once, if `on_open` ran

  /// Hub routes (`App::hub`) only.
  std::vector<Permit> permit = {};
  /// Hub routes: how long after its end a connection may be resumed, with what it missed. 0: not at all.
  std::chrono::milliseconds resume{120'000};
  /// Made on opening for `App::ws<T>`: a `std::shared_ptr<T>`.
  std::function<std::any()> make_data = {};
};

/// A route whose connections carry a `T`; the fields mean what they mean in `Route`.
template <typename T>
struct RouteOf {
  Auth auth;
  Origins origins = {};
  RouteLimits limits = {};
  std::vector<std::string> scopes = {};
  std::map<std::string, std::vector<std::string>> claims = {};
  std::optional<std::vector<std::string>> allow_addresses = {};
  std::vector<std::string> deny_addresses = {};
  Reject reject = Reject::kAuto;
  CloseCodes close_codes = CloseCodes::kIana;
  std::vector<std::string> subprotocols = {};
  bool keep_claims = true;
  bool compression = false;
  std::function<bool(const Principal&, Request&)> authorize = {};
  std::function<void(ConnectionOf<T>&)> on_open = {};
  std::function<void(ConnectionOf<T>&, Message)> on_message = {};
  std::function<void(ConnectionOf<T>&)> on_drain = {};
  std::function<void(ConnectionOf<T>&, const Close&)> on_close = {};
};

}  // namespace sallyport
