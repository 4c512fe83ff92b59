#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "core/auth/simulation_control.h"
#include "core/auth/simulation_fate.h"
#include "core/auth/simulation_worker.h"

// A small world in one process, made from a seed: some workers with their connections, a control node with a
// disk, and a network between them that loses, delays, repeats and reorders. Whatever happens, what must hold
// is checked after every step; equal seeds give equal worlds.

namespace sallyport::auth::simulation {

class World {
 public:
  World(std::uint64_t seed, Sabotage sabotage, std::ostream* trace = nullptr);

  /// The first invariant that was broken; nothing if all held.
  [[nodiscard]] std::string run();
  [[nodiscard]] const Counts& counts() const { return fate_.counts; }

 private:
  static constexpr std::size_t kWorkers = 3;

  // From the control node to a worker, or back with what has been applied.
  struct Message {
    std::size_t worker;
    std::uint64_t incarnation;
    DeltaRef delta;  // null: an acknowledgement
    std::uint64_t epoch;
    std::uint64_t applied;
    base::MonoTime arrives;
  };
  [[nodiscard]] Policy random_policy();
  void step();
  void pass_time();
  void set_wall_clock(base::WallTime wall);
  void something_happens();
  void worker_dies(std::size_t worker);
  void notice_new_workers();
  void send(Message message);
  void repeat_what_is_unacknowledged();
  void deliver();
  void receive(const Message& message);
  void check();
  void settle();

  Fate fate_;
  const Policy policy_;
  Wallet wallet_;
  std::vector<Worker> workers_;
  Control control_;
  std::vector<Message> network_;
  std::array<std::uint64_t, kWorkers> incarnations_{};
  bool sound_ = false;  // nothing is lost any more, and everybody is on time
};

}  // namespace sallyport::auth::simulation
