#include "core/auth/failure.h"

#include <array>

#include "core/base/assert.h"

namespace sallyport::auth {
namespace {

using enum Failure;
using enum Advice;
using enum Severity;

// clang-format off
constexpr std::array kTable{
  //         failure              name                    http reason in HTTP         iana  44xx  reason in a Close      challenge             retry  advice                severity
  FailureRow{kBadRequest,         "bad_request",          400, "bad_request",         1002, 1002, "bad_request",         "",                   false, kFixTheClient,        kInfo},
  FailureRow{kNotFound,           "not_found",            404, "not_found",           3003, 4403, "not_found",           "",                   false, kFixTheClient,        kInfo},
  FailureRow{kUpgradeRequired,    "upgrade_required",     426, "upgrade_required",    1002, 1002, "upgrade_required",    "",                   false, kFixTheClient,        kInfo},
  FailureRow{kHeaderTooLarge,     "header_too_large",     431, "header_too_large",    1009, 1009, "header_too_large",    "",                   false, kFixTheClient,        kInfo},
  FailureRow{kHandshakeTimeout,   "handshake_timeout",    408, "handshake_timeout",   3008, 4408, "handshake_timeout",   "",                   false, kRetryLater,          kInfo},
  FailureRow{kOriginNotAllowed,   "origin_not_allowed",   403, "origin_not_allowed",  3003, 4403, "origin_not_allowed",  "",                   false, kStop,                kWarn},
  FailureRow{kMissingCredentials, "missing_credentials",  401, "missing_credentials", 3000, 4401, "missing_credentials", "",                   false, kAskTheUser,          kInfo},
  FailureRow{kInvalidToken,       "invalid_token",        401, "invalid_token",       3000, 4401, "invalid_token",       "invalid_token",      false, kAskTheUser,          kWarn},
  FailureRow{kTokenExpired,       "token_expired",        401, "token_expired",       3000, 4401, "token_expired",       "invalid_token",      false, kFetchAToken,         kInfo},
  FailureRow{kTokenNotYetValid,   "token_not_yet_valid",  401, "token_not_yet_valid", 3000, 4401, "token_not_yet_valid", "invalid_token",      false, kRetryLater,          kInfo},
  FailureRow{kTokenRevoked,       "token_revoked",        401, "token_revoked",       3000, 4401, "token_revoked",       "invalid_token",      false, kAskTheUser,          kInfo},
  FailureRow{kLoggedOut,          "logged_out",           401, "logged_out",          3000, 4401, "logged_out",          "invalid_token",      false, kAskTheUser,          kInfo},
  FailureRow{kSubjectChanged,     "subject_changed",      401, "subject_changed",     3000, 4401, "subject_changed",     "invalid_token",      false, kAskTheUser,          kWarn},
  FailureRow{kInsufficientScope,  "insufficient_scope",   403, "forbidden",           3003, 4403, "forbidden",           "insufficient_scope", false, kStop,                kInfo},
  FailureRow{kForbidden,          "forbidden",            403, "forbidden",           3003, 4403, "forbidden",           "",                   false, kStop,                kInfo},
  FailureRow{kAuthTimeout,        "auth_timeout",         408, "auth_timeout",        3008, 4408, "auth_timeout",        "",                   false, kRetryWithCredential, kInfo},
  FailureRow{kTooManyRequests,    "too_many_requests",    429, "too_many_requests",   1008, 4429, "rate_limited",        "",                   true,  kRetryLater,          kWarn},
  FailureRow{kRateLimited,        "rate_limited",         429, "too_many_requests",   1008, 4429, "rate_limited",        "",                   true,  kRetryLater,          kWarn},
  FailureRow{kPolicy,             "policy",               400, "bad_request",         1008, 4429, "policy",              "",                   false, kRetryLater,          kInfo},
  FailureRow{kEvicted,            "evicted",              429, "evicted",             3003, 4409, "evicted",             "",                   true,  kStop,                kInfo},
  FailureRow{kSessionEnded,       "session_ended",        401, "session_ended",       1001, 1001, "session_ended",       "invalid_token",      false, kReconnect,           kInfo},
  FailureRow{kDraining,           "draining",             503, "unavailable",         1012, 1012, "restart",             "",                   true,  kReconnect,           kInfo},
  FailureRow{kUnavailable,        "unavailable",          503, "unavailable",         1013, 1013, "unavailable",         "",                   true,  kRetryLater,          kError},
  FailureRow{kUpstream,           "upstream",             502, "upstream",            1014, 1014, "upstream",            "",                   true,  kRetryLater,          kError},
  FailureRow{kSlowConsumer,       "slow_consumer",        503, "unavailable",         1008, 4429, "slow_consumer",       "",                   true,  kRetryLater,          kInfo},
  FailureRow{kIdleTimeout,        "idle_timeout",         408, "idle_timeout",        1001, 1001, "idle_timeout",        "",                   false, kReconnect,           kInfo},
  FailureRow{kProtocolError,      "protocol_error",       400, "protocol_error",      1002, 1002, "protocol_error",      "",                   false, kFixTheClient,        kInfo},
  FailureRow{kInvalidPayload,     "invalid_payload",      400, "invalid_payload",     1007, 1007, "invalid_payload",     "",                   false, kFixTheClient,        kInfo},
  FailureRow{kMessageTooBig,      "message_too_big",      413, "message_too_big",     1009, 1009, "message_too_big",     "",                   false, kFixTheClient,        kInfo},
  FailureRow{kInternal,           "internal",             500, "internal",            1011, 1011, "internal",            "",                   false, kRetryLater,          kError},
};
// clang-format on

constexpr bool rows_stand_in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<std::size_t>(kTable[i].failure) != i) return false;
  }
  return kTable.size() == static_cast<std::size_t>(kInternal) + 1;
}
static_assert(rows_stand_in_order(), "the table is indexed by the enumerator");

}  // namespace

const FailureRow& row(Failure failure) noexcept {
  const auto index = static_cast<std::size_t>(failure);
  SALLYPORT_ASSERT(index < kTable.size());
  return kTable[index];
}

std::span<const FailureRow> failure_table() noexcept { return kTable; }

std::uint16_t close_code(Failure failure, CloseProfile profile) noexcept {
  return profile == CloseProfile::kIana ? row(failure).iana : row(failure).private_44xx;
}

std::string_view advice_text(Advice advice) noexcept {
  switch (advice) {
    case kFixTheClient: return "fix the client";
    case kAskTheUser: return "ask the user to sign in";
    case kFetchAToken: return "fetch a token, then reconnect";
    case kStop: return "stop";
    case kRetryLater: return "back off, then reconnect";
    case kReconnect: return "reconnect after a random delay";
    case kRetryWithCredential: return "reconnect with a credential";
  }
  return "";
}

}  // namespace sallyport::auth

namespace sallyport {

std::string_view reason(Failure failure) noexcept { return auth::row(failure).close_reason; }

}  // namespace sallyport
