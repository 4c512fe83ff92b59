#include "core/auth/state_machine.h"

#include <algorithm>

namespace sallyport::auth {

using base::kForever;
using base::kNever;
using base::Milliseconds;
using base::MonoTime;
using base::Now;
using base::WallTime;

namespace {

constexpr Milliseconds kRefreshWindow{60'000};

// Whatever a verifier says, it is not asked about one connection more often.
constexpr Milliseconds kRecheckMin{100};

MonoTime after(MonoTime start, Milliseconds delay) {
  return delay == Policy::kUnlimited || start > kNever - delay ? kNever : start + delay;
}

// The same moment on the monotonic clock. One already past is due at once.
MonoTime on_monotonic(WallTime moment, Now now) {
  if (moment == kForever) return kNever;
  return moment <= now.wall ? now.mono : after(now.mono, moment - now.wall);
}

}  // namespace

WallTime authority_end_of(const Principal& who) {
  return who.valid_until ? *who.valid_until : who.expires_at.value_or(kForever);
}

WallTime warning_time(const Principal& principal, Milliseconds lead, WallTime now) {
  if (!principal.expires_at) return kForever;
  const WallTime end = *principal.expires_at;
  // Nothing was issued before 1970; together with an expiry near the other end of what a NumericDate
  // may say, the difference would overflow.
  const WallTime start = std::max(WallTime(), std::min(principal.issued_at.value_or(now), now));
  return end <= start ? end : end - std::min(lead, (end - start) / 5);
}

State::State(const Policy& policy, Now now) : last_heard_(now.mono) {
  deadlines_.fill(kNever);
  step_deadline_ = after(now.mono, policy.handshake_timeout);
}

MonoTime State::next_deadline() const noexcept {
  return std::min(step_deadline_, *std::min_element(deadlines_.begin(), deadlines_.end()));
}

std::optional<Deadline> State::passed(MonoTime now) const noexcept {
  // What ends a connection goes before what merely concerns it, so that a late timer that finds
  // both an expiry and a warning due does not warn first.
  static constexpr std::array kOrder{
      Deadline::kClose,  Deadline::kExpiry, Deadline::kSession,    Deadline::kPong,
      Deadline::kDrain,  Deadline::kAuth,   Deadline::kVerify,     Deadline::kHandshake,
      Deadline::kRefresh, Deadline::kRecheck, Deadline::kPing,     Deadline::kMiddleware};
  static_assert(kOrder.size() == kDeadlines);
  for (const Deadline which : kOrder) {
    if (deadline(which) <= now) return which;
  }
  return std::nullopt;
}

// One step in progress: an overload of `on` for every event, a switch over the phases in each. What
// no row of the table lists ends in `unlisted`, which fails closed.
class Step {
 public:
  Step(State& state, const Policy& policy, Now now) : s_(state), policy_(policy), now_(now) {}

  Actions take(const Event& event) {
    if (s_.phase_ == Phase::kClosed) return actions_;
    if (s_.phase_ == Phase::kClosing) {
      closing(event);
      return actions_;
    }
    std::visit([this](const auto& e) { on(e); }, event);
    return actions_;
  }

 private:
  // ---- Closing: the deadline and the loss of the transport end it, everything else is discarded.
  void closing(const Event& event) {
    if (std::holds_alternative<TransportLost>(event)) {
      closed();
    } else if (const auto* passed = std::get_if<DeadlinePassed>(&event)) {
      if (!due(passed->which)) return stale();
      if (passed->which != Deadline::kClose) return clear(passed->which);
      actions_.add(ActionKind::kDropTransport);
      closed();
    } else if (std::holds_alternative<PeerClosed>(event)) {
      // The closing handshake is complete (RFC 6455 section 7.1.2), so there is nothing to wait for.
      actions_.add(ActionKind::kDropTransport);
      closed();
    }
  }

