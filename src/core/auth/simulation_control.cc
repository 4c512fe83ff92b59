#include "core/auth/simulation_control.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sallyport::auth::simulation {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// ---- Callers

void Control::revoke() {
  auto record = std::make_shared<Record>();
  record->revocation = {.id = last_id_ + 1, .selector = wallet_.selector(), .created = fate_.now.wall};
  if (!fate_.chance(3)) record->revocation.until = fate_.now.wall + 1s + fate_.up_to(120s);
  fate_.require(index_.add(std::make_shared<const Revocation>(record->revocation)), "the index has no room");
  records_[++last_id_] = record;
  all_.push_back(record);
  fate_.tell(" revoke ", last_id_);
  calls_.push_back({.kind = Call::Kind::kRevoke, .record = record});
  publish(Delta::Kind::kPut, record, 0, &calls_.back());
  write({.put = record});
}

// What has been promised, or null.
RecordRef Control::any_promised() {
  if (promised_.empty()) return nullptr;
  const auto one = std::next(promised_.begin(), fate_.below(static_cast<std::uint32_t>(promised_.size())));
  const bool in_force = records_.contains(one->first) && !one->second->lapsed;
  return in_force ? one->second : nullptr;
}

void Control::lift() {
  const RecordRef record = any_promised();
  if (record == nullptr) return;
  fate_.tell(" lift ", record->revocation.id);
  promised_.erase(record->revocation.id);  // from here on it may end at any moment
  calls_.push_back({.kind = Call::Kind::kLift, .record = record});
  write({.erase = record->revocation.id});
}

void Control::extend() {
  const RecordRef promised = any_promised();
  if (promised == nullptr) return;
  // Another extension may be on its way: this one comes after it.
  const RecordRef record = records_.at(promised->revocation.id);
  if (!record->revocation.until || record->lapsed) return;
  auto longer = std::make_shared<Record>(*record);
  longer->revocation.until = *record->revocation.until + 1s + fate_.up_to(60s);
  fate_.tell(" extend ", record->revocation.id);
  fate_.require(index_.add(std::make_shared<const Revocation>(longer->revocation)), "the index has no room");
  records_[record->revocation.id] = longer;
  all_.push_back(longer);
  calls_.push_back({.kind = Call::Kind::kExtend, .record = longer});
  publish(Delta::Kind::kPut, longer, 0, &calls_.back());
  write({.put = longer});
}

void Control::publish(Delta::Kind kind, RecordRef record, std::uint64_t removed, Call* call) {
  auto delta = std::make_shared<Delta>();
  delta->kind = kind;
  delta->epoch = epoch_;
  delta->sequence = log_.size() + 1;
  if (record != nullptr) delta->records.push_back(std::move(record));
  delta->removed = removed;
  log_.push_back(std::move(delta));
  if (call != nullptr) call->sequence = log_.size();
}

std::vector<DeltaRef> Control::unacknowledged_by(std::size_t worker) const {
  if (!up_) return {};
  if (acknowledged_by_[worker]) {
    return {log_.begin() + static_cast<std::ptrdiff_t>(*acknowledged_by_[worker]), log_.end()};
  }
  auto all = std::make_shared<Delta>();
  all->kind = Delta::Kind::kAll;
  all->epoch = epoch_;
  all->sequence = log_.size();
  for (const auto& [id, record] : records_) all->records.push_back(record);
  return {all};
}

void Control::acknowledged(std::size_t worker, std::uint64_t epoch, std::uint64_t sequence) {
  if (!up_ || epoch != epoch_) return;
  auto& known = acknowledged_by_[worker];
  known = std::max(known.value_or(0), sequence);
}

bool Control::everywhere(std::uint64_t sequence) const {
  const auto has_it = [&](const auto& known) { return known && *known >= sequence; };
  if (fate_.sabotage == Sabotage::kAcknowledgesTooSoon) {
    return std::any_of(acknowledged_by_.begin(), acknowledged_by_.end(), has_it);
  }
  return std::all_of(acknowledged_by_.begin(), acknowledged_by_.end(), has_it);
}

void Control::answer(const Call& call) {
  const std::uint64_t id = call.record->revocation.id;
  switch (call.kind) {
    case Call::Kind::kRevoke:
      fate_.tell(" acknowledged ", id);
      ++fate_.counts.acknowledged;
      promised_[id] = call.record;
      break;
    case Call::Kind::kExtend:
      // It may have been lifted meanwhile.
      if (!promised_.contains(id)) break;
      ++fate_.counts.extended;
      promised_[id] = call.record;
      break;
    case Call::Kind::kLift:
      fate_.tell(" lifted ", id);
      ++fate_.counts.lifted;
      lifted_.insert(id);
      break;
  }
}

