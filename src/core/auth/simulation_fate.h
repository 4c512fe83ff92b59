#pragma once

#include <cstdint>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "sallyport/principal.h"
#include "sallyport/revocation.h"

// What all parts of the simulation share: chance, time, the faults that are put in on purpose, and what has
// been found. See simulation_world.h.

namespace sallyport::auth::simulation {

/// A mistake that the simulation makes on purpose, to show that its checks would notice it.
enum class Sabotage : std::uint8_t {
  kNone,
  kChecksAtStart,         ///< whether a credential is revoked is asked before its verification, not after
  kLiveOnesStay,          ///< a revocation is kept for those who come, and nobody is closed
  kStaleIndex,            ///< a refresh does not enter the new principal into the index
  kAcknowledgesTooSoon,   ///< a caller is answered when the first worker has acknowledged
  kAcknowledgesUnwritten, ///< a caller is answered before the store has written
  kForgetsAtRestart,      ///< the control node begins with nothing
  kAppliesInAnyOrder,     ///< a worker takes whatever change comes
  kTrustsTimers,          ///< messages flow until a timer says otherwise
};

/// A revocation, and what the simulation knows of it by itself.
struct Record {
  Revocation revocation;
  bool lapsed = false;  ///< the wall clock has once been past its end; from then on it guarantees nothing
};
using RecordRef = std::shared_ptr<Record>;

/// What happened, over all runs: a simulation in which nothing happens would prove nothing.
struct Counts {
  std::uint64_t opened = 0;
  std::uint64_t refreshed = 0;
  std::uint64_t delivered = 0;
  std::uint64_t held_back = 0;  ///< messages that came when the authority had ended and no timer had said so
  std::uint64_t ended_live = 0;    ///< connections that a revocation ended
  std::uint64_t races = 0;         ///< verifications that a revocation overtook
  std::uint64_t acknowledged = 0;  ///< revocations
  std::uint64_t lifted = 0;
  std::uint64_t extended = 0;
  std::uint64_t restarts = 0;       ///< of the control node, with revocations on its disk
  std::uint64_t unacknowledged = 0; ///< revocations whose caller never heard, since the control node died
  std::uint64_t lost = 0;           ///< messages
  std::uint64_t repeated = 0;
  std::uint64_t reordered = 0;      ///< changes that a worker refused because an earlier one was missing
  std::uint64_t drained = 0;        ///< workers
  std::uint64_t clock_steps = 0;
};

class Fate {
 public:
  /// `trace` may be null: nothing is told then, and it is faster.
  Fate(std::uint64_t seed, Sabotage with, std::ostream* trace)
      : sabotage(with), random_(seed), trace_(trace) {}

  [[nodiscard]] std::uint32_t below(std::uint32_t limit) {
    return static_cast<std::uint32_t>(random_() % limit);
  }
  [[nodiscard]] bool chance(std::uint32_t one_in) { return below(one_in) == 0; }
  [[nodiscard]] base::Milliseconds up_to(base::Milliseconds limit) {
    return base::Milliseconds(below(static_cast<std::uint32_t>(limit.count()) + 1));
  }
  [[nodiscard]] std::uint64_t number() { return random_(); }

  void require(bool holds, const char* what) {
    if (holds || !fault.empty()) return;
    fault = what;
    tell("BROKEN: ", what);
  }
  template <typename... Parts>
  void tell(const Parts&... parts) {
    if (trace_ == nullptr) return;
    *trace_ << now.mono.time_since_epoch().count() << ' ';
    (*trace_ << ... << parts) << '\n';
  }

  const Sabotage sabotage;
  base::Now now{base::MonoTime(base::Milliseconds(1'000'000)),
                base::WallTime(base::Milliseconds(1'700'000'000'000))};
  std::string fault;  ///< the first invariant that was broken
  Counts counts;

 private:
  std::mt19937_64 random_;
  std::ostream* const trace_;
};

/// What `matches` should say, in other words.
[[nodiscard]] inline bool means(const Selector& selector, const Principal& who) {
  if (selector.issuer && *selector.issuer != who.issuer.view()) return false;
  if (selector.subject && *selector.subject != who.subject.view()) return false;
  if (selector.session && *selector.session != who.session.view()) return false;
  if (selector.token_id && *selector.token_id != who.token_id.view()) return false;
  if (!selector.issued_before || !who.issued_at) return true;
  return (*selector.issued_before - *who.issued_at).count() > 0;
}

}  // namespace sallyport::auth::simulation
