#include "server/admission.h"

#include <algorithm>

namespace sallyport::server {

Admission::Pending Admission::enter(const std::optional<http::IpAddress>& address) {
  const std::size_t total = pending_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (address && attribute(*address) == Pending::kAddressFull) return Pending::kAddressFull;
  return total > pending_most_.load(std::memory_order_relaxed) ? Pending::kFull : Pending::kOk;
}

Admission::Pending Admission::attribute(const http::IpAddress& address) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t pending = ++pending_of_[http::limit_key(address)];
  return pending > limits_.pending_per_address ? Pending::kAddressFull : Pending::kOk;
}

void Admission::leave(const std::optional<http::IpAddress>& address) {
  pending_.fetch_sub(1, std::memory_order_relaxed);
  if (!address) return;
  const std::lock_guard lock(mutex_);
  const auto found = pending_of_.find(http::limit_key(*address));
  if (found != pending_of_.end() && --found->second == 0) pending_of_.erase(found);
}

void Admission::failed(const http::IpAddress& address, base::MonoTime now) {
  const http::IpAddress key = http::limit_key(address);
  const std::lock_guard lock(mutex_);
  if (failures_.size() >= kFailuresMax && !failures_.contains(key)) make_room(now);
  Failures& entry = failures_[key];
  if (entry.count == 0 || passed(entry, now)) {
    entry.window_start = now;
    entry.count = 0;
  }
  ++entry.count;
}

bool Admission::may_verify(const http::IpAddress& address, base::MonoTime now) {
  const std::lock_guard lock(mutex_);
  const auto found = failures_.find(http::limit_key(address));
  if (found == failures_.end()) return true;
  Failures& entry = found->second;
  if (passed(entry, now)) {
    failures_.erase(found);
    return true;
  }
  if (entry.count < limits_.failures_per_address.count) return true;
  if (now < entry.next_trickle) return false;
  entry.next_trickle = now + kTrickle;
  return true;
}

bool Admission::over_limit(const http::IpAddress& address, base::MonoTime now) {
  const std::lock_guard lock(mutex_);
  const auto found = failures_.find(http::limit_key(address));
  return found != failures_.end() && !passed(found->second, now) &&
         found->second.count >= limits_.failures_per_address.count;
}

// A token bucket, counted in the time that its tokens take to come back: no rounding, whatever the rate.
bool Admission::take_verification(base::MonoTime now) {
  const std::lock_guard lock(mutex_);
  const Rate rate = limits_.verifications;
  if (rate.count == 0) return true;
  const std::int64_t full_us = std::chrono::duration_cast<std::chrono::microseconds>(rate.within).count();
  const std::int64_t cost_us = std::max<std::int64_t>(1, full_us / rate.count);
  if (verifications_at_ == base::MonoTime{}) verifications_us_ = full_us;
  const std::int64_t passed_us =
      std::chrono::duration_cast<std::chrono::microseconds>(now - verifications_at_).count();
  verifications_at_ = std::max(verifications_at_, now);
  verifications_us_ = std::min(full_us, verifications_us_ + std::max<std::int64_t>(0, std::min(passed_us, full_us)));
  if (verifications_us_ < cost_us) return false;
  verifications_us_ -= cost_us;
  return true;
}

void Admission::set_limits(const ServerLimits& limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
  pending_most_.store(limits.pending, std::memory_order_relaxed);
}

std::size_t Admission::failing() {
  const std::lock_guard lock(mutex_);
  return failures_.size();
}

void Admission::make_room(base::MonoTime now) {
  if (!swept_ || now - *swept_ >= kSweepEvery) {
    swept_ = now;
    std::erase_if(failures_, [&](const auto& item) {
      return now - item.second.window_start >= limits_.failures_per_address.within / 4;
    });
  }
  if (failures_.size() >= kFailuresMax) failures_.erase(failures_.begin());
}

}  // namespace sallyport::server
