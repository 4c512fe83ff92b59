#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "sallyport/failure.h"

namespace sallyport::auth {

/// What a client is advised to do about a failure (auth-model: the peer learns the coarse reason).
enum class Advice : std::uint8_t {
  kFixTheClient,
  kAskTheUser,        ///< a new login is needed
  kFetchAToken,       ///< fetch a fresh token, then reconnect
  kStop,              ///< do not try again
  kRetryLater,        ///< back off, then reconnect with the same credential
  kReconnect,         ///< reconnect after a short random delay
  kRetryWithCredential,
};

enum class CloseProfile : std::uint8_t { kIana, k44xx };
enum class Severity : std::uint8_t { kDebug, kInfo, kWarn, kError };

/// One row for each failure. Nothing outside this table names a status, a code or a reason.
struct FailureRow {
  Failure failure;
  std::string_view name;       ///< the fine name, for logs and metric labels
  std::uint16_t status;        ///< HTTP status before the 101
  std::string_view http_reason;   ///< `reason` in the problem body
  std::uint16_t iana;          ///< close code after it (IANA registry)
  std::uint16_t private_44xx;  ///< close code of the "44xx" profile
  std::string_view close_reason;  ///< the word in the Close frame
  std::string_view challenge;  ///< the `error` of a Bearer challenge (RFC 6750 section 3), or empty
  bool retry_after;            ///< whether the HTTP answer carries Retry-After
  Advice advice;
  Severity severity;
};

[[nodiscard]] const FailureRow& row(Failure failure) noexcept;
[[nodiscard]] std::span<const FailureRow> failure_table() noexcept;
[[nodiscard]] std::uint16_t close_code(Failure failure, CloseProfile profile) noexcept;
[[nodiscard]] std::string_view advice_text(Advice advice) noexcept;

}  // namespace sallyport::auth