  // ---- The handshake
  void on(const HeadReceived&) {
    if (s_.phase_ != Phase::kUpgrading) return unlisted();
    clear(Deadline::kHandshake);
    arm(Deadline::kMiddleware, after(now_.mono, policy_.middleware_timeout));
  }

  void on(const UpgradeParsed& e) {
    if (s_.phase_ != Phase::kUpgrading) return unlisted();
    if (e.refused) return end(*e.refused);
    if (e.credentials) return verify(Phase::kVerifying);
    if (policy_.first_message_allowed) {
      accept();
      s_.phase_ = Phase::kAwaitingCredentials;
      disarm_all();
      arm(Deadline::kAuth, after(now_.mono, policy_.auth_timeout));
      return actions_.add(ActionKind::kResumeReads);
    }
    // An anonymous principal is made by a verifier like any other, so that a connection always has
    // one; the row "anonymous spelled out" of the table therefore goes through Verifying.
    if (policy_.anonymous_allowed) return verify(Phase::kVerifying);
    end(Failure::kMissingCredentials);
  }

  void on(const Answered&) {
    if (s_.phase_ != Phase::kUpgrading) return unlisted();
    s_.phase_ = Phase::kClosing;
    disarm_all();
    arm(Deadline::kClose, after(now_.mono, policy_.close_timeout));
  }

  void verify(Phase next) {
    ++s_.generation_;
    s_.phase_ = next;
    if (next == Phase::kVerifying) {
      disarm_all();
      actions_.add(ActionKind::kPauseReads);
    }
    arm(Deadline::kVerify, after(now_.mono, policy_.verify_timeout));
    actions_.add(ActionKind::kStartVerify);
  }

  void on(const CredentialsReceived&) {
    switch (s_.phase_) {
      case Phase::kAwaitingCredentials: return verify(Phase::kVerifying);
      case Phase::kAuthenticated:
        if (!within_authority()) return;
        if (!refresh_allowed()) return end(Failure::kRateLimited);
        return verify(Phase::kReauthenticating);
      case Phase::kReauthenticating: return end(Failure::kRateLimited);
      case Phase::kUpgrading:
      case Phase::kVerifying:
      case Phase::kClosing:
      case Phase::kClosed: return unlisted();
    }
    unlisted();
  }

  // ---- Answers of verifiers
  void on(const Verified& e) {
    if (!awaited(e.generation)) return stale();
    SALLYPORT_ASSERT(e.principal != nullptr);
    const WallTime ends = authority_end_of(*e.principal);
    if (e.revoked) return end(Failure::kTokenRevoked);
    if (ends <= now_.wall) return end(Failure::kTokenExpired);
    if (s_.phase_ == Phase::kReauthenticating) {
      if (e.principal->issuer != s_.principal_->issuer ||
          e.principal->subject != s_.principal_->subject) {
        return end(Failure::kSubjectChanged);
      }
      if (e.denied) return end(*e.denied);
      s_.phase_ = Phase::kAuthenticated;
      adopt(e.principal);
      actions_.add(ActionKind::kReplacePrincipal);
      actions_.add(ActionKind::kSendRefreshed);
      actions_.add(ActionKind::kRecheckSubscriptions);
      return;
    }
    if (e.denied) return end(*e.denied);
    if (!s_.upgraded_) accept();
    s_.phase_ = Phase::kAuthenticated;
    s_.opened_ = true;
    disarm_all();
    adopt(e.principal);
    arm(Deadline::kSession, after(now_.mono, policy_.max_session));
    arm(Deadline::kPing, after(now_.mono, policy_.ping_interval));
    s_.last_heard_ = now_.mono;
    actions_.add(ActionKind::kRegister);
    actions_.add(ActionKind::kSendReady);
    actions_.add(ActionKind::kOpen);
    actions_.add(ActionKind::kResumeReads);
  }

  void on(const VerifyFailed& e) {
    if (!awaited(e.generation)) return stale();
    failed(e.failure);
  }

