#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "server/control.h"
#include "server/shared.h"

namespace sallyport::server {

/// What an app offers to those who administer it. On the control thread.
class AppControl final : public Control {
 public:
  explicit AppControl(Shared& shared) : shared_(shared) {}

  awaitable<std::expected<RevokeResult, RevokeFault>> revoke(RevokeRequest request) override;
  std::vector<Revocation> revocations() const override;
  awaitable<std::expected<bool, RevokeFault>> lift(std::uint64_t id) override;
  awaitable<std::optional<ConnectionPage>> connections(ConnectionQuery query) override;
  awaitable<std::size_t> close(std::string id) override;
  awaitable<std::size_t> publish(std::string channel, std::string data_json) override;
  awaitable<std::vector<ChannelInfo>> channels() override;
  awaitable<MetricsSnapshot> metrics() override;
  std::string_view node() const noexcept override { return shared_.node; }
  bool draining() const noexcept override { return shared_.draining.load(std::memory_order_relaxed); }

  /// Thread-safe.
  void count_reload(bool ok) noexcept { ++(ok ? reloads_ : reload_failures_); }

 private:
  Shared& shared_;
  std::atomic<std::uint64_t> reloads_ = 0;
  std::atomic<std::uint64_t> reload_failures_ = 0;
};

}  // namespace sallyport::server
