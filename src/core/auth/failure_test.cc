#include "core/auth/failure.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/ws/close_code.h"

namespace sallyport::auth {
namespace {

using enum Failure;

// What a handshake is answered with, as the interface lists it.
struct HttpCase {
  Failure failure;
  int status;
  std::string_view reason;
  std::string_view challenge;  // the `error` of WWW-Authenticate: Bearer
  bool retry_after;
};

TEST(FailureTable, AnswersAHandshakeAsTheInterfaceSays) {
  const std::vector<HttpCase> cases{
      {kUpgradeRequired, 426, "upgrade_required", "", false},
      {kBadRequest, 400, "bad_request", "", false},
      {kMissingCredentials, 401, "missing_credentials", "", false},
      {kInvalidToken, 401, "invalid_token", "invalid_token", false},
      {kTokenExpired, 401, "token_expired", "invalid_token", false},
      {kTokenNotYetValid, 401, "token_not_yet_valid", "invalid_token", false},
      {kTokenRevoked, 401, "token_revoked", "invalid_token", false},
      {kInsufficientScope, 403, "forbidden", "insufficient_scope", false},
      {kForbidden, 403, "forbidden", "", false},
      {kOriginNotAllowed, 403, "origin_not_allowed", "", false},
      {kNotFound, 404, "not_found", "", false},
      {kHeaderTooLarge, 431, "header_too_large", "", false},
      {kTooManyRequests, 429, "too_many_requests", "", true},
      {kUnavailable, 503, "unavailable", "", true},
      {kDraining, 503, "unavailable", "", true},
      {kHandshakeTimeout, 408, "handshake_timeout", "", false},
  };
  for (const HttpCase& c : cases) {
    const FailureRow& actual = row(c.failure);
    EXPECT_EQ(actual.status, c.status) << actual.name;
    EXPECT_EQ(actual.http_reason, c.reason) << actual.name;
    EXPECT_EQ(actual.challenge, c.challenge) << actual.name;
    EXPECT_EQ(actual.retry_after, c.retry_after) << actual.name;
  }
}

// What an open connection is closed with, and what its client should do.
struct CloseCase {
  Failure failure;
  int iana;
  int private_44xx;
  std::string_view reason;
  Advice advice;
};

TEST(FailureTable, ClosesAsTheInterfaceSays) {
  const std::vector<CloseCase> cases{
      {kInvalidToken, 3000, 4401, "invalid_token", Advice::kAskTheUser},
      {kMissingCredentials, 3000, 4401, "missing_credentials", Advice::kAskTheUser},
      {kTokenExpired, 3000, 4401, "token_expired", Advice::kFetchAToken},
      {kTokenRevoked, 3000, 4401, "token_revoked", Advice::kAskTheUser},
      {kLoggedOut, 3000, 4401, "logged_out", Advice::kAskTheUser},
      {kSubjectChanged, 3000, 4401, "subject_changed", Advice::kAskTheUser},
      {kForbidden, 3003, 4403, "forbidden", Advice::kStop},
      {kInsufficientScope, 3003, 4403, "forbidden", Advice::kStop},
      {kAuthTimeout, 3008, 4408, "auth_timeout", Advice::kRetryWithCredential},
      {kEvicted, 3003, 4409, "evicted", Advice::kStop},
      {kRateLimited, 1008, 4429, "rate_limited", Advice::kRetryLater},
      {kTooManyRequests, 1008, 4429, "rate_limited", Advice::kRetryLater},
      {kPolicy, 1008, 4429, "policy", Advice::kRetryLater},
      {kSessionEnded, 1001, 1001, "session_ended", Advice::kReconnect},
      {kDraining, 1012, 1012, "restart", Advice::kReconnect},
      {kUnavailable, 1013, 1013, "unavailable", Advice::kRetryLater},
      {kUpstream, 1014, 1014, "upstream", Advice::kRetryLater},
      {kInternal, 1011, 1011, "internal", Advice::kRetryLater},
      {kProtocolError, 1002, 1002, "protocol_error", Advice::kFixTheClient},
      {kInvalidPayload, 1007, 1007, "invalid_payload", Advice::kFixTheClient},
      {kMessageTooBig, 1009, 1009, "message_too_big", Advice::kFixTheClient},
  };
  for (const CloseCase& c : cases) {
    const FailureRow& actual = row(c.failure);
    EXPECT_EQ(close_code(c.failure, CloseProfile::kIana), c.iana) << actual.name;
    EXPECT_EQ(close_code(c.failure, CloseProfile::k44xx), c.private_44xx) << actual.name;
    EXPECT_EQ(actual.close_reason, c.reason) << actual.name;
    EXPECT_EQ(reason(c.failure), c.reason) << actual.name;
    EXPECT_EQ(actual.advice, c.advice) << actual.name;
  }
}

bool is_word(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

TEST(FailureTable, HasOneRowForEachFailureUnderItsOwnName) {
  std::set<std::string_view> names;
  std::size_t index = 0;
  for (const FailureRow& entry : failure_table()) {
    EXPECT_EQ(static_cast<std::size_t>(entry.failure), index++);
    EXPECT_EQ(&row(entry.failure), &entry);
    EXPECT_TRUE(is_word(entry.name)) << entry.name;
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
  }
  EXPECT_EQ(index, static_cast<std::size_t>(kInternal) + 1);
}

TEST(FailureTable, SaysNothingThatMayNotBeSaid) {
  for (const FailureRow& entry : failure_table()) {
    EXPECT_TRUE(entry.status >= 400 && entry.status <= 599) << entry.name;
    for (const std::uint16_t code : {entry.iana, entry.private_44xx}) {
      EXPECT_TRUE(ws::valid_on_the_wire(static_cast<ws::CloseCode>(code))) << entry.name;
      EXPECT_NE(code, 1000) << entry.name;  // a failure is no normal end
    }
    EXPECT_TRUE(is_word(entry.http_reason)) << entry.name;
    EXPECT_TRUE(is_word(entry.close_reason)) << entry.name;
    EXPECT_LE(entry.close_reason.size(), ws::kCloseReasonMax) << entry.name;
    EXPECT_FALSE(advice_text(entry.advice).empty()) << entry.name;
  }
}

TEST(FailureTable, GivesA44xxCodeThatResemblesItsStatus) {
  for (const FailureRow& entry : failure_table()) {
    if (entry.iana < 3000) {
      EXPECT_TRUE(entry.private_44xx == entry.iana || entry.private_44xx == 4429) << entry.name;
    } else {
      EXPECT_TRUE(entry.private_44xx >= 4400 && entry.private_44xx <= 4499) << entry.name;
    }
    // The IANA codes and the statuses of their own RFCs go together.
    EXPECT_EQ(entry.iana == 3000, entry.private_44xx == 4401) << entry.name;
    if (entry.private_44xx == 4401) {
      EXPECT_EQ(entry.status, 401) << entry.name;
    }
  }
}

TEST(FailureTable, ChallengesOnlyWhereRfc6750Does) {
  for (const FailureRow& entry : failure_table()) {
    if (entry.challenge.empty()) continue;
    const bool invalid = entry.challenge == "invalid_token" && entry.status == 401;
    const bool scope = entry.challenge == "insufficient_scope" && entry.status == 403;
    EXPECT_TRUE(invalid || scope) << entry.name;
  }
}

TEST(FailureTable, AsksForPatienceWhereverTheServerIsBusy) {
  for (const FailureRow& entry : failure_table()) {
    EXPECT_EQ(entry.retry_after, entry.status == 429 || entry.status == 502 || entry.status == 503)
        << entry.name;
  }
}

TEST(FailureTableDeathTest, HasNoRowForWhatIsNoFailure) {
  EXPECT_DEATH((void)row(static_cast<Failure>(255)), "index < kTable.size");
}

}  // namespace
}  // namespace sallyport::auth
