#include "bench/load/modes.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "bench/load/driver.h"
#include "bench/load/process.h"

namespace sallyport::bench {
namespace {

using std::chrono::nanoseconds;

/// The three clocks of a run: the wall's, the server's and this process's own.
struct Clocks {
  nanoseconds wall;
  nanoseconds server;
  nanoseconds client;

  static Clocks now(const Options& options) {
    return {std::chrono::steady_clock::now().time_since_epoch(),
            options.server_pid == 0 ? nanoseconds(0) : cpu_time(options.server_pid), cpu_time(0)};
  }
};

void print_result(const char* mode, std::uint64_t count, const Clocks& from, const Clocks& to) {
  std::printf("{\"mode\":\"%s\",\"count\":%" PRIu64
              ",\"wall_ns\":%lld,\"server_cpu_ns\":%lld,\"client_cpu_ns\":%lld}\n",
              mode, count, static_cast<long long>((to.wall - from.wall).count()),
              static_cast<long long>((to.server - from.server).count()),
              static_cast<long long>((to.client - from.client).count()));
  std::fflush(stdout);
}

std::string payload_of(std::size_t bytes) {
  constexpr std::string_view kText =
      "{\"type\":\"message\",\"data\":\"The quick brown fox jumps\"}";
  std::string payload;
  while (payload.size() < bytes) payload += kText;
  payload.resize(bytes);
  return payload;
}

/// The message that all modes send, and the check that it comes back.
class Probe {
 public:
  explicit Probe(const Options& options)
      : payload_(payload_of(options.payload_bytes)),
        frame_(client_frame(options.binary ? kBinary : kText, payload_)) {}

  [[nodiscard]] std::span<const std::uint8_t> frame() const noexcept { return frame_; }
  void check(std::span<const std::uint8_t> echoed) const {
    if (!std::equal(echoed.begin(), echoed.end(), payload_.begin(), payload_.end(),
                    [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); })) {
      throw std::runtime_error("the echo is not what was sent");
    }
  }

 private:
  std::string payload_;
  std::vector<std::uint8_t> frame_;
};

/// All connections open first, then each has one message under way until enough have come back.
class EchoRun : public Handler {
 public:
  explicit EchoRun(const Options& options)
      : options_(options), probe_(options), driver_(options, options.connections, 1) {}

  void run() {
    for (std::size_t i = 0; i < options_.connections; ++i) driver_.open(i);
    driver_.run(*this);
    print_result("echo", options_.count, start_, Clocks::now(options_));
  }

  void opened(std::size_t) override {
    if (++open_ < options_.connections) return;
    if (options_.warmup == 0) start_ = Clocks::now(options_);
    for (std::size_t i = 0; i < options_.connections; ++i) driver_.send(i, probe_.frame());
  }

  void message(std::size_t index, std::span<const std::uint8_t> payload) override {
    probe_.check(payload);
    ++echoed_;
    if (echoed_ == options_.warmup) start_ = Clocks::now(options_);
    if (echoed_ == options_.warmup + options_.count) return driver_.stop();
    driver_.send(index, probe_.frame());
  }

 private:
  const Options& options_;
  Probe probe_;
  Driver driver_;
  std::uint32_t open_ = 0;
  std::uint64_t echoed_ = 0;
  Clocks start_{};
};

/// Connect, upgrade, close, and again in the same slot, until enough handshakes have succeeded.
class UpgradeRun : public Handler {
 public:
  explicit UpgradeRun(const Options& options)
      : options_(options),
        total_(options.warmup + options.count),
        driver_(options, options.connections, total_) {}

  void run() {
    if (options_.warmup == 0) start_ = Clocks::now(options_);
    for (std::size_t i = 0; i < options_.connections && started_ < total_; ++i, ++started_) {
      driver_.open(i);
    }
    driver_.run(*this);
    print_result("upgrade", options_.count, start_, Clocks::now(options_));
  }

  void opened(std::size_t index) override {
    driver_.close(index);
    ++upgraded_;
    if (upgraded_ == options_.warmup) start_ = Clocks::now(options_);
    if (upgraded_ == total_) return driver_.stop();
    if (started_ < total_) {
      driver_.open(index);
      ++started_;
    }
  }

  void message(std::size_t, std::span<const std::uint8_t>) override {
    throw std::runtime_error("a message that nobody asked for");
  }

 private:
  const Options& options_;
  const std::uint64_t total_;
  Driver driver_;
  std::uint64_t started_ = 0;
  std::uint64_t upgraded_ = 0;
  Clocks start_{};
};

/// Opens connections, a few at a time, and keeps them, answering pings, until the end of input.
class IdleRun : public Handler {
 public:
  explicit IdleRun(const Options& options)
      : options_(options),
        probe_(options),
        driver_(options, options.connections, options.connections) {}

  void run() {
    const Clocks start = Clocks::now(options_);
    while (started_ < std::min(options_.connections, kAtATime)) driver_.open(started_++);
    driver_.run(*this, true);
    if (ready_ < options_.connections) throw std::runtime_error("told to stop while connecting");
    print_result("idle", options_.connections, start, Clocks::now(options_));
  }

  void opened(std::size_t index) override {
    if (options_.touch) return driver_.send(index, probe_.frame());
    ready();
  }

  void message(std::size_t, std::span<const std::uint8_t> payload) override {
    probe_.check(payload);
    ready();
  }

 private:
  static constexpr std::uint32_t kAtATime = 64;

  void ready() {
    if (started_ < options_.connections) driver_.open(started_++);
    if (++ready_ < options_.connections) return;
    std::puts("{\"mode\":\"idle\",\"open\":true}");
    std::fflush(stdout);
  }

  const Options& options_;
  Probe probe_;
  Driver driver_;
  std::uint32_t started_ = 0;
  std::uint32_t ready_ = 0;
};

}  // namespace

void run(const Options& options) {
  switch (options.mode) {
    case Mode::kEcho:
      return EchoRun(options).run();
    case Mode::kUpgrade:
      return UpgradeRun(options).run();
    case Mode::kIdle:
      return IdleRun(options).run();
  }
}

}  // namespace sallyport::bench
