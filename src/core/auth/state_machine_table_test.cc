#include "core/auth/state_machine.h"

#include <gtest/gtest.h>

#include <array>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/auth/state_machine_test_support.h"

// The table of the authentication model, row by row: from every situation, with every event and
// every guard, to the next phase with exactly these actions.

namespace sallyport::auth {
namespace {

using enum ActionKind;
using enum Failure;
using enum Phase;
using D = Deadline;
using List = std::vector<Action>;

// A phase, and what else about the past tells its rows apart.
enum class At {
  kHead,             // Upgrading, the head is being read
  kMiddleware,       // Upgrading, the head is complete
  kChecking,         // Verifying before the 101
  kVestibule,        // AwaitingCredentials
  kCheckingMessage,  // Verifying after the 101
  kOpen,             // Authenticated
  kRefreshing,       // Reauthenticating
  kRefused,          // Closing without a 101
  kLeaving,          // Closing after one
  kGone,             // Closed
};
constexpr std::array kEverywhere{
    At::kHead, At::kMiddleware, At::kChecking, At::kVestibule, At::kCheckingMessage,
    At::kOpen, At::kRefreshing, At::kRefused,  At::kLeaving,   At::kGone};
constexpr std::array<const char*, 10> kNames{
    "Head", "Middleware", "Checking", "Vestibule", "CheckingMessage",
    "Open", "Refreshing", "Refused",  "Leaving",   "Gone"};
constexpr std::array kPhaseOf{kUpgrading, kUpgrading,     kVerifying,        kAwaitingCredentials,
                              kVerifying, kAuthenticated, kReauthenticating, kClosing,
                              kClosing,   kClosed};

bool opened(At at) {
  return at == At::kOpen || at == At::kRefreshing;
}
bool running(At at) {
  return at == At::kChecking || at == At::kCheckingMessage || at == At::kRefreshing;
}
bool upgraded(At at) {
  return at == At::kVestibule || at == At::kCheckingMessage || opened(at);
}
bool live(At at) {
  return at < At::kRefused;
}

// When a row happens, from the start. kDue: at the moment of the deadline that the event names.
struct When {
  base::Milliseconds mono{0};
  base::Milliseconds wall{0};
  bool due = false;
};
constexpr When kNow{};
constexpr When kDue{.due = true};

struct Row {
  At from;
  Event event;
  Phase next;
  List actions;
  const char* guard = "";
  When when = kNow;
  void (*before)(Driven&) = nullptr;
};

const PrincipalRef& alice() {
  static const PrincipalRef who = person(10min);
  return who;
}
Verified proven(std::uint32_t generation, PrincipalRef who = alice(), bool revoked = false,
                std::optional<Failure> denied = {}) {
  return {
      .generation = generation, .principal = std::move(who), .revoked = revoked, .denied = denied};
}

// A machine in that situation at the start; the first generation is 1, a refresh's is 2.
Driven arrive(At at) {
  Policy policy;
  policy.max_session = 5min;
  policy.first_message_allowed = at == At::kVestibule || at == At::kCheckingMessage;
  Driven d(policy);
  if (at == At::kHead) return d;
  d.send(HeadReceived{});
  if (at == At::kMiddleware) return d;
  if (policy.first_message_allowed) {
    d.send(UpgradeParsed{});
    if (at == At::kCheckingMessage) d.send(CredentialsReceived{});
    return d;
  }
  if (at == At::kRefused) {
    d.send(UpgradeParsed{});
    return d;
  }
  d.send(UpgradeParsed{.credentials = true});
  if (at == At::kChecking) return d;
  d.send(proven(1));
  if (at == At::kRefreshing) d.send(CredentialsReceived{});
  if (at == At::kLeaving) d.send(Revoked{});
  if (at == At::kGone) d.send(TransportLost{});
  return d;
}

// What every end of a live connection consists of. Leaving a verification by whichever door cancels
// it; for one that has just answered that means nothing.
List ended(At at, Failure failure, ActionKind how = kClose) {
  List actions;
  if (running(at)) actions.push_back({kCancelVerify});
  actions.push_back({upgraded(at) ? how : kRejectUpgrade, failure});
  if (opened(at)) actions.insert(actions.end(), {{kUnregister}, {kOnClose, failure}});
  return actions;
}

void allow_first_message(Driven& d) {
  d.policy.first_message_allowed = true;
}
void allow_anonymous(Driven& d) {
  d.policy.anonymous_allowed = true;
}
void no_more_refreshes(Driven& d) {
  d.policy.refreshes_per_minute = 0;
}
void drain(Driven& d) {
  d.send(Draining{2s});
}
void ping(Driven& d) {
  d.pass_until(D::kPing);
  d.send(DeadlinePassed{D::kPing});
}
void speak_at_14s(Driven& d) {
  d.state.heard(kStart.mono + 14s);
}
void ping_then_speak(Driven& d) {
  ping(d);
  d.state.heard(d.now.mono + 1s);
}

// clang-format off
std::vector<Row> handshake_rows(At at) {
  const List start{{kPauseReads}, {kStartVerify}};
  return {
      {at, HeadReceived{}, kUpgrading, {}},
      {at, Answered{}, kClosing, {}},
      {at, UpgradeParsed{.refused = kBadRequest}, kClosing, {{kRejectUpgrade, kBadRequest}}, "malformed"},
      {at, UpgradeParsed{.refused = kOriginNotAllowed, .credentials = true}, kClosing, {{kRejectUpgrade, kOriginNotAllowed}}, "Origin"},
      {at, UpgradeParsed{.refused = kForbidden}, kClosing, {{kRejectUpgrade, kForbidden}}, "address", kNow, allow_first_message},
      {at, UpgradeParsed{.refused = kForbidden}, kClosing, {{kRejectUpgrade, kForbidden}}, "address", kNow, allow_anonymous},
      {at, UpgradeParsed{.credentials = true}, kVerifying, start, "credentials"},
      {at, UpgradeParsed{.credentials = true}, kVerifying, start, "credentials, though a message may bring them", kNow, allow_first_message},
      {at, UpgradeParsed{}, kAwaitingCredentials, {{kAcceptUpgrade}, {kResumeReads}}, "none, first message allowed", kNow, allow_first_message},
      {at, UpgradeParsed{}, kClosing, {{kRejectUpgrade, kMissingCredentials}}, "none, required"},
      // An anonymous principal is made by a verifier like any other.
      {at, UpgradeParsed{}, kVerifying, start, "none, anonymous spelled out", kNow, allow_anonymous},
  };
}

std::vector<Row> verification_rows(At at) {
  List open{{kRegister}, {kSendReady}, {kOpen}, {kResumeReads}};
  if (!upgraded(at)) open.insert(open.begin(), {kAcceptUpgrade});
  return {
      {at, proven(1), kAuthenticated, open, "permitted"},
      {at, proven(1, endless()), kAuthenticated, open, "permitted, without an end"},
      {at, proven(1, alice(), true), kClosing, ended(at, kTokenRevoked), "revoked"},
      {at, proven(1, alice(), true, kForbidden), kClosing, ended(at, kTokenRevoked), "revoked and not permitted"},
      {at, proven(1, alice(), false, kInsufficientScope), kClosing, ended(at, kInsufficientScope), "scope"},
      {at, proven(1, alice(), false, kForbidden), kClosing, ended(at, kForbidden), "not permitted"},
      {at, proven(1, person(-kLeeway)), kClosing, ended(at, kTokenExpired), "expired meanwhile"},
      {at, proven(1, person(1ms - kLeeway)), kAuthenticated, open, "one millisecond left"},
      {at, VerifyFailed{1, kInvalidToken}, kClosing, ended(at, kInvalidToken), "credential's fault"},
      {at, VerifyFailed{1, kTokenExpired}, kClosing, ended(at, kTokenExpired), "credential's fault"},
      {at, VerifyFailed{1, kUnavailable}, kClosing, ended(at, kUnavailable), "unavailable"},
      {at, DeadlinePassed{D::kVerify}, kClosing, ended(at, kUnavailable), "", kDue},
  };
}

std::vector<Row> vestibule_rows() {
  const At at = At::kVestibule;
  return {
      {at, CredentialsReceived{}, kVerifying, {{kPauseReads}, {kStartVerify}}},
      {at, MessageReceived{}, kClosing, ended(at, kPolicy), "any other message"},
      {at, Violation{kPolicy}, kClosing, ended(at, kPolicy), "over pre_auth_bytes"},
      {at, DeadlinePassed{D::kAuth}, kClosing, ended(at, kAuthTimeout), "", kDue},
  };
}

// What holds in Authenticated and, since the old principal still counts, in Reauthenticating.
std::vector<Row> authority_rows(At at) {
  const Phase same = kPhaseOf.at(static_cast<std::size_t>(at));
  const List expired = ended(at, kTokenExpired);
  constexpr When kLastMoment{.wall = 10min + kLeeway - 1ms};
  constexpr When kEndByWall{.wall = 10min + kLeeway};
  constexpr When kEndByMono{.mono = 10min + kLeeway};
  constexpr When kSession{.mono = 5min, .wall = 5min};
  constexpr When kBeforeSession{.mono = 5min - 1ms, .wall = 5min - 1ms};
  std::vector<Row> rows;
  for (const Event& flow : {Event(MessageReceived{}), Event(Delivery{})}) {
    rows.push_back({at, flow, same, {{kDeliver}}});
    rows.push_back({at, flow, same, {{kDeliver}}, "last moment by the wall clock", kLastMoment});
    rows.push_back({at, flow, same, {{kDeliver}}, "last moment of the session", kBeforeSession});
    rows.push_back({at, flow, kClosing, expired, "expired by the wall clock", kEndByWall});
    rows.push_back({at, flow, kClosing, expired, "expired, and the clock was set back", kEndByMono});
    rows.push_back({at, flow, kClosing, ended(at, kSessionEnded), "max_session", kSession});
  }
  const List app_close = opened(at) && running(at)
                             ? List{{kCancelVerify}, {kCloseApplication}, {kUnregister}, {kOnClose}}
                             : List{{kCloseApplication}, {kUnregister}, {kOnClose}};
  List gone_silent = ended(at, kIdleTimeout, kCloseNow);
  gone_silent.push_back({kDropTransport});
  const std::vector<Row> more{
      {at, Rechecked{1, person(20min)}, same, {{kReplacePrincipal}, {kRecheckSubscriptions}}, "active"},
      {at, Rechecked{1}, kClosing, ended(at, kTokenRevoked), "no longer active"},
      {at, Rechecked{1, {}, kInvalidToken}, kClosing, ended(at, kTokenRevoked), "refused now"},
      {at, Rechecked{1, {}, kTokenExpired}, kClosing, expired, "expired by its own account"},
      {at, Rechecked{1, {}, kForbidden}, kClosing, ended(at, kForbidden), "not permitted any more"},
      {at, Rechecked{1, {}, kInternal}, kClosing, ended(at, kInternal), "the verifier threw"},
      {at, Rechecked{1, {}, kUnavailable}, same, {}, "nobody to ask"},
      {at, Rechecked{1, person(20min, "mallory")}, kClosing, ended(at, kSubjectChanged), "someone else"},
      {at, Rechecked{1, person(20min), kTokenRevoked, true}, kClosing, ended(at, kTokenRevoked), "revoked"},
      {at, Rechecked{1, person(20min), kTokenRevoked, false, kForbidden}, kClosing, ended(at, kForbidden), "denied"},
      {at, Rechecked{1, person(-1h)}, kClosing, expired, "its authority has ended"},
      {at, Rechecked{7}, same, {{kCountStale}}, "an old question"},
      {at, ClockStepped{}, same, {}, "still valid"},
      {at, ClockStepped{}, kClosing, expired, "past the end", kEndByWall},
      {at, CloseRequested{}, kClosing, app_close, "the application's own"},
      {at, DeadlinePassed{D::kExpiry}, kClosing, expired, "", kDue},
      {at, DeadlinePassed{D::kSession}, kClosing, ended(at, kSessionEnded), "", kDue},
      {at, DeadlinePassed{D::kRefresh}, same, {{kSendExpiring}}, "", kDue},
      {at, DeadlinePassed{D::kPing}, same, {{kSendPing}}, "silent", kDue},
      {at, DeadlinePassed{D::kPing}, same, {}, "it spoke", kDue, speak_at_14s},
      {at, DeadlinePassed{D::kPong}, kClosed, gone_silent, "still silent", kDue, ping},
      {at, DeadlinePassed{D::kPong}, same, {}, "it spoke", kDue, ping_then_speak},
  };
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

std::vector<Row> refresh_rows() {
  const At open = At::kOpen;
  const At at = At::kRefreshing;
  constexpr When kEnd{.wall = 10min + kLeeway};
  const List replaced{{kReplacePrincipal}, {kSendRefreshed}, {kRecheckSubscriptions}};
  return {
      {open, CredentialsReceived{}, kReauthenticating, {{kStartVerify}}, "within rate"},
      {open, CredentialsReceived{}, kClosing, ended(open, kRateLimited), "over rate", kNow, no_more_refreshes},
      {open, CredentialsReceived{}, kClosing, ended(open, kTokenExpired), "too late", kEnd},
      {at, CredentialsReceived{}, kClosing, ended(at, kRateLimited), "one in flight"},
      {open, RefreshedOutside{person(20min)}, kAuthenticated, replaced, "by another way"},
      {open, RefreshedOutside{person(10min, "mallory")}, kAuthenticated, {{kRefuseRefresh, kSubjectChanged}}, "someone else"},
      {open, RefreshedOutside{person(10min, "alice", "https://evil.example")}, kAuthenticated, {{kRefuseRefresh, kSubjectChanged}}, "another issuer"},
      {open, RefreshedOutside{person(20min), true}, kAuthenticated, {{kRefuseRefresh, kTokenRevoked}}, "revoked"},
      {open, RefreshedOutside{person(20min), false, kForbidden}, kAuthenticated, {{kRefuseRefresh, kForbidden}}, "not permitted"},
      {open, RefreshedOutside{person(-1h)}, kAuthenticated, {{kRefuseRefresh, kTokenExpired}}, "expired"},
      {open, RefreshedOutside{person(20min)}, kAuthenticated, {{kRefuseRefresh, kRateLimited}}, "over rate", kNow, no_more_refreshes},
      {open, RefreshedOutside{person(20min)}, kClosing, ended(open, kTokenExpired), "too late", kEnd},
      {at, RefreshedOutside{person(20min)}, kReauthenticating, {{kRefuseRefresh, kRateLimited}}, "one in flight"},
      {at, proven(2), kAuthenticated, replaced, "permitted"},
      {at, proven(2, person(1min)), kAuthenticated, replaced, "permitted, with less life"},
      {at, proven(2, person(10min, "mallory")), kClosing, ended(at, kSubjectChanged), "subject differs"},
      {at, proven(2, person(10min, "alice", "https://evil.example")), kClosing, ended(at, kSubjectChanged), "issuer differs"},
      {at, proven(2, person(10min, "mallory"), false, kForbidden), kClosing, ended(at, kSubjectChanged), "subject differs, not permitted"},
      {at, proven(2, alice(), true), kClosing, ended(at, kTokenRevoked), "revoked"},
      {at, proven(2, alice(), false, kForbidden), kClosing, ended(at, kForbidden), "not permitted"},
      {at, proven(2, person(-kLeeway)), kClosing, ended(at, kTokenExpired), "expired meanwhile"},
      {at, VerifyFailed{2, kInvalidToken}, kClosing, ended(at, kInvalidToken), "credential's fault"},
      {at, VerifyFailed{2, kUnavailable}, kAuthenticated, {{kSendError, kUnavailable}}, "unavailable"},
      {at, VerifyFailed{2, kTooManyRequests}, kAuthenticated, {{kSendError, kTooManyRequests}}, "not looked at"},
      {at, DeadlinePassed{D::kVerify}, kAuthenticated, {{kCancelVerify}, {kSendError, kUnavailable}}, "", kDue},
  };
}

std::vector<Row> rows_of_any_live_state(At at) {
  const Phase same = kPhaseOf.at(static_cast<std::size_t>(at));
  const bool open = opened(at);
  List slow = ended(at, kSlowConsumer, kCloseNow);
  if (upgraded(at)) slow.push_back({kDropTransport});
  List lost;
  if (running(at)) lost.push_back({kCancelVerify});
  List echo = lost;
  echo.push_back({kEchoClose});
  if (open) lost.insert(lost.end(), {{kUnregister}, {kOnClose}});
  if (open) echo.insert(echo.end(), {{kUnregister}, {kOnClose}});

  std::vector<Row> rows{
      {at, Revoked{}, kClosing, ended(at, kTokenRevoked)},
      {at, Revoked{kLoggedOut}, kClosing, ended(at, kLoggedOut)},
      {at, Violation{kProtocolError}, kClosing, ended(at, kProtocolError)},
      {at, Violation{kMessageTooBig}, kClosing, ended(at, kMessageTooBig)},
      {at, CloseRequested{kEvicted}, kClosing, ended(at, kEvicted)},
      {at, SendQueueOverLimit{}, upgraded(at) ? kClosed : kClosing, slow},
      {at, TransportLost{}, kClosed, lost},
      {at, proven(0), same, {{kCountStale}}, "old generation"},
      {at, proven(3), same, {{kCountStale}}, "no such generation"},
      {at, VerifyFailed{0, kInvalidToken}, same, {{kCountStale}}, "old generation"},
      {at, VerifyFailed{3, kUnavailable}, same, {{kCountStale}}, "no such generation"},
  };
  // A generation that has been answered counts as old.
  if (open) rows.push_back({at, proven(1), same, {{kCountStale}}, "answered before"});
  if (open) rows.push_back({at, VerifyFailed{1, kInvalidToken}, same, {{kCountStale}}, "answered"});
  if (upgraded(at)) {
    rows.push_back({at, Draining{2s}, same, {}, "later"});
    rows.push_back({at, DeadlinePassed{D::kDrain}, kClosing, ended(at, kDraining), "", kDue, drain});
    rows.push_back({at, PeerClosed{}, kClosing, echo});
  } else {
    rows.push_back({at, Draining{2s}, kClosing, ended(at, kDraining)});
  }
  if (!open) rows.push_back({at, ClockStepped{}, same, {}, "", {.wall = 24h}});
  for (std::size_t i = 0; i < kDeadlines; ++i) {
    rows.push_back({at, DeadlinePassed{static_cast<D>(i)}, same, {{kCountStale}}, "not due"});
  }
  return rows;
}

std::vector<Row> ending_rows() {
  std::vector<Row> rows;
  for (const Event& event : one_of_each()) {
    rows.push_back({At::kGone, event, kClosed, {}});
    for (const At at : {At::kRefused, At::kLeaving}) {
      if (std::holds_alternative<TransportLost>(event)) {
        rows.push_back({at, event, kClosed, {}});
      } else if (std::holds_alternative<PeerClosed>(event)) {
        // The closing handshake is complete (RFC 6455 section 7.1.2).
        rows.push_back({at, event, kClosed, {{kDropTransport}}});
      } else if (!std::holds_alternative<DeadlinePassed>(event)) {
        rows.push_back({at, event, kClosing, {}});
      }
    }
  }
  for (std::size_t i = 0; i < kDeadlines; ++i) {
    const DeadlinePassed passed{static_cast<D>(i)};
    rows.push_back({At::kGone, passed, kClosed, {}, "", {.mono = 24h, .wall = 24h}});
    for (const At at : {At::kRefused, At::kLeaving}) {
      rows.push_back({at, passed, kClosing, {{kCountStale}}, "not due"});
    }
  }
  for (const At at : {At::kRefused, At::kLeaving}) {
    rows.push_back({at, DeadlinePassed{D::kClose}, kClosed, {{kDropTransport}}, "", kDue});
  }
  return rows;
}

std::vector<Row> table() {
  std::vector<Row> rows;
  const auto add = [&rows](std::vector<Row> more) {
    rows.insert(rows.end(), std::make_move_iterator(more.begin()),
                std::make_move_iterator(more.end()));
  };
  for (const At at : {At::kHead, At::kMiddleware}) add(handshake_rows(at));
  rows.push_back({At::kHead, DeadlinePassed{D::kHandshake}, kClosing, {{kRejectUpgrade, kHandshakeTimeout}}, "", kDue});
  rows.push_back({At::kMiddleware, DeadlinePassed{D::kMiddleware}, kClosing, {{kRejectUpgrade, kUnavailable}}, "", kDue});
  for (const At at : {At::kChecking, At::kCheckingMessage}) add(verification_rows(at));
  add(vestibule_rows());
  for (const At at : {At::kOpen, At::kRefreshing}) add(authority_rows(at));
  add(refresh_rows());
  for (const At at : kEverywhere) {
    if (live(at)) add(rows_of_any_live_state(at));
  }
  add(ending_rows());
  return rows;
}
// clang-format on

std::string describe(At at, const Event& event) {
  std::string text = kNames.at(static_cast<std::size_t>(at));
  text += " + " + std::string(name_of(event));
  if (const auto* passed = std::get_if<DeadlinePassed>(&event)) {
    text += " " + std::to_string(static_cast<int>(passed->which));
  }
  return text;
}

struct UnlistedPair {
  At from;
  Event event;
};

std::vector<UnlistedPair> unlisted_pairs() {
  const Event head = HeadReceived{};
  const Event parsed = UpgradeParsed{.credentials = true};
  const Event answered = Answered{};
  const Event credentials = CredentialsReceived{};
  const Event message = MessageReceived{};
  const Event delivery = Delivery{};
  const Event recheck = Rechecked{.generation = 1};
  const Event outside = RefreshedOutside{.principal = alice()};
  const Event close = CloseRequested{};
  const Event peer_closed = PeerClosed{};
  std::vector<UnlistedPair> pairs;
  const auto add = [&pairs](At at, std::initializer_list<Event> events) {
    for (const Event& event : events) pairs.push_back({at, event});
  };
  add(At::kHead, {credentials, message, delivery, recheck, outside, close, peer_closed});
  add(At::kMiddleware, {credentials, message, delivery, recheck, outside, close, peer_closed});
  add(At::kChecking,
      {head, parsed, answered, credentials, message, delivery, recheck, outside, close, peer_closed});
  add(At::kVestibule, {head, parsed, answered, delivery, recheck, outside, close});
  add(At::kCheckingMessage,
      {head, parsed, answered, credentials, message, delivery, recheck, outside, close});
  add(At::kOpen, {head, parsed, answered});
  add(At::kRefreshing, {head, parsed, answered});
  return pairs;
}

TEST(StateMachineTable, ArrivesWhereItsRowsBegin) {
  for (const At at : kEverywhere) {
    const auto index = static_cast<std::size_t>(at);
    const Driven d = arrive(at);
    EXPECT_EQ(d.state.phase(), kPhaseOf.at(index)) << kNames.at(index);
    EXPECT_EQ(d.state.upgraded(), upgraded(at) || at == At::kLeaving || at == At::kGone);
    EXPECT_EQ(d.state.opened(), opened(at)) << kNames.at(index);
    EXPECT_EQ(d.state.live(), live(at)) << kNames.at(index);
  }
}

TEST(StateMachineTable, EveryRowLeadsWhereItSaysWithTheActionsItLists) {
  for (const Row& row : table()) {
    SCOPED_TRACE(describe(row.from, row.event) + " [" + row.guard + "]");
    Driven d = arrive(row.from);
    if (row.before != nullptr) row.before(d);
    if (row.when.due) {
      const D which = std::get<DeadlinePassed>(row.event).which;
      ASSERT_TRUE(d.armed(which));
      d.pass_until(which, 1ms);
      EXPECT_EQ(d.send(row.event), (List{{kCountStale}})) << "a millisecond early";
      d.pass(1ms);
    }
    d.now.mono += row.when.mono;
    d.now.wall += row.when.wall;
    EXPECT_FALSE(unlisted(d.state, row.event));
    EXPECT_EQ(d.send(row.event), row.actions);
    EXPECT_EQ(d.state.phase(), row.next);
    EXPECT_EQ(d.state.next_deadline() == base::kNever, row.next == kClosed)
        << "nothing to wait for";
    EXPECT_EQ(d.armed(D::kClose), row.next == kClosing);
  }
}

TEST(StateMachineTable, HasARowForEverySituationEventAndDeadline) {
  std::set<std::pair<At, std::size_t>> events;
  std::set<std::pair<At, D>> deadlines;
  for (const Row& row : table()) {
    events.emplace(row.from, row.event.index());
    if (const auto* passed = std::get_if<DeadlinePassed>(&row.event)) {
      deadlines.emplace(row.from, passed->which);
    }
  }
  for (const UnlistedPair& pair : unlisted_pairs()) {
    // Only an application's close, of the alternatives, is known in one variant and not in another.
    const bool both = std::holds_alternative<CloseRequested>(pair.event);
    EXPECT_EQ(events.emplace(pair.from, pair.event.index()).second, !both)
        << describe(pair.from, pair.event);
  }
  EXPECT_EQ(events.size(), kEverywhere.size() * std::variant_size_v<Event>);
  EXPECT_EQ(deadlines.size(), kEverywhere.size() * kDeadlines);
}

#ifdef NDEBUG
TEST(StateMachineTable, FailsClosedOnAnUnlistedPair) {
  for (const UnlistedPair& pair : unlisted_pairs()) {
    SCOPED_TRACE(describe(pair.from, pair.event));
    Driven d = arrive(pair.from);
    EXPECT_TRUE(unlisted(d.state, pair.event));
    EXPECT_EQ(d.send(pair.event), ended(pair.from, kInternal));
    EXPECT_EQ(d.state.phase(), kClosing);
    EXPECT_TRUE(d.armed(D::kClose));
  }
}
#else
TEST(StateMachineTableDeathTest, AbortsADebugBuildOnAnUnlistedPair) {
  for (const UnlistedPair& pair : unlisted_pairs()) {
    SCOPED_TRACE(describe(pair.from, pair.event));
    Driven d = arrive(pair.from);
    EXPECT_TRUE(unlisted(d.state, pair.event));
    EXPECT_DEATH((void)d.send(pair.event), "an unlisted pair of state and event");
  }
}
#endif

}  // namespace
}  // namespace sallyport::auth
