#include "feature/admin/metrics_text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "core/auth/failure.h"

namespace sallyport::admin {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr std::array<std::string_view, auth::kPhases> kPhaseNames{
    "upgrading", "verifying", "awaiting_credentials", "authenticated", "reauthenticating",
    "closing",   "closed"};
constexpr auto kClosed = static_cast<std::size_t>(auth::Phase::kClosed);

class Families {
 public:
  Families& add(std::string_view name, std::string_view help, MetricType type) {
    families_.push_back({.name = "sallyport_" + std::string(name), .help = std::string(help), .type = type});
    return *this;
  }
  Families& counter(std::string_view name, std::string_view help) {
    return add(name, help, MetricType::Counter);
  }
  Families& gauge(std::string_view name, std::string_view help) { return add(name, help, MetricType::Gauge); }

  /// One more value of the family that was added last.
  Families& value(std::uint64_t number, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    const auto exact = static_cast<double>(number);
    MetricFamily& family = families_.back();
    if (family.type == MetricType::Counter) {
      metric.counter.value = exact;
    } else {
      metric.gauge.value = exact;
    }
    family.metric.push_back(std::move(metric));
    return *this;
  }

  Families& histogram(std::string_view name, std::string_view help, const server::Histogram& counts) {
    add(name, help, MetricType::Histogram);
    ClientMetric metric;
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < counts.counts.size(); ++i) {
      total += counts.counts[i];
      const bool last = i == server::Histogram::kBounds.size();
      metric.histogram.bucket.push_back(
          {.cumulative_count = total,
           .upper_bound = last ? std::numeric_limits<double>::infinity()
                               : static_cast<double>(server::Histogram::kBounds[i]) / 1e6});
    }
    metric.histogram.sample_count = total;
    metric.histogram.sample_sum = static_cast<double>(counts.sum_us) / 1e6;
    families_.back().metric.push_back(std::move(metric));
    return *this;
  }

  [[nodiscard]] std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families_);
    return std::move(out).str();
  }

 private:
  std::vector<MetricFamily> families_;
};

Labels label(std::string_view name, std::string_view value) {
  return {{std::string(name), std::string(value)}};
}
Labels labels(std::string_view a, std::string_view a_value, std::string_view b, std::string_view b_value) {
  return {{std::string(a), std::string(a_value)}, {std::string(b), std::string(b_value)}};
}

void add_connections(Families& out, const server::MetricsSnapshot& now) {
  out.gauge("connections", "Open sockets by state and route; \"none\" where no route is known yet.");
  for (const auto& state : now.connections) {
    for (std::size_t phase = 0; phase < kClosed; ++phase) {
      out.value(state.phases[phase],
                labels("state", kPhaseNames[phase], "route", state.route.empty() ? "none" : state.route));
    }
  }
  out.gauge("pending_connections", "Sockets that have not authenticated.").value(now.pending);
  out.gauge("queue_bytes", "Bytes in all send queues.").value(now.queue_bytes);
  out.gauge("subscriptions", "Channel subscriptions of hub connections.").value(now.subscriptions);
}

void add_handshakes(Families& out, const server::WorkerMetrics& all) {
  out.counter("handshakes_total", "Handshakes and first messages by outcome and reason.");
  out.value(all.upgrades_accepted, labels("outcome", "accepted", "reason", "none"));
  for (const auth::FailureRow& row : auth::failure_table()) {
    out.value(all.refused[static_cast<std::size_t>(row.failure)],
              labels("outcome", "refused", "reason", row.name));
  }
  out.histogram("verification_seconds", "Time to verify a credential that no cache knew.", all.verification);
  out.counter("verification_cache_total", "Credentials looked up in the verification caches by result.");
  out.value(all.cache_hits, label("result", "hit"));
  out.value(all.cache_misses, label("result", "miss"));
  out.value(all.refusal_cache_hits, label("result", "known_refusal"));
  out.counter("verifications_delayed_total", "Verifications put off to a later turn of their worker.");
  out.value(all.verifications_delayed);
  out.counter("admissions_refused_total", "Handshakes answered 503, over the rate of verifications.");
  out.value(all.admissions_refused);
}

void add_closes(Families& out, const server::WorkerMetrics& all) {
  out.counter("closes_total", "Ends of authenticated connections by who ended them and why.");
  for (const auth::FailureRow& row : auth::failure_table()) {
    out.value(all.closed[static_cast<std::size_t>(row.failure)], labels("by", "server", "reason", row.name));
  }
  out.value(all.closed_by_application, labels("by", "application", "reason", "closed"));
  out.value(all.closed_by_peer, labels("by", "peer", "reason", "closed"));
  out.value(all.lost, labels("by", "peer", "reason", "lost"));
  out.counter("evictions_total", "Connections that made room for a newer one of their subject.")
      .value(all.evicted);
}

void add_lives(Families& out, const server::WorkerMetrics& all) {
  out.counter("refreshes_total", "Accepted refreshes.").value(all.refreshes);
  out.counter("resumes_total", "Attempts to resume a connection by outcome.");
  out.value(all.resumed, label("outcome", "resumed")).value(all.resume_refused, label("outcome", "refused"));
  out.counter("resume_gaps_total", "Resumed connections that had missed more than was kept.");
  out.value(all.resume_gaps);
  out.counter("messages_total", "Messages by direction.");
  out.value(all.messages_in, label("direction", "in")).value(all.messages_out, label("direction", "out"));
  out.counter("bytes_total", "Bytes of messages by direction.");
  out.value(all.bytes_in, label("direction", "in")).value(all.bytes_out, label("direction", "out"));
  out.counter("stale_answers_total", "Answers and deadlines that came when they did not matter any more.");
  out.value(all.stale);
  out.histogram("loop_delay_seconds", "Length of a worker's turn: how late the next event can be.",
                all.loop_delay);
}

void add_revocations(Families& out, const server::MetricsSnapshot& now) {
  out.gauge("revocations", "Revocations in force.").value(now.revocations);
  out.counter("revoked_connections_total", "Connections ended by revocations.")
      .value(now.revoked_connections);
  out.histogram("revocation_lag_seconds", "From a revocation to the last worker's acknowledgement.",
                now.revocation_lag);
  out.counter("store_failures_total", "Writes to the store that failed.").value(now.store_failures);
  out.counter("reloads_total", "Reloads of the configuration by outcome.");
  out.value(now.reloads, label("outcome", "done")).value(now.reload_failures, label("outcome", "refused"));
  out.gauge("workers", "Threads that serve connections.").value(now.workers);
  out.gauge("draining", "1 while no new connections are taken.").value(now.draining ? 1 : 0);
}

}  // namespace

std::string metrics_text(const server::MetricsSnapshot& snapshot) {
  Families out;
  add_connections(out, snapshot);
  add_handshakes(out, snapshot.counters);
  add_closes(out, snapshot.counters);
  add_lives(out, snapshot.counters);
  add_revocations(out, snapshot);
  return out.text();
}

}  // namespace sallyport::admin
