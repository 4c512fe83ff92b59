#include "core/auth/simulation_worker.h"

#include <algorithm>
#include <string>
#include <utility>

namespace sallyport::auth::simulation {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// ---- Credentials

PrincipalRef Wallet::issue(Principal who) {
  // One in four has no name of its own, and some have forgotten when they were issued.
  who.token_id = fate_.chance(4) ? std::string() : "t-" + std::to_string(issued_.size());
  who.issued_at.reset();
  if (!fate_.chance(5)) who.issued_at = fate_.now.wall - fate_.up_to(60s);
  who.expires_at.reset();
  who.valid_until.reset();
  if (!endless_allowed_ || !fate_.chance(4)) {
    who.expires_at = fate_.now.wall + fate_.up_to(fate_.chance(3) ? 10s : 600s);
    if (!fate_.chance(6)) who.valid_until = *who.expires_at + 5s;
  }
  who.recheck_every.reset();
  if (fate_.chance(4)) who.recheck_every = 100ms + fate_.up_to(20s);
  issued_.push_back(std::make_shared<const Principal>(std::move(who)));
  return issued_.back();
}

PrincipalRef Wallet::any() {
  if (!issued_.empty() && !fate_.chance(3)) {
    return issued_[fate_.below(static_cast<std::uint32_t>(issued_.size()))];
  }
  Principal who{.issuer = fate_.chance(3) ? "https://b.example" : "https://a.example",
                .subject = "u-" + std::to_string(fate_.below(3))};
  if (!fate_.chance(3)) who.session = "s-" + std::to_string(fate_.below(4));
  return issue(std::move(who));
}

PrincipalRef Wallet::next_of(const Principal& who) {
  if (fate_.chance(8)) return any();
  Principal next = who;
  if (fate_.chance(6)) next.session = "s-" + std::to_string(fate_.below(4));
  return issue(std::move(next));
}

Selector Wallet::selector() {
  const PrincipalRef who = any();
  const auto also = [&](const Text& text, std::uint32_t one_in) {
    return text.empty() || !fate_.chance(one_in) ? std::nullopt : std::optional(text.str());
  };
  while (true) {
    Selector selector{.issuer = also(who->issuer, 4),
                      .subject = also(who->subject, 3),
                      .session = also(who->session, 3),
                      .token_id = also(who->token_id, 2)};
    if (fate_.chance(8)) selector.issued_before = fate_.now.wall - 30s + fate_.up_to(40s);
    if (valid(selector)) return selector;
  }
}

// ---- The process

void Worker::restart() {
  for (auto& slot : slots_) slot.reset();
  revocations_ = {};
  live_.emplace(fate_.number());
  known_.clear();
  epoch_ = 0;
  applied_ = 0;
  stalled_until_ = {};
  clock_stepped_ = false;
  draining_ = false;
  ++incarnation_;
}

std::optional<std::uint64_t> Worker::applied(std::uint64_t epoch) const {
  return epoch_ == epoch ? std::optional(applied_) : std::nullopt;
}

bool Worker::empty() const {
  return std::none_of(slots_.begin(), slots_.end(), [](const auto& slot) { return slot != nullptr; });
}

base::MonoTime Worker::next() const {
  base::MonoTime next = base::kNever;
  for (const auto& slot : slots_) {
    if (slot != nullptr) next = std::min(next, slot->state.next_deadline());
  }
  return next;
}

void Worker::drain() {
  if (draining_) return;
  draining_ = true;
  fate_.tell(" a worker drains");
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    if (slots_[slot] != nullptr && slots_[slot]->state.live()) take(slot, Draining{fate_.up_to(10s)});
  }
}

// ---- Revocations

void Worker::apply(const Delta& delta) {
  if (delta.kind == Delta::Kind::kAll) {
    if (delta.epoch <= epoch_) return;
    const std::map<std::uint64_t, RecordRef> before = known_;
    for (const auto& [id, record] : before) remove(id);
    for (const RecordRef& record : delta.records) put(record);
    epoch_ = delta.epoch;
    applied_ = delta.sequence;
    return;
  }
  if (delta.epoch != epoch_) return;
  if (fate_.sabotage != Sabotage::kAppliesInAnyOrder) {
    if (delta.sequence > applied_ + 1) ++fate_.counts.reordered;
    if (delta.sequence != applied_ + 1) return;
  }
  if (delta.kind == Delta::Kind::kPut) put(delta.records.front());
  if (delta.kind == Delta::Kind::kRemove) remove(delta.removed);
  applied_ = std::max(applied_, delta.sequence);
}

