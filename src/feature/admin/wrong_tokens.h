#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/clock.h"

namespace sallyport::admin {

/// Counts wrong tokens: so many at once, then one for each `kEvery`. Whoever guesses is told to wait; whoever
/// knows the token is never counted, and so cannot be locked out by others.
class WrongTokens {
 public:
  static constexpr unsigned kMost = 10;
  static constexpr base::Milliseconds kEvery{1000};

  /// One more. False if that is too many.
  [[nodiscard]] bool allow(base::MonoTime now) noexcept {
    if (now > refilled_) {
      const auto more = (now - refilled_) / kEvery;
      left_ = static_cast<unsigned>(std::min<std::int64_t>(kMost, left_ + more));
      refilled_ = left_ == kMost ? now : refilled_ + more * kEvery;
    }
    if (left_ == 0) return false;
    --left_;
    return true;
  }

 private:
  unsigned left_ = kMost;
  base::MonoTime refilled_{};
};

}  // namespace sallyport::admin
