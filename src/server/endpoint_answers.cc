#include "server/endpoint_answers.h"

#include <string>
#include <utility>

#include "core/auth/failure.h"
#include "core/http/origin.h"
#include "server/events.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

const std::string_view* single_origin(const std::vector<std::string_view>& origins) {
  return origins.size() == 1 ? &origins.front() : nullptr;
}

bool allows(const WsRoute& route, std::string_view origin) {
  const auto parsed = http::Origin::parse(origin);
  return parsed && route.origins.matches(*parsed);
}

}  // namespace

// ---- CORS: what a page of another origin may read, by the origins of the route that it asks about

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

Response post_options(EndpointCall& call, const std::function<bool(const WsRoute&)>& meant) {
  const auto origins = call.head.find_all("origin");
  const std::string_view* const origin = single_origin(origins);
  for (const auto& route : call.worker.site()->routes.ws_routes()) {
    if (origin == nullptr || !meant(*route) || !allows(*route, *origin)) continue;
    Response response{.status = 204};
    add_cors(*route, call.head, response);
    return allow_methods(std::move(response), "POST");
  }
  return problem_response(403, "origin_not_allowed");
}

// ---- Answers

Response problem_response(unsigned status, std::string_view reason, const std::vector<http::AnswerField>& fields) {
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

}  // namespace sallyport::server
