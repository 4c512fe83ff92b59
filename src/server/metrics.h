#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/auth/failure.h"
#include "core/auth/state_machine.h"

namespace sallyport::server {

/// One for every row of the failure table.
inline constexpr std::size_t kFailures = static_cast<std::size_t>(Failure::kInternal) + 1;

/// Durations in buckets, as Prometheus counts them: how many were at most so long, not cumulated.
struct Histogram {
  /// Upper bounds in microseconds; the last bucket has none.
  static constexpr std::array<std::uint64_t, 12> kBounds{10,     25,     50,      100,     250,       1'000,
                                                         5'000,  25'000, 100'000, 500'000, 2'000'000, 5'000'000};
  std::array<std::uint64_t, kBounds.size() + 1> counts{};
  std::uint64_t sum_us = 0;

  void add(std::uint64_t us) noexcept {
    std::size_t bucket = 0;
    while (bucket < kBounds.size() && us > kBounds[bucket]) ++bucket;
    ++counts[bucket];
    sum_us += us;
  }
  Histogram& operator+=(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    sum_us += other.sum_us;
    return *this;
  }
};

/// What one worker counts. Plain numbers, written by their worker alone and copied on its thread: nothing on the
/// data path costs more than an increment.
struct WorkerMetrics {
  std::uint64_t upgrades_accepted = 0;                      ///< handshakes that came to be authenticated
  std::array<std::uint64_t, kFailures> refused{};           ///< handshakes and first messages, by reason
  std::array<std::uint64_t, kFailures> closed{};            ///< authenticated connections that we ended, by reason
  std::uint64_t closed_by_peer = 0;
  std::uint64_t closed_by_application = 0;
  std::uint64_t lost = 0;                                   ///< without a Close from either side
  std::uint64_t refreshes = 0;                              ///< accepted
  std::uint64_t cache_hits = 0;                             ///< credentials that had been verified before
  std::uint64_t cache_misses = 0;
  std::uint64_t refusal_cache_hits = 0;                     ///< credentials that had been refused a moment ago
  std::uint64_t verifications_delayed = 0;                  ///< to a later turn
  std::uint64_t admissions_refused = 0;                     ///< over the rate of verifications: 503
  std::uint64_t evicted = 0;                                ///< by a newer connection of their subject
  std::uint64_t resumed = 0;
  std::uint64_t resume_gaps = 0;
  std::uint64_t resume_refused = 0;
  std::uint64_t messages_in = 0;
  std::uint64_t messages_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t stale = 0;                                  ///< answers and deadlines that came too late
  Histogram verification;                                   ///< of a credential that no cache knew
  Histogram loop_delay;                                     ///< a turn's length: how late the next event can be

  WorkerMetrics& operator+=(const WorkerMetrics& other) noexcept;
};

/// Everything at one moment.
struct MetricsSnapshot {
  WorkerMetrics counters;               ///< of all workers together
  struct RouteState {
    std::string route;                                  ///< empty: not known yet
    std::array<std::size_t, auth::kPhases> phases{};    ///< sockets in each
  };
  std::vector<RouteState> connections;
  std::size_t pending = 0;              ///< sockets that have not authenticated
  std::size_t queue_bytes = 0;          ///< in all send queues
  std::size_t subscriptions = 0;
  std::size_t revocations = 0;          ///< in force
  Histogram revocation_lag;             ///< from the call to the last worker's acknowledgement
  std::uint64_t revoked_connections = 0;
  std::uint64_t store_failures = 0;
  std::uint64_t reloads = 0;
  std::uint64_t reload_failures = 0;
  std::size_t workers = 0;
  bool draining = false;
};

}  // namespace sallyport::server
