#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "server/entry.h"
#include "server/request_state.h"
#include "server/site.h"
#include "server/verification.h"

namespace sallyport::server {

class Worker;

/// A plain request about a WebSocket route on its way through that route's pipeline, without a socket: what would
/// its handshake be told? Runs in a coroutine of its worker's.
class Visit {
 public:
  /// `head` is the plain request's, with its credentials. The rest is the client's, as in a handshake.
  Visit(Worker& worker, const http::Head& head, const RequestState& asker,
        std::shared_ptr<const std::string> certificate);
  ~Visit();

  /// Finds the route of a request target, which the peer chose.
  [[nodiscard]] std::optional<Refused> find_route(std::string_view target);
  /// Instead: a connection's route, with nothing of its path.
  void set_route(WsRouteRef route);
  /// After either.
  [[nodiscard]] const WsRoute& route() const noexcept { return *route_; }
  [[nodiscard]] std::string_view path() const noexcept { return request_.head.raw_path(); }
  /// The Origin field, or an empty string.
  [[nodiscard]] std::string_view origin() const noexcept;

  /// Credential, Origin, Host and address, then middleware. `accepted`: which transports count.
  [[nodiscard]] awaitable<std::optional<Refused>> enter(CredentialSet accepted, bool plain_get);
  [[nodiscard]] bool has_credential() const noexcept { return credential_ != nullptr; }
  /// Verifies the credential and asks the route whether its owner may open it.
  [[nodiscard]] awaitable<std::expected<auth::PrincipalRef, Refused>> authenticate();
  /// Verifies it and asks nobody else: not the route.
  [[nodiscard]] awaitable<std::expected<auth::PrincipalRef, Refused>> prove();
  [[nodiscard]] const Verification::CredentialRef& credential() const noexcept { return credential_; }
  /// After `authenticate`: which of the route's verifiers has said yes.
  [[nodiscard]] std::uint8_t verifier() const noexcept { return verifier_; }

 private:
  awaitable<void> run_chain(std::size_t index);
  [[nodiscard]] awaitable<std::expected<auth::PrincipalRef, Refused>> verify();
  [[nodiscard]] std::optional<Refused> denied(const Principal& who);

  Worker& worker_;
  const SiteRef site_;
  const http::Head& source_;
  std::shared_ptr<const std::string> certificate_;
  RequestState request_;
  WsRouteRef route_;
  Verification::CredentialRef credential_;
  std::vector<const Middleware*> chain_;
  std::uint8_t verifier_ = 0;
  bool chain_ended_ = false;
};

/// Both clocks at this moment: a coroutine may be resumed between the turns that the loop's own time is of.
[[nodiscard]] base::Now read_clocks();

}  // namespace sallyport::server
