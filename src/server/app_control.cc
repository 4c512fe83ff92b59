#include "server/app_control.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "core/auth/inband.h"
#include "core/ws/encoder.h"
#include "server/ask_worker.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

// Where a list goes on: "worker.slot". It names places, not connections, so that it never goes stale.
struct Cursor {
  std::uint32_t worker = 0;
  std::uint32_t slot = 0;
};

std::optional<Cursor> parse_cursor(std::string_view text) {
  Cursor cursor;
  if (text.empty()) return cursor;
  const char* const end = text.data() + text.size();
  const auto worker = std::from_chars(text.data(), end, cursor.worker);
  if (worker.ec != std::errc() || worker.ptr == end || *worker.ptr != '.') return std::nullopt;
  const auto slot = std::from_chars(worker.ptr + 1, end, cursor.slot);
  if (slot.ec != std::errc() || slot.ptr != end) return std::nullopt;
  return cursor;
}

}  // namespace

awaitable<std::expected<RevokeResult, RevokeFault>> AppControl::revoke(RevokeRequest request) {
  return shared_.revocations.revoke(std::move(request));
}

std::vector<Revocation> AppControl::revocations() const {
  std::vector<Revocation> list;
  for (const auth::RevocationRef& revocation : shared_.revocations.all()) list.push_back(*revocation);
  return list;
}

awaitable<std::expected<bool, RevokeFault>> AppControl::lift(std::uint64_t id) {
  return shared_.revocations.lift(id);
}

awaitable<std::optional<ConnectionPage>> AppControl::connections(ConnectionQuery query) {
  const auto cursor = parse_cursor(query.cursor);
  if (!cursor || cursor->worker >= std::max<std::size_t>(1, shared_.workers.size())) co_return std::nullopt;
  query.limit = std::clamp<std::size_t>(query.limit, 1, kPageMax);
  using Part = std::pair<std::vector<ConnectionInfo>, std::optional<std::uint32_t>>;
  ConnectionPage page;
  std::uint32_t slot = cursor->slot;
  for (std::uint32_t i = cursor->worker; i < shared_.workers.size(); ++i, slot = 0) {
    ConnectionQuery rest = query;
    rest.limit = query.limit - page.connections.size();
    std::function<Part(Worker&)> question = [rest, slot](Worker& worker) {
      Part part;
      part.second = worker.list(rest, slot, part.first);
      return part;
    };
    Part part = co_await ask_worker<Part>(*shared_.control, *shared_.workers[i], std::move(question));
    std::move(part.first.begin(), part.first.end(), std::back_inserter(page.connections));
    if (part.second) {
      page.cursor = std::to_string(i) + "." + std::to_string(*part.second);
      break;
    }
    if (page.connections.size() == query.limit && i + 1 < shared_.workers.size()) {
      page.cursor = std::to_string(i + 1) + ".0";
      break;
    }
  }
  co_return page;
}

awaitable<std::size_t> AppControl::close(std::string id) {
  for (const auto& worker : shared_.workers) {
    std::function<std::size_t(Worker&)> question = [id](Worker& target) -> std::size_t {
      Connection* const connection = target.named(id);
      if (connection == nullptr) return 0;
      connection->apply(auth::CloseRequested{Failure::kEvicted});
      return 1;
    };
    const std::size_t closed = co_await ask_worker<std::size_t>(*shared_.control, *worker, std::move(question));
    if (closed != 0) co_return closed;
  }
  co_return 0;
}

awaitable<std::size_t> AppControl::publish(std::string channel, std::string data_json) {
  std::string frame;
  ws::append_frame(frame, {.opcode = ws::Opcode::kText}, auth::publication(channel, {}, data_json));
  std::size_t subscribers = 0;
  for (const ChannelInfo& info : co_await channels()) {
    if (info.channel == channel) subscribers = info.subscribers;
  }
  shared_.publish(nullptr, channel, std::make_shared<const std::string>(std::move(frame)));
  co_return subscribers;
}

awaitable<std::vector<ChannelInfo>> AppControl::channels() {
  using Members = std::vector<std::pair<std::string, std::size_t>>;
  std::map<std::string, std::size_t> all;
  for (const auto& worker : shared_.workers) {
    std::function<Members(Worker&)> question = [](Worker& target) { return target.hub().members(); };
    for (auto& [name, members] : co_await ask_worker<Members>(*shared_.control, *worker, std::move(question))) {
      all[name] += members;
    }
  }
  std::vector<ChannelInfo> list;
  for (const auto& [name, members] : all) list.push_back({name, members});
  co_return list;
}

awaitable<MetricsSnapshot> AppControl::metrics() {
  MetricsSnapshot all;
  for (const auto& worker : shared_.workers) {
    std::function<MetricsSnapshot(Worker&)> question = [](Worker& target) {
      MetricsSnapshot part;
      target.count(part);
      return part;
    };
    MetricsSnapshot part = co_await ask_worker<MetricsSnapshot>(*shared_.control, *worker, std::move(question));
    all.counters += part.counters;
    all.queue_bytes += part.queue_bytes;
    all.subscriptions += part.subscriptions;
    for (const auto& state : part.connections) {
      auto known = std::find_if(all.connections.begin(), all.connections.end(),
                                [&](const auto& entry) { return entry.route == state.route; });
      if (known == all.connections.end()) known = all.connections.insert(known, {.route = state.route});
      for (std::size_t i = 0; i < state.phases.size(); ++i) known->phases[i] += state.phases[i];
    }
  }
  all.pending = shared_.admission.pending();
  all.revocations = shared_.revocations.size();
  all.revocation_lag = shared_.revocations.lag();
  all.revoked_connections = shared_.revocations.closed();
  all.store_failures = shared_.revocations.store_failures();
  all.reloads = reloads_;
  all.reload_failures = reload_failures_;
  all.workers = shared_.workers.size();
  all.draining = draining();
  co_return all;
}

}  // namespace sallyport::server
