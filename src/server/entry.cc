#include "server/entry.h"

#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "core/auth/failure.h"
#include "core/base/random.h"
#include "core/http/origin.h"
#include "server/log_text.h"
#include "server/site.h"

namespace sallyport::server {
namespace {

// Not the same for everybody: who is turned away together should not come back together.
std::chrono::milliseconds retry_after() {
  constexpr std::uint32_t kSpreadS = 5;
  return std::chrono::seconds(1 + base::random_u32() % kSpreadS);
}

// What the browser says about the page that asks (W3C Fetch Metadata): a second signal beside Origin, which
// no page can set. Nothing: there is none, as from any other client.
std::expected<std::optional<std::string_view>, Refused> fetch_site(const http::Head& head) {
  const auto values = head.find_all("sec-fetch-site");
  if (values.empty()) return std::nullopt;
  if (values.size() > 1) return std::unexpected(Refused{Failure::kOriginNotAllowed, "two Sec-Fetch-Site"});
  return values.front();
}

std::optional<Refused> check_origin(const WsRoute& route, const EntryRequest& request,
                                    CredentialKind kind) {
  const auto origins = request.head.find_all("origin");
  const auto site = fetch_site(request.head);
  if (!site) return site.error();
  const bool own_page = request.plain_get && *site == "same-origin";
  const auto decision = http::evaluate(
      route.origins, origins,
      {.ambient_credential = auth::ambient(kind), .required = kind == CredentialKind::kCookie && !own_page});
  if (decision != http::OriginDecision::kAllowed) {
    return Refused{Failure::kOriginNotAllowed, decision == http::OriginDecision::kMissing
                                                   ? "no Origin, which a cookie demands"
                                                   : origins.size() > 1 ? "two Origin"
                                                                        : foreign_origin_for_log(origins.front())};
  }
  if (!*site || !auth::ambient(kind)) return std::nullopt;
  // Only browsers send it, and they send an Origin with every handshake.
  if (origins.empty() && !own_page) {
    return Refused{Failure::kOriginNotAllowed, "Sec-Fetch-Site, which browsers send, without an Origin"};
  }
  if (**site == "cross-site" && route.spec.origins.kind == Origins::Kind::kSame) {
    return Refused{Failure::kOriginNotAllowed, "Sec-Fetch-Site contradicts the Origin"};
  }
  return std::nullopt;
}

}  // namespace

std::expected<Admitted, Refused> enter(const Site& site, const WsRoute& route, EntryRequest request) {
  // First of all: whatever is refused below, no credential stays in the head.
  auto credential = auth::take_credential(request.head, request.offer,
                                          {.accepted = request.accepted,
                                           .wanted_fields = route.wanted_fields,
                                           .certificate = std::move(request.certificate)});
  const CredentialKind kind =
      credential && *credential ? (*credential)->kind : CredentialKind::kNone;
  if (auto refused = check_origin(route, request, kind)) return std::unexpected(std::move(*refused));
  // A page whose name resolves to a loopback address is foreign, whatever its name is (DNS rebinding).
  // Every listener is on loopback then, so whoever asks is on this machine, whatever a proxy says of its client.
  if (site.check_loopback_host && !http::host_is_loopback(request.head.host())) {
    return std::unexpected(Refused{Failure::kForbidden, "the Host names another machine than this one"});
  }
  if (!route.addresses.permits(request.address)) {
    return std::unexpected(Refused{Failure::kForbidden, "the address is not permitted"});
  }
  if (!credential) return std::unexpected(Refused{credential.error(), "two credentials, or one twice"});
  Admitted admitted{.from_allowed_page = request.head.count("origin") != 0};
  if (!route.anonymous) admitted.credential = std::move(*credential);
  return admitted;
}

std::vector<http::AnswerField> fields_of(Failure failure) {
  const auth::FailureRow& row = auth::row(failure);
  std::vector<http::AnswerField> fields;
  if (failure == Failure::kUpgradeRequired) fields = http::upgrade_required();
  if (row.status == 401 || !row.challenge.empty()) {
    fields.push_back(http::www_authenticate(row.challenge));
  }
  if (row.retry_after) fields.push_back(http::retry_after(retry_after()));
  return fields;
}

}  // namespace sallyport::server
