#include "core/auth/simulation_world.h"

#include <algorithm>
#include <utility>

namespace sallyport::auth::simulation {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

namespace {

constexpr int kSteps = 120;
constexpr int kSettlingSteps = 2'000;

}  // namespace

World::World(std::uint64_t seed, Sabotage sabotage, std::ostream* trace)
    : fate_(seed, sabotage, trace),
      policy_(random_policy()),
      wallet_(fate_, policy_.max_session != Policy::kUnlimited),
      control_(fate_, wallet_, kWorkers) {
  for (std::size_t i = 0; i < kWorkers; ++i) workers_.emplace_back(fate_, wallet_, policy_);
  control_.start();
}

Policy World::random_policy() {
  Policy policy;
  policy.first_message_allowed = fate_.chance(2);
  policy.refresh_lead = fate_.up_to(60s);
  policy.refreshes_per_minute = static_cast<std::uint16_t>(2 + fate_.below(10));
  policy.ping_interval = 1s + fate_.up_to(30s);
  policy.idle_timeout = 5s + fate_.up_to(60s);
  policy.max_session = 20s + fate_.up_to(300s);
  // One of the two must be finite.
  if (fate_.chance(4)) policy.max_session = Policy::kUnlimited;
  return policy;
}

std::string World::run() {
  for (int i = 0; i < kSteps && fate_.fault.empty(); ++i) step();
  if (fate_.fault.empty()) settle();
  return fate_.fault;
}

void World::step() {
  pass_time();
  deliver();
  control_.turn(sound_);
  for (Worker& worker : workers_) worker.turn(sound_);
  if (!sound_) something_happens();
  notice_new_workers();
  repeat_what_is_unacknowledged();
  check();
}

// ---- Time

void World::pass_time() {
  const base::Milliseconds time = fate_.up_to(fate_.chance(12) ? 15s : fate_.chance(2) ? 20ms : 600ms);
  fate_.now.mono += time;
  set_wall_clock(fate_.now.wall + time);
}

void World::set_wall_clock(base::WallTime wall) {
  fate_.now.wall = wall;
  control_.clock_moved();
}

// ---- The network

void World::send(Message message) {
  if (!sound_ && fate_.chance(4)) {
    ++fate_.counts.lost;
    return;
  }
  message.arrives = fate_.now.mono + fate_.up_to(!sound_ && fate_.chance(6) ? 5s : 50ms);
  network_.push_back(message);
  if (sound_ || !fate_.chance(5)) return;
  ++fate_.counts.repeated;
  message.arrives += fate_.up_to(5s);
  network_.push_back(std::move(message));
}

void World::repeat_what_is_unacknowledged() {
  if (!sound_ && fate_.chance(2)) return;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    for (const DeltaRef& delta : control_.unacknowledged_by(i)) {
      send({.worker = i, .incarnation = workers_[i].incarnation(), .delta = delta, .epoch = 0, .applied = 0});
    }
  }
}

void World::deliver() {
  // Those that have arrived, in an order of their own.
  for (std::size_t i = 0; i < network_.size();) {
    const std::size_t other = i + fate_.below(static_cast<std::uint32_t>(network_.size() - i));
    if (!sound_) std::swap(network_[i], network_[other]);
    const bool stalled = network_[i].delta != nullptr && workers_[network_[i].worker].stalled();
    if (network_[i].arrives > fate_.now.mono || stalled) {
      ++i;
      continue;
    }
    const Message message = std::move(network_[i]);
    network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(i));
    receive(message);
  }
}

void World::receive(const Message& message) {
  Worker& worker = workers_[message.worker];
  if (message.incarnation != worker.incarnation()) return;  // its process is gone, and the link with it
  if (message.delta == nullptr) return control_.acknowledged(message.worker, message.epoch, message.applied);
  worker.apply(*message.delta);
  const auto applied = worker.applied(message.delta->epoch);
  if (!applied) return;
  send({.worker = message.worker,
        .incarnation = message.incarnation,
        .delta = nullptr,
        .epoch = message.delta->epoch,
        .applied = *applied});
}

// ---- Events

void World::worker_dies(std::size_t worker) {
  fate_.tell(" worker ", worker, " dies");
  workers_[worker].restart();
}

void World::notice_new_workers() {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (std::exchange(incarnations_[i], workers_[i].incarnation()) != workers_[i].incarnation()) {
      control_.worker_died(i);
    }
  }
}

void World::something_happens() {
  const std::size_t one = fate_.below(static_cast<std::uint32_t>(workers_.size()));
  for (Worker& worker : workers_) worker.something_happens();
  switch (fate_.below(60)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
      if (control_.up()) control_.revoke();
      break;
    case 6:
      if (control_.up()) control_.lift();
      break;
    case 7:
      if (control_.up()) control_.extend();
      break;
    case 8:
    case 9:
      control_.up() ? control_.crash() : control_.start();
      break;
    case 10:
      worker_dies(one);
      break;
    case 11:
      // The whole machine.
      control_.crash();
      for (std::size_t i = 0; i < workers_.size(); ++i) worker_dies(i);
      break;
    case 12:
      if (fate_.chance(3)) workers_[one].drain();
      break;
    case 13:
    case 14:
      workers_[one].stall(fate_.up_to(8s));
      break;
    case 15:
      ++fate_.counts.clock_steps;
      set_wall_clock(fate_.now.wall + fate_.up_to(4min) - 2min);
      for (Worker& worker : workers_) worker.clock_stepped();
      break;
    case 16:
      if (control_.up()) control_.expire();
      break;
    case 17:
      if (!workers_[one].stalled()) workers_[one].expire();
      break;
    default:
      if (!control_.up() && fate_.chance(4)) control_.start();
      break;
  }
}

// ---- Checks

void World::check() {
  for (const Worker& worker : workers_) worker.check();
  control_.check(workers_);
}

// When nothing goes wrong any more, everything that was begun comes to its end.
void World::settle() {
  sound_ = true;
  if (!control_.up()) control_.start();
  const auto settled = [&] {
    return control_.idle() &&
           std::all_of(workers_.begin(), workers_.end(), [](const Worker& w) { return w.empty(); });
  };
  for (int i = 0; i < kSettlingSteps && fate_.fault.empty() && !settled(); ++i) {
    step();
    if (!control_.idle()) continue;
    base::MonoTime next = base::kNever;
    for (const Worker& worker : workers_) next = std::min(next, worker.next());
    if (next == base::kNever || next <= fate_.now.mono) continue;
    const base::Milliseconds wait = next - fate_.now.mono;
    fate_.now.mono += wait;
    set_wall_clock(fate_.now.wall + wait);
  }
  fate_.require(control_.idle(), "a caller waits for ever");
  fate_.require(settled(), "4: a connection never ends");
}

}  // namespace sallyport::auth::simulation
