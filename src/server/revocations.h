#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/auth/revocation.h"
#include "sallyport/awaitable.h"
#include "sallyport/store.h"
#include "server/metrics.h"

namespace sallyport::server {

struct Shared;

/// The app's revocations, on its control thread: numbers them, has the store keep them, and hands each to every
/// worker. A worker applies it in one step, on its own thread: from then on its handshakes meet it, and those of its
/// connections that it means have been ended. So no handshake slips through between the two, and when all workers
/// have acknowledged the number it holds everywhere.
class Revocations {
 public:
  static constexpr std::size_t kSeenMost = 1'000'000;  ///< logout tokens remembered; over it a logout is refused

  explicit Revocations(Shared& shared) : shared_(shared) {}

  /// Before the workers start: reads the store. An error says what to do.
  [[nodiscard]] std::expected<void, std::string> open();
  /// What a worker begins with.
  [[nodiscard]] std::vector<auth::RevocationRef> all() const { return index_.all(); }
  /// The app ends: nothing waits any more.
  void close() noexcept;

  // ---- On the control thread
  /// Returns when every worker has applied it and the store has it. A logout token that comes with it is used up
  /// with it, or not at all.
  [[nodiscard]] awaitable<std::expected<RevokeResult, RevokeFault>> revoke(
      RevokeRequest request, std::optional<Store::SeenToken> token = {});
  [[nodiscard]] awaitable<std::expected<bool, RevokeFault>> lift(std::uint64_t id);
  /// A credential was refused that ends later than the revocation: it is kept until then.
  void met(std::uint64_t id, base::WallTime until);
  /// Forgets what has ended, here and in the workers.
  void expire();

  [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }
  [[nodiscard]] const Histogram& lag() const noexcept { return lag_; }
  [[nodiscard]] std::uint64_t closed() const noexcept { return closed_; }
  [[nodiscard]] std::uint64_t store_failures() const noexcept { return store_failures_; }

 private:
  struct DigestHash {
    std::size_t operator()(const Store::TokenDigest& digest) const noexcept;
  };
  struct Delivery;
  struct Commit;
  [[nodiscard]] std::optional<base::WallTime> end_of(const RevokeRequest& request, base::WallTime now) const;
  [[nodiscard]] std::shared_ptr<Delivery> deliver(auth::RevocationRef added, std::uint64_t removed);
  [[nodiscard]] std::shared_ptr<Commit> commit(Store::Changes changes);
  void flush();
  void forget_seen(base::WallTime now);

  Shared& shared_;
  auth::RevocationIndex index_;
  std::unordered_map<Store::TokenDigest, base::WallTime, DigestHash> seen_;
  std::shared_ptr<Commit> commit_;  // what goes to the store next, for all who wait for it
  std::uint64_t last_id_ = 0;
  base::WallTime swept_{};
  Histogram lag_;
  std::uint64_t closed_ = 0;
  std::uint64_t store_failures_ = 0;
};

}  // namespace sallyport::server
