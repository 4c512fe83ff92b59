#pragma once

// An app that does nothing, for this folder's tests: it remembers what it was asked and answers what it was
// told.

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "server/control.h"

namespace sallyport::admin::test {

class FakeControl final : public server::Control {
 public:
  awaitable<std::expected<RevokeResult, RevokeFault>> revoke(RevokeRequest request) override {
    note("revoke " + request.selector.subject.value_or("-"));
    last_request = request;
    if (revoke_fault) co_return std::unexpected(*revoke_fault);
    RevokeResult result{.id = 7, .closed = 3};
    result.nodes.push_back({.node = "n1", .applied = std::chrono::milliseconds(2)});
    co_return result;
  }
  std::vector<Revocation> revocations() const override { return in_force; }
  awaitable<std::expected<bool, RevokeFault>> lift(std::uint64_t id) override {
    note("lift " + std::to_string(id));
    if (revoke_fault) co_return std::unexpected(*revoke_fault);
    co_return id == 7;
  }
  awaitable<std::optional<server::ConnectionPage>> connections(server::ConnectionQuery query) override {
    note("connections " + query.subject.value_or("-") + " " + query.route.value_or("-") + " " +
         std::to_string(query.limit) + " " + query.cursor);
    if (throws) throw std::runtime_error("a fault of ours");
    if (query.cursor == "none") co_return std::nullopt;
    co_return page;
  }
  awaitable<std::size_t> close(std::string id) override {
    note("close " + id);
    co_return id == "c1" ? 1 : 0;
  }
  awaitable<std::size_t> publish(std::string channel, std::string data_json) override {
    note("publish " + channel + " " + data_json);
    co_return 5;
  }
  awaitable<std::vector<server::ChannelInfo>> channels() override {
    note("channels");
    std::vector<server::ChannelInfo> list;
    list.push_back({.channel = "room/blue", .subscribers = 2});
    co_return list;
  }
  awaitable<server::MetricsSnapshot> metrics() override {
    note("metrics");
    co_return snapshot;
  }
  std::string_view node() const noexcept override { return "n1"; }
  bool draining() const noexcept override { return false; }

  /// What it was asked so far. Thread-safe.
  [[nodiscard]] std::vector<std::string> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  // Set before anybody asks.
  std::optional<RevokeFault> revoke_fault = {};
  std::vector<Revocation> in_force = {};
  server::ConnectionPage page = {};
  server::MetricsSnapshot snapshot = {};
  bool throws = false;
  RevokeRequest last_request = {};

 private:
  void note(std::string what) {
    const std::lock_guard lock(mutex_);
    asked_.push_back(std::move(what));
  }

  mutable std::mutex mutex_;
  std::vector<std::string> asked_;
};

}  // namespace sallyport::admin::test
