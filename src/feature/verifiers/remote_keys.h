#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <expected>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/jose/key_refresh.h"
#include "feature/verifiers/key_fetch.h"
#include "sallyport/verifiers.h"
#include "server/keys.h"

namespace sallyport {

/// An issuer's key set at a URL, kept fresh on the app's control thread. When it is fetched is
/// decided by jose::KeyRefresh; what a good set replaces and what a bad one does not, here.
class RemoteKeys final : public KeySource, public std::enable_shared_from_this<RemoteKeys> {
 public:
  static constexpr std::size_t kWaitingMax = 16'384;  ///< for a fetch; further ones are "unavailable"

  /// The set at `url`, or with `discovery` the one that the metadata at `url` names.
  RemoteKeys(io::HttpUrl url, bool discovery, const JwksOptions& options, KeyUser user);

  void start(const VerifierHost& host) override;
  void stop() noexcept override;
  [[nodiscard]] jose::KeySet current() const override;
  [[nodiscard]] bool ready() const noexcept override;
  [[nodiscard]] std::optional<Search> recall(std::string_view kid) const override;
  [[nodiscard]] awaitable<Search> find(std::string kid) override;
  [[nodiscard]] std::uint32_t epoch() const noexcept override { return epoch_.load(std::memory_order_acquire); }
  [[nodiscard]] std::chrono::milliseconds patience() const noexcept override;

 private:
  using Result = std::expected<FetchedKeys, KeyFault>;
  struct Waiter {
    const std::string& kid;
    boost::asio::steady_timer bell;
    std::optional<Search> answer = {};
  };

  // All of these run on the control thread.
  [[nodiscard]] awaitable<Search> find_here(std::string kid);
  void begin_fetch(bool thorough);
  static awaitable<void> fetch(std::shared_ptr<RemoteKeys> self, std::shared_ptr<KeyFetch> by, bool thorough);
  void finish(Result result);
  void answer_waiters(bool success, base::MonoTime now);
  void schedule();
  void log_success(const jose::KeySet& keys, bool news, base::MonoTime now) const;
  void log_failure(const KeyFault& fault, base::MonoTime now) const;

  const io::HttpUrl url_;
  const bool discovery_;
  const std::chrono::milliseconds timeout_;
  const jose::KeyRefreshPolicy policy_;
  const KeyUser user_;

  // Workers read what the control thread writes: a copy of a pointer for each token that no cache knows, which
  // costs little beside its signature.
  mutable std::mutex mutex_;
  jose::KeySet keys_;
  jose::KeyRefresh refresh_;  // changed by the control thread only, which therefore reads it without the lock
  boost::asio::io_context* control_ = nullptr;  // null: not started, or stopped

  std::atomic<std::uint32_t> epoch_ = 0;
  std::atomic<std::size_t> waiting_ = 0;  // questions of workers, from there to the answer

  // The control thread's own.
  LogSink log_;
  std::shared_ptr<KeyFetch> fetch_;  // also held by the fetch in flight
  std::optional<boost::asio::steady_timer> timer_;
  std::list<Waiter*> waiters_;
  std::optional<base::Sha256> digest_;  // of the answer that brought keys_
};

}  // namespace sallyport
