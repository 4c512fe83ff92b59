#include "core/auth/state_machine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/auth/state_machine_test_support.h"

namespace sallyport::auth {
namespace {

using enum ActionKind;
using D = Deadline;
using List = std::vector<Action>;

List ended(Failure failure) {
  return {{kClose, failure}, {kUnregister}, {kOnClose, failure}};
}

Driven open(base::Milliseconds life = 10min, Policy policy = {}) {
  Driven d(policy);
  d.authenticate(person(life));
  return d;
}

// ---- The way in

TEST(StateMachine, ArmsOneDeadlineForEachStageOfTheHandshake) {
  Policy policy;
  policy.first_message_allowed = true;
  policy.handshake_timeout = 1s;
  policy.middleware_timeout = 2s;
  policy.auth_timeout = 3s;
  policy.verify_timeout = 4s;
  Driven d(policy);
  const auto only = [&d](D which, base::Milliseconds left) {
    for (std::size_t i = 0; i < kDeadlines; ++i) {
      EXPECT_EQ(d.armed(static_cast<D>(i)), static_cast<D>(i) == which) << i;
    }
    EXPECT_EQ(d.left(which), left);
    EXPECT_EQ(d.state.next_deadline(), d.now.mono + left);
  };
  only(D::kHandshake, 1s);
  d.pass(100ms);
  d.send(HeadReceived{});
  only(D::kMiddleware, 2s);
  d.pass(100ms);
  d.send(UpgradeParsed{});
  only(D::kAuth, 3s);
  d.pass(100ms);
  d.send(CredentialsReceived{});
  only(D::kVerify, 4s);
}

TEST(StateMachine, DoesNotLetBytesPutOffTheHandshakeDeadline) {
  Driven d;
  for (int i = 0; i < 5; ++i) {
    d.pass(1s);
    d.state.heard(d.now.mono);
  }
  EXPECT_EQ(d.due(D::kHandshake), (List{{kRejectUpgrade, Failure::kHandshakeTimeout}}));
}

TEST(StateMachine, DoesNotLetBytesPutOffTheFirstMessage) {
  Policy policy;
  policy.first_message_allowed = true;
  Driven d(policy);
  d.send(HeadReceived{});
  d.send(UpgradeParsed{});
  for (int i = 0; i < 5; ++i) {
    d.pass(1s);
    d.state.heard(d.now.mono);
  }
  EXPECT_EQ(d.due(D::kAuth), (List{{kClose, Failure::kAuthTimeout}}));
}

TEST(StateMachine, ArmsWhatAnAuthenticatedConnectionNeeds) {
  Driven d = open(10min);
  EXPECT_EQ(d.left(D::kExpiry), 10min + kLeeway);
  EXPECT_EQ(d.left(D::kRefresh), 10min - 30s);
  EXPECT_EQ(d.left(D::kSession), 12h);
  EXPECT_EQ(d.left(D::kPing), 25s);
  for (const D which : {D::kHandshake, D::kMiddleware, D::kAuth, D::kVerify, D::kPong, D::kClose}) {
    EXPECT_FALSE(d.armed(which)) << static_cast<int>(which);
  }
  EXPECT_EQ(d.state.authority_end(), kStart.wall + 10min + kLeeway);
  EXPECT_EQ(d.state.principal()->subject, "alice");
}

TEST(StateMachine, LetsARevocationDuringTheVerificationWin) {
  Driven d;
  d.send(HeadReceived{});
  d.send(UpgradeParsed{.credentials = true});
  EXPECT_EQ(d.send(Revoked{}), (List{{kCancelVerify}, {kRejectUpgrade, Failure::kTokenRevoked}}));
  EXPECT_EQ(d.send(Verified{.generation = 1, .principal = person(10min)}), List{});
  EXPECT_EQ(d.state.principal(), nullptr);
  EXPECT_FALSE(d.state.upgraded());
}

// ---- The end of the authority

TEST(StateMachine, EndsExactlyAtExpiryPlusLeewayWhicheverEventComes) {
  for (const Event& event : {Event(MessageReceived{}), Event(Delivery{})}) {
    Driven d = open(10min);
    d.pass(10min + kLeeway - 1ms);
    EXPECT_EQ(d.send(event), (List{{kDeliver}})) << name_of(event);
    d.pass(1ms);
    EXPECT_EQ(d.send(event), ended(Failure::kTokenExpired)) << name_of(event);
  }
  Driven d = open(10min);
  d.pass(10min + kLeeway - 1ms);
  EXPECT_NE(d.state.passed(d.now.mono), D::kExpiry);
  EXPECT_EQ(d.due(D::kExpiry), (List{{kCountStale}}));
  d.pass(1ms);
  EXPECT_EQ(d.state.passed(d.now.mono), D::kExpiry);
  EXPECT_EQ(d.due(D::kExpiry), ended(Failure::kTokenExpired));
}

TEST(StateMachine, EndsOnAMessageWhenTheTimerIsLate) {
  Driven d = open(10min);
  d.pass(24h);
  EXPECT_EQ(d.send(Delivery{}), ended(Failure::kTokenExpired));
  EXPECT_EQ(d.send(Delivery{}), List{});
}

TEST(StateMachine, EndsAtOnceWhenTheWallClockIsSetPastTheEnd) {
  Driven d = open(10min);
  d.set_wall_clock(10min + kLeeway);
  EXPECT_EQ(d.send(ClockStepped{}), ended(Failure::kTokenExpired));

  Driven unnoticed = open(10min);
  unnoticed.set_wall_clock(10min + kLeeway);
  EXPECT_EQ(unnoticed.send(MessageReceived{}), ended(Failure::kTokenExpired));
}

TEST(StateMachine, ComesEarlierWhenTheWallClockIsSetForward) {
  Driven d = open(10min);
  d.set_wall_clock(4min);
  EXPECT_EQ(d.send(ClockStepped{}), List{});
  EXPECT_EQ(d.left(D::kExpiry), 6min + kLeeway);
  d.pass(6min + kLeeway);
  EXPECT_EQ(d.due(D::kExpiry), ended(Failure::kTokenExpired));
}

TEST(StateMachine, DoesNotLiveLongerWhenTheWallClockIsSetBack) {
  for (const bool noticed : {true, false}) {
    Driven d = open(10min);
    d.set_wall_clock(-1h);
    if (noticed) {
      EXPECT_EQ(d.send(ClockStepped{}), List{});
    }
    EXPECT_EQ(d.left(D::kExpiry), 10min + kLeeway);
    d.pass(10min + kLeeway);
    EXPECT_EQ(d.send(MessageReceived{}), ended(Failure::kTokenExpired));
  }
}

TEST(StateMachine, KeepsTheEarlierEndWhenTheWallClockGoesForthAndBack) {
  Driven d = open(10min);
  d.set_wall_clock(5min);
  d.send(ClockStepped{});
  d.set_wall_clock(-5min);
  d.send(ClockStepped{});
  EXPECT_EQ(d.left(D::kExpiry), 5min + kLeeway);
}

TEST(StateMachine, TakesTheExpiryItselfWhereAVerifierNamesNoLeeway) {
  Principal who = *person(10min);
  who.valid_until.reset();
  Driven d;
  d.authenticate(std::make_shared<const Principal>(std::move(who)));
  EXPECT_EQ(d.left(D::kExpiry), 10min);
  d.set_wall_clock(10min);
  EXPECT_EQ(d.send(MessageReceived{}), ended(Failure::kTokenExpired));
}

TEST(StateMachine, HasNoExpiryForACredentialWithoutAnEndButASession) {
  Driven d;
  d.authenticate(endless());
  EXPECT_FALSE(d.armed(D::kExpiry));
  EXPECT_FALSE(d.armed(D::kRefresh));
  EXPECT_EQ(d.state.authority_end(), base::kForever);
  d.pass(12h - 1ms);
  EXPECT_EQ(d.send(MessageReceived{}), (List{{kDeliver}}));
  d.pass(1ms);
  EXPECT_EQ(d.due(D::kSession), ended(Failure::kSessionEnded));
}

TEST(StateMachine, EndsASessionAtItsMaximumWhateverWasRefreshed) {
  Policy policy;
  policy.max_session = 1h;
  Driven d = open(50min, policy);
  d.pass(40min);
  d.refresh(person(2h));
  EXPECT_EQ(d.left(D::kSession), 20min);
  d.pass(20min - 1ms);
  EXPECT_EQ(d.due(D::kSession), (List{{kCountStale}}));
  EXPECT_EQ(d.send(Delivery{}), (List{{kDeliver}}));
  d.pass(1ms);
  EXPECT_EQ(d.send(Delivery{}), ended(Failure::kSessionEnded));
}

TEST(StateMachine, CanHaveNoMaximumForASession) {
  Policy policy;
  policy.max_session = Policy::kUnlimited;
  Driven d = open(10min, policy);
  EXPECT_FALSE(d.armed(D::kSession));
  d.refresh(person(20 * 24h));
  d.pass(19 * 24h);
  EXPECT_EQ(d.send(Delivery{}), (List{{kDeliver}}));
}

// ---- The warning

base::Milliseconds warned_after(base::Milliseconds life, base::Milliseconds lead) {
  return warning_time(*person(life), lead, kStart.wall) - kStart.wall;
}

TEST(WarningTime, IsTheLeadBeforeTheExpiryAndNotBeforeTheLeeway) {
  EXPECT_EQ(warned_after(10min, 30s), 10min - 30s);
  EXPECT_EQ(warned_after(10min, 0ms), 10min);
}

TEST(WarningTime, TakesAtMostAFifthOfTheLife) {
  EXPECT_EQ(warned_after(150s, 30s), 120s);
  EXPECT_EQ(warned_after(149s, 30s), 149s - 29'800ms);
  EXPECT_EQ(warned_after(60s, 30s), 48s);
  EXPECT_EQ(warned_after(10min, Policy::kUnlimited), 8min);
}

TEST(WarningTime, CountsTheLifeFromTheIssueNotFromThisConnection) {
  // A minute is left of ten: half a minute is a lead that this token's life allows.
  const auto token = person(10min);
  EXPECT_EQ(warning_time(*token, 30s, kStart.wall + 9min), kStart.wall + 10min - 30s);
}

TEST(WarningTime, CountsFromNowWhereTheIssueIsUnknownOrInTheFuture) {
  Principal who = *person(10min);
  who.issued_at.reset();
  EXPECT_EQ(warning_time(who, 30s, kStart.wall + 9min), kStart.wall + 10min - 12s);
  who.issued_at = kStart.wall + 9min + 20s;  // within the leeway for iat
  EXPECT_EQ(warning_time(who, 30s, kStart.wall + 9min), kStart.wall + 10min - 12s);
}

TEST(WarningTime, IsPastForACredentialThatLivesOnItsLeeway) {
  EXPECT_EQ(warning_time(*person(10min), 30s, kStart.wall + 10min + 5s), kStart.wall + 10min - 30s);
  Driven d;
  d.pass(10min + 5s);
  d.policy.handshake_timeout = 1h;
  d.authenticate(person(10min));
  EXPECT_EQ(d.state.passed(d.now.mono), D::kRefresh);
  EXPECT_EQ(d.due(D::kRefresh), (List{{kSendExpiring}}));
}

TEST(WarningTime, HoldsAtTheEndsOfWhatANumericDateMaySay) {
  const base::WallTime far(std::chrono::seconds((std::int64_t{1} << 53) - 1));
  const base::WallTime long_ago(std::chrono::seconds(1 - (std::int64_t{1} << 53)));
  Principal who;
  who.issued_at = long_ago;
  who.expires_at = far;
  who.valid_until = far + 24h;
  EXPECT_EQ(warning_time(who, 30s, kStart.wall), far - 30s);
  who.expires_at = long_ago;
  EXPECT_EQ(warning_time(who, 30s, kStart.wall), long_ago);
  who.expires_at = base::WallTime::min();
  EXPECT_EQ(warning_time(who, 30s, kStart.wall), base::WallTime::min());
  who.expires_at = base::kForever;
  EXPECT_EQ(warning_time(who, 30s, kStart.wall), base::kForever - 30s);
  who.expires_at.reset();
  EXPECT_EQ(warning_time(who, 30s, kStart.wall), base::kForever);
}

TEST(StateMachine, KeepsDeadlinesThatLieBeyondTheClock) {
  Driven d;
  Principal who = *endless();
  who.expires_at = base::kForever - 1ms;
  who.valid_until = base::kForever - 1ms;
  d.authenticate(std::make_shared<const Principal>(std::move(who)));
  EXPECT_GT(d.left(D::kExpiry), 1000 * 24h);
  EXPECT_EQ(d.send(Delivery{}), (List{{kDeliver}}));
}

TEST(StateMachine, WarnsOnceForEachCredential) {
  Driven d = open(10min);
  d.pass_until(D::kRefresh);
  EXPECT_EQ(d.due(D::kRefresh), (List{{kSendExpiring}}));
  EXPECT_FALSE(d.armed(D::kRefresh));
  EXPECT_EQ(d.due(D::kRefresh), (List{{kCountStale}}));
  d.refresh(person(20min));
  EXPECT_EQ(d.state.deadline(D::kRefresh), kStart.mono + 20min - 30s);
}

TEST(StateMachine, PutsWhatEndsBeforeWhatWarnsWhenATimerIsLate) {
  Driven d = open(10min);
  d.pass(24h);
  EXPECT_EQ(d.state.passed(d.now.mono), D::kExpiry);
  EXPECT_EQ(d.state.passed(kStart.mono), std::nullopt);
  EXPECT_EQ(d.state.passed(kStart.mono + 25s), D::kPing);
}

// ---- Refreshing

TEST(StateMachine, LetsTheOldPrincipalHoldUntilTheNewOneIsProven) {
  Driven d = open(10min);
  const PrincipalRef before = d.state.principal();
  d.pass(9min);
  EXPECT_EQ(d.send(CredentialsReceived{}), (List{{kStartVerify}}));
  EXPECT_EQ(d.state.generation(), 2U);
  EXPECT_EQ(d.left(D::kVerify), 5s);
  EXPECT_EQ(d.state.principal(), before);
  EXPECT_EQ(d.send(MessageReceived{}), (List{{kDeliver}}));
  EXPECT_EQ(d.send(Delivery{}), (List{{kDeliver}}));
  EXPECT_EQ(d.left(D::kExpiry), 1min + kLeeway);
}

TEST(StateMachine, TakesTheNewEndWhetherItIsLaterOrEarlier) {
  for (const base::Milliseconds life : {base::Milliseconds(1h), base::Milliseconds(3min)}) {
    Driven d = open(10min);
    d.pass(2min);
    const auto fresh = person(life);
    EXPECT_EQ(d.refresh(fresh),
              (List{{kReplacePrincipal}, {kSendRefreshed}, {kRecheckSubscriptions}}));
    EXPECT_EQ(d.state.principal(), fresh);
    EXPECT_EQ(d.state.deadline(D::kExpiry), kStart.mono + life + kLeeway);
    EXPECT_EQ(d.state.authority_end(), kStart.wall + life + kLeeway);
    EXPECT_EQ(d.state.deadline(D::kRefresh),
              kStart.mono + life - std::min<base::Milliseconds>(30s, life / 5));
    EXPECT_FALSE(d.armed(D::kVerify));
    EXPECT_TRUE(d.state.opened());
    d.pass_until(D::kExpiry);
    EXPECT_EQ(d.send(MessageReceived{}), ended(Failure::kTokenExpired));
  }
}

TEST(StateMachine, NeverChangesIssuerOrSubject) {
  const std::vector<std::pair<std::string, std::string>> others{
      {"mallory", "https://id.example"}, {"alice", "https://id.example/"},
      {"Alice", "https://id.example"},   {"", "https://id.example"},
      {"alice ", "https://id.example"},  {"https://id.example", "alice"}};
  for (const auto& [subject, issuer] : others) {
    Driven d = open(10min);
    const PrincipalRef before = d.state.principal();
    EXPECT_EQ(d.refresh(person(20min, subject, issuer)).at(1),
              (Action{kClose, Failure::kSubjectChanged}));
    EXPECT_EQ(d.state.principal(), before);
    EXPECT_EQ(d.state.phase(), Phase::kClosing);
  }
}

TEST(StateMachine, KeepsTheOldDeadlineWhenTheVerifierCannotBeAsked) {
  for (const bool timeout : {false, true}) {
    Driven d = open(10min);
    const PrincipalRef before = d.state.principal();
    d.pass(10min + kLeeway - 10s);
    d.send(CredentialsReceived{});
    if (timeout) {
      d.pass_until(D::kVerify);
      EXPECT_EQ(d.due(D::kVerify), (List{{kCancelVerify}, {kSendError, Failure::kUnavailable}}));
    } else {
      EXPECT_EQ(d.send(VerifyFailed{2, Failure::kUnavailable}),
                (List{{kSendError, Failure::kUnavailable}}));
    }
    EXPECT_EQ(d.state.phase(), Phase::kAuthenticated);
    EXPECT_EQ(d.state.principal(), before);
    EXPECT_EQ(d.state.deadline(D::kExpiry), kStart.mono + 10min + kLeeway);
    EXPECT_FALSE(d.armed(D::kVerify));
    d.pass_until(D::kExpiry);
    EXPECT_EQ(d.due(D::kExpiry), ended(Failure::kTokenExpired));
  }
}

TEST(StateMachine, ExpiresInTheMiddleOfARefresh) {
  Driven d = open(10min);
  d.pass(10min + kLeeway - 1s);
  d.send(CredentialsReceived{});
  d.pass(1s);
  EXPECT_EQ(d.due(D::kExpiry), (List{{kCancelVerify},
                                     {kClose, Failure::kTokenExpired},
                                     {kUnregister},
                                     {kOnClose, Failure::kTokenExpired}}));
  EXPECT_EQ(d.send(Verified{.generation = 2, .principal = person(1h)}), List{});
  EXPECT_EQ(d.state.phase(), Phase::kClosing);
}

TEST(StateMachine, DropsAndCountsAnAnswerThatComesTooLate) {
  Driven d = open(10min);
  d.send(CredentialsReceived{});
  d.pass_until(D::kVerify);
  d.due(D::kVerify);
  EXPECT_EQ(d.send(Verified{.generation = 2, .principal = person(24h)}), (List{{kCountStale}}));
  EXPECT_EQ(d.send(VerifyFailed{2, Failure::kInvalidToken}), (List{{kCountStale}}));
  d.send(CredentialsReceived{});
  EXPECT_EQ(d.state.generation(), 3U);
  EXPECT_EQ(d.send(Verified{.generation = 2, .principal = person(24h)}), (List{{kCountStale}}));
  EXPECT_EQ(d.send(VerifyFailed{2, Failure::kInvalidToken}), (List{{kCountStale}}));
  EXPECT_EQ(d.state.phase(), Phase::kReauthenticating);
  EXPECT_EQ(d.left(D::kExpiry), 10min + kLeeway - 5s);
}

TEST(StateMachine, AllowsSoManyRefreshesAMinuteAndNotOneMore) {
  Policy policy;
  policy.refreshes_per_minute = 3;
  Driven d = open(1h, policy);
  for (int i = 0; i < 3; ++i) {
    d.pass(10s);
    d.refresh(person(1h));
    EXPECT_EQ(d.state.phase(), Phase::kAuthenticated) << i;
  }
  d.pass(40s - 1ms);  // a minute after the first, less a millisecond
  EXPECT_EQ(d.send(CredentialsReceived{}), ended(Failure::kRateLimited));
}

TEST(StateMachine, AllowsRefreshesAgainInTheNextMinute) {
  Policy policy;
  policy.refreshes_per_minute = 3;
  Driven d = open(1h, policy);
  d.pass(10s);
  for (int i = 0; i < 3; ++i) d.refresh(person(1h));
  d.pass(1min);
  for (int i = 0; i < 3; ++i) {
    d.refresh(person(1h));
    EXPECT_EQ(d.state.phase(), Phase::kAuthenticated) << i;
  }
  EXPECT_EQ(d.send(CredentialsReceived{}), ended(Failure::kRateLimited));
}

TEST(StateMachine, CountsRefreshesThatCameToNothing) {
  Policy policy;
  policy.refreshes_per_minute = 2;
  Driven d = open(1h, policy);
  for (std::uint32_t i = 0; i < 2; ++i) {
    d.send(CredentialsReceived{});
    d.send(VerifyFailed{2 + i, Failure::kUnavailable});
  }
  EXPECT_EQ(d.send(CredentialsReceived{}), ended(Failure::kRateLimited));
}

}  // namespace
}  // namespace sallyport::auth