  void failed(Failure failure) {
    // Nobody has looked at the credential: that is not its fault.
    const bool not_asked = failure == Failure::kUnavailable || failure == Failure::kTooManyRequests;
    if (s_.phase_ == Phase::kReauthenticating && not_asked) {
      clear(Deadline::kVerify);
      s_.phase_ = Phase::kAuthenticated;
      actions_.add(ActionKind::kSendError, failure);  // the old deadline stands
      return;
    }
    end(failure);
  }

  // Whoever accepted the credential was asked again. It may end the connection, or say how long it holds now; it
  // says nothing about a refresh that is under way beside it.
  void on(const Rechecked& e) {
    if (!s_.authenticated()) return unlisted();
    if (e.generation != s_.recheck_generation_) return stale();
    if (e.principal == nullptr) return recheck_failed(e.failure);
    if (e.revoked) return end(Failure::kTokenRevoked);
    if (authority_end_of(*e.principal) <= now_.wall) return end(Failure::kTokenExpired);
    if (e.principal->issuer != s_.principal_->issuer || e.principal->subject != s_.principal_->subject) {
      return end(Failure::kSubjectChanged);
    }
    if (e.denied) return end(*e.denied);
    const bool changed = e.principal != s_.principal_;
    hold(e.principal);
    if (!changed) return;
    actions_.add(ActionKind::kReplacePrincipal);
    actions_.add(ActionKind::kRecheckSubscriptions);
  }

  void recheck_failed(Failure failure) {
    switch (failure) {
      case Failure::kUnavailable: return;  // the old deadline stands, and it is asked again
      case Failure::kTokenExpired:
      case Failure::kForbidden:
      case Failure::kInsufficientScope:
      case Failure::kInternal: return end(failure);
      default: return end(Failure::kTokenRevoked);
    }
  }

  // Whoever brings it need not be the peer, so nothing that is wrong with it ends the connection: what held before
  // still does. One at a time, as in band.
  void on(const RefreshedOutside& e) {
    if (!s_.authenticated()) return unlisted();
    SALLYPORT_ASSERT(e.principal != nullptr);
    if (!within_authority()) return;
    const auto refuse = [this](Failure why) { actions_.add(ActionKind::kRefuseRefresh, why); };
    if (e.principal->issuer != s_.principal_->issuer || e.principal->subject != s_.principal_->subject) {
      return refuse(Failure::kSubjectChanged);
    }
    if (s_.phase_ == Phase::kReauthenticating || !refresh_allowed()) return refuse(Failure::kRateLimited);
    if (e.revoked) return refuse(Failure::kTokenRevoked);
    if (authority_end_of(*e.principal) <= now_.wall) return refuse(Failure::kTokenExpired);
    if (e.denied) return refuse(*e.denied);
    adopt(e.principal);
    actions_.add(ActionKind::kReplacePrincipal);
    actions_.add(ActionKind::kSendRefreshed);
    actions_.add(ActionKind::kRecheckSubscriptions);
  }

  // An answer that never comes is asked for again: a re-check is the one step that no deadline ends.
  void recheck() {
    ++s_.recheck_generation_;
    arm(Deadline::kRecheck, after(now_.mono, std::max(recheck_interval(), policy_.verify_timeout)));
    actions_.add(ActionKind::kStartRecheck);
  }

  [[nodiscard]] Milliseconds recheck_interval() const {
    return std::max(*s_.principal_->recheck_every, kRecheckMin);
  }

  // ---- Messages, both ways
  void on(const MessageReceived&) {
    if (s_.phase_ == Phase::kAwaitingCredentials) return end(Failure::kPolicy);
    flow();
  }
  void on(const Delivery&) { flow(); }

  void flow() {
    if (!s_.authenticated()) return unlisted();
    if (within_authority()) actions_.add(ActionKind::kDeliver);
  }

  // Invariant 6: asked on every message, so that a late timer or a stepped clock changes nothing.
  bool within_authority() {
    if (now_.wall >= s_.authority_end_ || due(Deadline::kExpiry)) {
      end(Failure::kTokenExpired);
      return false;
    }
    if (due(Deadline::kSession)) {
      end(Failure::kSessionEnded);
      return false;
    }
    return true;
  }

