#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/auth/failure.h"
#include "core/auth/state_machine.h"

// What the tests of the state machine share: a moment to begin at, people, a driven machine, and
// the list of pairs that the machine does not know.

namespace sallyport::auth {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

inline constexpr base::Now kStart{base::MonoTime(base::Milliseconds(1'000'000)),
                                  base::WallTime(base::Milliseconds(1'700'000'000'000))};
inline constexpr base::Milliseconds kLeeway{30'000};

/// A principal who expires `life` from the start and is let live for the leeway beyond that.
inline PrincipalRef person(base::Milliseconds life, std::string subject = "alice",
                           std::string issuer = "https://id.example") {
  Principal who;
  who.issuer = std::move(issuer);
  who.subject = std::move(subject);
  who.issued_at = kStart.wall;
  who.expires_at = kStart.wall + life;
  who.valid_until = *who.expires_at + kLeeway;
  return std::make_shared<const Principal>(std::move(who));
}

/// One whose credential does not end by itself.
inline PrincipalRef endless(std::string subject = "alice") {
  Principal who;
  who.issuer = "https://id.example";
  who.subject = std::move(subject);
  return std::make_shared<const Principal>(std::move(who));
}

inline std::string_view name_of(Phase phase) {
  constexpr std::array<std::string_view, kPhases> kNames{
      "Upgrading", "Verifying", "AwaitingCredentials", "Authenticated", "Reauthenticating",
      "Closing",   "Closed"};
  return kNames.at(static_cast<std::size_t>(phase));
}

inline std::string_view name_of(ActionKind kind) {
  constexpr std::array<std::string_view, 25> kNames{"RejectUpgrade",
                                                    "AcceptUpgrade",
                                                    "StartVerify",
                                                    "CancelVerify",
                                                    "StartRecheck",
                                                    "PauseReads",
                                                    "ResumeReads",
                                                    "Register",
                                                    "Unregister",
                                                    "Open",
                                                    "ReplacePrincipal",
                                                    "RecheckSubscriptions",
                                                    "RefuseRefresh",
                                                    "Deliver",
                                                    "SendReady",
                                                    "SendExpiring",
                                                    "SendRefreshed",
                                                    "SendError",
                                                    "SendPing",
                                                    "Close",
                                                    "CloseApplication",
                                                    "CloseNow",
                                                    "EchoClose",
                                                    "OnClose",
                                                    "DropTransport"};
  const auto index = static_cast<std::size_t>(kind);
  return index < kNames.size() ? kNames[index] : "CountStale";
}

inline std::string_view name_of(const Event& event) {
  constexpr std::array<std::string_view, std::variant_size_v<Event>> kNames{
      "HeadReceived",    "UpgradeParsed",      "Answered",  "CredentialsReceived",
      "MessageReceived", "Delivery",           "Verified",  "VerifyFailed",
      "Revoked",         "Rechecked",          "RefreshedOutside", "Violation", "CloseRequested",
      "DeadlinePassed",  "SendQueueOverLimit", "Draining",  "ClockStepped",
      "PeerClosed",      "TransportLost"};
  return kNames.at(event.index());
}

inline void PrintTo(Phase phase, std::ostream* out) {
  *out << name_of(phase);
}

inline void PrintTo(const Action& action, std::ostream* out) {
  *out << name_of(action.kind);
  if (action.failure) *out << '(' << row(*action.failure).name << ')';
}

inline std::vector<Action> list(const Actions& actions) {
  return {actions.begin(), actions.end()};
}

/// One of each kind of event, without guards: what a test that sends "anything" sends.
inline std::vector<Event> one_of_each() {
  return {HeadReceived{},
          UpgradeParsed{},
          Answered{},
          CredentialsReceived{},
          MessageReceived{},
          Delivery{},
          Verified{.generation = 1, .principal = person(10min)},
          VerifyFailed{1, Failure::kInvalidToken},
          Revoked{},
          Rechecked{.generation = 1},
          RefreshedOutside{.principal = person(10min)},
          Violation{Failure::kProtocolError},
          CloseRequested{},
          DeadlinePassed{Deadline::kExpiry},
          SendQueueOverLimit{},
          Draining{1s},
          ClockStepped{},
          PeerClosed{},
          TransportLost{}};
}

/// True for the pairs of a live state and an event that no row of the model lists, so that they can
/// only come from a fault of ours.
inline bool unlisted(const State& state, const Event& event) {
  if (!state.live()) return false;
  const Phase phase = state.phase();
  const bool upgrading = phase == Phase::kUpgrading;
  if (std::holds_alternative<HeadReceived>(event)) return !upgrading;
  if (std::holds_alternative<UpgradeParsed>(event)) return !upgrading;
  if (std::holds_alternative<Answered>(event)) return !upgrading;
  if (std::holds_alternative<CredentialsReceived>(event) ||
      std::holds_alternative<MessageReceived>(event)) {
    return upgrading || phase == Phase::kVerifying;
  }
  if (std::holds_alternative<Delivery>(event)) return !state.authenticated();
  if (std::holds_alternative<Rechecked>(event)) return !state.authenticated();
  if (std::holds_alternative<RefreshedOutside>(event)) return !state.authenticated();
  if (const auto* close = std::get_if<CloseRequested>(&event)) {
    return !close->failure && !state.authenticated();
  }
  // A Close frame cannot come before there are frames.
  if (std::holds_alternative<PeerClosed>(event)) return !state.upgraded();
  return false;
}

/// A machine with its policy and its two clocks.
class Driven {
 public:
  explicit Driven(Policy with = {}) : policy(with), now(kStart), state(with, kStart) {}

  std::vector<Action> send(const Event& event) { return list(step(state, event, policy, now)); }
  std::vector<Action> due(Deadline which) { return send(DeadlinePassed{which}); }

  /// Both clocks go on.
  void pass(base::Milliseconds time) {
    now.mono += time;
    now.wall += time;
  }
  /// To the moment of a deadline, which must be set, less `early`.
  void pass_until(Deadline which, base::Milliseconds early = 0ms) {
    SALLYPORT_ASSERT(state.deadline(which) != base::kNever);
    SALLYPORT_ASSERT(state.deadline(which) - early >= now.mono);
    pass(state.deadline(which) - early - now.mono);
  }
  /// The wall clock alone is set.
  void set_wall_clock(base::Milliseconds by) { now.wall += by; }

  /// Through the handshake with a credential in it.
  void authenticate(PrincipalRef who) {
    send(HeadReceived{});
    send(UpgradeParsed{.credentials = true});
    send(Verified{.generation = state.generation(), .principal = std::move(who)});
    SALLYPORT_ASSERT(state.phase() == Phase::kAuthenticated);
  }
  std::vector<Action> refresh(PrincipalRef who) {
    send(CredentialsReceived{});
    return send(Verified{.generation = state.generation(), .principal = std::move(who)});
  }
  [[nodiscard]] base::Milliseconds left(Deadline which) const {
    return state.deadline(which) - now.mono;
  }
  [[nodiscard]] bool armed(Deadline which) const { return state.deadline(which) != base::kNever; }

  Policy policy;
  base::Now now;
  State state;
};

}  // namespace sallyport::auth
