// What becomes of a connection where rules change around it: a reload, and the number that its subject may have.

#include <utility>

#include "server/connection.h"
#include "server/control.h"
#include "server/handshake.h"
#include "server/verification.h"
#include "server/worker.h"

namespace sallyport::server {

// ---- Another site

// Takes the route of the same path in the worker's site, if it is another one than the connection's. A failure: there
// is none any more, or what had accepted the credential does not speak for it.
std::optional<Failure> Connection::move_to_site() {
  const SiteRef& site = worker_.site();
  if (site->number == route_->site_number) return std::nullopt;
  const WsRoute* const next = site->routes.find_ws(route_->path);
  if (next == nullptr) return Failure::kForbidden;
  // It spoke another protocol until now: the client begins anew.
  if (next->hub != route_->hub) return Failure::kDraining;
  const std::string name(route_->spec.auth.verifier.backends()[verifier_]->name());
  const auto& backends = next->spec.auth.verifier.backends();
  std::size_t index = 0;
  while (index < backends.size() && backends[index]->name() != name) ++index;
  if (index == backends.size()) return Failure::kTokenRevoked;
  verifier_ = static_cast<std::uint8_t>(index);
  route_ = WsRouteRef(site, next);
  if (!route_->addresses.permits(address_)) return Failure::kForbidden;
  return std::nullopt;
}

void Connection::follow_site() {
  const WsRouteRef before = route_;  // its callbacks may be running
  auto failure = move_to_site();
  if (!failure && !route_->spec.auth.verifier.backends()[verifier_]->vouches_for(principal())) {
    failure = Failure::kTokenRevoked;
  }
  if (!failure) failure = denied(principal());
  if (failure) return apply(auth::CloseRequested{*failure});
  decoder_.set_limits({.message_bytes = route_->spec.limits.message_bytes, .control_frames_between_data = 256});
  recheck_subscriptions();
}

// ---- One subject's connections

Place Connection::place() const noexcept { return {worker_.number(), slot_, slot_generation_}; }

// Before the handshake is answered. A failure: there is no room, and nobody makes any.
std::optional<Failure> Connection::take_place(const Principal& who) {
  const RouteLimits& limits = route_->spec.limits;
  if (limits.connections_per_subject == 0 || route_->anonymous) return std::nullopt;
  Shared& shared = worker_.shared();
  const auto taken = shared.subjects.take(SubjectTable::key(who.issuer, who.subject, route_->path), place(),
                                          limits.connections_per_subject, limits.when_full);
  if (!taken.ok) {
    if (handshake_ != nullptr) handshake_->set_detail("too many connections of one subject");
    return Failure::kTooManyRequests;
  }
  placed_ = true;
  if (taken.evicted) {
    ++worker_.metrics().evicted;
    Worker& theirs = *shared.workers[taken.evicted->worker];
    theirs.post([&theirs, place = *taken.evicted] {
      Connection* const oldest = theirs.find(place.slot, place.generation);
      if (oldest != nullptr) oldest->apply(auth::CloseRequested{Failure::kEvicted});
    });
  }
  return std::nullopt;
}

void Connection::leave_place(const Principal& who) {
  if (!placed_) return;
  placed_ = false;
  worker_.shared().subjects.release(SubjectTable::key(who.issuer, who.subject, route_->path), place());
}

// ---- For whoever administers

ConnectionInfo Connection::info() const {
  const Principal& who = principal();
  const auto lasted = worker_.now().mono - opened_at_;
  const auto& backends = route_->spec.auth.verifier.backends();
  return {.id = text_of(id_),
          .subject = who.subject.str(),
          .issuer = who.issuer.str(),
          .session = who.session.str(),
          .route = route_->path,
          .address = address_.text(),
          .opened_at = worker_.now().wall - lasted,
          .expires_at = who.expires_at,
          .verifier = verifier_ < backends.size() ? std::string(backends[verifier_]->name()) : std::string(),
          .credential = std::string(name(credential_)),
          .node = worker_.shared().node};
}

}  // namespace sallyport::server
