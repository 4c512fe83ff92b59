#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <variant>

#include "core/base/assert.h"
#include "core/base/clock.h"
#include "sallyport/failure.h"
#include "sallyport/principal.h"

// The authentication state machine: the one place where "may this go on?" is answered, whichever way
// the credential came. Pure: no clock, no socket, no lock, no log. A connection feeds it events,
// executes the actions it returns, in order, and decides nothing itself.

namespace sallyport::auth {

using PrincipalRef = std::shared_ptr<const Principal>;

enum class Phase : std::uint8_t {
  kUpgrading,            ///< the request head is being read, or middleware runs
  kVerifying,            ///< a first credential is with its verifier; nothing is read from the peer
  kAwaitingCredentials,  ///< the vestibule: upgraded, and one small message is waited for
  kAuthenticated,
  kReauthenticating,  ///< authenticated, and a refresh is with its verifier
  kClosing,
  kClosed,
};
inline constexpr std::size_t kPhases = 7;

/// What can be waited for. A deadline that is not set is `kNever`. The first five belong to a step on the way in
/// or out and follow each other, so a connection has at most one of them; the others run side by side.
enum class Deadline : std::uint8_t {
  kHandshake,   ///< TCP accept to complete request head; not reset by bytes
  kMiddleware,  ///< request head to the end of middleware
  kAuth,        ///< upgrade to first message
  kVerify,      ///< one verification
  kClose,       ///< the closing handshake
  kExpiry,      ///< the authority's end, `valid_until`
  kRefresh,     ///< when the peer is warned of it
  kSession,     ///< `max_session`
  kPing,        ///< when to ask whether the peer is there
  kPong,        ///< when it counts as gone
  kDrain,       ///< this connection's share of the drain window
  kRecheck,     ///< when the verifier is asked again, `Principal::recheck_every`
};
inline constexpr std::size_t kStepDeadlines = 5;
inline constexpr std::size_t kDeadlines = 12;

/// The part of a route that the machine needs. `kUnlimited` switches a limit off; zero means at once. Of
/// `max_session` and `ping_interval` one must be finite, or a credential without an end is waited on for ever.
struct Policy {
  static constexpr base::Milliseconds kUnlimited = base::Milliseconds::max();

