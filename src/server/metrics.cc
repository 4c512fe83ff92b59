#include "server/metrics.h"

namespace sallyport::server {

WorkerMetrics& WorkerMetrics::operator+=(const WorkerMetrics& other) noexcept {
  const auto add = [&](auto member) { this->*member += other.*member; };
  using M = WorkerMetrics;
  for (const auto member :
       {&M::upgrades_accepted, &M::closed_by_peer, &M::closed_by_application, &M::lost, &M::refreshes,
        &M::cache_hits, &M::cache_misses, &M::refusal_cache_hits, &M::verifications_delayed, &M::admissions_refused,
        &M::evicted, &M::resumed, &M::resume_gaps, &M::resume_refused, &M::messages_in, &M::messages_out,
        &M::bytes_in, &M::bytes_out, &M::stale}) {
    add(member);
  }
  for (std::size_t i = 0; i < kFailures; ++i) {
    refused[i] += other.refused[i];
    closed[i] += other.closed[i];
  }
  verification += other.verification;
  loop_delay += other.loop_delay;
  return *this;
}

}  // namespace sallyport::server