  // ---- Time
  void on(const DeadlinePassed& e) {
    if (!due(e.which)) return stale();
    switch (e.which) {
      case Deadline::kHandshake: return end(Failure::kHandshakeTimeout);
      case Deadline::kMiddleware: return end(Failure::kUnavailable);
      case Deadline::kAuth: return end(Failure::kAuthTimeout);
      case Deadline::kVerify:
        actions_.add(ActionKind::kCancelVerify);
        return failed(Failure::kUnavailable);
      case Deadline::kExpiry: return end(Failure::kTokenExpired);
      case Deadline::kSession: return end(Failure::kSessionEnded);
      case Deadline::kRefresh:
        clear(Deadline::kRefresh);
        return actions_.add(ActionKind::kSendExpiring);
      case Deadline::kRecheck: return recheck();
      case Deadline::kPing: return ping();
      case Deadline::kPong: return pong_missing();
      case Deadline::kDrain: return end(Failure::kDraining);
      case Deadline::kClose: return unlisted();
    }
    unlisted();
  }

  void ping() {
    // Whoever spoke a moment ago is there; ask only after a silence of a whole interval.
    const MonoTime next = after(s_.last_heard_, policy_.ping_interval);
    if (next > now_.mono) return arm(Deadline::kPing, next);
    // Never at this very moment: whoever asks for what is due would find it for ever.
    arm(Deadline::kPing, std::max(after(now_.mono, policy_.ping_interval), now_.mono + Milliseconds(1)));
    if (s_.deadline(Deadline::kPong) == kNever) {
      const MonoTime gone = after(s_.last_heard_, policy_.idle_timeout);
      arm(Deadline::kPong, std::max(gone, now_.mono + Milliseconds(1)));
    }
    actions_.add(ActionKind::kSendPing);
  }

  void pong_missing() {
    const MonoTime gone = after(s_.last_heard_, policy_.idle_timeout);
    if (gone > now_.mono) return clear(Deadline::kPong);  // it spoke since; the next ping arms anew
    end(Failure::kIdleTimeout, ActionKind::kCloseNow);
  }

  void on(const ClockStepped&) {
    if (!s_.authenticated()) return;  // every other deadline is monotonic
    if (!within_authority()) return;
    // Only ever earlier: a clock that is set back does not lengthen a life.
    arm(Deadline::kExpiry,
        std::min(s_.deadline(Deadline::kExpiry), on_monotonic(s_.authority_end_, now_)));
    const MonoTime warning = s_.deadline(Deadline::kRefresh);
    if (warning == kNever) return;  // there is none, or it has been sent
    arm(Deadline::kRefresh,
        std::min(warning, on_monotonic(warning_time(*s_.principal_, policy_.refresh_lead, now_.wall), now_)));
  }

  // ---- Ends
  void on(const Revoked& e) { end(e.reason); }
  void on(const Violation& e) { end(e.failure); }
  void on(const SendQueueOverLimit&) { end(Failure::kSlowConsumer, ActionKind::kCloseNow); }

  void on(const CloseRequested& e) {
    if (e.failure) return end(*e.failure);
    if (!s_.authenticated()) return unlisted();
    end_with(ActionKind::kCloseApplication, {});
  }

  void on(const Draining& e) {
    if (!s_.upgraded_) return end(Failure::kDraining);
    arm(Deadline::kDrain, after(now_.mono, e.delay));
  }

  void on(const PeerClosed&) {
    if (!s_.upgraded_) return unlisted();
    end_with(ActionKind::kEchoClose, {});
  }

  void on(const TransportLost&) {
    cancel_verify();
    leave({});
    closed();
  }

  void unlisted() {
    SALLYPORT_DCHECK(!"an unlisted pair of state and event");
    end(Failure::kInternal);
  }

