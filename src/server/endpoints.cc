#include "server/endpoints.h"

#include <boost/json/value.hpp>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/auth/failure.h"
#include "core/base/json.h"
#include "core/http/origin.h"
#include "core/http/query.h"
#include "server/endpoint_answers.h"
#include "server/events.h"
#include "server/logout.h"
#include "server/refresh.h"
#include "server/visit.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

constexpr std::size_t kTicketBodyBytes = 4 * 1024;

// ---- POST /.sallyport/ticket

std::optional<std::string> path_of(std::string_view body) {
  const auto json = base::parse_json(body, {.bytes = kTicketBodyBytes, .depth = 4});
  if (!json || !json->is_object()) return std::nullopt;
  const boost::json::value* const path = json->get_object().if_contains("path");
  if (path == nullptr || !path->is_string()) return std::nullopt;
  return std::string(std::string_view(path->get_string()));
}

awaitable<Response> give_ticket(EndpointCall call) {
  if (call.head.method() == "OPTIONS") co_return post_options(call, [](const WsRoute& route) { return route.takes_tickets(); });
  if (call.head.method() != "POST") co_return wrong_method("POST, OPTIONS");
  const auto path = path_of(call.body);
  if (!path) {
    co_return refusal(call, nullptr,
                      {Failure::kBadRequest, "the body is not {\"path\":\"/...\"} in JSON"});
  }
  Visit visit(call.worker, call.head, call.request, call.certificate);
  if (auto refused = visit.find_route(*path)) co_return refusal(call, nullptr, *refused);
  const WsRoute& route = visit.route();
  if (!route.takes_tickets()) {
    co_return refusal(call, &route, {Failure::kForbidden, "the route takes no tickets"});
  }
  // Whatever the route itself takes, a page that can send a header here is who tickets are for.
  if (auto refused = co_await visit.enter(route.spec.auth.from.only(CredentialKind::kCookie,
                                                                    CredentialKind::kCertificate) |
                                              header,
                                          false)) {
    co_return refusal(call, &route, *refused);
  }
  if (!visit.has_credential()) co_return refusal(call, &route, {Failure::kMissingCredentials});
  auto who = co_await visit.authenticate();
  if (!who) co_return refusal(call, &route, who.error());
  auto ticket = call.worker.shared().tickets.issue(
      {.path = std::string(visit.path()),
       .origin = std::string(visit.origin()),
       .principal = *who,
       .credential = (*who)->recheck_every ? visit.credential() : nullptr,
       .verifier = visit.verifier()},
      read_clocks().mono);
  if (!ticket) {
    const bool rate = ticket.error() == TicketStore::Denied::kSubjectRate;
    co_return refusal(call, &route,
                      {rate ? Failure::kTooManyRequests : Failure::kUnavailable,
                       rate ? "too many tickets for one subject" : "too many tickets wait to be used"});
  }
  Event(call.worker.shared().options.log, LogLevel::kDebug, "ticket.issued")
      .with("route", route.path)
      .with("issuer", (*who)->issuer.view())
      .with("subject", (*who)->subject.view());
  const auto life = std::chrono::duration_cast<std::chrono::seconds>(TicketStore::kLife);
  Response response{.body = "{\"ticket\":" + http::json_string(ticket->reveal()) +
                            ",\"expires_in\":" + std::to_string(life.count()) + "}",
                    .content_type = "application/json"};
  add_cors(route, call.head, response);
  co_return response;
}

// ---- GET /.sallyport/preflight?path=...

awaitable<Response> preflight(EndpointCall call) {
  const std::string_view method = call.head.method();
  if (method != "GET" && method != "HEAD" && method != "OPTIONS") {
    co_return wrong_method("GET, HEAD, OPTIONS");
  }
  const auto path = http::find_query_parameter(call.head.query().value_or(""), "path");
  if (!path || !*path) co_return refusal(call, nullptr, {Failure::kBadRequest, "no path, or two"});
  Visit visit(call.worker, call.head, call.request, call.certificate);
  if (auto refused = visit.find_route(**path)) co_return refusal(call, nullptr, *refused);
  const WsRoute& route = visit.route();
  if (method == "OPTIONS") {
    Response response{.status = 204};
    add_cors(route, call.head, response);
    co_return allow_methods(std::move(response), "GET");
  }
  // A ticket would be used up by being asked about.
  if (auto refused = co_await visit.enter(
          route.spec.auth.from.without(CredentialKind::kTicket), true)) {
    co_return refusal(call, &route, *refused);
  }
  if (visit.has_credential()) {
    const auto who = co_await visit.authenticate();
    if (!who) co_return refusal(call, &route, who.error());
  } else if (!route.first_message() && !route.anonymous) {
    co_return refusal(call, &route, {Failure::kMissingCredentials});
  }
  Response response{.status = 204};
  add_cors(route, call.head, response);
  co_return response;
}

// ---- GET /healthz, GET /readyz: for load balancers

awaitable<Response> health(EndpointCall call) {
  const std::string_view method = call.head.method();
  if (method != "GET" && method != "HEAD") co_return wrong_method("GET, HEAD");
  co_return Response{.body = "ok\n"};
}

awaitable<Response> readiness(EndpointCall call) {
  const std::string_view method = call.head.method();
  if (method != "GET" && method != "HEAD") co_return wrong_method("GET, HEAD");
  const auto not_ready = [](std::string why) {
    Response response{.status = 503, .body = std::move(why)};
    response.fields.emplace_back("Retry-After", "5");
    return response;
  };
  if (call.worker.shared().draining.load(std::memory_order_relaxed)) co_return not_ready("draining\n");
  for (const auto& route : call.worker.site()->routes.ws_routes()) {
    for (const auto& backend : route->spec.auth.verifier.backends()) {
      if (!backend->ready()) co_return not_ready("verifier " + std::string(backend->name()) + " is not ready\n");
    }
  }
  co_return Response{.body = "ok\n"};
}

}  // namespace

void add_public_endpoints(RouteTable& routes) {
  routes.add_endpoint("/healthz", health, 0);
  routes.add_endpoint("/readyz", readiness, 0);
  routes.add_endpoint("/.sallyport/backchannel-logout", backchannel_logout, kLogoutBodyBytes);
  routes.add_endpoint("/.sallyport/refresh", refresh_connection, kRefreshBodyBytes);
  routes.add_endpoint("/.sallyport/ticket", give_ticket, kTicketBodyBytes);
  routes.add_endpoint("/.sallyport/preflight", preflight, 0);
}

}  // namespace sallyport::server
