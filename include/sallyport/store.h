#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "sallyport/revocation.h"

namespace sallyport {

/// What must survive the end of the process: revocations, and which logout tokens have been used.
/// Used by one thread at a time, the app's control thread; a call may take as long as a disk does.
class Store {
 public:
  /// SHA-256 of an issuer and a `jti`.
  using TokenDigest = std::array<std::uint8_t, 32>;
  struct SeenToken {
    TokenDigest digest;
    WallTime until;  ///< after it the token itself is refused for its age

    friend bool operator==(const SeenToken&, const SeenToken&) = default;
  };
  struct Contents {
    std::vector<Revocation> revocations;  ///< in order of their numbers
    std::vector<SeenToken> seen;
    std::uint64_t last_id = 0;            ///< the highest number that was ever given
  };
  struct Changes {
    std::vector<Revocation> put = {};       ///< replaces the one with the same number
    std::vector<std::uint64_t> erase = {};  ///< unknown numbers are fine
    std::vector<SeenToken> seen = {};
  };

  virtual ~Store() = default;
  /// Once, before serving. What ended before `now` is left out, and may be deleted. An error says what is wrong
  /// and what to do.
  [[nodiscard]] virtual std::expected<Contents, std::string> open(WallTime now) = 0;
  /// All of it or nothing; durable when it returns, also if the machine fails at that moment.
  [[nodiscard]] virtual std::expected<void, std::string> write(const Changes& changes) = 0;
  /// Releases files. `open` may be called again afterwards.
  virtual void close() noexcept = 0;
};

/// An SQLite file, made where there is none, readable by its owner alone. One process at a time.
[[nodiscard]] std::shared_ptr<Store> sqlite_store(std::string path);

}  // namespace sallyport