// First for those who come, then for those who are here: nobody slips through in between.
void Worker::put(const RecordRef& record) {
  const RevocationRef revocation = std::make_shared<const Revocation>(record->revocation);
  fate_.require(revocations_.add(revocation), "the index has no room");
  known_[revocation->id] = record;
  if (fate_.sabotage == Sabotage::kLiveOnesStay) return;
  const Selector& selector = revocation->selector;
  std::vector<std::uint32_t> meant;
  const auto judge = [&](std::uint32_t slot) {
    const Peer* const peer = slots_.at(slot).get();
    fate_.require(peer != nullptr && peer->state.opened(), "the index names a connection that is not there");
    if (peer != nullptr && peer->state.opened() && matches(selector, *peer->state.principal())) {
      meant.push_back(slot);
    }
  };
  if (selector.token_id || selector.session || selector.subject) {
    live_->candidates(selector, judge);
  } else {
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
      if (slots_[slot] != nullptr && slots_[slot]->state.opened()) judge(slot);
    }
  }
  for (const std::uint32_t slot : meant) {
    take(slot, Revoked{revocation->reason});
    ++fate_.counts.ended_live;
  }
}

void Worker::remove(std::uint64_t id) {
  revocations_.remove(id);
  known_.erase(id);
}

void Worker::expire() {
  const std::size_t ended = std::erase_if(known_, [&](const auto& entry) {
    return entry.second->revocation.until && *entry.second->revocation.until <= fate_.now.wall;
  });
  fate_.require(revocations_.expire(fate_.now.wall, 1'000) == ended,
                "the index forgets others than have ended");
}

bool Worker::revoked(const PrincipalRef& who) const {
  return revocations_.find(*who, fate_.now.wall) != nullptr;
}

// ---- Connections

void Worker::take(std::size_t slot, const Event& event) {
  Peer& peer = *slots_[slot];
  for (const Action& action : peer.take(event)) {
    switch (action.kind) {
      case ActionKind::kRegister:
        live_->enter(static_cast<std::uint32_t>(slot), *peer.state.principal(), peer.name);
        break;
      case ActionKind::kReplacePrincipal:
        if (fate_.sabotage == Sabotage::kStaleIndex) break;
        live_->enter(static_cast<std::uint32_t>(slot), *peer.state.principal(), peer.name);
        break;
      case ActionKind::kUnregister:
        live_->leave(static_cast<std::uint32_t>(slot));
        break;
      case ActionKind::kStartVerify:
        peer.verifying.push_back(ask(peer.state.generation(), peer.presented));
        break;
      case ActionKind::kCancelVerify:
        // Not every verifier can be stopped: its answer comes all the same.
        if (fate_.chance(2)) peer.verifying.clear();
        break;
      case ActionKind::kStartRecheck:
        peer.rechecking = ask(peer.state.recheck_generation(), peer.state.principal());
        break;
      default:
        break;
    }
  }
  if (peer.state.phase() == Phase::kClosed) slots_[slot].reset();
}

Peer::Question Worker::ask(std::uint32_t generation, PrincipalRef who) {
  std::optional<Failure> failure;
  if (fate_.chance(12)) failure = fate_.chance(2) ? Failure::kUnavailable : Failure::kInvalidToken;
  const bool revoked_now = revoked(who);
  // Now and then later than the machine waits.
  const base::Milliseconds time = fate_.up_to(fate_.chance(8) ? 8s : 1s);
  return {generation, std::move(who), fate_.now.mono + time, failure, revoked_now};
}

void Worker::answer(std::size_t slot) {
  const auto due = [&](const Peer::Question& question) { return question.answered <= fate_.now.mono; };
  const auto denied = [&] { return fate_.chance(25) ? std::optional(Failure::kForbidden) : std::nullopt; };
  const auto revoked_by_now = [&](const Peer::Question& question) {
    if (fate_.sabotage == Sabotage::kChecksAtStart) return question.revoked_at_start;
    if (!question.revoked_at_start && revoked(question.who)) ++fate_.counts.races;
    return revoked(question.who);
  };
  for (std::size_t i = 0; slots_[slot] != nullptr && i < slots_[slot]->verifying.size();) {
    Peer& peer = *slots_[slot];
    const Peer::Question question = peer.verifying[i];
    if (!due(question)) {
      ++i;
      continue;
    }
    peer.verifying.erase(peer.verifying.begin() + static_cast<std::ptrdiff_t>(i));
    if (!peer.state.live()) continue;
    if (question.failure) {
      take(slot, VerifyFailed{question.generation, *question.failure});
    } else {
      take(slot, Verified{question.generation, question.who, revoked_by_now(question), denied()});
    }
  }
  if (slots_[slot] == nullptr || !slots_[slot]->rechecking || !due(*slots_[slot]->rechecking)) return;
  const Peer::Question question = *std::exchange(slots_[slot]->rechecking, std::nullopt);
  if (!slots_[slot]->state.authenticated()) return;
  Rechecked rechecked{.generation = question.generation};
  if (question.failure) {
    rechecked.failure = *question.failure;
  } else {
    rechecked.principal = question.who;
    rechecked.revoked = revoked_by_now(question);
    rechecked.denied = denied();
  }
  take(slot, rechecked);
}

void Worker::run_timers(std::size_t slot) {
  for (std::size_t turns = 0; slots_[slot] != nullptr; ++turns) {
    const auto which = slots_[slot]->state.passed(fate_.now.mono);
    if (!which) return;
    fate_.require(turns <= kDeadlines, "4: a timer spins");
    if (!fate_.fault.empty()) return;
    take(slot, DeadlinePassed{*which});
  }
}

void Worker::turn(bool punctual) {
  if (stalled()) return;
  const bool sees_clock = clock_stepped_ && (punctual || fate_.chance(2));
  if (sees_clock) clock_stepped_ = false;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    const bool timers_first = fate_.chance(2);
    const bool timers_late = !punctual && fate_.chance(3);
    if (timers_first && !timers_late) run_timers(slot);
    if (sees_clock && slots_[slot] != nullptr) take(slot, ClockStepped{});
    if (slots_[slot] != nullptr) answer(slot);
    if (!timers_first && !timers_late) run_timers(slot);
  }
  if (!draining_ || !empty()) return;
  ++fate_.counts.drained;
  restart();
}

