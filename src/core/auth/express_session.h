#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"

namespace sallyport::auth {

/// Where a session says who has signed in: JSON pointers (RFC 6901).
struct ExpressPaths {
  std::string subject;
  std::string scopes = {};  ///< empty: sessions grant none

  /// What is wrong with `pointer`, as a sentence; empty if nothing is.
  [[nodiscard]] static std::string fault_of(std::string_view pointer);
};

/// What a session of express-session proves.
struct ExpressSession {
  std::string subject;
  std::vector<std::string> scopes;
  /// A JSON object of the session's own members that are texts, numbers, booleans or arrays of such. Nested objects
  /// stay behind, and so do `cookie`, what is named like a secret (secret, token, password, csrf), members over 1 KiB
  /// and those that come when 8 KiB are full. Empty if nothing is left.
  std::string claims;
  std::optional<base::WallTime> expires_at;
};

enum class ExpressSessionError : std::uint8_t {
  kTooLarge,     ///< over kExpressSessionBytesMax
  kNotAnObject,  ///< not strict JSON, or not an object
  kAnonymous,    ///< nobody has signed in: the subject is absent, null or empty
  kBadSubject,   ///< neither a text of at most 255 bytes without control characters nor an integer
  kBadScopes,    ///< neither a text nor an array of texts
  kBadExpiry,    ///< `cookie.expires` is not a date
  kExpired,
};
[[nodiscard]] std::string_view describe(ExpressSessionError error) noexcept;

inline constexpr std::size_t kExpressSessionBytesMax = std::size_t{64} * 1024;

/// Reads what connect-redis stores. `remaining` is the life that the store gives it, which touching a session
/// prolongs; only without one does the session's own `cookie.expires` count.
[[nodiscard]] std::expected<ExpressSession, ExpressSessionError> read_express_session(
    std::string_view json, const ExpressPaths& paths, std::optional<base::Milliseconds> remaining,
    base::WallTime now);

/// A moment as JavaScript's Date.toJSON writes it: "2026-11-24T10:00:00.000Z"; the fraction may be absent.
[[nodiscard]] std::optional<base::WallTime> parse_json_date(std::string_view text);

}  // namespace sallyport::auth
