#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>

#include "server/publication.h"

namespace sallyport::server {

/// What has been published and one worker has yet to deliver, its own publications among it. Anybody puts, the worker
/// takes. While it is full those who publish are not read; what they say all the same is taken up to `kBytesMax` and
/// then dropped. The mutex is taken once for a publication and twice for a turn that takes any.
class Inbox {
 public:
  static constexpr std::size_t kBytes = 8 * 1024 * 1024;      ///< then it is full, until half of it is delivered
  static constexpr std::size_t kBytesMax = 32 * 1024 * 1024;  ///< then nothing is taken

  enum class Put {
    kTaken,
    kFirst,    ///< likewise, and the worker must be woken
    kDropped,  ///< there is no room
  };

  /// `full` counts the inboxes that are full, this one among them.
  explicit Inbox(std::atomic<int>& full) : full_count_(full) {}
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  /// Thread-safe. What one thread puts is taken in the same order.
  [[nodiscard]] Put put(std::string_view channel, const Frame& frame, std::uint64_t number = 0);
  /// The last one that was dropped, by its number. Thread-safe.
  [[nodiscard]] std::uint64_t last_dropped() const noexcept { return last_dropped_.load(std::memory_order_relaxed); }

  // ---- The worker's thread
  /// Whether there may be something to take.
  [[nodiscard]] bool waits() const noexcept { return awake_.load(std::memory_order_acquire); }
  /// The next one, or nothing.
  [[nodiscard]] std::optional<Publication> take();
  /// What was taken is delivered. True if that leaves no full inbox in the process: those who wait may go on.
  [[nodiscard]] bool settle();

 private:
  std::atomic<int>& full_count_;
  std::mutex mutex_;
  std::deque<Publication> queue_;    // guarded
  std::size_t bytes_ = 0;            // guarded: of `queue_`, of `taken_` and of what is not settled
  bool full_ = false;                // guarded
  std::atomic<bool> awake_ = false;  // written under the mutex: the worker knows that it has something to do
  std::atomic<std::uint64_t> last_dropped_ = 0;
  std::deque<Publication> taken_;    // the worker's
  std::size_t settled_ = 0;          // the worker's: delivered since the last `settle`
};

}  // namespace sallyport::server
