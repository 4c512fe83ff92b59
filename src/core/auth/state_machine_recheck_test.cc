// Asking a verifier again about a connection that lives.

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "core/auth/state_machine_test_support.h"

namespace sallyport::auth {
namespace {

using enum ActionKind;
using D = Deadline;
using List = std::vector<Action>;

PrincipalRef rechecked_every(base::Milliseconds interval, base::Milliseconds life = 10min) {
  Principal who = *person(life);
  who.recheck_every = interval;
  return std::make_shared<const Principal>(std::move(who));
}

Driven open(const PrincipalRef& who) {
  Driven d;
  d.authenticate(who);
  return d;
}

TEST(Recheck, IsNotMadeUnlessThePrincipalSaysSo) {
  EXPECT_FALSE(open(person(10min)).armed(D::kRecheck));
}

TEST(Recheck, ComesAgainAfterEachAnswer) {
  Driven d = open(rechecked_every(30s));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(d.left(D::kRecheck), 30s);
    d.pass(30s);
    EXPECT_EQ(d.due(D::kRecheck), (List{{kStartRecheck}}));
    d.pass(1s);
    EXPECT_EQ(d.send(Rechecked{d.state.recheck_generation(), d.state.principal()}), List{});
  }
}

TEST(Recheck, CostsTheSameHoweverManyMessagesFlow) {
  Driven d = open(rechecked_every(30s));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(d.send(MessageReceived{}), (List{{kDeliver}}));
  EXPECT_EQ(d.left(D::kRecheck), 30s);
}

TEST(Recheck, IsMadeAgainWhenItsAnswerNeverComes) {
  Driven d = open(rechecked_every(1s));
  d.pass(1s);
  EXPECT_EQ(d.due(D::kRecheck), (List{{kStartRecheck}}));
  const std::uint32_t first = d.state.recheck_generation();
  EXPECT_EQ(d.left(D::kRecheck), d.policy.verify_timeout);
  d.pass(d.policy.verify_timeout);
  EXPECT_EQ(d.due(D::kRecheck), (List{{kStartRecheck}}));
  EXPECT_EQ(d.send(Rechecked{first}), (List{{kCountStale}})) << "the first question is forgotten";
  EXPECT_TRUE(d.state.authenticated());
}

TEST(Recheck, LeavesTheOldEndWhereNobodyCouldBeAsked) {
  Driven d = open(rechecked_every(30s));
  d.pass(30s);
  (void)d.due(D::kRecheck);
  EXPECT_EQ(d.send(Rechecked{d.state.recheck_generation(), {}, Failure::kUnavailable}), List{});
  EXPECT_EQ(d.left(D::kExpiry), 10min + kLeeway - 30s);
  EXPECT_TRUE(d.armed(D::kRecheck));
}

TEST(Recheck, TakesALaterEndOver) {
  Driven d = open(rechecked_every(30s));
  d.pass(30s);
  (void)d.due(D::kRecheck);
  EXPECT_EQ(d.send(Rechecked{d.state.recheck_generation(), rechecked_every(30s, 20min)}),
            (List{{kReplacePrincipal}, {kRecheckSubscriptions}}));
  EXPECT_EQ(d.left(D::kExpiry), 20min + kLeeway - 30s);
}

TEST(Recheck, TakesAnEarlierEndOver) {
  Driven d = open(rechecked_every(30s));
  d.pass(30s);
  (void)d.due(D::kRecheck);
  (void)d.send(Rechecked{d.state.recheck_generation(), rechecked_every(30s, 1min)});
  EXPECT_EQ(d.left(D::kExpiry), 1min + kLeeway - 30s);
}

TEST(Recheck, OfTheOldCredentialIsForgottenWhenANewOneHolds) {
  Driven d = open(rechecked_every(30s));
  d.pass(30s);
  (void)d.due(D::kRecheck);
  const std::uint32_t old = d.state.recheck_generation();
  (void)d.send(CredentialsReceived{});
  (void)d.send(Verified{.generation = d.state.generation(), .principal = rechecked_every(30s, 20min)});
  EXPECT_EQ(d.send(Rechecked{old}), (List{{kCountStale}}));
  EXPECT_TRUE(d.state.authenticated());
}

TEST(Recheck, BesideARefreshLeavesTheRefreshItsDeadline) {
  Driven d = open(rechecked_every(30s));
  d.pass(30s);
  (void)d.due(D::kRecheck);
  (void)d.send(CredentialsReceived{});
  ASSERT_EQ(d.state.phase(), Phase::kReauthenticating);
  const auto left = d.left(D::kVerify);
  (void)d.send(Rechecked{d.state.recheck_generation(), rechecked_every(30s, 20min)});
  EXPECT_EQ(d.state.phase(), Phase::kReauthenticating);
  EXPECT_EQ(d.left(D::kVerify), left);
}

TEST(Recheck, DoesNotOutliveTheConnection) {
  Driven d = open(rechecked_every(30s));
  d.pass(30s);
  (void)d.due(D::kRecheck);
  (void)d.send(Revoked{});
  EXPECT_FALSE(d.armed(D::kRecheck));
  EXPECT_EQ(d.send(Rechecked{d.state.recheck_generation()}), List{});
}

TEST(Recheck, CannotBeAskedForMoreOftenThanTenTimesASecond) {
  EXPECT_EQ(open(rechecked_every(0ms)).left(D::kRecheck), 100ms);
  EXPECT_EQ(open(rechecked_every(-1h)).left(D::kRecheck), 100ms);
}

TEST(ClockStep, BringsTheWarningForwardToo) {
  Driven d = open(person(10min));
  ASSERT_EQ(d.left(D::kRefresh), 10min - 30s);
  d.now.wall += 9min;
  (void)d.send(ClockStepped{});
  EXPECT_EQ(d.left(D::kRefresh), 30s);
  EXPECT_EQ(d.left(D::kExpiry), 1min + kLeeway);
}

}  // namespace
}  // namespace sallyport::auth
