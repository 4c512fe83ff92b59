#include "io/loop.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "io/test_cpu_time.h"

namespace sallyport::io {
namespace {

using namespace std::chrono_literals;
using base::Milliseconds;
using base::MonoTime;

// Runs a loop on a thread of its own and records what the loop tells its owner.
class RunningLoop final : public TurnHooks {
 public:
  RunningLoop() : loop(*this) {
    thread_ = std::thread([this] {
      loop.run();
      cpu_ = test::thread_cpu_time();
    });
  }
  ~RunningLoop() { stop(); }

  void stop() {
    if (!thread_.joinable()) return;
    loop.stop();
    thread_.join();
  }
  /// Runs `work` on the loop's thread and waits until its turn has ended.
  template <typename Work>
  void run(Work work) {
    std::atomic<bool> done = false;
    loop.post([&] { work(); });
    loop.post([&] { done = true; });
    while (!done) std::this_thread::sleep_for(1ms);
  }
  /// The processor time that the loop's thread has used; after `stop`.
  [[nodiscard]] std::chrono::nanoseconds cpu() const { return cpu_; }

  void on_timer(base::TimerWheel::Node& node) override {
    fired.push_back({&node, loop.now().mono, MonoTime::clock::now()});
  }
  bool on_turn_end() override {
    ++turns;
    return more_turns > 0 && more_turns-- > 0;
  }
  void on_clock_step() override { ++clock_steps; }

  struct Fired {
    base::TimerWheel::Node* node;
    MonoTime told;
    std::chrono::steady_clock::time_point real;
  };
  Loop loop;
  std::vector<Fired> fired;
  int turns = 0;
  int more_turns = 0;
  int clock_steps = 0;

