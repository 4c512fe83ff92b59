#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "core/auth/simulation_world.h"

// SALLYPORT_RUNS=N makes so many runs; SALLYPORT_SEED=N makes the run of that seed alone, and tells all of
// it.

namespace sallyport::auth::simulation {
namespace {

constexpr std::uint64_t kRuns = 5'000;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// The same run once more, told from its beginning.
std::string story_of(std::uint64_t seed, Sabotage sabotage) {
  std::ostringstream trace;
  const std::string fault = World(seed, sabotage, &trace).run();
  return "seed " + std::to_string(seed) + " (SALLYPORT_SEED=" + std::to_string(seed) +
         " repeats it): " + fault + "\n" + trace.str();
}

void operator+=(Counts& all, const Counts& more) {
  all.opened += more.opened;
  all.refreshed += more.refreshed;
  all.delivered += more.delivered;
  all.held_back += more.held_back;
  all.ended_live += more.ended_live;
  all.races += more.races;
  all.acknowledged += more.acknowledged;
  all.lifted += more.lifted;
  all.extended += more.extended;
  all.restarts += more.restarts;
  all.unacknowledged += more.unacknowledged;
  all.lost += more.lost;
  all.repeated += more.repeated;
  all.reordered += more.reordered;
  all.drained += more.drained;
  all.clock_steps += more.clock_steps;
}

TEST(SimulationTest, KeepsWhatIsPromisedWhateverIsLostLateOrRepeated) {
  if (std::getenv("SALLYPORT_SEED") != nullptr) {
    const std::uint64_t seed = number_from("SALLYPORT_SEED", 0);
    const std::string fault = World(seed, Sabotage::kNone).run();
    EXPECT_EQ(fault, "") << story_of(seed, Sabotage::kNone);
    return;
  }
  const std::uint64_t runs = number_from("SALLYPORT_RUNS", kRuns);
  Counts all;
  for (std::uint64_t seed = 1; seed <= runs; ++seed) {
    World world(seed, Sabotage::kNone);
    const std::string fault = world.run();
    ASSERT_EQ(fault, "") << story_of(seed, Sabotage::kNone);
    all += world.counts();
  }
  for (const auto& [what, count] : {std::pair("opened", all.opened),
                                    std::pair("refreshed", all.refreshed),
                                    std::pair("delivered", all.delivered),
                                    std::pair("held back after the authority's end", all.held_back),
                                    std::pair("live connections revoked", all.ended_live),
                                    std::pair("verifications overtaken by a revocation", all.races),
                                    std::pair("revocations acknowledged", all.acknowledged),
                                    std::pair("lifted", all.lifted),
                                    std::pair("extended", all.extended),
                                    std::pair("restarts with something on the disk", all.restarts),
                                    std::pair("revocations cut off by a crash", all.unacknowledged),
                                    std::pair("messages lost", all.lost),
                                    std::pair("repeated", all.repeated),
                                    std::pair("refused out of order", all.reordered),
                                    std::pair("workers drained", all.drained),
                                    std::pair("clock steps", all.clock_steps)}) {
    RecordProperty(what, std::to_string(count));
    std::cout << "  " << what << ": " << count << '\n';
    if (runs < 1'000) continue;
    EXPECT_GT(count, runs / 100) << what << ": a simulation without it proves little";
  }
}

TEST(SimulationTest, GoesTheSameWayForTheSameSeed) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(story_of(seed, Sabotage::kNone), story_of(seed, Sabotage::kNone));
  }
  EXPECT_NE(story_of(1, Sabotage::kNone).substr(10), story_of(2, Sabotage::kNone).substr(10));
}

std::string name_of(Sabotage sabotage) {
  switch (sabotage) {
    case Sabotage::kNone: return "None";
    case Sabotage::kChecksAtStart: return "ChecksAtStart";
    case Sabotage::kLiveOnesStay: return "LiveOnesStay";
    case Sabotage::kStaleIndex: return "StaleIndex";
    case Sabotage::kAcknowledgesTooSoon: return "AcknowledgesTooSoon";
    case Sabotage::kAcknowledgesUnwritten: return "AcknowledgesUnwritten";
    case Sabotage::kForgetsAtRestart: return "ForgetsAtRestart";
    case Sabotage::kAppliesInAnyOrder: return "AppliesInAnyOrder";
    case Sabotage::kTrustsTimers: return "TrustsTimers";
  }
  return "";
}

// Each mistake is found, and also for what it is: some are noticed by what follows from them first.
class SimulationSabotageTest : public ::testing::TestWithParam<std::pair<Sabotage, std::string_view>> {};

TEST_P(SimulationSabotageTest, IsNoticed) {
  const auto& [sabotage, expected] = GetParam();
  int broken = 0;
  int as_expected = 0;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    const std::string fault = World(seed, sabotage).run();
    if (fault.empty()) continue;
    if (++broken == 1) {
      EXPECT_NE(story_of(seed, sabotage).find(fault), std::string::npos) << "its seed repeats it";
    }
    if (fault.find(expected) != std::string::npos) ++as_expected;
  }
  EXPECT_GT(as_expected, 0) << "of " << broken << " runs that broke, none says: " << expected;
  std::cout << "  found in " << broken << " of 500 runs\n";
}

INSTANTIATE_TEST_SUITE_P(Each, SimulationSabotageTest,
                         ::testing::Values(std::pair(Sabotage::kChecksAtStart, "someone it means goes on"),
                                           std::pair(Sabotage::kLiveOnesStay, "someone it means goes on"),
                                           std::pair(Sabotage::kStaleIndex, "someone it means goes on"),
                                           std::pair(Sabotage::kAcknowledgesTooSoon,
                                                     "is acknowledged, and someone it means goes on"),
                                           std::pair(Sabotage::kAcknowledgesUnwritten, "is not on the disk"),
                                           std::pair(Sabotage::kForgetsAtRestart,
                                                     "an acknowledged revocation is lost"),
                                           std::pair(Sabotage::kAppliesInAnyOrder, "lifted"),
                                           std::pair(Sabotage::kTrustsTimers, "6: a message after the")),
                         [](const auto& made) { return name_of(made.param.first); });

}  // namespace
}  // namespace sallyport::auth::simulation
