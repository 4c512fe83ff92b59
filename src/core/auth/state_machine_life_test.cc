#include "core/auth/state_machine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
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

// ---- Being there

TEST(StateMachine, PingsAfterASilenceAndGivesUpAfterALongerOne) {
  Driven d = open(1h);  // ping_interval 25 s, idle_timeout 60 s
  d.pass(25s);
  EXPECT_EQ(d.due(D::kPing), (List{{kSendPing}}));
  EXPECT_EQ(d.left(D::kPong), 35s);
  d.pass(25s);
  EXPECT_EQ(d.due(D::kPing), (List{{kSendPing}}));
  EXPECT_EQ(d.left(D::kPong), 10s) << "another ping is no extension";
  d.pass(10s - 1ms);
  EXPECT_EQ(d.due(D::kPong), (List{{kCountStale}}));
  d.pass(1ms);
  EXPECT_EQ(d.due(D::kPong), (List{{kCloseNow, Failure::kIdleTimeout},
                                   {kUnregister},
                                   {kOnClose, Failure::kIdleTimeout},
                                   {kDropTransport}}));
  EXPECT_EQ(d.state.phase(), Phase::kClosed);
}

TEST(StateMachine, NeverArmsAPingForThisVeryMoment) {
  Policy policy;
  policy.ping_interval = 0ms;
  policy.idle_timeout = 1ms;
  Driven d = open(1h, policy);
  d.pass(1ms);
  EXPECT_EQ(d.due(D::kPing), (List{{kSendPing}}));
  EXPECT_EQ(d.left(D::kPing), 1ms);
}

TEST(StateMachine, CountsIdlenessFromTheLastByteOfThePeer) {
  Driven d = open(1h);
  d.pass(25s);
  d.due(D::kPing);
  d.pass(1s);
  d.state.heard(d.now.mono);  // the pong, at 26 s
  d.pass(24s);
  EXPECT_EQ(d.due(D::kPing), List{}) << "at 50 s: silent for less than an interval";
  EXPECT_EQ(d.left(D::kPing), 1s);
  d.pass(1s);
  EXPECT_EQ(d.due(D::kPing), (List{{kSendPing}}));
  d.pass(9s);
  EXPECT_EQ(d.due(D::kPong), List{}) << "at 60 s: what was asked at 25 s has been answered";
  EXPECT_FALSE(d.armed(D::kPong));
  d.pass_until(D::kPing);
  EXPECT_EQ(d.due(D::kPing), (List{{kSendPing}}));
  EXPECT_EQ(d.state.deadline(D::kPong), kStart.mono + 26s + 60s);
}

TEST(StateMachine, DoesNotCountTheWaitForTheVerifierAsSilence) {
  Driven d;
  d.send(HeadReceived{});
  d.send(UpgradeParsed{.credentials = true});
  d.pass(4s);
  d.send(Verified{.generation = 1, .principal = person(1h)});
  d.pass(25s);
  EXPECT_EQ(d.due(D::kPing), (List{{kSendPing}}));
  EXPECT_EQ(d.left(D::kPong), 35s);
}

TEST(StateMachine, DoesNotPingWhoSpeaks) {
  Driven d = open(1h);
  for (int i = 0; i < 20; ++i) {
    d.pass(20s);
    d.state.heard(d.now.mono);
    while (const auto which = d.state.passed(d.now.mono)) EXPECT_EQ(d.due(*which), List{});
  }
}

TEST(StateMachine, GivesAPeerAMomentToAnswerEvenWithAnIdleTimeoutBelowThePingInterval) {
  Policy policy;
  policy.idle_timeout = 10s;
  Driven d = open(1h, policy);
  d.pass(25s);
  EXPECT_EQ(d.due(D::kPing), (List{{kSendPing}}));
  EXPECT_GT(d.left(D::kPong), 0ms);
}

TEST(StateMachine, CanLeaveOutPingsAndIdleness) {
  Policy policy;
  policy.ping_interval = Policy::kUnlimited;
  EXPECT_FALSE(open(1h, policy).armed(D::kPing));
  policy.ping_interval = 25s;
  policy.idle_timeout = Policy::kUnlimited;
  Driven d = open(1h, policy);
  d.pass(25s);
  EXPECT_EQ(d.due(D::kPing), (List{{kSendPing}}));
  EXPECT_FALSE(d.armed(D::kPong));
}

