#include "feature/admin/metrics_text.h"

#include <gtest/gtest.h>

#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "core/auth/failure.h"

namespace sallyport::admin {
namespace {

bool is_name(std::string_view text) {
  if (text.empty() || (text.front() >= '0' && text.front() <= '9')) return false;
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

// The text format, read strictly: each family has its HELP and TYPE before its values, which stand together;
// no series is there twice; a histogram's buckets do not fall and end with its count.
class Reader {
 public:
  explicit Reader(std::string_view text) {
    EXPECT_TRUE(text.ends_with('\n'));
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      line(text.substr(0, end));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
  }

  [[nodiscard]] std::optional<double> value(const std::string& series) const {
    const auto found = values_.find(series);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }
  [[nodiscard]] const std::map<std::string, std::string>& types() const { return types_; }
  [[nodiscard]] const std::map<std::string, double>& values() const { return values_; }

 private:
  void line(std::string_view text) {
    SCOPED_TRACE(std::string(text));
    if (text.starts_with("# HELP ")) {
      text.remove_prefix(7);
      family_ = text.substr(0, text.find(' '));
      EXPECT_TRUE(is_name(family_));
      EXPECT_GT(text.size(), family_.size() + 1) << "has no help";
      EXPECT_TRUE(helped_.insert(family_).second) << "has its help twice";
    } else if (text.starts_with("# TYPE ")) {
      text.remove_prefix(7);
      const std::string_view name = text.substr(0, text.find(' '));
      EXPECT_EQ(name, family_);
      const std::string type(text.substr(name.size() + 1));
      EXPECT_TRUE(type == "counter" || type == "gauge" || type == "histogram");
      types_[family_] = type;
      EXPECT_EQ(type == "counter", family_.ends_with("_total"));
    } else {
      sample(text);
    }
  }

  void sample(std::string_view text) {
    const std::size_t space = text.rfind(' ');
    ASSERT_NE(space, std::string_view::npos);
    const std::string series(text.substr(0, space));
    const std::string_view number = text.substr(space + 1);
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    EXPECT_TRUE(error == std::errc() && end == number.data() + number.size());
    EXPECT_GE(value, 0);
    const std::string name = series.substr(0, series.find('{'));
    const std::string& type = types_[family_];
    if (type == "histogram") {
      EXPECT_TRUE(name == family_ + "_bucket" || name == family_ + "_sum" || name == family_ + "_count");
      if (name.ends_with("_bucket")) {
        EXPECT_GE(value, bucket_) << "buckets fall";
        bucket_ = series.find("le=\"+Inf\"") == std::string::npos ? value : 0;
        last_ = value;
      }
    } else {
      EXPECT_EQ(name, family_);
    }
    labels(series.substr(name.size()));
    EXPECT_TRUE(values_.emplace(series, value).second) << "is there twice";
    // Some writers put the count before the buckets, so it is compared once both are there.
    if (type == "histogram" && values_.contains(family_ + "_count") &&
        series.find("+Inf") != std::string::npos) {
      EXPECT_EQ(values_[family_ + "_count"], last_);
    }
  }

  static void labels(std::string_view text) {
    if (text.empty()) return;
    ASSERT_TRUE(text.starts_with('{') && text.ends_with('}'));
    text = text.substr(1, text.size() - 2);
    while (!text.empty()) {
      const std::size_t equals = text.find("=\"");
      ASSERT_NE(equals, std::string_view::npos);
      EXPECT_TRUE(is_name(text.substr(0, equals)));
      std::size_t end = equals + 2;
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      ASSERT_LT(end, text.size());
      text.remove_prefix(end + 1);
      if (!text.empty()) {
        ASSERT_TRUE(text.starts_with(','));
        text.remove_prefix(1);
        ASSERT_FALSE(text.empty());
      }
    }
  }

  std::string family_;
  std::set<std::string> helped_;
  std::map<std::string, std::string> types_;
  std::map<std::string, double> values_;
  double bucket_ = 0;
  double last_ = 0;
};

std::size_t at(Failure failure) {
  return static_cast<std::size_t>(failure);
}

TEST(MetricsText, IsWellFormedAndHasEverySeriesFromTheStart) {
  const Reader reader(metrics_text({}));
  for (const std::string name : {"connections",
                                 "pending_connections",
                                 "queue_bytes",
                                 "subscriptions",
                                 "handshakes_total",
                                 "verification_seconds",
                                 "verification_cache_total",
                                 "verifications_delayed_total",
                                 "admissions_refused_total",
                                 "closes_total",
                                 "evictions_total",
                                 "refreshes_total",
                                 "resumes_total",
                                 "resume_gaps_total",
                                 "messages_total",
                                 "bytes_total",
                                 "stale_answers_total",
                                 "loop_delay_seconds",
                                 "revocations",
                                 "revoked_connections_total",
                                 "revocation_lag_seconds",
                                 "store_failures_total",
                                 "reloads_total",
                                 "workers",
                                 "draining"}) {
    EXPECT_TRUE(reader.types().contains("sallyport_" + name)) << name;
  }
  for (const auto& [series, value] : reader.values()) EXPECT_EQ(value, 0) << series;
}

TEST(MetricsText, HasEveryReasonOfTheFailureTable) {
  server::MetricsSnapshot now;
  for (const auth::FailureRow& row : auth::failure_table()) {
    now.counters.refused[at(row.failure)] = 1000 + at(row.failure);
    now.counters.closed[at(row.failure)] = 2000 + at(row.failure);
  }
  now.counters.upgrades_accepted = 5;
  now.counters.closed_by_peer = 6;
  now.counters.closed_by_application = 7;
  now.counters.lost = 8;
  const Reader reader(metrics_text(now));
  for (const auth::FailureRow& row : auth::failure_table()) {
    const std::string reason = "reason=\"" + std::string(row.name) + "\"}";
    EXPECT_EQ(reader.value("sallyport_handshakes_total{outcome=\"refused\"," + reason),
              1000.0 + at(row.failure));
    EXPECT_EQ(reader.value("sallyport_closes_total{by=\"server\"," + reason), 2000.0 + at(row.failure));
  }
  EXPECT_EQ(reader.value("sallyport_handshakes_total{outcome=\"accepted\",reason=\"none\"}"), 5);
  EXPECT_EQ(reader.value("sallyport_closes_total{by=\"peer\",reason=\"closed\"}"), 6);
  EXPECT_EQ(reader.value("sallyport_closes_total{by=\"application\",reason=\"closed\"}"), 7);
  EXPECT_EQ(reader.value("sallyport_closes_total{by=\"peer\",reason=\"lost\"}"), 8);
}

TEST(MetricsText, TellsEveryCounterExactly) {
  server::MetricsSnapshot now;
  server::WorkerMetrics& all = now.counters;
  all.refreshes = 11;
  all.cache_hits = 12;
  all.cache_misses = 13;
  all.refusal_cache_hits = 14;
  all.verifications_delayed = 15;
  all.admissions_refused = 16;
  all.evicted = 17;
  all.resumed = 18;
  all.resume_gaps = 19;
  all.resume_refused = 20;
  all.messages_in = 21;
  all.messages_out = 22;
  all.bytes_in = 123'456'789'012'345;
  all.bytes_out = 24;
  all.stale = 25;
  now.pending = 26;
  now.queue_bytes = 27;
  now.subscriptions = 28;
  now.revocations = 29;
  now.revoked_connections = 30;
  now.store_failures = 31;
  now.reloads = 32;
  now.reload_failures = 33;
  now.workers = 34;
  now.draining = true;
  const Reader reader(metrics_text(now));
  const std::map<std::string, double> expected{
      {"refreshes_total", 11},
      {"verification_cache_total{result=\"hit\"}", 12},
      {"verification_cache_total{result=\"miss\"}", 13},
      {"verification_cache_total{result=\"known_refusal\"}", 14},
      {"verifications_delayed_total", 15},
      {"admissions_refused_total", 16},
      {"evictions_total", 17},
      {"resumes_total{outcome=\"resumed\"}", 18},
      {"resume_gaps_total", 19},
      {"resumes_total{outcome=\"refused\"}", 20},
      {"messages_total{direction=\"in\"}", 21},
      {"messages_total{direction=\"out\"}", 22},
      {"bytes_total{direction=\"in\"}", 123'456'789'012'345},
      {"bytes_total{direction=\"out\"}", 24},
      {"stale_answers_total", 25},
      {"pending_connections", 26},
      {"queue_bytes", 27},
      {"subscriptions", 28},
      {"revocations", 29},
      {"revoked_connections_total", 30},
      {"store_failures_total", 31},
      {"reloads_total{outcome=\"done\"}", 32},
      {"reloads_total{outcome=\"refused\"}", 33},
      {"workers", 34},
      {"draining", 1},
  };
  for (const auto& [series, value] : expected)
    EXPECT_EQ(reader.value("sallyport_" + series), value) << series;
}

TEST(MetricsText, CumulatesBucketsAndCountsInSeconds) {
  server::MetricsSnapshot now;
  now.counters.verification.add(10);  // on a bound: in its bucket
  now.counters.verification.add(11);
  now.counters.verification.add(60'000'000);  // over all bounds
  now.counters.loop_delay.add(2'000'000);
  now.revocation_lag.add(1);
  const Reader reader(metrics_text(now));
  const std::string name = "sallyport_verification_seconds";
  EXPECT_EQ(reader.value(name + "_bucket{le=\"1e-05\"}").value_or(-1), 1);
  EXPECT_EQ(reader.value(name + "_bucket{le=\"5\"}"), 2);
  EXPECT_EQ(reader.value(name + "_bucket{le=\"+Inf\"}"), 3);
  EXPECT_EQ(reader.value(name + "_count"), 3);
  EXPECT_DOUBLE_EQ(reader.value(name + "_sum").value_or(0), 60.000021);
  EXPECT_EQ(reader.value("sallyport_loop_delay_seconds_bucket{le=\"2\"}"), 1);
  EXPECT_EQ(reader.value("sallyport_loop_delay_seconds_bucket{le=\"0.5\"}"), 0);
  EXPECT_EQ(reader.value("sallyport_revocation_lag_seconds_count"), 1);
}

TEST(MetricsText, CountsSocketsByStateAndRouteAndEscapesTheRoute) {
  server::MetricsSnapshot now;
  now.connections.push_back({.route = "/chat/:room"});
  now.connections.back().phases[static_cast<std::size_t>(auth::Phase::kAuthenticated)] = 3;
  now.connections.push_back({.route = ""});
  now.connections.back().phases[static_cast<std::size_t>(auth::Phase::kUpgrading)] = 2;
  now.connections.push_back({.route = "/a\"b\\c"});
  now.connections.back().phases[static_cast<std::size_t>(auth::Phase::kClosing)] = 1;
  const Reader reader(metrics_text(now));
  EXPECT_EQ(reader.value(R"(sallyport_connections{state="authenticated",route="/chat/:room"})"), 3);
  EXPECT_EQ(reader.value(R"(sallyport_connections{state="upgrading",route="/chat/:room"})"), 0);
  EXPECT_EQ(reader.value(R"(sallyport_connections{state="upgrading",route="none"})"), 2);
  EXPECT_EQ(reader.value(R"(sallyport_connections{state="closing",route="/a\"b\\c"})"), 1);
  EXPECT_EQ(reader.value(R"(sallyport_connections{state="closed",route="/chat/:room"})"), std::nullopt);
}

}  // namespace
}  // namespace sallyport::admin
