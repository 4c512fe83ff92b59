#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/clock.h"

namespace sallyport::jose {

/// When a remote key set is fetched. All durations are positive, and refresh_min is not above refresh_max.
struct KeyRefreshPolicy {
  /// Least time between the end of a fetch that an unknown kid caused and the next such one.
  base::Milliseconds cooldown{30'000};
  base::Milliseconds refresh_min{60'000};  ///< bounds how long a set counts as fresh
  base::Milliseconds refresh_max{24 * 3'600'000};
  base::Milliseconds refresh_default{600'000};  ///< if the issuer does not say
  base::Milliseconds stale_max{24 * 3'600'000};  ///< how long a set is used that is not fresh any more
  base::Milliseconds retry_min{1'000};  ///< after a first failure; doubled with each further one
  base::Milliseconds retry_max{60'000};
};

/// What can be said about a kid that is not in the set, without asking the issuer.
enum class KeyAbsence : std::uint8_t {
  kUnknown,      ///< the issuer has been asked lately and does not publish it
  kUnavailable,  ///< the issuer could not be asked, and must not be asked again yet
  kAsk,          ///< worth a fetch, or waiting for the one in flight
};

/// Decides when a remote key set is fetched and what its absence of a key means. It holds no keys and knows no
/// clock: whoever fetches says what happened and when. There are two clocks. One refreshes the set before it is
/// stale, or retries after a failure (`due`); the other, the cooldown, only limits the fetches that unknown kids
/// cause, so that nobody can make us ask more often, and a refresh that is due is never late because of them.
class KeyRefresh {
 public:
  static constexpr std::size_t kAbsentMax = 1024;  ///< kids remembered as unknown; then the oldest is forgotten
  /// In cooldowns: how long a kid is believed unknown at most. Not longer, since somebody may ask for the name of the
  /// next key before it is published.
  static constexpr int kHoldMax = 4;

  explicit KeyRefresh(const KeyRefreshPolicy& policy) : policy_(policy) {}

  /// About a kid that is not in the newest set. "Unknown" is only said on evidence: a fetch for such a kid has
  /// succeeded within the cooldown before `now`, or one after this kid had been asked for, and none has failed since. A
  /// refresh that was due is no such evidence, so that a key which is published just after it can be used at once.
  [[nodiscard]] KeyAbsence recall(std::string_view kid, base::MonoTime now) const;

  /// A fetch begins, because an unknown kid asks for it or because it is due; there must be none in flight.
  void begin(bool for_unknown_kid);
  [[nodiscard]] bool in_flight() const noexcept { return in_flight_; }
  /// The fetch in flight has brought a good set. `max_age` is what the issuer says about its life; `random` is
  /// uniform over 32 bits and brings the next refresh up to a tenth of that life forward, so that many servers do not
  /// ask at the same moment.
  void succeed(base::MonoTime now, std::optional<base::Milliseconds> max_age, std::uint32_t random);
  /// The fetch in flight has brought nothing; what was there stays. `random` takes up to half off the pause.
  void fail(base::MonoTime now, std::uint32_t random);
  /// The fetch that has just succeeded was asked for this kid and its set does not have it. Each time this
  /// happens to the same kid again, it is believed for twice as long: a client that holds on to a withdrawn key causes
  /// fewer and fewer fetches.
  void missed(std::string_view kid, base::MonoTime now);

  /// When the next fetch is to begin although no unknown kid asks for it: at once before the first one, never
  /// while one is in flight.
  [[nodiscard]] base::MonoTime due() const noexcept { return in_flight_ ? base::kNever : due_; }
  /// Whether there is a set that may be used: fresh, or not stale for too long.
  [[nodiscard]] bool usable(base::MonoTime now) const noexcept { return succeeded_ && now < usable_until_; }
  /// How many fetches have failed since the last one that succeeded.
  [[nodiscard]] unsigned failures() const noexcept { return failures_; }

 private:
  struct Absent {
    base::MonoTime until;
    int hold;  // in cooldowns
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };

  KeyRefreshPolicy policy_;
  base::MonoTime due_ = base::MonoTime::min();
  base::MonoTime usable_until_ = base::MonoTime::min();
  base::MonoTime ended_ = base::MonoTime::min();  // the last fetch, however it ended
  std::optional<base::MonoTime> asked_;  // the end of the last one that an unknown kid caused
  bool in_flight_ = false;
  bool for_unknown_kid_ = false;  // the one in flight
  bool attempted_ = false;
  bool succeeded_ = false;  // ever
  unsigned failures_ = 0;
  std::unordered_map<std::string, Absent, Hash, std::equal_to<>> absent_;
  std::deque<std::string> order_;  // of absent_, the oldest first
};

}  // namespace sallyport::jose