 private:
  std::chrono::nanoseconds cpu_{};
  std::thread thread_;
};

TEST(Loop, RunsPostsOfEachThreadInOrderAndLosesNone) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  RunningLoop running;
  std::array<std::vector<int>, kThreads> seen;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) running.loop.post([&, t, i] { seen[t].push_back(i); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  running.run([] {});
  for (const std::vector<int>& numbers : seen) {
    ASSERT_EQ(numbers.size(), static_cast<std::size_t>(kPosts));
    for (int i = 0; i < kPosts; ++i) EXPECT_EQ(numbers[static_cast<std::size_t>(i)], i);
  }
}

TEST(Loop, DestroysWhatWaitsWhenItIsClosedAndTakesNothingMore) {
  const auto held = std::make_shared<int>();
  bool ran = false;
  RunningLoop running;
  boost::asio::steady_timer timer(running.loop.context(), 1h);
  running.run([&] { timer.async_wait([held, &ran](const boost::system::error_code&) { ran = true; }); });
  running.stop();
  running.loop.post([held, &ran] { ran = true; });
  EXPECT_EQ(held.use_count(), 3);
  running.loop.close();
  EXPECT_EQ(held.use_count(), 1);
  running.loop.post([held, &ran] { ran = true; });
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(ran);
}

TEST(Loop, GoesOnAfterItsEndForAsLongAsItIsTold) {
  int done = 0;
  RunningLoop running;
  running.stop();
  running.loop.post([&] { ++done; });
  running.loop.post([&] { ++done; });
  running.loop.run_until([&] { return done == 1; }, 10s);
  EXPECT_EQ(done, 1);
  const auto begin = std::chrono::steady_clock::now();
  running.loop.run_until([&] { return done == 3; }, 50ms);
  EXPECT_EQ(done, 2);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 50ms);
}

TEST(Loop, FiresTimersInOrderOnceAndNeverEarly) {
  constexpr std::array<Milliseconds, 3> kAfter{60ms, 120ms, 30ms};
  constexpr std::array<std::size_t, 3> kOrder{2, 0, 1};
  RunningLoop running;
  std::array<base::TimerWheel::Node, 3> nodes;
  MonoTime armed;
  running.run([&] {
    armed = running.loop.now().mono;
    for (std::size_t i = 0; i < nodes.size(); ++i) running.loop.timers().arm(nodes[i], armed + kAfter[i]);
  });
  std::this_thread::sleep_for(300ms);
  running.stop();
  ASSERT_EQ(running.fired.size(), nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    EXPECT_EQ(running.fired[i].node, &nodes[kOrder[i]]);
    EXPECT_GE(running.fired[i].told, armed + kAfter[kOrder[i]]);
    EXPECT_GE(running.fired[i].real, armed + kAfter[kOrder[i]]);
  }
}

TEST(Loop, HonoursAnEarlierDeadlineThatComesLaterAndForgetsADisarmedOne) {
  RunningLoop running;
  base::TimerWheel::Node late;
  base::TimerWheel::Node early;
  base::TimerWheel::Node gone;
  running.run([&] {
    running.loop.timers().arm(late, running.loop.now().mono + 10s);
    running.loop.timers().arm(gone, running.loop.now().mono + 20ms);
  });
  running.run([&] { running.loop.timers().arm(early, running.loop.now().mono + 30ms); });
  running.run([&] { running.loop.timers().disarm(gone); });
  std::this_thread::sleep_for(150ms);
  running.run([&] { running.loop.timers().disarm(late); });
  running.stop();
  ASSERT_EQ(running.fired.size(), 1U);
  EXPECT_EQ(running.fired[0].node, &early);
}

TEST(Loop, ReadsTheClocksOncePerTurn) {
  RunningLoop running;
  base::Now first{};
  base::Now later_in_turn{};
  base::Now next_turn{};
  running.run([&] {
    first = running.loop.now();
    std::this_thread::sleep_for(20ms);
    later_in_turn = running.loop.now();
  });
  running.run([&] { next_turn = running.loop.now(); });
  EXPECT_EQ(first.mono, later_in_turn.mono);
  EXPECT_EQ(first.wall, later_in_turn.wall);
  EXPECT_GE(next_turn.mono - first.mono, 20ms);
  EXPECT_GE(next_turn.wall - first.wall, 15ms);
  EXPECT_EQ(running.clock_steps, 0);
}

TEST(Loop, RunsNestedTurnsWithinTheOuterOne) {
  RunningLoop running;
  int turns_inside = -1;
  int turns_before = 0;
  running.run([&] {
    turns_before = running.turns;
    running.loop.turn([&] { turns_inside = running.turns; });
  });
  EXPECT_EQ(turns_inside, turns_before);
}

TEST(Loop, TakesAnotherTurnAtOnceAsLongAsTheOwnerAsksForOne) {
  RunningLoop running;
  running.run([&] { running.more_turns = 100; });
  std::this_thread::sleep_for(50ms);
  running.stop();
  EXPECT_EQ(running.more_turns, 0);
  EXPECT_GE(running.turns, 100);
}

// A descriptor that stays readable is reported in every turn, and posted work is not starved by it.
TEST(Loop, ServesPostsBesideADescriptorThatIsAlwaysReady) {
  class Always final : public Watcher {
   public:
    void on_ready(Readiness readiness) override { reports += readiness.readable ? 1 : 0; }
    std::atomic<int> reports = 0;
  };
  RunningLoop running;
  Always always;
  const int fd = ::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
  ASSERT_GE(fd, 0);
  running.run([&] { ASSERT_TRUE(running.loop.poller().add(fd, always, true, false)); });
  while (always.reports < 1000) std::this_thread::sleep_for(1ms);
  running.run([&] { running.loop.poller().remove(fd); });
  const int reports = always.reports;
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(always.reports, reports);
  ::close(fd);
}

TEST(Loop, SleepsWhileNothingHappens) {
  RunningLoop running;
  base::TimerWheel::Node far;
  running.run([&] { running.loop.timers().arm(far, running.loop.now().mono + 1h); });
  std::this_thread::sleep_for(300ms);
  running.run([&] { running.loop.timers().disarm(far); });
  running.stop();
  EXPECT_LT(running.turns, 30);
  EXPECT_LT(running.cpu(), 100ms);
}

TEST(Loop, StopsFromAnotherThreadAlthoughTimersAreArmed) {
  base::TimerWheel::Node node;
  RunningLoop running;
  running.run([&] { running.loop.timers().arm(node, running.loop.now().mono + 1h); });
  const auto begin = std::chrono::steady_clock::now();
  running.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
  running.loop.timers().disarm(node);
}

}  // namespace
}  // namespace sallyport::io
