#include "server/visit.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/auth/access.h"
#include "core/auth/failure.h"
#include "core/http/grammar.h"
#include "server/events.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

// What belongs to the plain request and not to the handshake that it asks about.
bool belongs_to_the_request(std::string_view name) {
  constexpr std::array<std::string_view, 5> kNames{"content-length", "content-type", "transfer-encoding",
                                                   "connection", "expect"};
  return std::ranges::any_of(kNames, [&](std::string_view own) {
    return http::equals_ignoring_case(name, own);
  });
}

std::optional<http::Head> head_for(std::string_view target, const http::Head& source) {
  const bool visible = std::ranges::all_of(target, [](char c) { return c > 0x20 && c < 0x7f; });
  if (!visible || !target.starts_with('/')) return std::nullopt;
  std::string text = "GET " + std::string(target) + " HTTP/1.1\r\n";
  for (std::size_t i = 0; i < source.field_count(); ++i) {
    const http::Head::Field field = source.field(i);
    if (belongs_to_the_request(field.name)) continue;
    text.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  text += "\r\n";
  http::HeadReader reader({.header_bytes = text.size()});
  const auto fed = reader.feed(text);
  base::wipe(text.data(), text.size());
  if (!fed || !*fed) return std::nullopt;
  return reader.take();
}

}  // namespace

base::Now read_clocks() {
  return {std::chrono::time_point_cast<base::Milliseconds>(std::chrono::steady_clock::now()),
          std::chrono::time_point_cast<base::Milliseconds>(std::chrono::system_clock::now())};
}

Visit::Visit(Worker& worker, const http::Head& head, const RequestState& asker,
             std::shared_ptr<const std::string> certificate)
    : worker_(worker), site_(worker.site()), source_(head), certificate_(std::move(certificate)) {
  request_.address = asker.address;
  request_.id = asker.id;
  request_.log = asker.log;
}

Visit::~Visit() = default;

std::optional<Refused> Visit::find_route(std::string_view target) {
  auto head = head_for(target, source_);
  if (!head) return Refused{Failure::kBadRequest, "the path is no request target"};
  request_.head = std::move(*head);
  RouteMatch match = site_->routes.match(request_.head.raw_path());
  if (match.ws == nullptr) return Refused{Failure::kNotFound, "no WebSocket route has that path"};
  route_ = WsRouteRef(site_, match.ws);
  request_.params = std::move(match.ws_params);
  return std::nullopt;
}

std::string_view Visit::origin() const noexcept { return request_.head.find("origin").value_or(""); }

awaitable<std::optional<Refused>> Visit::enter(CredentialSet accepted, bool plain_get) {
  auto admitted = server::enter(*site_, *route_,
                                {.head = request_.head,
                                 .offer = nullptr,
                                 .address = request_.address,
                                 .accepted = std::move(accepted),
                                 .certificate = certificate_,
                                 .plain_get = plain_get});
  if (!admitted) co_return std::move(admitted.error());
  if (admitted->credential) {
    credential_ = std::make_shared<const auth::Credential>(std::move(*admitted->credential));
  }
  chain_ = site_->routes.middleware(request_.head.raw_path());
  co_await run_chain(0);
  if (request_.response) {
    co_return Refused{Failure::kForbidden, "middleware answered instead"};
  }
  if (!chain_ended_) {
    co_return Refused{Failure::kInternal, "middleware ended without an answer and without next()"};
  }
  co_return std::nullopt;
}

awaitable<void> Visit::run_chain(std::size_t index) {
  if (index == chain_.size()) {
    chain_ended_ = true;
    co_return;
  }
  Request view(request_);
  co_await (*chain_[index])(view, [this, index]() { return run_chain(index + 1); });
}

void Visit::set_route(WsRouteRef route) {
  route_ = std::move(route);
  request_.head = source_.copy();
}

awaitable<std::expected<auth::PrincipalRef, Refused>> Visit::prove() {
  auto verified = co_await verify();
  if (!verified) co_return std::move(verified);
  if (worker_.revoked(**verified)) co_return std::unexpected(Refused{Failure::kTokenRevoked});
  co_return std::move(verified);
}

awaitable<std::expected<auth::PrincipalRef, Refused>> Visit::authenticate() {
  auto verified = co_await prove();
  if (!verified) co_return std::move(verified);
  if (auto refused = denied(**verified)) co_return std::unexpected(std::move(*refused));
  co_return std::move(verified);
}

awaitable<std::expected<auth::PrincipalRef, Refused>> Visit::verify() {
  const base::Now now = read_clocks();
  const auto verification = std::make_shared<Verification>(verifier_of(route_), credential_);
  const VerificationCache::Key key = verification->cache_key(route_->cache_name());
  if (auto cached = worker_.known(key, now.wall)) {
    verifier_ = cached.verifier;
    co_return std::move(cached.principal);
  }
  Admission& admission = worker_.shared().admission;
  if (const auto failure = worker_.refusals().find(key, now.mono)) {
    co_return std::unexpected(Refused{*failure, "refused a moment ago"});
  }
  if (!admission.may_verify(request_.address, now.mono)) {
    co_return std::unexpected(
        Refused{Failure::kTooManyRequests, "too many refused credentials from this address"});
  }
  if (!admission.take_verification(now.mono)) {
    co_return std::unexpected(Refused{Failure::kUnavailable, "too many credentials to verify at once"});
  }
  Verdict verdict = co_await verification->ask(now.wall);
  verifier_ = verification->accepted_by();
  const bool nobody = verdict.accepted() && verdict.principal()->subject.empty();
  if (verdict.accepted() && !nobody) {
    if (auth::authority_end_of(*verdict.principal()) <= now.wall) {
      co_return std::unexpected(Refused{Failure::kTokenExpired});
    }
    if (verification->cacheable()) worker_.remember(key, verdict.principal(), verifier_);
    co_return verdict.principal();
  }
  const Failure failure = nobody ? Failure::kInvalidToken : verdict.failure();
  if (auth::row(failure).status == 401) {
    const bool over = admission.over_limit(request_.address, now.mono);
    admission.failed(request_.address, now.mono);
    if (failure != Failure::kTokenNotYetValid) worker_.refusals().insert(key, failure, now.mono);
    if (over) co_return std::unexpected(Refused{Failure::kTooManyRequests, verdict.detail()});
  }
  co_return std::unexpected(Refused{failure, verdict.detail()});
}

std::optional<Refused> Visit::denied(const Principal& who) {
  if (const auto failure = auth::unmet(route_->requirements, who)) return Refused{*failure};
  if (!route_->spec.authorize) return std::nullopt;
  Request view(request_);
  if (route_->spec.authorize(who, view)) return std::nullopt;
  return Refused{Failure::kForbidden, "the application says no"};
}

}  // namespace sallyport::server
