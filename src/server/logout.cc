#include "server/logout.h"

#include <algorithm>
#include <chrono>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/auth/failure.h"
#include "core/base/digest.h"
#include "core/http/grammar.h"
#include "core/http/query.h"
#include "server/endpoint_answers.h"
#include "server/events.h"
#include "server/visit.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

using Kind = LogoutVerdict::Kind;

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

// The type has no parameters; many send the one that changes nothing all the same.
bool is_form(const http::Head& head) {
  const auto types = head.find_all("content-type");
  if (types.size() != 1) return false;
  const std::string_view type = types.front();
  const std::size_t semicolon = type.find(';');
  if (!http::equals_ignoring_case(trimmed(type.substr(0, semicolon)), "application/x-www-form-urlencoded")) return false;
  return semicolon == std::string_view::npos ||
         http::equals_ignoring_case(trimmed(type.substr(semicolon + 1)), "charset=utf-8");
}

// The error says what is wrong with the request (section 2.5).
std::expected<std::string, const char*> token_of(const EndpointCall& call) {
  if (!is_form(call.head)) return std::unexpected("the body is no form");
  auto token = http::find_query_parameter(call.body, "logout_token");
  if (!token) return std::unexpected("a broken form, or two logout tokens in it");
  if (!*token || (*token)->empty()) return std::unexpected("no logout token in the form");
  return std::move(**token);
}

// Several verifiers may be of one issuer, each with an audience of its own: the first that accepts has the say. One
// that could not be asked may have been the one.
awaitable<LogoutVerdict> ask(SiteRef site, std::string token) {
  const WallTime now = read_clocks().wall;
  LogoutVerdict answer{.detail = "of no issuer that is known here"};
  std::vector<const VerifierBackend*> asked;
  for (const auto& route : site->routes.ws_routes()) {
    for (const auto& backend : route->spec.auth.verifier.backends()) {
      if (std::ranges::find(asked, backend.get()) != asked.end()) continue;
      asked.push_back(backend.get());
      auto verdict = backend->verify_logout_now(token, now);
      if (!verdict) verdict = co_await backend->verify_logout_later(token);
      if (verdict->kind == Kind::kAccepted) co_return std::move(*verdict);
      const bool says_more = verdict->kind == Kind::kUnavailable ||
                             (verdict->kind == Kind::kRefused && answer.kind == Kind::kNotMine);
      if (says_more) answer = std::move(*verdict);
    }
  }
  co_return answer;
}

RevokeRequest request_of(const Logout& logout) {
  RevokeRequest request{.selector = {.issuer = logout.issuer}, .reason = Failure::kLoggedOut};
  Selector& selector = request.selector;
  if (!logout.subject.empty()) selector.subject = logout.subject;
  if (!logout.session.empty()) {
    selector.session = logout.session;
  } else {
    // By the issuer's own clock. What it issued within the same second may be older or newer: that logs in again. Its
    // tokens may say whole seconds where this one says a fraction.
    selector.issued_before = std::chrono::floor<std::chrono::seconds>(logout.issued_at) + std::chrono::seconds(1);
  }
  return request;
}

Store::SeenToken seen_token_of(const Logout& logout) {
  std::string name = logout.issuer;
  name += '\0';  // which neither of the two can have in it
  name += logout.token_id;
  return {.digest = base::sha256(name), .until = logout.valid_until};
}

// Tells the log why. A request that is at fault is told so in the words of section 2.8.
Response refused(const EndpointCall& call, Failure failure, std::string_view detail) {
  const auth::FailureRow& row = auth::row(failure);
  Event(call.worker.shared().options.log, LogLevel::kInfo, "logout.refused")
      .with("address", call.request.address.text())
      .with("status", std::int64_t{row.status})
      .with("detail", detail);
  if (failure != Failure::kBadRequest) return problem_response(row.status, row.http_reason, fields_of(failure));
  return {.status = 400, .body = R"({"error":"invalid_request"})", .content_type = "application/json"};
}

// Whoever sends what proves nothing, or nothing new, is put off after a while.
Response unproven(const EndpointCall& call, const LogoutVerdict& verdict) {
  if (verdict.kind == Kind::kUnavailable) return refused(call, Failure::kUnavailable, verdict.detail);
  Admission& admission = call.worker.shared().admission;
  const base::MonoTime now = read_clocks().mono;
  const bool over = admission.over_limit(call.request.address, now);
  admission.failed(call.request.address, now);
  return refused(call, over ? Failure::kTooManyRequests : Failure::kBadRequest, verdict.detail);
}

Response applied(const EndpointCall& call, const Logout& logout, std::size_t closed) {
  Event(call.worker.shared().options.log, LogLevel::kInfo, "logout.applied")
      .with("issuer", logout.issuer)
      .with("subject", logout.subject)
      .with("session", logout.session)
      .with("closed", static_cast<std::int64_t>(closed));
  return {.status = 200};
}

Failure failure_of(RevokeFault fault) {
  switch (fault) {
    case RevokeFault::kReplayed:
    case RevokeFault::kInvalid:
      return Failure::kBadRequest;
    case RevokeFault::kFull:
    case RevokeFault::kNotDurable:
    case RevokeFault::kStopped:
      return Failure::kUnavailable;
  }
  return Failure::kUnavailable;
}

}  // namespace

awaitable<Response> backchannel_logout(EndpointCall call) {
  if (call.head.method() != "POST") co_return wrong_method("POST");
  auto token = token_of(call);
  if (!token) co_return refused(call, Failure::kBadRequest, token.error());
  // Not among the verifications that are limited in all: a logout that a rush of handshakes had crowded out would be
  // lost, since hardly any issuer sends one again.
  if (!call.worker.shared().admission.may_verify(call.request.address, read_clocks().mono)) {
    co_return refused(call, Failure::kTooManyRequests, "too many refused credentials from this address");
  }
  LogoutVerdict verdict = co_await ask(call.worker.site(), std::move(*token));
  if (verdict.kind != Kind::kAccepted || !verdict.logout) co_return unproven(call, verdict);
  const Logout& logout = *verdict.logout;
  RevokeRequest request = request_of(logout);
  const auto done = co_await call.worker.shared().revoke(std::move(request), seen_token_of(logout));
  if (!done && done.error() == RevokeFault::kReplayed) {
    co_return unproven(call, {.kind = Kind::kRefused, .detail = std::string(describe(done.error()))});
  }
  if (!done) co_return refused(call, failure_of(done.error()), describe(done.error()));
  co_return applied(call, logout, done->closed);
}

}  // namespace sallyport::server
