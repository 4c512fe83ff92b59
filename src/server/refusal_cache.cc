#include "server/refusal_cache.h"

namespace sallyport::server {

std::optional<Failure> RefusalCache::find(const VerificationCache::Key& key, base::MonoTime now) const {
  const auto found = entries_.find(key);
  if (found == entries_.end() || found->second.until <= now) return std::nullopt;
  return found->second.failure;
}

void RefusalCache::insert(const VerificationCache::Key& key, Failure failure, base::MonoTime now) {
  while (!order_.empty()) {
    const auto oldest = entries_.find(order_.front());
    const bool over = entries_.size() >= kEntriesMax;
    if (!over && oldest->second.until > now) break;
    entries_.erase(oldest);
    order_.pop_front();
  }
  // One that is still there keeps its end: trying again does not lengthen it.
  if (entries_.try_emplace(key, Entry{failure, now + kLife}).second) order_.push_back(key);
}

}  // namespace sallyport::server
