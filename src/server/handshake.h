#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <expected>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/auth/credentials.h"
#include "core/http/head.h"
#include "core/http/upgrade.h"
#include "server/pending_pool.h"
#include "server/request_state.h"
#include "server/route_table.h"
#include "server/site.h"

namespace sallyport::server {

class Connection;
class Worker;

/// The part of a connection that exists only until it is authenticated: the request head as it comes in, what
/// it asked for, the middleware that looks at it. One pipeline decides over every request, whatever it wants:
/// head, route, upgrade, Origin, address, credential, middleware, and only then the state machine.
///
/// A coroutine of middleware may outlive the connection by a moment; it then holds this object.
class Handshake : public std::enable_shared_from_this<Handshake> {
 public:
  Handshake(Worker& worker, ServerLimits limits, const http::IpAddress& address,
            const ConnectionId& id);
  ~Handshake();

  /// Takes bytes of the request: its head, and a body where an endpoint of ours takes one. Nothing: more are needed.
  /// Otherwise how many of `data` belonged to it.
  [[nodiscard]] std::expected<std::optional<std::size_t>, http::HeadError> feed(std::string_view data);
  [[nodiscard]] bool started() const noexcept { return head_complete_ || reader_.started(); }
  [[nodiscard]] bool head_complete() const noexcept { return complete_; }
  /// Before `run`: the TLS client certificate in DER, if the peer proved to have one.
  void set_certificate(std::shared_ptr<const std::string> certificate) {
    certificate_ = std::move(certificate);
  }
  /// The request is complete: decides what it is and runs the middleware. Ends, now or later, in exactly one of
  /// the connection's events UpgradeParsed and Answered, unless the connection has gone by then.
  void run(Connection& connection);
  /// The connection goes: what runs is cancelled and its result dropped.
  void cancel();

  /// True if a browser's page that the route allows asks: it cannot read an HTTP status.
  [[nodiscard]] bool from_allowed_page() const noexcept { return from_allowed_page_; }
  [[nodiscard]] bool is_head_request() const noexcept { return state_->head.method() == "HEAD"; }
  [[nodiscard]] const std::optional<http::Upgrade>& upgrade() const noexcept { return upgrade_; }
  [[nodiscard]] std::optional<auth::Credential>& credential() noexcept { return credential_; }
  [[nodiscard]] RequestState& request() noexcept { return *state_; }
  /// What of the request outlives the handshake.
  [[nodiscard]] std::unique_ptr<RequestState> take_request() { return std::move(state_); }
  [[nodiscard]] PendingPool::Ticket& pending() noexcept { return pending_; }
  /// For the log: why the request was refused, without anything secret.
  [[nodiscard]] const std::string& detail() const noexcept { return detail_; }
  void set_detail(std::string detail) { detail_ = std::move(detail); }

 private:
  [[nodiscard]] std::optional<Failure> inspect(Connection& connection);
  [[nodiscard]] std::optional<Failure> inspect_upgrade(const WsRoute& route);
  [[nodiscard]] std::optional<Failure> inspect_plain(const RouteMatch& match);
  [[nodiscard]] std::optional<Failure> inspect_endpoint();
  [[nodiscard]] std::size_t body_missing() const noexcept;
  void run_middleware(Connection& connection);
  awaitable<void> run_chain(std::size_t index);
  awaitable<void> run_all();
  void finish(Connection& connection, std::exception_ptr error);
  void answer(Connection& connection, Response response);

  Worker& worker_;
  http::HeadReader reader_;
  std::unique_ptr<RequestState> state_;
  PendingPool::Ticket pending_;
  SiteRef site_;  // since the head was complete
  const HttpRoute* http_route_ = nullptr;
  std::vector<const Middleware*> chain_;
  std::optional<http::Upgrade> upgrade_;
  std::shared_ptr<const std::string> certificate_;
  std::optional<auth::Credential> credential_;
  std::string detail_;
  boost::asio::cancellation_signal cancel_;
  std::string body_;          // of a request to an endpoint
  http::Head endpoint_head_;  // with its credentials, which nobody else sees
  bool head_complete_ = false;
  bool complete_ = false;     // the body too
  bool from_allowed_page_ = false;
  bool cancelled_ = false;
  bool chain_ended_ = false;  // every middleware has called next()
};

}  // namespace sallyport::server