TEST(StateMachine, DealsWithEveryDeadlineThatATimerFindsPassed) {
  for (const base::Milliseconds late :
       {25'000ms, 61'000ms, 570'000ms, 629'999ms, 630'000ms, 50'000'000ms}) {
    Driven d = open(10min);
    d.send(Draining{24h});
    d.pass(late);
    int steps = 0;
    while (const auto which = d.state.passed(d.now.mono)) {
      EXPECT_FALSE(std::ranges::count(d.due(*which), Action{kCountStale}));
      ASSERT_LE(++steps, static_cast<int>(kDeadlines));
    }
    EXPECT_GT(steps, 0);
  }
}

// ---- Ends

TEST(StateMachine, DrainsAtItsShareOfTheWindowAndWorksUntilThen) {
  Driven d = open(10min);
  EXPECT_EQ(d.send(Draining{7s}), List{});
  d.pass(7s - 1ms);
  EXPECT_EQ(d.send(MessageReceived{}), (List{{kDeliver}}));
  EXPECT_EQ(d.due(D::kDrain), (List{{kCountStale}}));
  d.pass(1ms);
  EXPECT_EQ(d.due(D::kDrain), ended(Failure::kDraining));
}

TEST(StateMachine, RemembersADrainThroughVerificationAndRefresh) {
  Policy policy;
  policy.first_message_allowed = true;
  Driven d(policy);
  d.send(HeadReceived{});
  d.send(UpgradeParsed{});
  d.send(Draining{7s});
  d.send(CredentialsReceived{});
  EXPECT_EQ(d.left(D::kDrain), 7s);
  d.send(Verified{.generation = 1, .principal = person(10min)});
  EXPECT_EQ(d.left(D::kDrain), 7s);
  d.refresh(person(20min));
  EXPECT_EQ(d.left(D::kDrain), 7s);
  d.pass(7s);
  EXPECT_EQ(d.due(D::kDrain), ended(Failure::kDraining));
  EXPECT_FALSE(d.armed(D::kDrain));
}

TEST(StateMachine, RefusesAHandshakeAtOnceWhenDraining) {
  Driven d;
  EXPECT_EQ(d.send(Draining{10s}), (List{{kRejectUpgrade, Failure::kDraining}}));
}

TEST(StateMachine, WaitsForThePeersCloseForItsTimeAndNoLonger) {
  Driven d = open(10min);
  d.send(Revoked{});
  EXPECT_EQ(d.left(D::kClose), 2s);
  EXPECT_EQ(d.state.next_deadline(), d.now.mono + 2s);
  d.pass(2s - 1ms);
  EXPECT_EQ(d.due(D::kClose), (List{{kCountStale}}));
  for (const Event& event : one_of_each()) {
    if (std::holds_alternative<PeerClosed>(event)) continue;
    if (std::holds_alternative<TransportLost>(event)) continue;
    d.send(event);
  }
  EXPECT_EQ(d.left(D::kClose), 1ms) << "nothing prolongs it";
  d.pass(1ms);
  EXPECT_EQ(d.due(D::kClose), (List{{kDropTransport}}));
  EXPECT_EQ(d.state.phase(), Phase::kClosed);
  EXPECT_EQ(d.state.next_deadline(), base::kNever);
}

TEST(StateMachine, CallsOnCloseOnceWhateverEndsItAndWhateverFollows) {
  const std::vector<Event> ends{Revoked{},
                                Rechecked{.generation = 1},
                                Violation{Failure::kPolicy},
                                CloseRequested{},
                                PeerClosed{},
                                TransportLost{},
                                SendQueueOverLimit{},
                                CloseRequested{Failure::kEvicted}};
  const auto count = [](const List& actions, ActionKind kind) {
    return std::ranges::count(actions, kind, &Action::kind);
  };
  for (const Event& end : ends) {
    for (const Event& after : one_of_each()) {
      Driven d = open(10min);
      const List first = d.send(end);
      EXPECT_EQ(count(first, kOnClose), 1) << name_of(end);
      EXPECT_EQ(count(first, kUnregister), 1) << name_of(end);
      List rest = d.send(after);
      d.pass(24h);
      std::ranges::copy(d.due(D::kClose), std::back_inserter(rest));
      std::ranges::copy(d.send(TransportLost{}), std::back_inserter(rest));
      EXPECT_EQ(count(rest, kOnClose) + count(rest, kUnregister) + count(rest, kDeliver), 0)
          << name_of(end) << ", then " << name_of(after);
      EXPECT_EQ(d.state.phase(), Phase::kClosed);
    }
  }
}

TEST(StateMachine, NeverCallsOnCloseWhereOpenWasNeverCalled) {
  Policy policy;
  policy.first_message_allowed = true;
  Driven d(policy);
  d.send(HeadReceived{});
  d.send(UpgradeParsed{});
  d.send(CredentialsReceived{});
  EXPECT_EQ(d.send(VerifyFailed{1, Failure::kInvalidToken}),
            (List{{kCancelVerify}, {kClose, Failure::kInvalidToken}}));
  EXPECT_EQ(d.send(TransportLost{}), List{});
}

TEST(StateMachine, SaysWhyInOnCloseOnlyWhereItWasNotThePeerOrTheApplication) {
  const auto why = [](const Event& event) {
    const List actions = open(10min).send(event);
    return std::ranges::find(actions, kOnClose, &Action::kind)->failure;
  };
  EXPECT_EQ(why(TransportLost{}), std::nullopt);
  EXPECT_EQ(why(PeerClosed{}), std::nullopt);
  EXPECT_EQ(why(CloseRequested{}), std::nullopt);
  EXPECT_EQ(why(Revoked{Failure::kLoggedOut}), Failure::kLoggedOut);
  EXPECT_EQ(why(CloseRequested{Failure::kEvicted}), Failure::kEvicted);
  EXPECT_EQ(why(SendQueueOverLimit{}), Failure::kSlowConsumer);
}

}  // namespace
}  // namespace sallyport::auth