  bool first_message_allowed = false;
  bool anonymous_allowed = false;
  base::Milliseconds handshake_timeout{5'000};
  base::Milliseconds middleware_timeout{5'000};
  base::Milliseconds auth_timeout{5'000};
  base::Milliseconds verify_timeout{5'000};
  base::Milliseconds refresh_lead{30'000};  ///< at most a fifth of the token's life is used
  base::Milliseconds max_session{12 * 3'600'000};
  base::Milliseconds ping_interval{25'000};
  base::Milliseconds idle_timeout{60'000};
  base::Milliseconds close_timeout{2'000};
  std::uint16_t refreshes_per_minute = 10;
};

// ---- Events. Each is a value; what an event says has been established by its sender.

struct HeadReceived {};  ///< the request head is complete; middleware starts
struct UpgradeParsed {   ///< middleware has ended
  std::optional<Failure> refused = {};
  bool credentials = false;
};
struct Answered {};             ///< a plain HTTP request has been answered
struct CredentialsReceived {};  ///< an in-band `auth` or `refresh`
struct MessageReceived {};      ///< any other whole message
struct Delivery {};             ///< something is about to be sent to the peer
struct Verified {
  std::uint32_t generation;
  PrincipalRef principal;
  bool revoked = false;           ///< by the revocation index, asked at this moment
  std::optional<Failure> denied = {};  ///< by the route: scopes, claims, `authorize`
};
struct VerifyFailed {
  std::uint32_t generation;
  Failure failure;  ///< kUnavailable: the verifier could not be asked; all others: the credential's fault
};
struct Revoked {
  Failure reason = Failure::kTokenRevoked;
};
struct Rechecked {  ///< a verifier was asked again about a live connection
  std::uint32_t generation;                  ///< `State::recheck_generation` when it was asked
  PrincipalRef principal = {};               ///< what holds now; null: `failure` says why nothing does
  Failure failure = Failure::kTokenRevoked;  ///< kUnavailable: the verifier could not be asked
  bool revoked = false;                      ///< as in `Verified`
  std::optional<Failure> denied = {};        ///< likewise
};
struct RefreshedOutside {  ///< a new credential for this connection came by another way than the connection
  PrincipalRef principal;
  bool revoked = false;                ///< as in `Verified`
  std::optional<Failure> denied = {};  ///< likewise
};
struct Violation {  ///< framing, limits, misuse of the in-band protocol
  Failure failure;
};
struct CloseRequested {  ///< by the application, the operator or a limit
  std::optional<Failure> failure = {};  ///< nothing: the application's own code and reason
};
struct DeadlinePassed {
  Deadline which;
};
struct SendQueueOverLimit {};
struct Draining {
  base::Milliseconds delay;  ///< this connection's share of the drain window
};
struct ClockStepped {};  ///< the wall clock moved against the monotonic one
struct PeerClosed {};
struct TransportLost {};

using Event = std::variant<HeadReceived, UpgradeParsed, Answered, CredentialsReceived, MessageReceived, Delivery,
                           Verified, VerifyFailed, Revoked, Rechecked, RefreshedOutside, Violation, CloseRequested,
                           DeadlinePassed, SendQueueOverLimit, Draining, ClockStepped, PeerClosed,
                           TransportLost>;

// ---- Actions

enum class ActionKind : std::uint8_t {
  kRejectUpgrade,   ///< answer the request with the failure's status (or 101 and Close, by the route)
  kAcceptUpgrade,   ///< send the 101
  kStartVerify,     ///< hand the credential to the verifiers under `State::generation`
  kCancelVerify,    ///< its answer no longer matters
  kStartRecheck,    ///< ask the verifier again, under `State::recheck_generation`
  kPauseReads,
  kResumeReads,
  kRegister,        ///< enter the indexes: live from here
  kUnregister,
  kOpen,            ///< `on_open`
  kReplacePrincipal,
  kRecheckSubscriptions,
  kRefuseRefresh,   ///< of `RefreshedOutside`: whoever brought it is told why, and nothing else changes
  kDeliver,         ///< hand the message on
  kSendReady,
  kSendExpiring,
  kSendRefreshed,
  kSendError,       ///< an in-band error with the failure's reason; the connection stays
  kSendPing,
  kClose,           ///< send a Close frame after what is queued, then wait for the peer's
  kCloseApplication,///< likewise with the application's code and reason
  kCloseNow,        ///< drop the queue and the connection: a peer that does not read gets no Close frame
  kEchoClose,       ///< answer the peer's Close
  kOnClose,         ///< `on_close`; the failure says why, none: the peer or the application
  kDropTransport,
  kCountStale,      ///< an answer or deadline of an old generation
};

struct Action {
  ActionKind kind;
  std::optional<Failure> failure = {};

  friend bool operator==(const Action&, const Action&) = default;
};

/// Up to `kMost` actions, executed in order.
class Actions {
 public:
  static constexpr std::size_t kMost = 10;

  void add(ActionKind kind, std::optional<Failure> failure = {}) {
    SALLYPORT_ASSERT(size_ < kMost);
    items_[size_++] = {kind, failure};
  }
  [[nodiscard]] bool has(ActionKind kind) const noexcept {
    for (const Action& action : *this) {
      if (action.kind == kind) return true;
    }
    return false;
  }
  [[nodiscard]] const Action* begin() const noexcept { return items_.data(); }
  [[nodiscard]] const Action* end() const noexcept { return items_.data() + size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

 private:
  std::array<Action, kMost> items_;
  std::uint8_t size_ = 0;
};

/// One connection's state. Owned by its connection, changed by `step` alone.
class State {
 public:
  State(const Policy& policy, base::Now now);

  [[nodiscard]] Phase phase() const noexcept { return phase_; }
  [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }
  /// Re-checks have their own, since one may be under way beside a refresh.
  [[nodiscard]] std::uint32_t recheck_generation() const noexcept { return recheck_generation_; }
  [[nodiscard]] const PrincipalRef& principal() const noexcept { return principal_; }
  [[nodiscard]] bool upgraded() const noexcept { return upgraded_; }
  [[nodiscard]] bool opened() const noexcept { return opened_; }
  [[nodiscard]] bool live() const noexcept {
    return phase_ != Phase::kClosing && phase_ != Phase::kClosed;
  }
  /// Whether application data may flow at all: invariant 1.
  [[nodiscard]] bool authenticated() const noexcept {
    return phase_ == Phase::kAuthenticated || phase_ == Phase::kReauthenticating;
  }
  [[nodiscard]] base::MonoTime deadline(Deadline which) const noexcept {
    const auto index = static_cast<std::size_t>(which);
    if (index >= kStepDeadlines) return deadlines_[index - kStepDeadlines];
    return step_ == which ? step_deadline_ : base::kNever;
  }
  /// The earliest deadline: what the connection's one timer is armed for.
  [[nodiscard]] base::MonoTime next_deadline() const noexcept;
  /// A deadline that has passed at `now`, the one that matters most first; nothing if there is none.
  [[nodiscard]] std::optional<Deadline> passed(base::MonoTime now) const noexcept;
  /// The wall-clock moment after which nothing flows; `kForever` without one.
  [[nodiscard]] base::WallTime authority_end() const noexcept { return authority_end_; }

  /// Bytes came from the peer: it is there. Not an event, since it decides nothing.
  void heard(base::MonoTime now) noexcept { last_heard_ = now; }

 private:
  friend class Step;

  std::array<base::MonoTime, kDeadlines - kStepDeadlines> deadlines_;
  base::MonoTime step_deadline_ = base::kNever;
  base::WallTime authority_end_ = base::kForever;
  base::MonoTime last_heard_;
  base::MonoTime refresh_window_{};
  PrincipalRef principal_;
  std::uint32_t generation_ = 0;
  std::uint32_t recheck_generation_ = 0;
  std::uint16_t refreshes_ = 0;
  Deadline step_ = Deadline::kHandshake;
  Phase phase_ = Phase::kUpgrading;
  bool upgraded_ = false;
  bool opened_ = false;
};

/// Takes one event. `state` is changed in place; for equal arguments the result is equal.
[[nodiscard]] Actions step(State& state, const Event& event, const Policy& policy, base::Now now);

/// When a principal's authority ends. A verifier that says when its credential expires and nothing about a
/// leeway means that moment: forgetting `valid_until` must not make an authority endless.
[[nodiscard]] base::WallTime authority_end_of(const Principal& who);

/// The moment a warning is due: `lead` before `expires_at`, but never more than a fifth of the life.
[[nodiscard]] base::WallTime warning_time(const Principal& principal, base::Milliseconds lead,
                                          base::WallTime now);

}  // namespace sallyport::auth
