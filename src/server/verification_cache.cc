#include "server/verification_cache.h"

namespace sallyport::server {

auth::PrincipalRef VerificationCache::find(const Key& key, base::WallTime now) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  const auto entry = found->second;
  if (entry->principal->valid_until.value_or(base::kForever) <= now) {
    entries_.erase(found);
    recent_.erase(entry);
    return nullptr;
  }
  recent_.splice(recent_.begin(), recent_, entry);
  return entry->principal;
}

void VerificationCache::insert(const Key& key, auth::PrincipalRef principal) {
  if (const auto found = entries_.find(key); found != entries_.end()) {
    found->second->principal = std::move(principal);
    return;
  }
  if (entries_.size() >= kEntriesMax) {
    entries_.erase(recent_.back().key);
    recent_.pop_back();
  }
  recent_.push_front({key, std::move(principal)});
  entries_.emplace(key, recent_.begin());
}

}  // namespace sallyport::server
