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

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };
  using List = std::vector<RevocationRef>;
  using Map = std::unordered_map<std::string, List, Hash, std::equal_to<>>;
  enum class Kind : std::uint8_t { kTokenId, kSession, kSubject, kBroad };
  [[nodiscard]] static Kind kind_of(const Selector& selector) noexcept;
  [[nodiscard]] static const std::string& name_of(const Selector& selector, Kind kind) noexcept;
  [[nodiscard]] Map& map_of(Kind kind) noexcept { return maps_[static_cast<std::size_t>(kind)]; }
  void unlink(const RevocationRef& revocation);

  std::map<std::uint64_t, RevocationRef> by_id_;
  std::multimap<base::WallTime, std::uint64_t> ends_;  // those that end by themselves
  std::array<Map, 3> maps_;                            // by Kind
  List broad_;
};

}  // namespace sallyport::auth
