#include "core/auth/state_machine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/auth/state_machine_test_support.h"

// Random sequences of events, and after every step the seven invariants of the authentication
// model. What must hold is kept track of here, from the events and actions alone, not asked of the
// machine.

namespace sallyport::auth {
namespace {

using D = Deadline;

#ifdef NDEBUG
constexpr std::uint32_t kSequences = 100'000;
#else
constexpr std::uint32_t kSequences = 20'000;
#endif
constexpr int kSteps = 48;

class Sequence {
 public:
  explicit Sequence(std::uint32_t seed) : random_(seed), d_(random_policy()) {}

  // Nothing, or the first thing that was wrong and what had happened until then.
  std::string run() {
    for (int i = 0; i < kSteps && fault_.empty(); ++i) {
      pass_time();
      // Loops that read before they look at their timers, and the other way round.
      if (chance(2)) run_timers();
      const Event event = random_event();
#ifndef NDEBUG
      if (unlisted(d_.state, event)) continue;  // it would abort
#endif
      take(event);
    }
    // Left alone, every connection comes to its end.
    for (int i = 0; i < 20'000 && fault_.empty() && d_.state.phase() != Phase::kClosed; ++i) {
      d_.pass(d_.state.next_deadline() - d_.now.mono);
      run_timers();
    }
    require(d_.state.phase() == Phase::kClosed, "4: it never ends");
    require(closes_ == opens_, "5: on_close and on_open differ");
    require(unregisters_ == registers_, "5: register and unregister differ");
    return fault_.empty() ? std::string() : fault_ + "\n" + trace_.str();
  }

  [[nodiscard]] const std::set<Phase>& seen() const { return seen_; }
  [[nodiscard]] int replaced() const { return replaced_; }

 private:
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  bool chance(std::uint32_t one_in) { return below(one_in) == 0; }

  Policy random_policy() {
    Policy policy;
    policy.first_message_allowed = chance(2);
    policy.anonymous_allowed = chance(4);
    policy.refresh_lead = std::chrono::seconds(below(60));
    policy.refreshes_per_minute = static_cast<std::uint16_t>(below(5));
    policy.ping_interval = std::chrono::seconds(1 + below(60));
    policy.idle_timeout = std::chrono::seconds(1 + below(120));
    policy.max_session = std::chrono::minutes(1 + below(60));
    if (chance(4)) policy.ping_interval = Policy::kUnlimited;
    // Only a credential with an end may then be accepted; see random_person.
    if (chance(4)) policy.max_session = Policy::kUnlimited;
    return policy;
  }

