#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <mutex>

#include "core/base/clock.h"
#include "core/base/timer_wheel.h"
#include "io/context.h"
#include "io/poller.h"

namespace sallyport::io {

/// What a loop tells its owner. `on_turn_end` runs after every batch of work and before the loop sleeps:
/// the place to flush what the batch has queued and to destroy what it has closed.
class TurnHooks {
 public:
  virtual void on_timer(base::TimerWheel::Node& node) = 0;
  /// True if work is left that must go on in another turn at once.
  [[nodiscard]] virtual bool on_turn_end() = 0;
  /// The wall clock has moved by more than `kClockStep` against the monotonic one.
  virtual void on_clock_step() = 0;

 protected:
  ~TurnHooks() = default;
};

/// One thread's event loop. Asio runs it and everything that waits for others (timers and sockets of a
/// user's coroutines, posted work); the connections' own descriptors sit in a Poller whose descriptor Asio
/// watches, so that a busy loop makes one wait for many sockets. Work is done in turns; time is read once
/// per turn. All members but `post` and `stop` belong to the loop's thread.
class Loop {
 public:
  static constexpr int kRoundsPerTurn = 16;    ///< poller batches before Asio's own work gets its go
  static constexpr int kTimersPerTurn = 256;   ///< expired nodes handled before sockets get their go
  static constexpr base::Milliseconds kClockStep{500};

  explicit Loop(TurnHooks& hooks);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs until `stop`. The calling thread is the loop's thread.
  void run();
  /// Thread-safe.
  void stop();
  /// After `run`: goes on until `done` holds, for at most `grace`.
  void run_until(const std::function<bool()>& done, base::Milliseconds grace);
  /// After `run`, for good: destroys what still waits on the loop, coroutines among it. Whatever is posted from
  /// then on is dropped.
  void close();
  /// Runs `work` as a turn of its own on the loop's thread. Thread-safe.
  void post(std::move_only_function<void()> work);
  /// Runs `work` as a turn; on the loop's thread, from a coroutine for example. Within a turn it just runs.
  template <typename Work>
  void turn(Work&& work) {
    if (in_turn_) {
      work();
      return;
    }
    begin_turn();
    work();
    end_turn();
  }

  [[nodiscard]] boost::asio::io_context& context() noexcept { return context_; }
  [[nodiscard]] Poller& poller() noexcept { return poller_; }
  [[nodiscard]] base::TimerWheel& timers() noexcept { return timers_; }
  /// Reads the clocks again if the kernel's tick, of 1 to 10 ms, has moved on: cheap enough to be asked for every
  /// message, so that a long turn does not live in the past.
  void refresh_clocks();
  /// Both clocks as of the beginning of this turn, or the last `refresh_clocks`.
  [[nodiscard]] base::Now now() const noexcept { return now_; }
  /// When this turn began.
  [[nodiscard]] std::chrono::steady_clock::time_point turn_began() const noexcept { return turn_began_; }

 private:
  class Alarm;
  void begin_turn();
  void end_turn();
  void wait();
  void on_poller_ready();
  void run_timers();
  void read_clocks();

  TurnHooks& hooks_;
  Context context_;
  Poller poller_;
  boost::asio::posix::stream_descriptor watch_;
  base::Now now_;
  std::chrono::steady_clock::time_point turn_began_;
  base::Milliseconds clock_offset_;
  std::int64_t tick_ns_ = 0;
  base::TimerWheel timers_;
  std::unique_ptr<Alarm> alarm_;
  bool in_turn_ = false;
  bool again_posted_ = false;
  // A loop must not be closed in the middle of a post. Uncontended, and next to the lock that a post takes anyway.
  std::mutex gate_;
  bool closed_ = false;  // guarded
};

}  // namespace sallyport::io
