#include "core/jose/key_refresh.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace sallyport::jose {
namespace {

using namespace std::chrono_literals;
using base::MonoTime;

constexpr std::uint32_t kNoJitter = 0;
constexpr std::uint32_t kMostJitter = 0xffff'ffff;

MonoTime at(base::Milliseconds time) { return MonoTime(1h + time); }

// A fetch takes no time where it does not matter.
void success(KeyRefresh& refresh, base::Milliseconds time, std::optional<base::Milliseconds> max_age = {}) {
  refresh.begin(true);
  refresh.succeed(at(time), max_age, kNoJitter);
}
void failure(KeyRefresh& refresh, base::Milliseconds time, std::uint32_t random = kNoJitter) {
  refresh.begin(true);
  refresh.fail(at(time), random);
}

// ---- The clock that refreshes

TEST(KeyRefresh, IsDueAtOnceBeforeTheFirstFetch) {
  const KeyRefresh refresh{{}};
  EXPECT_LE(refresh.due(), at(0s));
  EXPECT_FALSE(refresh.usable(at(0s)));
}

TEST(KeyRefresh, IsNotDueWhileAFetchIsInFlight) {
  KeyRefresh refresh{{}};
  refresh.begin(true);
  EXPECT_TRUE(refresh.in_flight());
  EXPECT_EQ(refresh.due(), base::kNever);
  refresh.fail(at(0s), kNoJitter);
  EXPECT_FALSE(refresh.in_flight());
  EXPECT_NE(refresh.due(), base::kNever);
}

TEST(KeyRefresh, IsDueAfterTheLifeThatTheIssuerGivesWithinItsBounds) {
  KeyRefresh refresh{{.refresh_min = 60s, .refresh_max = 1h, .refresh_default = 10min}};
  const struct {
    std::optional<base::Milliseconds> max_age;
    base::Milliseconds due;
  } cases[] = {{{}, 10min}, {5min, 5min},      {60s, 60s},      {59'999ms, 60s},           {0s, 60s}, {-5s, 60s},
               {1h, 1h},    {1h + 1ms, 1h},    {24h * 365, 1h}, {base::Milliseconds::max(), 1h}};
  for (const auto& c : cases) {
    success(refresh, 100s, c.max_age);
    EXPECT_EQ(refresh.due(), at(100s + c.due)) << c.due.count();
  }
}

TEST(KeyRefresh, BoundsItsOwnDefaultToo) {
  KeyRefresh refresh{{.refresh_min = 60s, .refresh_max = 2min, .refresh_default = 10min}};
  success(refresh, 0s);
  EXPECT_EQ(refresh.due(), at(2min));
}

TEST(KeyRefresh, ComesUpToATenthEarlierByChanceAndNeverLater) {
  KeyRefresh refresh{{}};
  const auto due_with = [&](std::uint32_t random) {
    refresh.begin(true);
    refresh.succeed(at(0s), 10min, random);
    return refresh.due();
  };
  EXPECT_EQ(due_with(kNoJitter), at(10min));
  EXPECT_EQ(due_with(0x8000'0000), at(10min - 30s));
  EXPECT_GE(due_with(kMostJitter), at(9min));
  EXPECT_LT(due_with(kMostJitter), at(9min + 10ms));
}

TEST(KeyRefresh, RetriesAfterAFailureWithPausesThatGrowToABound) {
  KeyRefresh refresh{{.retry_min = 1s, .retry_max = 60s}};
  const base::Milliseconds pauses[] = {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s, 60s};
  base::Milliseconds now = 0s;
  for (const base::Milliseconds pause : pauses) {
    failure(refresh, now);
    EXPECT_EQ(refresh.due(), at(now + pause));
    now += pause;
  }
  for (int i = 0; i < 10'000; ++i) failure(refresh, now);
  EXPECT_EQ(refresh.due(), at(now + 60s));
  EXPECT_EQ(refresh.failures(), 10'009U);
}

TEST(KeyRefresh, RetriesUpToHalfAPauseEarlierByChance) {
  KeyRefresh refresh{{.retry_min = 8s, .retry_max = 60s}};
  failure(refresh, 0s, kMostJitter);
  EXPECT_GT(refresh.due(), at(4s - 1ms));
  EXPECT_LT(refresh.due(), at(4s + 10ms));
}

TEST(KeyRefresh, BeginsWithTheShortestPauseAgainAfterASuccess) {
  KeyRefresh refresh{{.retry_min = 1s}};
  for (int i = 0; i < 5; ++i) failure(refresh, 0s);
  success(refresh, 10s);
  EXPECT_EQ(refresh.failures(), 0U);
  failure(refresh, 20s);
  EXPECT_EQ(refresh.due(), at(21s));
}

TEST(KeyRefresh, IsNeverDelayedByFetchesForUnknownKids) {
  KeyRefresh refresh{{.cooldown = 30s, .refresh_default = 10min}};
  success(refresh, 0s);
  const MonoTime due = refresh.due();
  for (base::Milliseconds now = 1s; now < 10min; now += 1s) {
    if (refresh.recall("stranger", at(now)) == KeyAbsence::kAsk) break;
    EXPECT_EQ(refresh.due(), due);  // being asked changes nothing
  }
  // A fetch that fails, whoever caused it, is retried before the refresh would have been due.
  failure(refresh, 31s);
  EXPECT_EQ(refresh.due(), at(32s));
  // And one that succeeds is a refresh.
  success(refresh, 32s);
  EXPECT_EQ(refresh.due(), at(32s + 10min));
}

TEST(KeyRefresh, IsDueAlthoughTheCooldownHasNotPassed) {
  KeyRefresh refresh{{.cooldown = 10min, .refresh_min = 1s, .refresh_default = 5s}};
  success(refresh, 0s);
  EXPECT_EQ(refresh.due(), at(5s));
}

// ---- What is used when the issuer cannot be asked

TEST(KeyRefresh, LetsASetBeUsedForItsLifeAndWhatIsAllowedBeyondIt) {
  KeyRefresh refresh{{.refresh_default = 10min, .stale_max = 1h}};
  success(refresh, 0s);
  for (base::Milliseconds now = 10min; now < 70min; now += 1min) {
    failure(refresh, now);
    EXPECT_TRUE(refresh.usable(at(now)));
  }
  EXPECT_TRUE(refresh.usable(at(70min - 1ms)));
  EXPECT_FALSE(refresh.usable(at(70min)));
  success(refresh, 71min);
  EXPECT_TRUE(refresh.usable(at(71min)));
}

TEST(KeyRefresh, HasNothingToUseAfterFailuresOnly) {
  KeyRefresh refresh{{}};
  failure(refresh, 0s);
  EXPECT_FALSE(refresh.usable(at(0s)));
}

// ---- The cooldown, and what the absence of a kid means

TEST(KeyRefresh, AsksForAKidBeforeTheFirstFetchAndDuringIt) {
  KeyRefresh refresh{{}};
  EXPECT_EQ(refresh.recall("k", at(0s)), KeyAbsence::kAsk);
  refresh.begin(true);
  EXPECT_EQ(refresh.recall("k", at(0s)), KeyAbsence::kAsk);
}

TEST(KeyRefresh, SaysUnknownWithinTheCooldownAfterASuccess) {
  KeyRefresh refresh{{.cooldown = 30s}};
  success(refresh, 0s);
  EXPECT_EQ(refresh.recall("k", at(0s)), KeyAbsence::kUnknown);
  EXPECT_EQ(refresh.recall("k", at(30s - 1ms)), KeyAbsence::kUnknown);
  EXPECT_EQ(refresh.recall("k", at(30s)), KeyAbsence::kAsk);
}

TEST(KeyRefresh, AsksForAKeyThatIsPublishedJustAfterARefreshThatWasDue) {
  KeyRefresh refresh{{.cooldown = 30s}};
  refresh.begin(false);
  refresh.succeed(at(0s), {}, kNoJitter);
  EXPECT_EQ(refresh.recall("new", at(1s)), KeyAbsence::kAsk);
  success(refresh, 1s);
  EXPECT_EQ(refresh.recall("newer", at(2s)), KeyAbsence::kUnknown) << "once in a cooldown";
  refresh.begin(false);
  refresh.succeed(at(20s), {}, kNoJitter);
  EXPECT_EQ(refresh.recall("newer", at(30s)), KeyAbsence::kUnknown) << "one that was due does not begin it anew";
  EXPECT_EQ(refresh.recall("newer", at(31s)), KeyAbsence::kAsk) << "nor lengthen it";
}

TEST(KeyRefresh, SaysUnknownWithinTheCooldownEvenDuringTheNextFetch) {
  KeyRefresh refresh{{.cooldown = 30s}};
  success(refresh, 0s);
  refresh.begin(true);
  EXPECT_EQ(refresh.recall("k", at(29s)), KeyAbsence::kUnknown);
  EXPECT_EQ(refresh.recall("k", at(30s)), KeyAbsence::kAsk);
}

TEST(KeyRefresh, SaysUnavailableWithinTheCooldownAfterAFailureAndAsksThen) {
  KeyRefresh refresh{{.cooldown = 30s}};
  failure(refresh, 0s);
  EXPECT_EQ(refresh.recall("k", at(0s)), KeyAbsence::kUnavailable);
  EXPECT_EQ(refresh.recall("k", at(30s - 1ms)), KeyAbsence::kUnavailable);
  EXPECT_EQ(refresh.recall("k", at(30s)), KeyAbsence::kAsk);
}

TEST(KeyRefresh, NeverSaysUnknownWhenTheLastFetchFailed) {
  KeyRefresh refresh{{.cooldown = 30s}};
  success(refresh, 0s);
  failure(refresh, 1s);  // a success is no longer evidence: the issuer may publish new keys that we cannot see
  EXPECT_EQ(refresh.recall("k", at(2s)), KeyAbsence::kUnavailable);
  success(refresh, 3s);
  EXPECT_EQ(refresh.recall("k", at(4s)), KeyAbsence::kUnknown);
}

TEST(KeyRefresh, WaitsForARetryThatIsInFlight) {
  KeyRefresh refresh{{.cooldown = 30s}};
  failure(refresh, 0s);
  refresh.begin(true);
  EXPECT_EQ(refresh.recall("k", at(1s)), KeyAbsence::kAsk);
  refresh.fail(at(2s), kNoJitter);
  EXPECT_EQ(refresh.recall("k", at(2s)), KeyAbsence::kUnavailable);
}

TEST(KeyRefresh, CountsTheCooldownFromTheEndOfAFetch) {
  KeyRefresh refresh{{.cooldown = 30s}};
  refresh.begin(true);                             // at 0 s
  refresh.fail(at(5s), kNoJitter);             // a slow issuer
  EXPECT_EQ(refresh.recall("k", at(34s)), KeyAbsence::kUnavailable);
  EXPECT_EQ(refresh.recall("k", at(35s)), KeyAbsence::kAsk);
}

TEST(KeyRefresh, MayHaveNoCooldown) {
  KeyRefresh refresh{{.cooldown = 0s}};
  success(refresh, 0s);
  EXPECT_EQ(refresh.recall("k", at(0s)), KeyAbsence::kAsk);
  failure(refresh, 0s);
  EXPECT_EQ(refresh.recall("k", at(0s)), KeyAbsence::kAsk);
}

// ---- Kids that are remembered as unknown

TEST(KeyRefresh, BelievesAKidUnknownForLongerEachTimeItIsMissedAgain) {
  KeyRefresh refresh{{.cooldown = 30s}};
  base::Milliseconds now = 0s;
  for (const int hold : {1, 2, 4, 4, 4}) {
    success(refresh, now);
    refresh.missed("k", at(now));
    refresh.missed("k", at(now));  // two waited for the same fetch: one proof
    EXPECT_EQ(refresh.recall("k", at(now + hold * 30s - 1ms)), KeyAbsence::kUnknown) << hold;
    EXPECT_EQ(refresh.recall("k", at(now + hold * 30s)), KeyAbsence::kAsk) << hold;
    EXPECT_EQ(refresh.recall("other", at(now + 30s)), KeyAbsence::kAsk) << hold;
    now += hold * 30s;
  }
}

TEST(KeyRefresh, DoesNotTrustItsMemoryAfterAFailure) {
  KeyRefresh refresh{{.cooldown = 30s}};
  success(refresh, 0s);
  refresh.missed("k", at(0s));
  success(refresh, 30s);
  refresh.missed("k", at(30s));
  ASSERT_EQ(refresh.recall("k", at(80s)), KeyAbsence::kUnknown);
  failure(refresh, 80s);
  EXPECT_EQ(refresh.recall("k", at(81s)), KeyAbsence::kUnavailable);
}

TEST(KeyRefresh, RemembersABoundedNumberAndForgetsTheOldest) {
  KeyRefresh refresh{{.cooldown = 30s}};
  const auto remember_for_two_cooldowns = [&](const std::string& kid) {
    refresh.missed(kid, at(0s));
    refresh.missed(kid, at(30s));
  };
  success(refresh, 0s);
  for (std::size_t i = 0; i < KeyRefresh::kAbsentMax; ++i) remember_for_two_cooldowns(std::to_string(i));
  EXPECT_EQ(refresh.recall("0", at(80s)), KeyAbsence::kUnknown);
  remember_for_two_cooldowns("one more");
  EXPECT_EQ(refresh.recall("one more", at(80s)), KeyAbsence::kUnknown);
  EXPECT_EQ(refresh.recall("0", at(80s)), KeyAbsence::kAsk);
  EXPECT_EQ(refresh.recall("1", at(80s)), KeyAbsence::kUnknown);
  for (int i = 0; i < 100'000; ++i) refresh.missed("flood" + std::to_string(i), at(0s));
  EXPECT_EQ(refresh.recall("1", at(80s)), KeyAbsence::kAsk);
}

// ---- The whole, against a record of what happened

class Simulation {
 public:
  explicit Simulation(unsigned seed) : random_(seed) {}

  // A day of an issuer that is down now and then, while strangers ask without pause.
  void run() {
    for (now_ = 0ms; now_ < 24h; now_ += 500ms) {
      if (chance(5000)) up_ = !up_;
      if (refresh_.in_flight()) {
        if (chance(4)) finish();
      } else if (refresh_.due() <= at(now_)) {
        begin(false);
      }
      for (const char* const kid : {"stale", "x", "y"}) {
        if (chance(3)) ask(kid);
      }
      ask("random " + std::to_string(random_()));
    }
    // One more than the day has cooldowns, as the design demands.
    EXPECT_LE(forced_, 1 + 24h / policy_.cooldown);
    EXPECT_GT(forced_, 10);
    EXPECT_GT(unknown_, 1000);
    EXPECT_GT(unavailable_, 1000);
  }

 private:
  bool chance(unsigned one_in) { return random_() % one_in == 0; }
  void begin(bool forced) {
    if (!forced && succeeded_) {
      // Whatever strangers did, it is not late: the step and the fetch in flight are all there may be between.
      EXPECT_LE(now_, *last_end_ + policy_.refresh_max + 500ms);
    }
    forced_ += forced ? 1 : 0;
    refresh_.begin(forced);
  }
  void finish() {
    last_end_ = now_;
    if (!up_) {
      refresh_.fail(at(now_), static_cast<std::uint32_t>(random_()));
      last_failed_ = true;
    } else {
      refresh_.succeed(at(now_), {}, static_cast<std::uint32_t>(random_()));
      last_failed_ = false;
      succeeded_ = now_;
      for (const std::string& kid : waiting_) {
        refresh_.missed(kid, at(now_));
        proven_[kid] = now_;
      }
    }
    waiting_.clear();
  }
  void ask(const std::string& kid) {
    switch (refresh_.recall(kid, at(now_))) {
      case KeyAbsence::kUnknown:
        ++unknown_;
        EXPECT_FALSE(last_failed_);
        EXPECT_TRUE((succeeded_ && now_ - *succeeded_ < policy_.cooldown) || proven_.contains(kid));
        return;
      case KeyAbsence::kUnavailable:
        ++unavailable_;
        EXPECT_TRUE(last_failed_);
        EXPECT_FALSE(refresh_.in_flight());
        return;
      case KeyAbsence::kAsk:
        if (waiting_.size() < 100) waiting_.push_back(kid);
        if (!refresh_.in_flight()) begin(true);
        return;
    }
  }

  const KeyRefreshPolicy policy_{.cooldown = 30s, .refresh_max = 1h, .refresh_default = 10min};
  KeyRefresh refresh_{policy_};
  std::mt19937 random_;
  base::Milliseconds now_{0};
  bool up_ = true;
  bool last_failed_ = false;
  std::optional<base::Milliseconds> succeeded_;
  std::optional<base::Milliseconds> last_end_;
  std::map<std::string, base::Milliseconds> proven_;
  std::vector<std::string> waiting_;
  std::int64_t forced_ = 0;
  int unknown_ = 0;
  int unavailable_ = 0;
};

TEST(KeyRefresh, KeepsItsPromisesThroughADayOfOutagesAndStrangers) {
  for (unsigned seed = 1; seed <= 5; ++seed) Simulation(seed).run();
}

}  // namespace
}  // namespace sallyport::jose
