#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "sallyport/principal.h"
#include "sallyport/revocation.h"

namespace sallyport::auth {

/// Which of a worker's connections have a given subject, session, token id or name. Holds slots, not connections: 12
/// bytes for each key, in chains through one array. What it finds are candidates, by a hash: the caller compares.
class LiveIndex {
 public:
  enum class Key : std::uint8_t { kSubject, kSession, kTokenId, kName };
  static constexpr std::size_t kKeys = 4;

  /// `seed` is random, so that nobody can choose subjects that all fall into one chain.
  explicit LiveIndex(std::uint64_t seed) : seed_(seed) {}

  /// Enters or re-enters a slot under everything that the principal has; `name` is any 64 random bits.
  void enter(std::uint32_t slot, const Principal& who, std::uint64_t name);
  void leave(std::uint32_t slot);
  /// Every slot that may be meant, each once, in no order, by the narrowest key that the selector sets; none if it
  /// sets none of them. `visit` may not change the index.
  void candidates(const Selector& selector, const std::function<void(std::uint32_t)>& visit) const;
  void named(std::uint64_t name, const std::function<void(std::uint32_t)>& visit) const;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  static constexpr std::uint32_t kOutside = 0xffff'fffe;  // as `before`: the slot is not entered

  // A slot's place in the chain of one key's hash.
  struct Link {
    std::uint32_t hash = 0;
    std::uint32_t before = kOutside;  // kNone: it is the first of its bucket
    std::uint32_t after = kNone;
  };
  struct Table {
    std::vector<Link> links;            // by slot
    std::vector<std::uint32_t> heads;   // by hash; a power of two
    std::size_t entered = 0;
  };
  [[nodiscard]] std::uint32_t hash(std::string_view text) const noexcept;
  [[nodiscard]] static std::uint32_t hash(std::uint64_t name) noexcept;
  static void link(Table& table, std::uint32_t slot, std::uint32_t hash);
  static void unlink(Table& table, std::uint32_t slot);
  static void grow(Table& table);
  static void visit(const Table& table, std::uint32_t hash, const std::function<void(std::uint32_t)>& visit);
  [[nodiscard]] const Table& table(Key key) const noexcept { return tables_[static_cast<std::size_t>(key)]; }

  std::uint64_t seed_;
  std::array<Table, kKeys> tables_;
  std::size_t size_ = 0;
};

}  // namespace sallyport::auth
