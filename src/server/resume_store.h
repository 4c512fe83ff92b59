#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <unordered_map>
#include <variant>
#include <vector>

#include "core/auth/live_index.h"
#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/random.h"
#include "sallyport/revocation.h"
#include "server/resume_state.h"
#include "server/subject_table.h"

namespace sallyport::server {

/// What resume tokens are worth: where their connection is, or what it left behind. A token has 256 random bits and
/// is kept as its SHA-256 alone. It is given to one connection, and worth nothing any more once somebody to whom it
/// belongs has come with it. Thread-safe: the mutex is taken when a connection opens, ends or is resumed.
class ResumeStore {
 public:
  static constexpr std::size_t kStatesMost = 100'000;  ///< of connections that have ended; then the oldest go
  static constexpr std::size_t kPerSubject = 10;       ///< likewise, of one issuer and subject

  using Token = base::Sha256;

  /// A connection that is open has it.
  void open(const Token& token, Place place);
  /// It has ended, and nobody may go on where it stopped.
  void forget(const Token& token);
  /// It has ended; until then somebody may.
  void keep(const Token& token, ResumeState state, base::MonoTime until, base::MonoTime now);

  /// Nothing: it is worth nothing, or not to them; if it is somebody else's, it stays theirs. A place: the connection
  /// seems to live, and whoever comes must ask it. A state: it is theirs, and the token is used up.
  using Taken = std::variant<std::monostate, Place, ResumeState>;
  [[nodiscard]] Taken take(const Token& token, const Principal& who, std::string_view route, base::MonoTime now);

  /// A revocation holds from now on: what was left behind by those whom it means is gone. How many that were.
  std::size_t drop_matching(const Selector& selector);
  /// Forgets what is too old.
  void expire(base::MonoTime now);
  [[nodiscard]] std::size_t states() const;
  [[nodiscard]] std::size_t tokens() const;

 private:
  struct Hash {
    std::size_t operator()(const Token& token) const noexcept {
      std::size_t value = 0;
      std::memcpy(&value, token.data(), sizeof value);
      return value;
    }
  };
  using Ends = std::multimap<base::MonoTime, std::uint32_t>;
  struct Kept {
    Token token;
    ResumeState state;
    Ends::iterator end;
    bool used = false;  // false: the slot is free
  };
  void drop(std::uint32_t slot);
  void expire_some(base::MonoTime now);
  void make_room(const Principal& who);

  mutable std::mutex mutex_;
  // All guarded.
  std::unordered_map<Token, std::variant<Place, std::uint32_t>, Hash> tokens_;  // or the slot in `kept_`
  std::vector<Kept> kept_;
  std::vector<std::uint32_t> free_;
  Ends ends_;                                       // by when a state ends
  auth::LiveIndex index_{base::random_u32()};       // of `kept_`
};

}  // namespace sallyport::server
