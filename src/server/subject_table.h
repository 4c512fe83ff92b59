#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sallyport/route.h"

namespace sallyport::server {

/// Where a connection is: stale as soon as its slot has another generation.
struct Place {
  std::uint32_t worker;
  std::uint32_t slot;
  std::uint32_t generation;
  friend bool operator==(const Place&, const Place&) = default;
};

/// How many connections each subject has open on each route, on all workers. A place is taken before the handshake
/// is answered, in one step with the count, so that no race exceeds the limit. Thread-safe: a mutex of one of
/// sixteen parts, taken once when a connection opens and once when it ends.
class SubjectTable {
 public:
  /// Names an issuer, a subject and a route. What it is a hash of is longer; a collision is not to be had.
  using Key = std::array<std::uint8_t, 16>;
  [[nodiscard]] static Key key(std::string_view issuer, std::string_view subject, std::string_view route);

  struct Taken {
    bool ok = true;                     ///< false: there is no room, and nobody makes any
    std::optional<Place> evicted = {};  ///< whose place it was; it does not count any more
  };
  [[nodiscard]] Taken take(const Key& key, Place place, std::uint32_t limit, WhenFull when_full);
  /// Nothing if the place has been given to another one meanwhile.
  void release(const Key& key, Place place);
  /// How many subjects have connections.
  [[nodiscard]] std::size_t size() const;

 private:
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept {
      std::size_t value = 0;
      std::memcpy(&value, key.data(), sizeof value);
      return value;
    }
  };
  static constexpr std::size_t kParts = 16;
  struct Part {
    mutable std::mutex mutex;
    std::unordered_map<Key, std::vector<Place>, Hash> places;  // oldest first
  };
  [[nodiscard]] Part& part(const Key& key) noexcept { return parts_[key.back() % kParts]; }

  std::array<Part, kParts> parts_;
};

}  // namespace sallyport::server
