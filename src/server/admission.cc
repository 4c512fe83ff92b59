#include "server/admission.h"

namespace sallyport::server {

Admission::Pending Admission::enter(const http::IpAddress& address) {
  const std::size_t total = pending_.fetch_add(1, std::memory_order_relaxed) + 1;
  const std::lock_guard lock(mutex_);
  Address& entry = addresses_[http::limit_key(address)];
  ++entry.pending;
  if (entry.pending > limits_.pending_per_address) return Pending::kAddressFull;
  return total > limits_.pending ? Pending::kFull : Pending::kOk;
}

void Admission::leave(const http::IpAddress& address) {
  pending_.fetch_sub(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  const auto found = addresses_.find(http::limit_key(address));
  if (found == addresses_.end()) return;
  if (--found->second.pending == 0 && found->second.failures == 0) addresses_.erase(found);
}

void Admission::failed(const http::IpAddress& address, base::MonoTime now) {
  const std::lock_guard lock(mutex_);
  if (addresses_.size() >= kAddressesMax) forget_idle(now);
  Address& entry = addresses_[http::limit_key(address)];
  if (entry.failures == 0 || now - entry.window_start >= limits_.failures_per_address.within) {
    entry.window_start = now;
    entry.failures = 0;
  }
  ++entry.failures;
}

bool Admission::may_verify(const http::IpAddress& address, base::MonoTime now) {
  const std::lock_guard lock(mutex_);
  const auto found = addresses_.find(http::limit_key(address));
  if (found == addresses_.end()) return true;
  Address& entry = found->second;
  if (now - entry.window_start >= limits_.failures_per_address.within) {
    entry.failures = 0;
    return true;
  }
  if (entry.failures < limits_.failures_per_address.count) return true;
  if (now < entry.next_trickle) return false;
  entry.next_trickle = now + kTrickle;
  return true;
}

void Admission::forget_idle(base::MonoTime now) {
  std::erase_if(addresses_, [&](const auto& item) {
    const Address& entry = item.second;
    return entry.pending == 0 &&
           now - entry.window_start >= limits_.failures_per_address.within / 4;
  });
}

}  // namespace sallyport::server
