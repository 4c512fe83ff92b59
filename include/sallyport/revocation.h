#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/failure.h"
#include "sallyport/principal.h"

namespace sallyport {

/// Whose authority is meant. What is set must all match; at least one must be set. Values are compared exactly.
struct Selector {
  std::optional<std::string> issuer = {};
  std::optional<std::string> subject = {};
  std::optional<std::string> session = {};   ///< `sid`
  std::optional<std::string> token_id = {};  ///< `jti`
  /// Credentials issued before this moment. One that does not say when it was issued cannot prove that it is
  /// newer, and matches.
  std::optional<WallTime> issued_before = {};

  friend bool operator==(const Selector&, const Selector&) = default;
};

/// A revocation in force. Immutable; kept under its number.
struct Revocation {
  std::uint64_t id = 0;  ///< counts up, also over restarts where the store is durable
  Selector selector;
  Failure reason = Failure::kTokenRevoked;  ///< what its sockets are told: kTokenRevoked or kLoggedOut
  WallTime created;
  /// Until then later handshakes meet it; nothing: until it is lifted.
  std::optional<WallTime> until = {};

  friend bool operator==(const Revocation&, const Revocation&) = default;
};

struct RevokeRequest {
  Selector selector;
  Failure reason = Failure::kTokenRevoked;
  /// How long later handshakes are refused. Without it: a subject or an issuer without `issued_before` until the
  /// revocation is lifted; everything else for `AppOptions::keep_revocations`, and in any case until the last
  /// credential has ended that it is known to have met.
  std::optional<std::chrono::milliseconds> keep = {};
};

/// What a revocation has done, once every worker has applied it.
struct RevokeResult {
  struct Node {
    std::string node;                 ///< which process, `AppOptions::node`
    std::chrono::milliseconds applied;  ///< from the call to the last worker's acknowledgement
  };
  std::uint64_t id = 0;
  std::size_t closed = 0;  ///< live connections that it ended
  std::vector<Node> nodes;
};

enum class RevokeFault : std::uint8_t {
  kInvalid,     ///< the selector is empty, or a value in it is; nothing was done
  kFull,        ///< too many revocations are in force; nothing was done
  kNotDurable,  ///< it holds in this process, but the store could not be written: it would not survive a restart
  kReplayed,    ///< the logout token has been used before; nothing was done
  kStopped,     ///< the app does not run
};
[[nodiscard]] std::string_view describe(RevokeFault fault) noexcept;

}  // namespace sallyport
