#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "core/base/clock.h"
#include "core/http/address.h"
#include "sallyport/app.h"

namespace sallyport::server {

/// The counts that all workers share about sockets which have not authenticated: how many there are, in all
/// and per address, and how many credentials each address has had refused. Thread-safe. A mutex is fine
/// here: it is taken a few times in a handshake, for tens of nanoseconds, and never for a message.
class Admission {
 public:
  explicit Admission(ServerLimits limits) : limits_(limits), pending_most_(limits.pending) {}

  /// What a new socket finds.
  enum class Pending { kOk, kFull, kAddressFull };
  /// Counts one in. The caller makes room for what is over a limit, or refuses, and calls `leave` for
  /// every socket that it has entered. No address: a trusted proxy's socket, which may be anybody's, until
  /// `attribute` says whose it is.
  Pending enter(const std::optional<http::IpAddress>& address);
  Pending attribute(const http::IpAddress& address);
  /// With the address under which the socket was counted, if it was under one.
  void leave(const std::optional<http::IpAddress>& address);

  /// A credential from there was refused.
  void failed(const http::IpAddress& address, base::MonoTime now);
  /// Whether the address may have another credential verified. Over its limit it still gets a trickle,
  /// so that a neighbour behind the same address who holds a valid credential is not locked out.
  [[nodiscard]] bool may_verify(const http::IpAddress& address, base::MonoTime now);
  /// Whether the address has used up what it may have refused, without taking anything of its trickle.
  [[nodiscard]] bool over_limit(const http::IpAddress& address, base::MonoTime now);

  /// Whether one more credential may be verified at this moment, whoever presents it.
  [[nodiscard]] bool take_verification(base::MonoTime now);
  /// Other limits from here on.
  void set_limits(const ServerLimits& limits);

  [[nodiscard]] std::size_t pending() const noexcept { return pending_.load(std::memory_order_relaxed); }
  /// How many addresses it knows of whose credentials were refused: never more than `kFailuresMax`.
  [[nodiscard]] std::size_t failing();

  /// Addresses whose failures are counted. Over it those without recent ones are forgotten, and failing that
  /// any other: what a botnet of that size may try does not depend on this count.
  static constexpr std::size_t kFailuresMax = 65'536;

 private:
  struct Failures {
    std::uint32_t count = 0;
    base::MonoTime window_start{};
    base::MonoTime next_trickle{};
  };
  [[nodiscard]] bool passed(const Failures& entry, base::MonoTime now) const noexcept {
    return now - entry.window_start >= limits_.failures_per_address.within;
  }
  void make_room(base::MonoTime now);

  static constexpr base::Milliseconds kSweepEvery{1000};  // going over all of them, under the lock
  static constexpr base::Milliseconds kTrickle{50};

  ServerLimits limits_;                       // under the mutex, but for:
  std::atomic<std::uint32_t> pending_most_;
  std::atomic<std::size_t> pending_ = 0;
  std::mutex mutex_;
  std::unordered_map<http::IpAddress, std::uint32_t, http::IpAddressHash> pending_of_;  // no more than sockets
  std::unordered_map<http::IpAddress, Failures, http::IpAddressHash> failures_;
  std::optional<base::MonoTime> swept_;
  std::int64_t verifications_us_ = 0;         // the bucket: what is left of it, as the time in which it filled
  base::MonoTime verifications_at_{};
};

}  // namespace sallyport::server
