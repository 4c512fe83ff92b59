#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <utility>

#include "core/auth/state_machine.h"
#include "core/base/clock.h"
#include "core/base/digest.h"
#include "sallyport/verifier.h"

namespace sallyport::server {

/// One worker's memory of credentials that have been verified: a reconnect costs a hash, not a signature.
/// Kept under SHA-256 of the credential, never under the credential. Belongs to one thread.
class VerificationCache {
 public:
  static constexpr std::size_t kEntriesMax = 16'384;  ///< then one that was not used lately is forgotten

  struct Key {
    base::Sha256 digest;
    std::uint32_t route;      ///< whose verifiers said yes: another route's may not
    std::uint32_t epoch = 0;  ///< of those verifiers: with other keys they may not
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      std::size_t value = 0;
      std::memcpy(&value, key.digest.data(), sizeof value);
      return value ^ key.route;
    }
  };

  struct Found {
    auth::PrincipalRef principal = nullptr;
    std::uint8_t verifier = 0;  ///< which of the route's had said yes
    explicit operator bool() const noexcept { return principal != nullptr; }
  };
  /// Nothing unless it was accepted before and its authority has not ended at `now`.
  [[nodiscard]] Found find(const Key& key, base::WallTime now);
  void insert(const Key& key, auth::PrincipalRef principal, std::uint8_t verifier = 0);
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    Key key;
    mutable bool used = false;  // since the hand last came by
    std::uint8_t verifier = 0;
    auth::PrincipalRef principal;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const Key& key) const noexcept { return KeyHash()(key); }
    std::size_t operator()(const Entry& entry) const noexcept { return (*this)(entry.key); }
  };
  struct Equal {
    using is_transparent = void;
    static const Key& key_of(const Key& key) noexcept { return key; }
    static const Key& key_of(const Entry& entry) noexcept { return entry.key; }
    bool operator()(const auto& a, const auto& b) const noexcept { return key_of(a) == key_of(b); }
  };
  void evict_one();

  // One node an entry: a list for the order of use would cost every connection another eighty bytes.
  std::unordered_set<Entry, Hash, Equal> entries_;
  std::size_t hand_ = 0;  // the bucket at which the search for a victim goes on
};

/// What all workers have verified, for the one that does not know it yet: a client comes back to any of them.
/// Thread-safe; asked only when a worker's own cache does not know, before it verifies.
class SharedVerificationCache {
 public:
  [[nodiscard]] VerificationCache::Found find(const VerificationCache::Key& key, base::WallTime now) {
    Part& mine = part(key);
    const std::lock_guard lock(mine.mutex);
    return mine.cache.find(key, now);
  }
  void insert(const VerificationCache::Key& key, auth::PrincipalRef principal, std::uint8_t verifier) {
    Part& mine = part(key);
    const std::lock_guard lock(mine.mutex);
    mine.cache.insert(key, std::move(principal), verifier);
  }

 private:
  struct Part {
    std::mutex mutex;
    VerificationCache cache;
  };
  [[nodiscard]] Part& part(const VerificationCache::Key& key) noexcept {
    return parts_[key.digest.back() % parts_.size()];
  }
  std::array<Part, 16> parts_;
};

}  // namespace sallyport::server
