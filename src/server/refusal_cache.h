#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <unordered_map>

#include "core/base/clock.h"
#include "sallyport/failure.h"
#include "server/verification_cache.h"

namespace sallyport::server {

/// One worker's short memory of credentials that were refused: a client that tries the same one again and again
/// costs a hash each time, not a signature or a question to someone else. Short enough that whoever signs in
/// with what was refused a moment ago hardly notices. Belongs to one thread.
class RefusalCache {
 public:
  static constexpr std::size_t kEntriesMax = 4096;  ///< then the oldest is forgotten
  static constexpr base::Milliseconds kLife{2000};

  /// Why the credential was refused within the last `kLife`; nothing if it was not.
  [[nodiscard]] std::optional<Failure> find(const VerificationCache::Key& key, base::MonoTime now) const;
  void insert(const VerificationCache::Key& key, Failure failure, base::MonoTime now);
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    Failure failure;
    base::MonoTime until;
  };
  std::unordered_map<VerificationCache::Key, Entry, VerificationCache::KeyHash> entries_;
  std::deque<VerificationCache::Key> order_;  // of insertion, which is the order in which they end
};

}  // namespace sallyport::server
