#include "core/jose/key_refresh.h"

#include <algorithm>

#include "core/base/assert.h"

namespace sallyport::jose {
namespace {

// `span` times `random` / 2^32. A century in milliseconds is below 2^42, so that 16 bits of chance fit beside it.
base::Milliseconds part_of(base::Milliseconds span, std::uint32_t random) {
  return base::Milliseconds((span.count() * static_cast<std::int64_t>(random >> 16)) >> 16);
}

}  // namespace

KeyAbsence KeyRefresh::recall(std::string_view kid, base::MonoTime now) const {
  if (succeeded_ && failures_ == 0) {
    if (asked_ && now - *asked_ < policy_.cooldown) return KeyAbsence::kUnknown;
    const auto found = absent_.find(kid);
    if (found != absent_.end() && now < found->second.until) return KeyAbsence::kUnknown;
    return KeyAbsence::kAsk;
  }
  // An issuer that is down has its own pace of retries; who waits for one that is under way may do so.
  const bool lately = attempted_ && now - ended_ < policy_.cooldown;
  return in_flight_ || !lately ? KeyAbsence::kAsk : KeyAbsence::kUnavailable;
}

void KeyRefresh::begin(bool for_unknown_kid) {
  SALLYPORT_ASSERT(!in_flight_);
  in_flight_ = true;
  for_unknown_kid_ = for_unknown_kid;
}

void KeyRefresh::succeed(base::MonoTime now, std::optional<base::Milliseconds> max_age, std::uint32_t random) {
  SALLYPORT_ASSERT(in_flight_);
  const base::Milliseconds life =
      std::clamp(max_age.value_or(policy_.refresh_default), policy_.refresh_min, policy_.refresh_max);
  in_flight_ = false;
  attempted_ = true;
  succeeded_ = true;
  failures_ = 0;
  ended_ = now;
  if (for_unknown_kid_) asked_ = now;
  due_ = now + life - part_of(life / 10, random);
  usable_until_ = now + life + policy_.stale_max;
}

void KeyRefresh::fail(base::MonoTime now, std::uint32_t random) {
  SALLYPORT_ASSERT(in_flight_);
  base::Milliseconds pause = policy_.retry_min;
  for (unsigned i = 0; i < failures_ && pause < policy_.retry_max; ++i) pause *= 2;
  pause = std::min(pause, policy_.retry_max);
  in_flight_ = false;
  attempted_ = true;
  ++failures_;
  ended_ = now;
  if (for_unknown_kid_) asked_ = now;
  // Also after a fetch that an unknown kid caused: until one succeeds, such kids are "unavailable".
  due_ = now + pause - part_of(pause / 2, random);
}

void KeyRefresh::missed(std::string_view kid, base::MonoTime now) {
  auto found = absent_.find(kid);
  if (found == absent_.end()) {
    if (absent_.size() >= kAbsentMax) {
      absent_.erase(order_.front());
      order_.pop_front();
    }
    found = absent_.emplace(std::string(kid), Absent{.until = now, .hold = 1}).first;
    order_.emplace_back(kid);
  } else if (now >= found->second.until) {
    // Within the time it is believed for, several may have asked for it together: that is one proof.
    found->second.hold = std::min(found->second.hold * 2, kHoldMax);
  }
  found->second.until = now + found->second.hold * policy_.cooldown;
}

}  // namespace sallyport::jose