  // The only way into Closing with a failure: an HTTP answer before the 101, a Close frame after it.
  void end(Failure failure, ActionKind how = ActionKind::kClose) {
    end_with(s_.upgraded_ ? how : ActionKind::kRejectUpgrade, failure);
  }

  void end_with(ActionKind how, std::optional<Failure> failure) {
    cancel_verify();
    actions_.add(how, failure);
    leave(failure);
    s_.phase_ = Phase::kClosing;
    disarm_all();
    if (how == ActionKind::kCloseNow) {
      actions_.add(ActionKind::kDropTransport);
      return closed();
    }
    arm(Deadline::kClose, after(now_.mono, policy_.close_timeout));
  }

  // Invariant 5: on_close exactly once, and only if Open did.
  void leave(std::optional<Failure> failure) {
    if (!s_.opened_) return;
    s_.opened_ = false;
    actions_.add(ActionKind::kUnregister);
    actions_.add(ActionKind::kOnClose, failure);
  }

  void closed() {
    s_.phase_ = Phase::kClosed;
    disarm_all();
  }

  void cancel_verify() {
    const bool running = s_.phase_ == Phase::kVerifying || s_.phase_ == Phase::kReauthenticating;
    if (running && !actions_.has(ActionKind::kCancelVerify)) {
      actions_.add(ActionKind::kCancelVerify);
    }
  }

  // ---- Helpers
  void accept() {
    SALLYPORT_ASSERT(!s_.upgraded_);  // invariant 5: at most one AcceptUpgrade
    s_.upgraded_ = true;
    actions_.add(ActionKind::kAcceptUpgrade);
  }

  void adopt(const PrincipalRef& principal) {
    clear(Deadline::kVerify);
    ++s_.recheck_generation_;  // what is asked about the credential before it no longer matters
    hold(principal);
  }

  void hold(const PrincipalRef& principal) {
    s_.principal_ = principal;
    s_.authority_end_ = authority_end_of(*principal);
    arm(Deadline::kRecheck,
        principal->recheck_every ? after(now_.mono, recheck_interval()) : kNever);
    arm(Deadline::kExpiry, on_monotonic(s_.authority_end_, now_));
    arm(Deadline::kRefresh,
        on_monotonic(warning_time(*principal, policy_.refresh_lead, now_.wall), now_));
  }

  bool refresh_allowed() {
    if (s_.refreshes_ == 0 || now_.mono - s_.refresh_window_ >= kRefreshWindow) {
      s_.refresh_window_ = now_.mono;
      s_.refreshes_ = 0;
    }
    return ++s_.refreshes_ <= policy_.refreshes_per_minute;
  }

  [[nodiscard]] bool awaited(std::uint32_t generation) const {
    return generation == s_.generation_ &&
           (s_.phase_ == Phase::kVerifying || s_.phase_ == Phase::kReauthenticating);
  }
  [[nodiscard]] bool due(Deadline which) const { return s_.deadline(which) <= now_.mono; }
  void arm(Deadline which, MonoTime at) {
    const auto index = static_cast<std::size_t>(which);
    if (index >= kStepDeadlines) {
      s_.deadlines_[index - kStepDeadlines] = at;
      return;
    }
    s_.step_ = which;
    s_.step_deadline_ = at;
  }
  void clear(Deadline which) {
    if (static_cast<std::size_t>(which) >= kStepDeadlines || s_.step_ == which) arm(which, kNever);
  }
  void disarm_all() {
    // A drain that has begun goes on whatever else happens.
    const MonoTime drain = s_.deadline(Deadline::kDrain);
    s_.deadlines_.fill(kNever);
    s_.step_deadline_ = kNever;
    if (s_.live()) arm(Deadline::kDrain, drain);
  }
  void stale() { actions_.add(ActionKind::kCountStale); }

  State& s_;
  const Policy& policy_;
  const Now now_;
  Actions actions_;
};

Actions step(State& state, const Event& event, const Policy& policy, Now now) {
  return Step(state, policy, now).take(event);
}

}  // namespace sallyport::auth
