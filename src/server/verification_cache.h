#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>

#include "core/auth/state_machine.h"
#include "core/base/clock.h"
#include "core/base/digest.h"
#include "sallyport/verifier.h"

namespace sallyport::server {

/// One worker's memory of credentials that have been verified: a reconnect costs a hash, not a signature.
/// Kept under SHA-256 of the credential, never under the credential. Belongs to one thread.
class VerificationCache {
 public:
  static constexpr std::size_t kEntriesMax = 16'384;  ///< then the one unused for longest is forgotten

  struct Key {
    base::Sha256 digest;
    std::uint32_t route;  ///< whose verifiers said yes: another route's may not
    friend bool operator==(const Key&, const Key&) = default;
  };

  /// Nothing unless it was accepted before and its authority has not ended at `now`.
  [[nodiscard]] auth::PrincipalRef find(const Key& key, base::WallTime now);
  void insert(const Key& key, auth::PrincipalRef principal);
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept {
      std::size_t value = 0;
      std::memcpy(&value, key.digest.data(), sizeof value);
      return value ^ key.route;
    }
  };
  struct Entry {
    Key key;
    auth::PrincipalRef principal;
  };
  std::list<Entry> recent_;  // the most recently used first
  std::unordered_map<Key, std::list<Entry>::iterator, Hash> entries_;
};

}  // namespace sallyport::server
