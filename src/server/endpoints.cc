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
#include "server/events.h"
#include "server/visit.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t kTicketBodyBytes = 4 * 1024;

// ---- CORS: what a page of another origin may read, by the origins of the route that it asks about

const std::string_view* single_origin(const std::vector<std::string_view>& origins) {
  return origins.size() == 1 ? &origins.front() : nullptr;
}

bool allows(const WsRoute& route, std::string_view origin) {
  const auto parsed = http::Origin::parse(origin);
  return parsed && route.origins.matches(*parsed);
}

void add_cors(const WsRoute& route, const http::Head& head, Response& response) {
  response.fields.emplace_back("Vary", "Origin");
  const auto origins = head.find_all("origin");
  const std::string_view* const origin = single_origin(origins);
  if (origin == nullptr || !allows(route, *origin)) return;
  response.fields.emplace_back("Access-Control-Allow-Origin", std::string(*origin));
  response.fields.emplace_back("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate");
  // Any page at all, and with the user's cookies: never both.
  if (!route.origins.is_insecure_any()) {
    response.fields.emplace_back("Access-Control-Allow-Credentials", "true");
  }
}

Response allow_methods(Response response, const char* methods) {
  response.fields.emplace_back("Access-Control-Allow-Methods", methods);
  response.fields.emplace_back("Access-Control-Allow-Headers", "Authorization, Content-Type");
  response.fields.emplace_back("Access-Control-Max-Age", "600");
  return response;
}

// ---- Answers

Response problem_response(unsigned status, std::string_view reason, const std::vector<http::AnswerField>& fields = {}) {
  const http::Answer answer = http::problem(status, reason);
  Response response{.status = static_cast<std::uint16_t>(answer.status),
                    .body = answer.body,
                    .content_type = "application/problem+json"};
  for (const http::AnswerField& field : fields) response.fields.emplace_back(field.name, field.value);
  return response;
}

Response refusal(EndpointCall& call, const WsRoute* route, const Refused& refused) {
  const auth::FailureRow& row = auth::row(refused.failure);
  Event(call.worker.shared().options.log, LogLevel::kInfo, "http.refused")
      .with("endpoint", call.head.raw_path())
      .with("route", route != nullptr ? route->path : std::string())
      .with("address", call.request.address.text())
      .with("reason", row.name)
      .with("status", std::int64_t{row.status})
      .with("detail", refused.detail);
  Response response = problem_response(row.status, row.http_reason, fields_of(refused.failure));
  if (route != nullptr) add_cors(*route, call.head, response);
  return response;
}

Response wrong_method(const char* allowed) {
  Response response = problem_response(405, "method_not_allowed");
  response.fields.emplace_back("Allow", allowed);
  return response;
}

// ---- POST /.sallyport/ticket

std::optional<std::string> path_of(std::string_view body) {
  const auto json = base::parse_json(body, {.bytes = kTicketBodyBytes, .depth = 4});
  if (!json || !json->is_object()) return std::nullopt;
  const boost::json::value* const path = json->get_object().if_contains("path");
  if (path == nullptr || !path->is_string()) return std::nullopt;
  return std::string(std::string_view(path->get_string()));
}

// The question before a page's POST names no path: any route that gives tickets to that origin will do, since
// the POST itself is asked about its own.
Response ticket_options(EndpointCall& call) {
  const auto origins = call.head.find_all("origin");
  const std::string_view* const origin = single_origin(origins);
  for (const auto& route : call.worker.site()->routes.ws_routes()) {
    if (origin == nullptr || !route->takes_tickets() || !allows(*route, *origin)) continue;
    Response response{.status = 204};
    add_cors(*route, call.head, response);
    return allow_methods(std::move(response), "POST");
  }
  return problem_response(403, "origin_not_allowed");
}

awaitable<Response> give_ticket(EndpointCall call) {
  if (call.head.method() == "OPTIONS") co_return ticket_options(call);
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
       .credential = (*who)->recheck_every ? visit.credential() : nullptr},
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

}  // namespace

void add_public_endpoints(RouteTable& routes) {
  routes.add_endpoint("/.sallyport/ticket", give_ticket, kTicketBodyBytes);
  routes.add_endpoint("/.sallyport/preflight", preflight, 0);
}

}  // namespace sallyport::server
