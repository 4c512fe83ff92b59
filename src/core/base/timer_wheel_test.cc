#include "core/base/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace sallyport::base {
namespace {

using namespace std::chrono_literals;

MonoTime at(Milliseconds offset) { return MonoTime(Milliseconds(1'000'000'000)) + offset; }

TEST(TimerWheel, FiresNoNodeBeforeItsDeadlineAndEachWithinATickAfterIt) {
  std::mt19937 random(7);
  TimerWheel wheel(at(0ms));
  std::vector<std::unique_ptr<TimerWheel::Node>> nodes;
  for (int i = 0; i < 2000; ++i) {
    nodes.push_back(std::make_unique<TimerWheel::Node>());
    wheel.arm(*nodes.back(), at(Milliseconds(random() % 400'000)));
  }
  std::size_t fired = 0;
  for (Milliseconds t = 0ms; t <= 401s; t += 7ms) {
    while (TimerWheel::Node* node = wheel.pop_expired(at(t))) {
      EXPECT_LE(node->deadline(), at(t));
      EXPECT_GE(node->deadline() + TimerWheel::kTick + 7ms, at(t));
      ++fired;
    }
  }
  EXPECT_EQ(fired, nodes.size());
  EXPECT_EQ(wheel.next_deadline(), kNever);
}

TEST(TimerWheel, SleepingUntilNextDeadlineMissesNothing) {
  TimerWheel wheel(at(0ms));
  TimerWheel::Node early;
  TimerWheel::Node late;
  wheel.arm(early, at(25s));
  wheel.arm(late, at(12h));
  std::vector<TimerWheel::Node*> fired;
  MonoTime now = at(0ms);
  for (int turn = 0; turn < 1000 && fired.size() < 2; ++turn) {
    const MonoTime next = wheel.next_deadline();
    ASSERT_NE(next, kNever);
    now = std::max(now, next);
    while (TimerWheel::Node* node = wheel.pop_expired(now)) fired.push_back(node);
  }
  EXPECT_EQ(fired, (std::vector{&early, &late}));
  EXPECT_LT(now, at(12h) + 2 * TimerWheel::kTick);
}

TEST(TimerWheel, ADisarmedNodeNeverFires) {
  TimerWheel wheel(at(0ms));
  TimerWheel::Node first;
  TimerWheel::Node second;
  wheel.arm(first, at(10ms));
  wheel.arm(second, at(10ms));
  ASSERT_EQ(wheel.pop_expired(at(1s)), &first);
  wheel.disarm(second);  // it is due already, and still must not fire
  EXPECT_EQ(wheel.pop_expired(at(1s)), nullptr);
  EXPECT_EQ(wheel.size(), 0U);
}

TEST(TimerWheel, ADeadlineInThePastFiresAtTheNextLook) {
  TimerWheel wheel(at(0ms));
  EXPECT_EQ(wheel.pop_expired(at(5s)), nullptr);
  TimerWheel::Node node;
  wheel.arm(node, at(1s));
  EXPECT_EQ(wheel.pop_expired(at(5s) + 2 * TimerWheel::kTick), &node);
}

TEST(TimerWheel, SurvivesALongPauseAndAStepOfManyRounds) {
  TimerWheel wheel(at(0ms));
  TimerWheel::Node node;
  wheel.arm(node, at(3h));
  EXPECT_EQ(wheel.pop_expired(at(2h)), nullptr);
  EXPECT_EQ(wheel.pop_expired(at(300h)), &node);
}

TEST(TimerWheel, RearmingMovesTheDeadlineBothWays) {
  TimerWheel wheel(at(0ms));
  TimerWheel::Node node;
  wheel.arm(node, at(10s));
  wheel.arm(node, at(1s));
  EXPECT_EQ(wheel.pop_expired(at(2s)), &node);
  wheel.arm(node, at(4s));
  wheel.arm(node, at(20s));
  EXPECT_EQ(wheel.pop_expired(at(10s)), nullptr);
  wheel.arm(node, kNever);
  EXPECT_FALSE(node.armed());
}

}  // namespace
}  // namespace sallyport::base
