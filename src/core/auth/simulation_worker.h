#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/auth/live_index.h"
#include "core/auth/revocation.h"
#include "core/auth/simulation_fate.h"
#include "core/auth/simulation_peer.h"

namespace sallyport::auth::simulation {

/// A numbered change on its way from the control node. Numbers count within an epoch, the life of a control
/// node.
struct Delta {
  enum class Kind : std::uint8_t { kAll, kPut, kRemove };
  Kind kind;
  std::uint64_t epoch;
  std::uint64_t sequence;
  std::vector<RecordRef> records;  ///< kAll: what is in force after `sequence` changes; kPut: one
  std::uint64_t removed = 0;
};
using DeltaRef = std::shared_ptr<const Delta>;

/// The credentials that exist in this world. Whoever connects presents one of them.
class Wallet {
 public:
  explicit Wallet(Fate& fate, bool endless_allowed) : fate_(fate), endless_allowed_(endless_allowed) {}
  /// One that has been issued before, or a new one.
  [[nodiscard]] PrincipalRef any();
  /// A new one, mostly for the same person and login.
  [[nodiscard]] PrincipalRef next_of(const Principal& who);
  /// What somebody may be meant by.
  [[nodiscard]] Selector selector();

 private:
  PrincipalRef issue(Principal who);

  Fate& fate_;
  bool endless_allowed_;
  std::vector<PrincipalRef> issued_;
};

/// What a worker thread has: connections, the index of those that live, and the revocations that it knows of.
class Worker {
 public:
  static constexpr std::size_t kSlots = 5;

  Worker(Fate& fate, Wallet& wallet, const Policy& policy) : fate_(fate), wallet_(wallet), policy_(policy) {
    restart();
  }

  /// The process dies and another one begins. Nothing is closed properly.
  void restart();
  /// One thing that clients, the network or the operator do.
  void something_happens();
  void drain();
  /// The wall clock was set; the loop notices when it gets to it.
  void clock_stepped() { clock_stepped_ = true; }
  /// A turn of the loop: answers of verifiers, deadlines, and a stepped clock, in any order, or nothing at
  /// all.
  void turn(bool punctual);
  /// The loop stands still for a while.
  void stall(base::Milliseconds time) { stalled_until_ = fate_.now.mono + time; }
  [[nodiscard]] bool stalled() const { return stalled_until_ > fate_.now.mono; }

  void apply(const Delta& delta);
  void expire();
  /// How far it has got with the changes of an epoch; nothing: it has not begun with it.
  [[nodiscard]] std::optional<std::uint64_t> applied(std::uint64_t epoch) const;
  [[nodiscard]] std::uint64_t incarnation() const { return incarnation_; }
  [[nodiscard]] bool knows(std::uint64_t id) const { return revocations_.get(id) != nullptr; }

  /// None of its connections is authenticated as someone whom the record means.
  void require_none(const Record& record, const char* what) const;
  void check() const;
  /// The next moment at which something is due by itself; `kNever` if every connection has ended.
  [[nodiscard]] base::MonoTime next() const;
  [[nodiscard]] bool empty() const;

 private:
  void take(std::size_t slot, const Event& event);
  void put(const RecordRef& record);
  void remove(std::uint64_t id);
  void connect();
  void talk(std::size_t slot);
  void answer(std::size_t slot);
  void run_timers(std::size_t slot);
  [[nodiscard]] bool revoked(const PrincipalRef& who) const;
  [[nodiscard]] Peer::Question ask(std::uint32_t generation, PrincipalRef who);

  Fate& fate_;
  Wallet& wallet_;
  const Policy& policy_;
  std::array<std::unique_ptr<Peer>, kSlots> slots_;
  RevocationIndex revocations_;
  std::optional<LiveIndex> live_;
  std::map<std::uint64_t, RecordRef> known_;  // what the index should hold
  std::uint64_t incarnation_ = 0;
  std::uint64_t epoch_ = 0;  // 0: nothing has come yet, and nobody is let in
  std::uint64_t applied_ = 0;
  base::MonoTime stalled_until_{};
  bool clock_stepped_ = false;
  bool draining_ = false;
};

}  // namespace sallyport::auth::simulation
