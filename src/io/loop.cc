#include "io/loop.h"

#include <fcntl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

#include "core/base/assert.h"

namespace sallyport::io {

using base::Milliseconds;
using base::MonoTime;

namespace {

base::Now read_now() {
  return {.mono = std::chrono::time_point_cast<Milliseconds>(std::chrono::steady_clock::now()),
          .wall = std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now())};
}

Milliseconds offset_between(base::Now now) {
  return now.wall.time_since_epoch() - now.mono.time_since_epoch();
}

}  // namespace

// A timer descriptor in the poller. It is set only when an earlier deadline than the armed one appears,
// so that pushing a deadline back, which is what most connections do all the time, costs no system call.
class Loop::Alarm final : public Watcher {
 public:
  explicit Alarm(Poller& poller)
      : poller_(poller), fd_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
    if (!poller_.add(fd_, *this, true, false)) {
      throw std::system_error(errno, std::generic_category(), "epoll_ctl");
    }
  }
  ~Alarm() {
    poller_.remove(fd_);
    ::close(fd_);
  }

  void set(MonoTime deadline) {
    if (deadline >= armed_) return;
    armed_ = deadline;
    // Never zero: that would disarm. A moment in the past fires at once.
    const std::int64_t ms = std::max<std::int64_t>(1, deadline.time_since_epoch().count());
    itimerspec spec{};
    spec.it_value.tv_sec = ms / 1000;
    spec.it_value.tv_nsec = ms % 1000 * 1'000'000;
    SALLYPORT_ASSERT(::timerfd_settime(fd_, TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
  }

  void on_ready(Readiness) override {
    std::uint64_t expirations = 0;
    [[maybe_unused]] const auto size = ::read(fd_, &expirations, sizeof expirations);
    armed_ = base::kNever;  // the end of the turn arms it again for what is next
  }

 private:
  Poller& poller_;
  int fd_;
  MonoTime armed_ = base::kNever;
};

Loop::Loop(TurnHooks& hooks)
    : hooks_(hooks),
      context_(1),
      watch_(context_, ::fcntl(poller_.descriptor(), F_DUPFD_CLOEXEC, 0)),
      now_(read_now()),
      clock_offset_(offset_between(now_)),
      timers_(now_.mono),
      alarm_(std::make_unique<Alarm>(poller_)) {}

Loop::~Loop() = default;

void Loop::run() {
  wait();
  const auto guard = boost::asio::make_work_guard(context_);
  context_.run();
}

void Loop::stop() { context_.stop(); }

void Loop::run_until(const std::function<bool()>& done, Milliseconds grace) {
  const auto end = std::chrono::steady_clock::now() + grace;
  context_.restart();
  while (!done() && context_.run_one_until(end) != 0) {
  }
}

void Loop::close() {
  {
    const std::lock_guard lock(gate_);
    closed_ = true;
  }
  context_.destroy_waiting();
}

void Loop::post(std::move_only_function<void()> work) {
  const std::lock_guard lock(gate_);
  if (closed_) return;
  boost::asio::post(context_, [this, work = std::move(work)]() mutable { turn(work); });
}

void Loop::wait() {
  watch_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](const boost::system::error_code& error) {
                      if (error) return;
                      on_poller_ready();
                      wait();
                    });
}

void Loop::on_poller_ready() {
  for (int round = 0; round < kRoundsPerTurn; ++round) {
    begin_turn();
    const int ready = poller_.dispatch();
    end_turn();
    if (ready == 0) break;
  }
}

void Loop::read_clocks() {
  now_ = read_now();
  const Milliseconds offset = offset_between(now_);
  const Milliseconds moved = offset - clock_offset_;
  if (moved > kClockStep || moved < -kClockStep) {
    clock_offset_ = offset;
    hooks_.on_clock_step();
  }
}

void Loop::refresh_clocks() {
  timespec tick{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &tick);
  const std::int64_t now_ns = std::int64_t{tick.tv_sec} * 1'000'000'000 + tick.tv_nsec;
  if (now_ns == tick_ns_) return;
  tick_ns_ = now_ns;
  read_clocks();
}

void Loop::begin_turn() {
  SALLYPORT_ASSERT(!in_turn_);
  in_turn_ = true;
  turn_began_ = std::chrono::steady_clock::now();
  read_clocks();
}

void Loop::run_timers() {
  for (int i = 0; i < kTimersPerTurn; ++i) {
    base::TimerWheel::Node* const node = timers_.pop_expired(now_.mono);
    if (node == nullptr) return;
    hooks_.on_timer(*node);
  }
}

void Loop::end_turn() {
  run_timers();
  const bool again = hooks_.on_turn_end();
  alarm_->set(timers_.next_deadline());
  in_turn_ = false;
  if (again && !again_posted_) {
    again_posted_ = true;
    boost::asio::post(context_, [this] {
      again_posted_ = false;
      turn([] {});
    });
  }
}

}  // namespace sallyport::io
