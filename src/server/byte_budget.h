#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "server/publication.h"

namespace sallyport::server {

/// A limit on bytes that several owners hold at once. Thread-safe: they let go on whichever thread is last, which
/// may be after the budget has gone.
class ByteBudget {
 public:
  explicit ByteBudget(std::size_t limit) : limit_(limit) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  [[nodiscard]] bool take(std::size_t bytes) noexcept {
    std::size_t used = used_->load(std::memory_order_relaxed);
    do {
      if (bytes > limit_ || used > limit_ - bytes) return false;
    } while (!used_->compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    return true;
  }
  void give_back(std::size_t bytes) noexcept { used_->fetch_sub(bytes, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t used() const noexcept { return used_->load(std::memory_order_relaxed); }

  /// `text`, whose `taken` bytes go back with its last owner.
  [[nodiscard]] Frame share(std::string text, std::size_t taken) {
    const auto held = std::make_shared<const Held>(used_, taken, std::move(text));
    return {held, &held->text};
  }

 private:
  using Counter = std::atomic<std::size_t>;
  struct Held {
    Held(std::shared_ptr<Counter> counter, std::size_t size, std::string given)
        : used(std::move(counter)), bytes(size), text(std::move(given)) {}
    ~Held() { used->fetch_sub(bytes, std::memory_order_relaxed); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    std::shared_ptr<Counter> used;
    std::size_t bytes;
    std::string text;
  };
  std::size_t limit_;
  std::shared_ptr<Counter> used_ = std::make_shared<Counter>(0);
};

}  // namespace sallyport::server
