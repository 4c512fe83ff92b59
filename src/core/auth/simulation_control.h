#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/auth/revocation.h"
#include "core/auth/simulation_fate.h"
#include "core/auth/simulation_worker.h"

namespace sallyport::auth::simulation {

/// The node that numbers revocations, has them written, and tells every worker until it has acknowledged. It
/// may die at any moment; what is on its disk stays.
class Control {
 public:
  Control(Fate& fate, Wallet& wallet, std::size_t workers)
      : fate_(fate), wallet_(wallet), acknowledged_by_(workers) {}

  // ---- What callers do
  void revoke();
  void lift();
  void extend();

  // ---- What happens to it
  /// What is being written is on the disk or it is not, in order.
  void crash();
  void start();
  [[nodiscard]] bool up() const { return up_; }
  void expire();
  /// What has ended by the wall clock guarantees nothing from then on, wherever the clock is set.
  void clock_moved();
  /// Writes that have ended, and answers to callers. `sound`: no write fails.
  void turn(bool sound);
  void acknowledged(std::size_t worker, std::uint64_t epoch, std::uint64_t sequence);
  /// It knows at once that a worker's process has died, and tells the next one everything.
  void worker_died(std::size_t worker) { acknowledged_by_[worker].reset(); }
  /// Everything that a worker has not acknowledged, in any order that pleases.
  [[nodiscard]] std::vector<DeltaRef> unacknowledged_by(std::size_t worker) const;
  [[nodiscard]] bool idle() const { return up_ && calls_.empty() && writes_.empty(); }

  /// What has been promised holds: on the disk, and in every worker.
  void check(const std::vector<Worker>& workers) const;

 private:
  struct Write {
    RecordRef put;              // null: `erase`
    std::uint64_t erase = 0;
    base::MonoTime ends;
  };
  // A caller who waits.
  struct Call {
    enum class Kind : std::uint8_t { kRevoke, kLift, kExtend };
    Kind kind;
    RecordRef record;
    std::uint64_t sequence = 0;  // 0: the workers are told when it is written
    bool written = false;
  };
  void publish(Delta::Kind kind, RecordRef record, std::uint64_t removed, Call* call);
  void write(Write write);
  void written(const Write& write, bool succeeded);
  [[nodiscard]] bool everywhere(std::uint64_t sequence) const;
  void answer(const Call& call);
  [[nodiscard]] RecordRef any_promised();

  Fate& fate_;
  Wallet& wallet_;

  // The disk.
  std::map<std::uint64_t, RecordRef> durable_;
  std::uint64_t durable_last_id_ = 0;

  // Memory.
  bool up_ = false;
  std::uint64_t epoch_ = 0;
  std::uint64_t last_id_ = 0;
  RevocationIndex index_;
  std::map<std::uint64_t, RecordRef> records_;
  std::vector<DeltaRef> log_;  // by sequence, from 1
  std::vector<std::optional<std::uint64_t>> acknowledged_by_;
  std::deque<Write> writes_;
  std::vector<Call> calls_;

  std::vector<RecordRef> all_;  // that ever were

  // What callers have been told, which no crash undoes.
  std::map<std::uint64_t, RecordRef> promised_;
  std::set<std::uint64_t> lifted_;
};

}  // namespace sallyport::auth::simulation