void Worker::something_happens() {
  if (stalled()) return;
  const std::size_t slot = fate_.below(kSlots);
  if (slots_[slot] == nullptr) {
    if (epoch_ != 0 && !draining_) connect();
    return;
  }
  talk(slot);
}

void Worker::connect() {
  const auto free = std::find(slots_.begin(), slots_.end(), nullptr);
  const auto slot = static_cast<std::size_t>(free - slots_.begin());
  *free = std::make_unique<Peer>(fate_, policy_, fate_.number());
  slots_[slot]->presented = wallet_.any();
  take(slot, HeadReceived{});
  // The rest comes later, or never.
  if (fate_.chance(10)) return;
  const bool refused = fate_.chance(20);
  take(slot, UpgradeParsed{.refused = refused ? std::optional(Failure::kOriginNotAllowed) : std::nullopt,
                           .credentials = !policy_.first_message_allowed || fate_.chance(2)});
}

void Worker::talk(std::size_t slot) {
  Peer& peer = *slots_[slot];
  if (!peer.state.live()) {
    if (peer.state.phase() == Phase::kClosing && fate_.chance(2)) take(slot, PeerClosed{});
    return;
  }
  if (fate_.chance(40)) return take(slot, TransportLost{});
  if (fate_.chance(60)) return take(slot, Violation{Failure::kProtocolError});
  if (fate_.chance(60)) return take(slot, CloseRequested{Failure::kEvicted});
  if (peer.state.upgraded() && fate_.chance(60)) return take(slot, PeerClosed{});
  if (peer.state.upgraded() && fate_.chance(100)) return take(slot, SendQueueOverLimit{});
  peer.state.heard(fate_.now.mono);
  if (peer.state.phase() == Phase::kAwaitingCredentials) {
    peer.presented = wallet_.any();
    return take(slot, CredentialsReceived{});
  }
  if (!peer.state.authenticated()) return;
  switch (fate_.below(6)) {
    case 0:
      peer.presented = wallet_.next_of(*peer.state.principal());
      return take(slot, CredentialsReceived{});
    case 1: {
      const PrincipalRef who = wallet_.next_of(*peer.state.principal());
      return take(slot, RefreshedOutside{.principal = who, .revoked = revoked(who)});
    }
    default:
      break;
  }
  if (fate_.sabotage == Sabotage::kTrustsTimers) return peer.deliver_unasked();
  const std::uint64_t before = fate_.counts.delivered;
  take(slot, fate_.chance(2) ? Event(MessageReceived{}) : Event(Delivery{}));
  if (fate_.counts.delivered == before) ++fate_.counts.held_back;
}

// ---- Checks

void Worker::require_none(const Record& record, const char* what) const {
  for (const auto& slot : slots_) {
    if (slot == nullptr || !slot->state.authenticated()) continue;
    if (means(record.revocation.selector, *slot->state.principal())) fate_.require(false, what);
  }
}

void Worker::check() const {
  std::size_t opened = 0;
  for (const auto& slot : slots_) opened += slot != nullptr && slot->state.opened() ? 1 : 0;
  fate_.require(live_->size() == opened, "the index holds others than those that live");
  fate_.require(revocations_.size() == known_.size(), "the index holds others than were applied");
  for (const auto& [id, record] : known_) {
    if (!record->lapsed) {
      require_none(*record, "a worker has applied a revocation, and someone it means goes on");
    }
  }
}

}  // namespace sallyport::auth::simulation
