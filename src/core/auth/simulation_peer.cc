#include "core/auth/simulation_peer.h"

#include <algorithm>
#include <variant>

#include "core/auth/state_machine_test_support.h"

namespace sallyport::auth::simulation {

Peer::Grant Peer::grant_of(const Event& event) {
  if (const auto* verified = std::get_if<Verified>(&event)) {
    return {verified->principal, verified->revoked, verified->denied};
  }
  if (const auto* outside = std::get_if<RefreshedOutside>(&event)) {
    return {outside->principal, outside->revoked, outside->denied};
  }
  const auto* rechecked = std::get_if<Rechecked>(&event);
  return rechecked == nullptr ? Grant() : Grant{rechecked->principal, rechecked->revoked, rechecked->denied};
}

bool Peer::awaited(const Event& event) const {
  if (const auto* rechecked = std::get_if<Rechecked>(&event)) {
    return state.authenticated() && rechecked->generation == state.recheck_generation();
  }
  if (std::holds_alternative<RefreshedOutside>(event)) return state.phase() == Phase::kAuthenticated;
  const auto* verified = std::get_if<Verified>(&event);
  return verified != nullptr && verified->generation == state.generation() &&
         (state.phase() == Phase::kVerifying || state.phase() == Phase::kReauthenticating);
}

Actions Peer::take(const Event& event) {
  fate_.require(!unlisted(state, event), "7: the simulation sends what no row lists");
  if (!fate_.fault.empty()) return {};
  const Phase before = state.phase();
  const PrincipalRef old = state.principal();
  const bool was_live = state.live();
  const bool was_open = state.authenticated();
  const Grant grant = grant_of(event);
  const bool expected = awaited(event);
  const Actions actions = step(state, event, policy_, fate_.now);
  fate_.tell("  ", name % 10'000, ' ', name_of(before), " + ", name_of(event), " -> ",
             name_of(state.phase()));
  const bool granted =
      expected && grant.who != nullptr && state.authenticated() &&
      (!std::holds_alternative<RefreshedOutside>(event) || actions.has(ActionKind::kReplacePrincipal));
  follow(event, grant, granted);
  for (const Action& action : actions) check(action, grant, granted, old, was_open);
  check_state(was_live);
  return actions;
}

// What the event means for how long anything may flow.
void Peer::follow(const Event& event, const Grant& grant, bool granted) {
  if (granted) {
    fate_.require(!grant.revoked, "2: a revoked credential commits");
    fate_.require(!grant.denied, "3: a principal that is not permitted commits");
    const auto until = grant.who->valid_until ? grant.who->valid_until : grant.who->expires_at;
    wall_end_ = until.value_or(base::kForever);
    mono_end_ = until ? fate_.now.mono + (*until - fate_.now.wall) : base::kNever;
    if (!identity_) {
      identity_.emplace(grant.who->issuer, grant.who->subject);
      if (policy_.max_session != Policy::kUnlimited) session_end_ = fate_.now.mono + policy_.max_session;
    }
  }
  if (std::holds_alternative<ClockStepped>(event) && wall_end_ != base::kForever) {
    mono_end_ =
        std::min(mono_end_, fate_.now.mono + std::max(base::Milliseconds(0), wall_end_ - fate_.now.wall));
  }
}

void Peer::check(const Action& action, const Grant& grant, bool granted, const PrincipalRef& old,
                 bool was_open) {
  switch (action.kind) {
    case ActionKind::kDeliver:
      fate_.require(was_open && state.authenticated(), "1: a message outside the authority");
      fate_.require(fate_.now.wall < wall_end_ && fate_.now.mono < mono_end_,
                    "6: a message after the expiry");
      fate_.require(fate_.now.mono < session_end_, "6: a message after the session");
      ++fate_.counts.delivered;
      break;
    case ActionKind::kOpen:
      fate_.require(granted, "2: authority without a verification that is awaited");
      fate_.require(++opens_ == 1, "5: opened twice");
      fate_.require(accepts_ == 1 && rejects_ == 0, "5: opened without an accepted upgrade");
      ++fate_.counts.opened;
      break;
    case ActionKind::kReplacePrincipal:
      fate_.require(granted, "2: authority without a verification that is awaited");
      fate_.require(state.principal() == grant.who, "3: another principal is kept");
      fate_.require(old != nullptr && old->issuer == state.principal()->issuer &&
                        old->subject == state.principal()->subject,
                    "3: a refresh changes who it is");
      ++fate_.counts.refreshed;
      break;
    case ActionKind::kAcceptUpgrade:
      fate_.require(++accepts_ == 1 && rejects_ == 0, "5: accepted twice, or after a refusal");
      break;
    case ActionKind::kRejectUpgrade:
      fate_.require(++rejects_ == 1 && accepts_ == 0, "5: refused twice, or after the 101");
      break;
    case ActionKind::kOnClose:
      fate_.require(++closes_ == 1 && opens_ == 1, "5: on_close twice, or without on_open");
      break;
    case ActionKind::kRegister:
      fate_.require(++registers_ == 1, "5: registered twice");
      break;
    case ActionKind::kUnregister:
      fate_.require(--registers_ == 0, "5: unregistered twice, or never registered");
      break;
    default:
      break;
  }
}

void Peer::check_state(bool was_live) {
  fate_.require((state.next_deadline() == base::kNever) == (state.phase() == Phase::kClosed),
                "4: waits for ever, or for nothing");
  fate_.require(was_live || !state.live(), "7: back from the dead");
  fate_.require(state.opened() == (registers_ == 1), "5: open and not registered, or the other way round");
  if (!state.authenticated()) {
    fate_.require(opens_ == closes_, "5: on_open without on_close");
    return;
  }
  fate_.require(opens_ == 1 && closes_ == 0, "5: authenticated without being open");
  fate_.require(identity_ && state.principal() != nullptr, "3: nobody is authenticated");
  if (!fate_.fault.empty()) return;
  fate_.require(
      state.principal()->issuer == identity_->first && state.principal()->subject == identity_->second,
      "3: it is somebody else");
  const base::MonoTime end = std::min(state.deadline(Deadline::kExpiry), state.deadline(Deadline::kSession));
  fate_.require(end != base::kNever && end <= std::min(mono_end_, session_end_),
                "4: authenticated without a deadline at the authority's end");
}

}  // namespace sallyport::auth::simulation