// ---- The disk

void Control::write(Write write) {
  write.ends = fate_.now.mono + fate_.up_to(fate_.chance(5) ? 1'000ms : 20ms);
  if (!writes_.empty()) write.ends = std::max(write.ends, writes_.back().ends);
  writes_.push_back(std::move(write));
}

void Control::written(const Write& write, bool succeeded) {
  if (succeeded && write.put != nullptr) {
    durable_[write.put->revocation.id] = write.put;
    durable_last_id_ = std::max(durable_last_id_, write.put->revocation.id);
  } else if (succeeded) {
    durable_.erase(write.erase);
  }
  if (!up_) return;
  const auto waits = [&](const Call& call) {
    return !call.written && (write.put != nullptr ? call.record == write.put
                                                  : call.kind == Call::Kind::kLift &&
                                                        call.record->revocation.id == write.erase);
  };
  const auto call = std::find_if(calls_.begin(), calls_.end(), waits);
  if (call == calls_.end()) return;
  if (!succeeded) {
    // The caller is told so. What it was holds in memory, and nothing is promised.
    calls_.erase(call);
    return;
  }
  call->written = true;
  if (call->kind != Call::Kind::kLift) return;
  index_.remove(write.erase);
  records_.erase(write.erase);
  publish(Delta::Kind::kRemove, nullptr, write.erase, &*call);
}

void Control::turn(bool sound) {
  if (!up_) return;
  while (!writes_.empty() && writes_.front().ends <= fate_.now.mono) {
    const Write write = std::move(writes_.front());
    writes_.pop_front();
    written(write, sound || !fate_.chance(30));
  }
  const auto done = [&](const Call& call) {
    const bool safe =
        call.written || (fate_.sabotage == Sabotage::kAcknowledgesUnwritten && call.sequence != 0);
    if (!safe || !everywhere(call.sequence)) return false;
    answer(call);
    return true;
  };
  std::erase_if(calls_, done);
}

void Control::crash() {
  if (!up_) return;
  fate_.tell(" the control node dies");
  up_ = false;
  bool reached = true;
  for (const Write& write : std::exchange(writes_, {})) {
    reached = reached && fate_.chance(2);
    if (reached) written(write, true);
  }
  for (const Call& call : calls_) fate_.counts.unacknowledged += call.kind == Call::Kind::kRevoke ? 1 : 0;
  calls_.clear();
  log_.clear();
  index_ = {};
  records_.clear();
}

void Control::start() {
  fate_.tell(" the control node starts");
  up_ = true;
  ++epoch_;
  std::fill(acknowledged_by_.begin(), acknowledged_by_.end(), std::nullopt);
  last_id_ = durable_last_id_;
  if (fate_.sabotage == Sabotage::kForgetsAtRestart) return;
  if (!durable_.empty()) ++fate_.counts.restarts;
  for (const auto& [id, record] : durable_) {
    if (record->revocation.until && *record->revocation.until <= fate_.now.wall) continue;
    fate_.require(index_.add(std::make_shared<const Revocation>(record->revocation)),
                  "the index has no room");
    records_[id] = record;
  }
}

void Control::clock_moved() {
  for (const RecordRef& record : all_) {
    if (record->revocation.until && *record->revocation.until <= fate_.now.wall) record->lapsed = true;
  }
}

void Control::expire() {
  const std::size_t ended = std::erase_if(records_, [&](const auto& entry) {
    return entry.second->revocation.until && *entry.second->revocation.until <= fate_.now.wall;
  });
  fate_.require(index_.expire(fate_.now.wall, 1'000) == ended, "the index forgets others than have ended");
  std::erase_if(durable_, [](const auto& entry) { return entry.second->lapsed; });
}

// ---- Checks

void Control::check(const std::vector<Worker>& workers) const {
  for (const auto& [id, record] : promised_) {
    if (record->lapsed) continue;
    fate_.require(durable_.contains(id), "an acknowledged revocation is not on the disk");
    if (up_) {
      const RevocationRef kept = index_.get(id);
      fate_.require(kept != nullptr && kept->selector == record->revocation.selector,
                    "an acknowledged revocation is lost");
    }
    for (const Worker& worker : workers) {
      worker.require_none(*record, "a revocation is acknowledged, and someone it means goes on");
    }
  }
  for (const std::uint64_t id : lifted_) {
    fate_.require(!durable_.contains(id), "a lifted revocation is on the disk");
    for (const Worker& worker : workers) {
      fate_.require(!worker.knows(id), "a lifted revocation is back in a worker");
    }
  }
}

}  // namespace sallyport::auth::simulation
