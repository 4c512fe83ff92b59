#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "sallyport/revocation.h"

// Revocations in force, and how a worker finds the connections that one of them means. Pure.

namespace sallyport::auth {

using RevocationRef = std::shared_ptr<const Revocation>;

/// Whether a selector can be meant: at least one thing is set, and no text is empty.
[[nodiscard]] bool valid(const Selector& selector) noexcept;
/// Everything that the selector sets is so of the principal.
[[nodiscard]] bool matches(const Selector& selector, const Principal& who) noexcept;

/// The revocations that later handshakes meet. Found by the narrowest thing that a selector sets, so that a
/// question costs three look-ups however many there are; those with neither token, session nor subject are gone
/// through one by one, and a few.
class RevocationIndex {
 public:
  static constexpr std::size_t kMost = 1'000'000;  ///< then `add` refuses
  static constexpr std::size_t kMostBroad = 1'000; ///< of those that name only an issuer or a time

  /// False if there is no room. One with a number that is known replaces it.
  [[nodiscard]] bool add(RevocationRef revocation);
  bool remove(std::uint64_t id);
  /// The one with the lowest number that means this principal at `now`, or null.
  [[nodiscard]] RevocationRef find(const Principal& who, base::WallTime now) const;
  [[nodiscard]] RevocationRef get(std::uint64_t id) const;
  /// Forgets those that have ended, at most `budget` of them; how many it was.
  std::size_t expire(base::WallTime now, std::size_t budget);
  [[nodiscard]] std::size_t size() const noexcept { return by_id_.size(); }
  /// In order of their numbers.
  [[nodiscard]] std::vector<RevocationRef> all() const;
};

/// Which of a worker's connections have a given subject, session, token id or name. Holds slots, not connections:
/// 16 bytes for each key. What it finds are candidates, by a hash: the caller compares.
class LiveIndex {
 public:
  enum class Key : std::uint8_t { kSubject, kSession, kTokenId, kName };
  static constexpr std::size_t kKeys = 4;

  /// Enters or re-enters a slot under everything that the principal has; `name` is any 64 random bits.
  void enter(std::uint32_t slot, const Principal& who, std::uint64_t name);
  void leave(std::uint32_t slot);
  /// Every slot that may be meant, each once, in no order. `visit` may not change the index.
  void candidates(const Selector& selector, const std::function<void(std::uint32_t)>& visit) const;
  void named(std::uint64_t name, const std::function<void(std::uint32_t)>& visit) const;
  [[nodiscard]] std::size_t size() const noexcept;
};

}  // namespace sallyport::auth
