#include "server/handshake.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <utility>

#include "core/http/answer.h"
#include "server/connection.h"
#include "server/entry.h"
#include "server/events.h"
#include "server/log_text.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

// Up to here a body goes out in one piece with its head. Almost always the kernel takes that at once.
constexpr std::size_t kCopiedBodyBytes = 16 * 1024;

}  // namespace

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
  std::size_t used = 0;
  if (!head_complete_) {
    const auto fed = reader_.feed(data);
    if (!fed || !*fed) return fed;
    used = **fed;
    head_complete_ = true;
    state_->head = reader_.take();
  }
  const std::string_view more = data.substr(used, body_missing());
  body_ += more;
  used += more.size();
  complete_ = body_missing() == 0;
  if (!complete_) return std::nullopt;
  return used;
}

// What an endpoint will refuse anyway is not waited for.
std::size_t Handshake::body_missing() const noexcept {
  const http::Head& head = state_->head;
  if (!head.has_body() || head.chunked()) return 0;
  const RouteMatch match = worker_.site()->routes.match(head.raw_path());
  if (match.http == nullptr || match.http->endpoint == nullptr) return 0;
  const std::uint64_t size = head.body_bytes().value_or(0);
  return size > match.http->body_bytes ? 0 : static_cast<std::size_t>(size) - body_.size();
}

// Once: a coroutine that takes note and has something left to do is let to.
void Handshake::cancel() {
  if (!std::exchange(cancelled_, true)) cancel_.emit(boost::asio::cancellation_type::terminal);
}

void Handshake::run(Connection& connection) {
  if (const auto failure = inspect(connection)) {
    return connection.apply(auth::UpgradeParsed{.refused = *failure});
  }
  run_middleware(connection);
}

// Everything that needs no one's code: cheap refusals first, before anything of the user's runs.
std::optional<Failure> Handshake::inspect(Connection& connection) {
  site_ = worker_.site();
  RouteMatch match = site_->routes.match(state_->head.raw_path());
  if (match.ws == nullptr && match.http == nullptr) {
    detail_ = "no route for " + path_for_log(state_->head.raw_path());
    return Failure::kNotFound;
  }
  const bool upgrade = state_->head.count("upgrade") != 0;
  if (upgrade && worker_.draining()) {
    detail_ = "the server is stopping";
    return Failure::kDraining;
  }
  if (match.ws != nullptr && (upgrade || match.http == nullptr)) {
    connection.set_route(WsRouteRef(site_, match.ws));
    state_->params = std::move(match.ws_params);
    return inspect_upgrade(*match.ws);
  }
  if (upgrade) {
    detail_ = "no WebSocket route for " + path_for_log(state_->head.raw_path());
    return Failure::kNotFound;
  }
  state_->params = std::move(match.http_params);
  return inspect_plain(match);
}

std::optional<Failure> Handshake::inspect_plain(const RouteMatch& match) {
  http_route_ = match.http;
  if (http_route_->endpoint) return inspect_endpoint();
  const std::string_view method = state_->head.method();
  if ((method != "GET" && method != "HEAD") || state_->head.has_body()) return Failure::kBadRequest;
  // A plain route has no credentials of its own; none may reach its handler by accident.
  (void)auth::take_credential(state_->head, nullptr, {.accepted = CredentialSet{}});
  return std::nullopt;
}

// The endpoint takes the credential that a route asks for, and knows which one only later. Nobody else, middleware
// for example, sees any.
std::optional<Failure> Handshake::inspect_endpoint() {
  endpoint_head_ = state_->head.copy();
  for (const char* const field : {"authorization", "cookie"}) state_->head.erase_field(field);
  state_->head.erase_query_parameter("path");
  (void)auth::take_credential(state_->head, nullptr, {.accepted = CredentialSet{}});
  if (state_->head.chunked()) {
    detail_ = "a body without Content-Length";
    return Failure::kBadRequest;
  }
  if (state_->head.body_bytes().value_or(0) > http_route_->body_bytes) return Failure::kMessageTooBig;
  return std::nullopt;
}

std::optional<Failure> Handshake::inspect_upgrade(const WsRoute& route) {
  auto upgrade = http::validate_upgrade(state_->head);
  // Also where the upgrade is refused: no credential stays in the head.
  auto admitted = enter(*site_, route,
                        {.head = state_->head,
                         .offer = upgrade ? &upgrade->subprotocols : nullptr,
                         .address = state_->address,
                         .accepted = route.spec.auth.from,
                         .certificate = certificate_});
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
  chain_ = site_->routes.middleware(state_->head.raw_path());
  const bool asynchronous = http_route_ != nullptr && (http_route_->asynchronous || http_route_->endpoint);
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
          [self = shared_from_this(), slot = connection.slot(), generation = connection.slot_generation(),
           running = worker_.running()](const std::exception_ptr& error) {
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
  Request view(*state_);
  if (http_route_->endpoint) {
    view.respond(co_await http_route_->endpoint({.worker = worker_,
                                                 .head = endpoint_head_,
                                                 .request = *state_,
                                                 .body = body_,
                                                 .certificate = certificate_}));
  } else if (http_route_->asynchronous) {
    view.respond(co_await http_route_->asynchronous(view));
  }
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
  if (state_->response) return answer(connection, std::move(*state_->response));
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

void Handshake::answer(Connection& connection, Response response) {
  Frame body = std::move(response.shared_body);
  const std::size_t size = body != nullptr ? body->size() : response.body.size();
  http::Answer answer{.status = response.status, .fields = {}, .body = {}};
  if (size != 0) answer.fields.push_back({"Content-Type", std::move(response.content_type)});
  for (auto& [name, value] : response.fields) answer.fields.push_back({std::move(name), std::move(value)});
  auto head = http::serialize_head(answer, size);
  if (!head) {
    detail_ = "the handler's answer has an invalid status or field";
    return connection.apply(auth::UpgradeParsed{.refused = Failure::kInternal});
  }
  const bool sent = size != 0 && !is_head_request() && http::has_content(response.status);
  if (sent && size <= kCopiedBodyBytes) {
    head->append(body != nullptr ? *body : response.body);
    body = nullptr;
  } else if (sent && body == nullptr) {
    // What belongs to this answer alone may wait long for a slow peer.
    ByteBudget& budget = worker_.shared().answers;
    if (!budget.take(size)) {
      detail_ = "the answers that wait for their peers hold too much memory";
      return connection.apply(auth::UpgradeParsed{.refused = Failure::kUnavailable});
    }
    body = budget.share(std::move(response.body), size);
  }
  connection.send_raw(*head);
  if (sent && body != nullptr) connection.send_raw(std::move(body));
  connection.finish_answer();
  connection.apply(auth::Answered{});
}

}  // namespace sallyport::server
