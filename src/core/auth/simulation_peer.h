#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/auth/simulation_fate.h"
#include "core/auth/state_machine.h"

namespace sallyport::auth::simulation {

/// One connection: the state machine, and beside it, kept from events and actions alone, what must hold of
/// it.
class Peer {
 public:
  /// A verifier at work: what it will answer, and when.
  struct Question {
    std::uint32_t generation;
    PrincipalRef who;
    base::MonoTime answered;
    std::optional<Failure> failure;
    bool revoked_at_start;
  };

  Peer(Fate& fate, const Policy& policy, std::uint64_t with_name)
      : state(policy, fate.now), name(with_name), fate_(fate), policy_(policy) {}

  /// One step, and all checks that concern this connection alone.
  Actions take(const Event& event);
  /// A message that is handed on because no timer has said otherwise: the mistake of
  /// `Sabotage::kTrustsTimers`.
  void deliver_unasked() { check({ActionKind::kDeliver}, {}, false, nullptr, state.authenticated()); }

  State state;
  const std::uint64_t name;
  PrincipalRef presented;             ///< the credential that was sent last
  std::vector<Question> verifying;    ///< also those that nobody waits for any more
  std::optional<Question> rechecking;

 private:
  struct Grant {
    PrincipalRef who;
    bool revoked = false;
    std::optional<Failure> denied = {};
  };
  [[nodiscard]] static Grant grant_of(const Event& event);
  [[nodiscard]] bool awaited(const Event& event) const;
  void follow(const Event& event, const Grant& grant, bool granted);
  void check(const Action& action, const Grant& grant, bool granted, const PrincipalRef& old, bool was_open);
  void check_state(bool was_live);

  Fate& fate_;
  const Policy& policy_;
  base::WallTime wall_end_ = base::kForever;
  base::MonoTime mono_end_ = base::kNever;
  base::MonoTime session_end_ = base::kNever;
  std::optional<std::pair<Text, Text>> identity_;
  int accepts_ = 0;
  int rejects_ = 0;
  int opens_ = 0;
  int closes_ = 0;
  int registers_ = 0;
};

}  // namespace sallyport::auth::simulation
