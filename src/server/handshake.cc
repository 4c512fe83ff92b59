#include "server/handshake.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <utility>

#include "core/http/answer.h"
#include "server/connection.h"
#include "server/entry.h"
#include "server/events.h"
#include "server/worker.h"

namespace sallyport::server {

Handshake::Handshake(Worker& worker, ServerLimits limits, const http::IpAddress& address,
                     const ConnectionId& id)
    : worker_(worker),
      reader_({.header_bytes = limits.header_bytes}),
      state_(std::make_unique<RequestState>()) {
  state_->address = address;
  state_->id = id;
  state_->log = &worker.shared().options.log;
}

Handshake::~Handshake() = default;

std::expected<std::optional<std::size_t>, http::HeadError> Handshake::feed(std::string_view data) {
  auto fed = reader_.feed(data);
  if (fed && *fed) {
    head_complete_ = true;
    state_->head = reader_.take();
  }
  return fed;
}

void Handshake::cancel() { cancel_.emit(boost::asio::cancellation_type::terminal); }

void Handshake::run(Connection& connection) {
  if (const auto failure = inspect(connection)) {
    return connection.apply(auth::UpgradeParsed{.refused = *failure});
  }
  run_middleware(connection);
}

// Everything that needs no one's code: cheap refusals first, before anything of the user's runs.
std::optional<Failure> Handshake::inspect(Connection& connection) {
  RouteMatch match = worker_.shared().routes.match(state_->head.raw_path());
  if (match.ws == nullptr && match.http == nullptr) return Failure::kNotFound;
  const bool upgrade = state_->head.count("upgrade") != 0;
  if (match.ws != nullptr && (upgrade || match.http == nullptr)) {
    route_ = match.ws;
    connection.set_route(route_);
    state_->params = std::move(match.ws_params);
    return inspect_upgrade(*route_);
  }
  if (upgrade) return Failure::kNotFound;  // no WebSocket lives there
  state_->params = std::move(match.http_params);
  return inspect_plain(match);
}

std::optional<Failure> Handshake::inspect_plain(const RouteMatch& match) {
  const std::string_view method = state_->head.method();
  if ((method != "GET" && method != "HEAD") || state_->head.has_body()) return Failure::kBadRequest;
  http_route_ = match.http;
  // A plain route has no credentials of its own; none may reach its handler by accident.
  (void)auth::take_credential(state_->head, nullptr, {.accepted = CredentialSet{}});
  return std::nullopt;
}

std::optional<Failure> Handshake::inspect_upgrade(const WsRoute& route) {
  auto upgrade = http::validate_upgrade(state_->head);
  // Also where the upgrade is refused: no credential stays in the head.
  auto admitted = enter(worker_.shared(), route,
                        {.head = state_->head,
                         .offer = upgrade ? &upgrade->subprotocols : nullptr,
                         .address = state_->address,
                         .accepted = route.spec.auth.from});
  if (!upgrade) {
    detail_ = http::describe(upgrade.error());
    return http::wants_upgrade_required(upgrade.error()) ? Failure::kUpgradeRequired
                                                         : Failure::kBadRequest;
  }
  upgrade_ = std::move(*upgrade);
  if (!admitted) {
    detail_ = std::move(admitted.error().detail);
    // Whose page it is decides how a refusal is told, whatever was refused.
    from_allowed_page_ = admitted.error().failure != Failure::kOriginNotAllowed &&
                         state_->head.count("origin") != 0;
    return admitted.error().failure;
  }
  from_allowed_page_ = admitted->from_allowed_page;
  credential_ = std::move(admitted->credential);
  return std::nullopt;
}

void Handshake::run_middleware(Connection& connection) {
  chain_ = worker_.shared().routes.middleware(state_->head.raw_path());
  const bool asynchronous = http_route_ != nullptr && http_route_->asynchronous != nullptr;
  if (chain_.empty() && !asynchronous) {
    chain_ended_ = true;
    return finish(connection, nullptr);
  }
  boost::asio::co_spawn(
      worker_.loop().context(),
      [](std::shared_ptr<Handshake> self) -> awaitable<void> { co_await self->run_all(); }(
          shared_from_this()),
      boost::asio::bind_cancellation_slot(
          cancel_.slot(),
          [self = shared_from_this(), slot = connection.slot(),
           generation = connection.slot_generation()](const std::exception_ptr& error) {
            self->worker_.loop().turn([&] {
              Connection* const target = self->worker_.find(slot, generation);
              // The connection may have been refused meanwhile: a deadline, a drain.
              if (target == nullptr || target->handshake() != self.get() ||
                  target->state().phase() != auth::Phase::kUpgrading) {
                return;
              }
              self->finish(*target, error);
              target->process_held();
            });
          }));
}

awaitable<void> Handshake::run_all() {
  co_await run_chain(0);
  if (!chain_ended_ || state_->response || http_route_ == nullptr) co_return;
  if (http_route_->asynchronous == nullptr) co_return;
  Request view(*state_);
  Response response = co_await http_route_->asynchronous(view);
  view.respond(std::move(response));
}

awaitable<void> Handshake::run_chain(std::size_t index) {
  if (index == chain_.size()) {
    chain_ended_ = true;
    co_return;
  }
  Request view(*state_);
  co_await (*chain_[index])(view, [this, index]() { return run_chain(index + 1); });
}

void Handshake::finish(Connection& connection, std::exception_ptr error) {
  if (error) {
    std::string what = "an exception of unknown type";
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& thrown) {
      what = thrown.what();
    } catch (...) {
    }
    Event(worker_.shared().options.log, LogLevel::kError, "http.middleware_threw")
        .with("path", state_->head.raw_path())
        .with("what", what);
    return connection.apply(auth::UpgradeParsed{.refused = Failure::kInternal});
  }
  if (state_->response) return answer(connection, *state_->response);
  if (!chain_ended_) {
    detail_ = "middleware ended without an answer and without next()";
    return connection.apply(auth::UpgradeParsed{.refused = Failure::kInternal});
  }
  if (http_route_ == nullptr) {
    return connection.apply(auth::UpgradeParsed{.credentials = credential_.has_value()});
  }
  try {
    Request view(*state_);
    answer(connection, http_route_->plain(view));
  } catch (...) {
    finish(connection, std::current_exception());
  }
}

void Handshake::answer(Connection& connection, const Response& response) {
  http::Answer answer{.status = response.status, .fields = {}, .body = response.body};
  if (!response.body.empty()) answer.fields.push_back({"Content-Type", response.content_type});
  for (const auto& [name, value] : response.fields) answer.fields.push_back({name, value});
  const auto text =
      http::serialize(answer, is_head_request() ? http::Body::kOmitted : http::Body::kSent);
  if (!text) {
    detail_ = "the handler's answer has an invalid status or field";
    return connection.apply(auth::UpgradeParsed{.refused = Failure::kInternal});
  }
  connection.send_raw(*text);
  connection.finish_answer();
  connection.apply(auth::Answered{});
}

}  // namespace sallyport::server
