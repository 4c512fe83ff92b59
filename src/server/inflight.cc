#include "server/inflight.h"

#include <algorithm>

namespace sallyport::server {

void Inflight::add(std::uint64_t end, std::uint64_t number) {
  if (spans_.size() >= kMost) {
    // Two by two: the end of the later one, the number of the earlier one.
    for (std::size_t i = 0; i < kMost / 2; ++i) spans_[i] = {spans_[2 * i + 1].end, spans_[2 * i].number};
    spans_.erase(spans_.begin() + kMost / 2, spans_.end());
  }
  spans_.push_back({end, number});
}

void Inflight::arrived(std::uint64_t position) {
  const auto waits = std::find_if(spans_.begin(), spans_.end(), [&](const Span& span) { return span.end > position; });
  spans_.erase(spans_.begin(), waits);
  if (spans_.empty()) spans_ = {};
  due_at_ = std::min(kMost, std::max(kDueAt, 2 * spans_.size()));
}

void Inflight::cut(std::uint64_t position) {
  const auto beyond = std::find_if(spans_.begin(), spans_.end(), [&](const Span& span) { return span.end > position; });
  if (beyond == spans_.end()) return;
  if (!unwritten_) unwritten_ = beyond->number;
  spans_.erase(beyond, spans_.end());
}

void Inflight::blur(std::uint64_t end) {
  if (spans_.empty()) return;
  spans_.erase(spans_.begin() + 1, spans_.end());
  spans_.front().end = end;
}

std::optional<std::uint64_t> Inflight::first() const noexcept {
  return spans_.empty() ? unwritten_ : std::optional(spans_.front().number);
}

}  // namespace sallyport::server
