#include "server/inbox.h"

#include <utility>

namespace sallyport::server {

Inbox::Put Inbox::put(std::string_view channel, const Frame& frame, std::uint64_t number) {
  Publication publication{.channel = std::string(channel), .frame = frame, .number = number};
  const std::size_t bytes = publication.bytes();
  const std::lock_guard lock(mutex_);
  if (bytes_ >= kBytesMax) {
    last_dropped_.store(number, std::memory_order_relaxed);
    return Put::kDropped;
  }
  queue_.push_back(std::move(publication));
  bytes_ += bytes;
  if (bytes_ >= kBytes && !full_) {
    full_ = true;
    full_count_.fetch_add(1, std::memory_order_relaxed);
  }
  return awake_.exchange(true, std::memory_order_release) ? Put::kTaken : Put::kFirst;
}

std::optional<Publication> Inbox::take() {
  if (taken_.empty()) {
    if (!waits()) return std::nullopt;
    const std::lock_guard lock(mutex_);
    std::swap(taken_, queue_);
    if (taken_.empty()) return std::nullopt;
  }
  Publication next = std::move(taken_.front());
  taken_.pop_front();
  settled_ += next.bytes();
  return next;
}

bool Inbox::settle() {
  if (!waits()) return false;
  const std::lock_guard lock(mutex_);
  bytes_ -= std::exchange(settled_, 0);
  if (queue_.empty() && taken_.empty()) awake_.store(false, std::memory_order_release);
  if (!full_ || bytes_ > kBytes / 2) return false;
  full_ = false;
  return full_count_.fetch_sub(1, std::memory_order_relaxed) == 1;
}

}  // namespace sallyport::server
