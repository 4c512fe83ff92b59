#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
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
  explicit Admission(ServerLimits limits) : limits_(limits) {}

  /// What a new socket finds.
  enum class Pending { kOk, kFull, kAddressFull };
  /// Counts one in. The caller makes room for what is over a limit, or refuses, and calls `leave` for
  /// every socket that it has entered.
  Pending enter(const http::IpAddress& address);
  void leave(const http::IpAddress& address);

  /// A credential from there was refused.
  void failed(const http::IpAddress& address, base::MonoTime now);
  /// Whether the address may have another credential verified. Over its limit it still gets a trickle,
  /// so that a neighbour behind the same address who holds a valid credential is not locked out.
  [[nodiscard]] bool may_verify(const http::IpAddress& address, base::MonoTime now);

  [[nodiscard]] std::size_t pending() const noexcept { return pending_.load(std::memory_order_relaxed); }

 private:
  struct Address {
    std::uint32_t pending = 0;
    std::uint32_t failures = 0;
    base::MonoTime window_start{};
    base::MonoTime next_trickle{};
  };
  void forget_idle(base::MonoTime now);

  static constexpr std::size_t kAddressesMax = 65'536;  ///< then those without recent failures are forgotten
  static constexpr base::Milliseconds kTrickle{250};

  const ServerLimits limits_;
  std::atomic<std::size_t> pending_ = 0;
  std::mutex mutex_;
  std::unordered_map<http::IpAddress, Address, http::IpAddressHash> addresses_;
};

}  // namespace sallyport::server