  PrincipalRef random_person() {
    Principal who;
    who.issuer = chance(12) ? "https://evil.example" : "https://id.example";
    who.subject = chance(12) ? "mallory" : "alice";
    if (chance(2)) who.issued_at = d_.now.wall - std::chrono::seconds(below(600));
    if (d_.policy.max_session == Policy::kUnlimited || !chance(4)) {
      who.expires_at = d_.now.wall + std::chrono::seconds(below(900)) - 20s;
      if (!chance(8)) who.valid_until = *who.expires_at + kLeeway;
    }
    if (chance(3)) who.recheck_every = std::chrono::milliseconds(below(60'000));
    return std::make_shared<const Principal>(std::move(who));
  }

  Failure random_failure() {
    return static_cast<Failure>(below(static_cast<std::uint32_t>(Failure::kInternal) + 1));
  }

  std::uint32_t random_generation() {
    return chance(6) ? d_.state.generation() + 2 - below(4) : d_.state.generation();
  }

  Event random_recheck() {
    const std::uint32_t generation = d_.state.recheck_generation() + (chance(6) ? 1 : 0);
    if (chance(6)) return Rechecked{.generation = generation, .failure = random_failure()};
    return Rechecked{.generation = generation,
                     .principal = random_person(),
                     .revoked = chance(20),
                     .denied = chance(20) ? std::optional(random_failure()) : std::nullopt};
  }

  // Events that lead on are likelier than those that end, so that sequences get somewhere.
  Event random_event() {
    switch (below(150)) {
      case 0:
        return Answered{};
      case 1:
        return Revoked{chance(2) ? Failure::kTokenRevoked : Failure::kLoggedOut};
      case 2:
        return random_recheck();
      case 3:
        return Violation{random_failure()};
      case 4:
        return CloseRequested{chance(2) ? std::optional(random_failure()) : std::nullopt};
      case 5:
        return SendQueueOverLimit{};
      case 16:
        return RefreshedOutside{.principal = random_person(),
                                .revoked = chance(4),
                                .denied = chance(4) ? std::optional(random_failure()) : std::nullopt};
      case 6:
        return Draining{std::chrono::seconds(below(30))};
      case 7:
        return PeerClosed{};
      case 8:
        return TransportLost{};
      case 9:
      case 10:
        return ClockStepped{};
      case 11:
        return UpgradeParsed{.refused = random_failure(), .credentials = chance(2)};
      case 12:
      case 13:
        return DeadlinePassed{static_cast<D>(below(kDeadlines))};
      case 14:
        return VerifyFailed{random_generation(), Failure::kUnavailable};
      case 15:
        return VerifyFailed{random_generation(), random_failure()};
      default:
        break;
    }
    switch (d_.state.phase()) {
      case Phase::kUpgrading:
        if (chance(2)) return HeadReceived{};
        return UpgradeParsed{.credentials = chance(2)};
      case Phase::kAwaitingCredentials:
        return CredentialsReceived{};
      case Phase::kVerifying:
      case Phase::kReauthenticating:
        if (chance(2)) break;
        return Verified{.generation = random_generation(),
                        .principal = random_person(),
                        .revoked = chance(10),
                        .denied = chance(10) ? std::optional(Failure::kForbidden) : std::nullopt};
      case Phase::kAuthenticated:
        if (chance(4)) return CredentialsReceived{};
        break;
      case Phase::kClosing:
      case Phase::kClosed:
        break;
    }
    if (chance(8)) return one_of_each().at(below(std::variant_size_v<Event>));
    return chance(2) ? Event(MessageReceived{}) : Event(Delivery{});
  }

  void pass_time() {
    if (chance(3)) d_.pass(base::Milliseconds(below(2'000)));
    if (chance(d_.state.authenticated() ? 6 : 40)) d_.pass(std::chrono::seconds(below(90)));
    // To a deadline exactly, or to the millisecond before it.
    if (chance(d_.state.authenticated() ? 6 : 20) && d_.state.next_deadline() != base::kNever &&
        d_.state.next_deadline() > d_.now.mono) {
      d_.pass(d_.state.next_deadline() - d_.now.mono - base::Milliseconds(below(2)));
    }
    if (chance(16)) d_.set_wall_clock(std::chrono::seconds(below(1200)) - 10min);
    if (chance(2)) d_.state.heard(d_.now.mono);
  }

  void run_timers() {
    int turns = 0;
    while (const auto which = d_.state.passed(d_.now.mono)) {
      take(DeadlinePassed{*which});
      if (++turns > static_cast<int>(kDeadlines)) return require(false, "4: a timer spins");
    }
  }

  void take(const Event& event) {
    const Phase before = d_.state.phase();
    const bool was_unlisted = unlisted(d_.state, event);
    bool awaited = awaits_answer(before, event);
    const PrincipalRef old = d_.state.principal();
    State twin = d_.state;
    const std::vector<Action> actions = d_.send(event);
    seen_.insert(d_.state.phase());
    if (std::holds_alternative<RefreshedOutside>(event) && d_.state.authenticated()) {
      // It may be refused, and then nothing has changed.
      awaited = std::ranges::count(actions, ActionKind::kReplacePrincipal, &Action::kind) > 0;
      require(awaited || d_.state.principal() == old, "3: a refused refresh changes who it is");
      require(awaited != (std::ranges::count(actions, ActionKind::kRefuseRefresh, &Action::kind) > 0),
              "7: a refresh neither taken nor refused");
      require(!awaited || before == Phase::kAuthenticated, "7: two refreshes at once");
    }

    trace_ << name_of(before) << " + " << name_of(event);
    if (const auto* passed = std::get_if<DeadlinePassed>(&event)) {
      trace_ << ' ' << static_cast<int>(passed->which);
    }
    trace_ << " at " << (d_.now.mono - kStart.mono).count() << '/'
           << (d_.now.wall - kStart.wall).count() << " ms -> " << name_of(d_.state.phase()) << " {";
    for (const Action& action : actions) {
      PrintTo(action, &trace_);
      trace_ << ' ';
    }
    trace_ << "}\n";

    require(list(step(twin, event, d_.policy, d_.now)) == actions &&
                twin.next_deadline() == d_.state.next_deadline() &&
                twin.phase() == d_.state.phase(),
            "the result depends on something else than the arguments");
    follow(event, awaited);
    for (const Action& action : actions) check(action, event, before, awaited, old);
    check_state(before, actions, was_unlisted);
  }

  // What a verifier says in an event that may give authority.
  struct Grant {
    PrincipalRef principal;
    bool revoked = false;
    std::optional<Failure> denied = {};
  };
  static Grant grant_of(const Event& event) {
    if (const auto* verified = std::get_if<Verified>(&event)) {
      return {verified->principal, verified->revoked, verified->denied};
    }
    if (const auto* outside = std::get_if<RefreshedOutside>(&event)) {
      return {outside->principal, outside->revoked, outside->denied};
    }
    const auto* rechecked = std::get_if<Rechecked>(&event);
    if (rechecked == nullptr) return {};
    return {rechecked->principal, rechecked->revoked, rechecked->denied};
  }

  bool awaits_answer(Phase phase, const Event& event) const {
    const bool open = phase == Phase::kAuthenticated || phase == Phase::kReauthenticating;
    if (const auto* rechecked = std::get_if<Rechecked>(&event)) {
      return open && rechecked->principal != nullptr &&
             rechecked->generation == d_.state.recheck_generation();
    }
    const auto* verified = std::get_if<Verified>(&event);
    return verified != nullptr && verified->generation == d_.state.generation() &&
           (phase == Phase::kVerifying || phase == Phase::kReauthenticating);
  }

  // What the event means for how long anything may flow.
  void follow(const Event& event, bool awaited) {
    if (awaited && d_.state.authenticated()) {
      const Principal& who = *grant_of(event).principal;
      const auto until = who.valid_until ? who.valid_until : who.expires_at;
      wall_end_ = until.value_or(base::kForever);
      mono_end_ = until ? d_.now.mono + (*until - d_.now.wall) : base::kNever;
      if (!identity_) {
        identity_.emplace(std::string_view(who.issuer), std::string_view(who.subject));
        if (d_.policy.max_session != Policy::kUnlimited) {
          session_end_ = d_.now.mono + d_.policy.max_session;
        }
      }
    }
    if (std::holds_alternative<ClockStepped>(event) && wall_end_ != base::kForever) {
      mono_end_ = std::min(mono_end_, d_.now.mono + std::max(0ms, wall_end_ - d_.now.wall));
    }
  }

  void check(const Action& action, const Event& event, Phase before, bool awaited,
             const PrincipalRef& old) {
    require(before != Phase::kClosed, "5: something after the end");
    const bool was_open = before == Phase::kAuthenticated || before == Phase::kReauthenticating;
    switch (action.kind) {
      case ActionKind::kDeliver:
        require(was_open && d_.state.authenticated(), "1: a message outside the authority");
        require(d_.now.wall < wall_end_ && d_.now.mono < mono_end_, "6: flows past the expiry");
        require(d_.now.mono < session_end_, "6: flows past the session");
        break;
      case ActionKind::kOpen:
      case ActionKind::kReplacePrincipal: {
        require(awaited, "2: authority without a verification that is awaited");
        const Grant verified = grant_of(event);
        require(!verified.revoked, "2: a revoked credential commits");
        require(!verified.denied, "3: a principal that is not permitted commits");
        require(d_.state.principal() == verified.principal, "3: another principal is kept");
        if (action.kind == ActionKind::kOpen) {
          require(++opens_ == 1, "5: opened twice");
          require(accepts_ == 1 && rejects_ == 0, "5: opened without an accepted upgrade");
          break;
        }
        ++replaced_;
        require(old != nullptr && old->issuer == verified.principal->issuer &&
                    old->subject == verified.principal->subject,
                "3: a refresh changes who it is");
        break;
      }
      case ActionKind::kAcceptUpgrade:
        require(++accepts_ == 1 && rejects_ == 0, "5: accepted twice, or after a refusal");
        break;
      case ActionKind::kRejectUpgrade:
        require(++rejects_ == 1 && accepts_ == 0, "5: refused twice, or after the 101");
        break;
      case ActionKind::kOnClose:
        require(++closes_ == 1 && opens_ == 1, "5: on_close twice, or without on_open");
        break;
      case ActionKind::kRegister:
        ++registers_;
        break;
      case ActionKind::kUnregister:
        ++unregisters_;
        break;
      default:
        break;
    }
  }

  void check_state(Phase before, const std::vector<Action>& actions, bool was_unlisted) {
    const State& s = d_.state;
    require((s.next_deadline() == base::kNever) == (s.phase() == Phase::kClosed),
            "4: waits for ever, or for nothing");
    if (s.authenticated()) {
      require(opens_ == 1 && closes_ == 0, "5: authenticated without being open");
      const bool known = s.principal() != nullptr && identity_.has_value();
      require(known, "3: nobody is authenticated");
      if (known) {
        require(s.principal()->issuer == identity_->first, "3: the issuer changed");
        require(s.principal()->subject == identity_->second, "3: the subject changed");
      }
      const base::MonoTime end = std::min(s.deadline(D::kExpiry), s.deadline(D::kSession));
      require(end != base::kNever && end <= std::min(mono_end_, session_end_),
              "4: authenticated without a deadline at the authority's end");
    } else {
      require(opens_ == closes_, "5: open in a phase that is not");
    }
    if (before == Phase::kClosing || before == Phase::kClosed) {
      require(!s.live(), "7: back from the dead");
    }
    if (was_unlisted) {
      require(s.phase() == Phase::kClosing, "7: an unlisted pair does not close");
      require(std::ranges::count(actions, Failure::kInternal, &Action::failure) > 0,
              "7: an unlisted pair is not our fault");
    }
  }

  void require(bool holds, const char* what) {
    if (!holds && fault_.empty()) fault_ = std::string("invariant ") + what;
  }

  std::mt19937 random_;
  Driven d_;
  base::WallTime wall_end_ = base::kForever;
  base::MonoTime mono_end_ = base::kNever;
  base::MonoTime session_end_ = base::kNever;
  std::optional<std::pair<std::string, std::string>> identity_;
  std::set<Phase> seen_;
  int accepts_ = 0;
  int rejects_ = 0;
  int opens_ = 0;
  int closes_ = 0;
  int registers_ = 0;
  int unregisters_ = 0;
  int replaced_ = 0;
  std::string fault_;
  std::ostringstream trace_;
};

TEST(StateMachineRandom, KeepsTheInvariantsInEverySequence) {
  std::uint32_t authenticated = 0;
  std::uint32_t refreshed = 0;
  for (std::uint32_t seed = 1; seed <= kSequences; ++seed) {
    Sequence sequence(seed);
    const std::string fault = sequence.run();
    ASSERT_TRUE(fault.empty()) << "seed " << seed << ": " << fault;
    if (sequence.seen().contains(Phase::kAuthenticated)) ++authenticated;
    if (sequence.replaced() > 0) ++refreshed;
  }
  // Sequences that all end at the door would prove nothing.
  EXPECT_GT(authenticated, kSequences / 8);
  EXPECT_GT(refreshed, kSequences / 50);
}

}  // namespace
}  // namespace sallyport::auth
