#include "server/verification_cache.h"

#include <utility>

namespace sallyport::server {

VerificationCache::Found VerificationCache::find(const Key& key, base::WallTime now) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return {};
  if (auth::authority_end_of(*found->principal) <= now) {
    entries_.erase(found);
    return {};
  }
  found->used = true;
  return {found->principal, found->verifier};
}

void VerificationCache::insert(const Key& key, auth::PrincipalRef principal, std::uint8_t verifier) {
  if (const auto found = entries_.find(key); found != entries_.end()) entries_.erase(found);
  if (entries_.size() >= kEntriesMax) evict_one();
  entries_.insert({.key = key, .verifier = verifier, .principal = std::move(principal)});
}

// Second chance: the hand goes round the buckets and takes the first entry that was not used since it last
// came by, which is a good guess at the one unused for longest.
void VerificationCache::evict_one() {
  const std::size_t buckets = entries_.bucket_count();
  for (std::size_t step = 0; step < 2 * buckets; ++step, ++hand_) {
    const std::size_t bucket = hand_ % buckets;
    for (auto entry = entries_.begin(bucket); entry != entries_.end(bucket); ++entry) {
      if (std::exchange(entry->used, false)) continue;
      entries_.erase(entries_.find(entry->key));
      return;
    }
  }
}

}  // namespace sallyport::server
