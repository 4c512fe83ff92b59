// A connection's credentials: verified, refreshed, asked about again.

#include <algorithm>
#include <utility>

#include "server/connection.h"
#include "server/events.h"
#include "server/handshake.h"
#include "server/verification.h"
#include "server/worker.h"

namespace sallyport::server {

// ---- Verifying

void Connection::start_verify() {
  const std::uint32_t generation = state_.generation();
  if (route_->anonymous) {
    Principal who;
    who.issuer = "anonymous";
    who.subject = "anonymous:" + text_of(id_);
    return verified(generation, Verdict::accept(std::move(who)));
  }
  if (handshake_ != nullptr && handshake_->credential() &&
      handshake_->credential()->kind == CredentialKind::kTicket) {
    return redeem_ticket(*std::exchange(handshake_->credential(), {}));
  }
  if (handshake_ != nullptr && handshake_->credential()) {
    verification_ = std::make_shared<Verification>(
        verifier_of(route_), std::make_shared<const auth::Credential>(
                                        std::move(*std::exchange(handshake_->credential(), {}))));
  }
  SALLYPORT_ASSERT(verification_ != nullptr);
  const VerificationCache::Key& key = verification_->cache_key(route_->cache_name());
  WorkerMetrics& metrics = worker_.metrics();
  if (const auto cached = worker_.known(key, worker_.now().wall)) {
    ++metrics.cache_hits;
    verification_->set_accepted_by(cached.verifier);
    return verified(generation, Verdict::accept(cached.principal));
  }
  if (const auto failure = worker_.refusals().find(key, worker_.now().mono)) {
    ++metrics.refusal_cache_hits;
    return verified(generation, Verdict::refuse(*failure, "refused a moment ago"));
  }
  // What strangers behind the same address do is not held against an open connection; its refreshes have a limit
  // of their own. Nor does it wait behind a crowd that comes back.
  Admission& admission = worker_.shared().admission;
  if (!state_.authenticated() && !admission.may_verify(address_, worker_.now().mono)) {
    return verified(generation, Verdict::refuse(Failure::kTooManyRequests,
                                                "too many refused credentials from this address"));
  }
  ++metrics.cache_misses;
  const bool admitted = admission.take_verification(worker_.now().mono) || state_.authenticated();
  if (!admitted || !worker_.verify_in_budget(*this, [generation](Connection& self) { self.run_verify(generation); })) {
    ++metrics.admissions_refused;
    worker_.tell_limited();
    limited_ = true;
    verified(generation, Verdict::unavailable("too many credentials to verify at once"));
  }
}

void Connection::run_verify(std::uint32_t generation) {
  if (verification_ == nullptr || state_.generation() != generation) return;
  const auto verdict = verification_->run(worker_, *this, generation, &Connection::verified);
  if (verdict) verified(generation, *verdict);
}

void Connection::verified(std::uint32_t generation, const Verdict& verdict) {
  if (generation != state_.generation() || route_ == nullptr) {
    return execute(auth::Action{auth::ActionKind::kCountStale});
  }
  if (verification_ != nullptr && verification_->began()) {
    const auto took = std::chrono::steady_clock::now() - *verification_->began();
    worker_.metrics().verification.add(
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
  }
  if (!verdict.accepted() || verdict.principal()->subject.empty()) {
    apply(auth::VerifyFailed{generation, refused(verdict)});
  } else {
    commit(generation, verdict.principal());
    if (state_.authenticated() && verification_ != nullptr) {
      recheck_ = principal().recheck_every
                     ? std::make_unique<Recheck>(Recheck{verification_->credential()})
                     : nullptr;
    }
  }
  if (verification_ != nullptr && state_.phase() != auth::Phase::kReauthenticating) {
    worker_.keep_until_turn_ends(std::exchange(verification_, nullptr));
  }
  process_held();
}

// The moment of truth: what has happened since the credential was presented is looked at once more. Nothing comes
// between this and the connection's entry into the worker's indexes.
void Connection::commit(std::uint32_t generation, const auth::PrincipalRef& proven) {
  // One object for the connection and the cache, without claims that nobody will ask for.
  const auth::PrincipalRef who = keep(proven);
  if (verification_ != nullptr && verification_->cacheable()) {
    worker_.remember(verification_->cache_key(route_->cache_name()), who, verification_->accepted_by());
  }
  const bool first = state_.phase() == auth::Phase::kVerifying;
  // One that comes too late: the machine discards it.
  if (!first && state_.phase() != auth::Phase::kReauthenticating) {
    return apply(auth::Verified{.generation = generation, .principal = proven});
  }
  if (verification_ != nullptr) {
    verifier_ = verification_->accepted_by();
    if (first) credential_ = verification_->kind();
  }
  const WsRoute* const before = route_.get();
  const std::optional<Failure> moved = first ? move_to_site() : std::nullopt;
  auth::Verified event{.generation = generation, .principal = route_.get() == before ? who : keep(proven)};
  event.revoked = worker_.revoked(*proven);
  if (event.revoked) {
    worker_.shared().admission.failed(address_, worker_.now().mono);
    if (handshake_ != nullptr) handshake_->set_detail("revoked");
  } else {
    event.denied = moved;
    if (!event.denied) event.denied = denied(*event.principal);
    if (!event.denied && first) event.denied = take_place(*proven);
  }
  apply(event);
  if (placed_ && !state_.opened()) leave_place(*proven);
}

// A ticket's principal was verified when it was issued, and ends as that credential does.
void Connection::redeem_ticket(const auth::Credential& ticket) {
  const std::uint32_t generation = state_.generation();
  const http::Head& head = handshake_->request().head;
  auto taken = worker_.shared().tickets.take(ticket.token.reveal(), head.raw_path(),
                                             head.find("origin").value_or(""), worker_.now().mono);
  if (!taken) {
    const bool expired = taken.error() == TicketStore::Bad::kExpired;
    return verified(generation, Verdict::refuse(expired ? Failure::kTokenExpired : Failure::kInvalidToken,
                                                std::string(describe(taken.error()))));
  }
  auto credential = taken->credential;
  if (credential == nullptr) {
    credential = std::make_shared<const auth::Credential>(auth::Credential{.kind = CredentialKind::kTicket});
  }
  verification_ = std::make_shared<Verification>(verifier_of(route_), std::move(credential),
                                                 CredentialKind::kTicket);
  verification_->set_accepted_by(taken->verifier);
  verified(generation, Verdict::accept(taken->principal));
}

// Counts, remembers and tells a refusal; what follows from it is the machine's. Over its limit an address is told
// nothing about what it presents, also where one of its credentials was looked at.
Failure Connection::refused(const Verdict& verdict) {
  const Failure failure = verdict.accepted() ? Failure::kInvalidToken : verdict.failure();
  Admission& admission = worker_.shared().admission;
  const base::MonoTime now = worker_.now().mono;
  const bool counts = auth::row(failure).status == 401;
  const bool over = counts && !state_.authenticated() && admission.over_limit(address_, now);
  if (counts) {
    admission.failed(address_, now);
    // One that is not valid yet may be so in a moment.
    if (verification_ != nullptr && failure != Failure::kTokenNotYetValid) {
      worker_.refusals().insert(verification_->cache_key(route_->cache_name()), failure, now);
    }
  }
  if (handshake_ != nullptr) handshake_->set_detail(verdict.detail());
  if (state_.authenticated()) {
    Event(worker_.shared().options.log, LogLevel::kInfo, "ws.refresh_refused")
        .with("connection", text_of(id_))
        .with("reason", auth::row(failure).name)
        .with("detail", verdict.detail());
  }
  return over ? Failure::kTooManyRequests : failure;
}

// Claims that nobody will ask for are not carried along for hours.
auth::PrincipalRef Connection::keep(auth::PrincipalRef who) const {
  if (!route_->drops_claims || who->claims.empty()) return who;
  auto lean = std::make_shared<Principal>(*who);
  lean->claims = {};
  return lean;
}

// ---- A credential that came by another way

std::optional<Failure> Connection::refresh(const auth::PrincipalRef& proven, std::uint8_t verifier,
                                           const Verification::CredentialRef& credential) {
  if (!state_.authenticated()) return Failure::kNotFound;
  const auth::PrincipalRef who = keep(proven);
  const auth::RefreshedOutside event{
      .principal = who, .revoked = worker_.revoked(*proven), .denied = denied(*who)};
  const auth::Actions actions = auth::step(state_, event, policy(), worker_.fresh_now());
  std::optional<Failure> failure;
  for (const auth::Action& action : actions) {
    if (action.kind == auth::ActionKind::kRefuseRefresh) failure = action.failure;
  }
  const bool taken = actions.has(auth::ActionKind::kReplacePrincipal);
  if (taken) {
    verifier_ = verifier;
    recheck_ = proven->recheck_every ? std::make_unique<Recheck>(Recheck{credential}) : nullptr;
  }
  execute(actions);
  arm_timer();
  if (!taken && !failure) failure = Failure::kTokenExpired;  // in this moment
  return failure;
}

// ---- Asking again

void Connection::start_recheck() {
  if (recheck_ == nullptr) return;
  const std::uint32_t generation = state_.recheck_generation();
  if (recheck_->running != nullptr) {
    recheck_->running->cancel();
    worker_.keep_until_turn_ends(std::move(recheck_->running));
  }
  recheck_->running = std::make_shared<Verification>(verifier_of(route_), recheck_->credential);
  const auto verdict =
      recheck_->running->run(worker_, *this, generation, &Connection::rechecked);
  if (verdict) rechecked(generation, *verdict);
}

void Connection::rechecked(std::uint32_t generation, const Verdict& verdict) {
  if (!state_.authenticated() || generation != state_.recheck_generation()) {
    return execute(auth::Action{auth::ActionKind::kCountStale});
  }
  if (recheck_ != nullptr) worker_.keep_until_turn_ends(std::exchange(recheck_->running, nullptr));
  if (verdict.accepted() && !verdict.principal()->subject.empty()) {
    const bool revoked = worker_.revoked(*verdict.principal());
    const auth::PrincipalRef who = keep(verdict.principal());
    return apply(auth::Rechecked{
        .generation = generation, .principal = who, .revoked = revoked, .denied = denied(*who)});
  }
  const Failure failure = verdict.accepted() ? Failure::kInvalidToken : verdict.failure();
  Event(worker_.shared().options.log, LogLevel::kInfo, "ws.recheck_refused")
      .with("connection", text_of(id_))
      .with("reason", auth::row(failure).name)
      .with("detail", verdict.detail());
  apply(auth::Rechecked{.generation = generation, .failure = failure});
}

std::optional<Failure> Connection::denied(const Principal& who) {
  if (auto failure = auth::unmet(route_->requirements, who)) return failure;
  if (!route_->spec.authorize) return std::nullopt;
  RequestState* request = handshake_ != nullptr ? &handshake_->request() : context_.get();
  RequestState nothing;
  if (request == nullptr) {
    // A reload has brought an `authorize` to a route that had none, so nothing of the request was kept.
    nothing.address = address_;
    nothing.id = id_;
    request = &nothing;
  }
  try {
    Request view(*request);
    if (route_->spec.authorize(who, view)) return std::nullopt;
    return Failure::kForbidden;
  } catch (...) {
    Event(worker_.shared().options.log, LogLevel::kError, "ws.handler_threw")
        .with("connection", text_of(id_))
        .with("route", route_->path)
        .with("what", what_of(std::current_exception()));
  }
  return Failure::kInternal;
}

}  // namespace sallyport::server
