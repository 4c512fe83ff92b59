#include "server/refresh.h"

#include <boost/json/value.hpp>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "core/base/json.h"
#include "server/ask_worker.h"
#include "server/endpoint_answers.h"
#include "server/events.h"
#include "server/visit.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

std::optional<std::string> connection_of(std::string_view body) {
  const auto json = base::parse_json(body, {.bytes = kRefreshBodyBytes, .depth = 4});
  if (!json || !json->is_object()) return std::nullopt;
  const boost::json::value* const id = json->get_object().if_contains("connection");
  if (id == nullptr || !id->is_string()) return std::nullopt;
  return std::string(std::string_view(id->get_string()));
}

struct Found {
  Worker* worker = nullptr;
  Place place{};
  WsRouteRef route;
};

awaitable<Found> find_connection(Worker& here, std::string id) {
  for (const auto& worker : here.shared().workers) {
    std::function<Found(Worker&)> question = [id](Worker& target) {
      const Connection* const connection = target.named(id);
      return connection == nullptr ? Found{} : Found{&target, connection->place(), connection->route()};
    };
    Found found = co_await ask_worker<Found>(here.loop().context(), *worker, std::move(question));
    if (found.worker != nullptr) co_return found;
  }
  co_return Found{};
}

// A NumericDate, in whole seconds unless it has others.
std::string expires_at_text(const std::optional<WallTime>& moment) {
  if (!moment) return "null";
  const auto ms = moment->time_since_epoch().count();
  std::string text = std::to_string(ms / 1000);
  if (ms % 1000 != 0) text += "." + std::to_string(1000 + ms % 1000).substr(1);
  return text;
}

}  // namespace

awaitable<Response> refresh_connection(EndpointCall call) {
  if (call.head.method() == "OPTIONS") {
    co_return post_options(call, [](const WsRoute& route) { return !route.anonymous; });
  }
  if (call.head.method() != "POST") co_return wrong_method("POST, OPTIONS");
  const auto id = connection_of(call.body);
  if (!id) co_return refusal(call, nullptr, {Failure::kBadRequest, "the body is not {\"connection\":\"...\"} in JSON"});
  const Found found = co_await find_connection(call.worker, *id);
  if (found.worker == nullptr) co_return refusal(call, nullptr, {Failure::kNotFound, "no open connection of that id"});
  const WsRoute& route = *found.route;
  if (route.anonymous) co_return refusal(call, &route, {Failure::kBadRequest, "the route takes no credentials"});
  Visit visit(call.worker, call.head, call.request, call.certificate);
  visit.set_route(found.route);
  if (auto refused = co_await visit.enter(header, false)) co_return refusal(call, &route, *refused);
  if (!visit.has_credential()) co_return refusal(call, &route, {Failure::kMissingCredentials});
  auto who = co_await visit.prove();
  if (!who) co_return refusal(call, &route, who.error());
  // It is verified; whose connection it is, and whether it is still allowed, the connection itself decides.
  std::function<std::optional<Failure>(Worker&)> question =
      [place = found.place, principal = *who, verifier = visit.verifier(),
       credential = visit.credential()](Worker& target) -> std::optional<Failure> {
    Connection* const connection = target.find(place.slot, place.generation);
    if (connection == nullptr) return Failure::kNotFound;
    return connection->refresh(principal, verifier, credential);
  };
  const auto failure =
      co_await ask_worker<std::optional<Failure>>(call.worker.loop().context(), *found.worker, std::move(question));
  if (failure) co_return refusal(call, &route, {*failure, "the connection does not take it"});
  Response response{.status = 200,
                    .body = "{\"expires_at\":" + expires_at_text((*who)->expires_at) + "}",
                    .content_type = "application/json"};
  add_cors(route, call.head, response);
  co_return response;
}

}  // namespace sallyport::server
