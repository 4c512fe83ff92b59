// What the control thread orders of a worker, on the worker's thread.

#include <boost/asio/post.hpp>
#include <algorithm>
#include <utility>

#include "server/connection.h"
#include "server/events.h"
#include "server/worker.h"

namespace sallyport::server {

std::size_t Worker::apply_revocation(const auth::RevocationRef& revocation) {
  const Selector& selector = revocation->selector;
  // First for those who come: no moment in between. The control thread has made sure that there is room; were there
  // none, whoever it means must not get in all the same.
  SALLYPORT_ASSERT(revocations_.add(revocation));
  std::vector<Connection*> meant;
  const auto judge = [&](std::uint32_t slot) {
    Connection* const connection = slots_[slot].connection.get();
    if (connection == nullptr || !connection->state().opened()) return;
    if (auth::matches(selector, connection->principal())) meant.push_back(connection);
  };
  if (selector.token_id || selector.session || selector.subject) {
    live_index_.candidates(selector, judge);
  } else {
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) judge(slot);
  }
  std::size_t closed = 0;
  base::WallTime last_end{};
  for (Connection* const connection : meant) {
    // Ending one runs the application's on_close, which may end another.
    if (!connection->state().opened()) continue;
    last_end = std::max(last_end, connection->state().authority_end());
    connection->apply(auth::Revoked{revocation->reason});
    ++closed;
  }
  // After the connections, which may have left something behind until now.
  shared_.resumes.drop_matching(selector);
  if (revocation->until && last_end > *revocation->until) {
    boost::asio::post(*shared_.control, [this, id = revocation->id, last_end] {
      shared_.revocations.met(id, last_end);
    });
  }
  return closed;
}

void Worker::lift_revocation(std::uint64_t id) {
  revocations_.remove(id);
}

void Worker::expire_revocations(base::WallTime now, std::size_t budget) { revocations_.expire(now, budget); }

bool Worker::revoked(const Principal& who) {
  const auth::RevocationRef found = revocations_.find(who, now().wall);
  if (found == nullptr) return false;
  const base::WallTime end = auth::authority_end_of(who);
  if (found->until && end > *found->until) {
    boost::asio::post(*shared_.control, [this, id = found->id, end] { shared_.revocations.met(id, end); });
  }
  return true;
}

void Worker::tell_limited() {
  ++limited_;
  if (limited_reported_ != base::MonoTime{} && now().mono - limited_reported_ < kShortageReports) return;
  limited_reported_ = now().mono;
  Event(shared_.options.log, LogLevel::kWarn, "server.verifications_limited")
      .with("count", static_cast<std::int64_t>(std::exchange(limited_, 0)))
      .with("advice", "more new credentials come than server.limits.verifications admits; clients are told to retry");
}

void Worker::adopt(SiteRef site) {
  site_ = std::move(site);
  // What other keys and other routes said.
  cache_ = {};
  refusals_ = {};
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Connection* const connection = slots_[i].connection.get();
    if (connection != nullptr && !connection->dropped() && connection->state().opened()) connection->follow_site();
  }
}

std::optional<std::uint32_t> Worker::list(const ConnectionQuery& query, std::uint32_t from,
                                          std::vector<ConnectionInfo>& page) {
  std::vector<std::uint32_t> candidates;
  if (query.subject) {
    live_index_.candidates({.subject = query.subject}, [&](std::uint32_t slot) { candidates.push_back(slot); });
    std::sort(candidates.begin(), candidates.end());
  }
  const std::size_t count = query.subject ? candidates.size() : slots_.size();
  for (std::size_t i = query.subject ? 0 : from; i < count; ++i) {
    const std::uint32_t slot = query.subject ? candidates[i] : static_cast<std::uint32_t>(i);
    if (slot < from) continue;
    const Connection* const connection = slots_[slot].connection.get();
    if (connection == nullptr || !connection->state().opened()) continue;
    if (query.subject && connection->principal().subject != *query.subject) continue;
    if (query.route && connection->route()->path != *query.route) continue;
    if (page.size() >= query.limit) return slot;
    page.push_back(connection->info());
  }
  return std::nullopt;
}

Connection* Worker::named(std::string_view id) {
  const auto parsed = connection_id(id);
  if (!parsed) return nullptr;
  Connection* found = nullptr;
  live_index_.named(name_of(*parsed), [&](std::uint32_t slot) {
    Connection* const connection = slots_[slot].connection.get();
    if (connection != nullptr && connection->state().opened() && connection->id() == *parsed) found = connection;
  });
  return found;
}

void Worker::count(MetricsSnapshot& snapshot) const {
  snapshot.counters += metrics_;
  for (const Slot& slot : slots_) {
    const Connection* const connection = slot.connection.get();
    if (connection == nullptr || connection->dropped()) continue;
    const std::string_view route = connection->route() != nullptr ? std::string_view(connection->route()->path)
                                                                  : std::string_view();
    auto state = std::find_if(snapshot.connections.begin(), snapshot.connections.end(),
                              [&](const auto& entry) { return entry.route == route; });
    if (state == snapshot.connections.end()) {
      state = snapshot.connections.insert(state, {.route = std::string(route)});
    }
    ++state->phases[static_cast<std::size_t>(connection->state().phase())];
    snapshot.queue_bytes += connection->queued_bytes();
    snapshot.subscriptions += connection->subscriptions().size();
  }
}

}  // namespace sallyport::server
