#include "server/worker.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "core/base/random.h"
#include "server/events.h"
#include "server/handshake.h"

namespace sallyport::server {
namespace {

// The worker whose turn it is on this thread, for `worker_state`. Set once when a worker's thread starts.
thread_local Worker* current_worker = nullptr;

http::IpAddress address_of(const io::Endpoint& peer) {
  if (peer.storage.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &peer.storage, sizeof v6);
    std::array<std::uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    return http::IpAddress::from_v6(bytes);
  }
  sockaddr_in v4;
  std::memcpy(&v4, &peer.storage, sizeof v4);
  std::array<std::uint8_t, 4> bytes;
  std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
  return http::IpAddress::from_v4(bytes);
}

}  // namespace

void Mailbox::post(std::uint32_t slot, std::uint32_t generation,
                   std::move_only_function<void(Connection&)> work) {
  const std::lock_guard lock(mutex_);
  if (worker_ == nullptr) return;
  worker_->post([worker = worker_, slot, generation, work = std::move(work)]() mutable {
    if (Connection* const connection = worker->find(slot, generation)) work(*connection);
  });
}

void Mailbox::close() {
  const std::lock_guard lock(mutex_);
  worker_ = nullptr;
}

Shared::Shared(AppOptions given) : options(std::move(given)), admission(options.limits) {}
Shared::~Shared() = default;

void Shared::publish(Worker* from, std::string_view channel, const Frame& frame) {
  // Anybody may publish at any time, also while `run` is still making the workers.
  if (!serving.load(std::memory_order_acquire)) return;
  if (from != nullptr) from->hub().deliver(channel, frame);
  for (const auto& worker : workers) {
    if (worker.get() == from) continue;
    worker->post([target = worker.get(), name = std::string(channel), frame] {
      target->hub().deliver(name, frame);
    });
  }
}

Worker::Worker(Shared& shared)
    : shared_(shared),
      loop_(*this),
      mailbox_(std::make_shared<Mailbox>(*this)),
      receive_(kReceiveBytes),
      spare_fd_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {
  cork_.reserve(kCorkBytes);
}

Worker::~Worker() {
  mailbox_->close();
  join();
  if (spare_fd_ >= 0) ::close(spare_fd_);
}

void Worker::start() {
  thread_ = std::thread([this] { run(); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

void Worker::run() {
  current_worker = this;
  // OpenSSL writes without MSG_NOSIGNAL: a peer that resets its connection must cost that connection, not the
  // process. Blocked on our own threads only, so that the program's handling of the signal stays its own.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  for (const auto& [type, factory] : shared_.worker_states) states_.emplace(type, factory());
  for (io::ListeningSocket& socket : sockets_) {
    listeners_.push_back(std::make_unique<io::Listener>(loop_, std::move(socket), *this));
  }
  sockets_.clear();
  loop_.run();
  listeners_.clear();
  deferred_.clear();
  // What is left when the drain window has ended is not waited for, but `on_close` is owed to whoever was open.
  loop_.turn([this] {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      Connection* const connection = slots_[i].connection.get();
      if (connection != nullptr && !connection->dropped()) connection->evict(Failure::kDraining);
    }
  });
  for (Slot& slot : slots_) {
    if (slot.connection == nullptr) continue;
    // A coroutine of its middleware may hold the handshake for longer than this worker has a pool.
    promote(*slot.connection);
    slot.connection.reset();
  }
  retired_.clear();
  states_.clear();
  current_worker = nullptr;
}

void Worker::drain(base::Milliseconds window, std::function<void()> done) {
  post([this, window, done = std::move(done)]() mutable {
    if (draining_) return;
    draining_ = true;
    drained_ = std::move(done);
    listeners_.clear();
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      Connection* const connection = slots_[i].connection.get();
      if (connection == nullptr || connection->dropped()) continue;
      const std::int64_t share =
          window.count() > 0 ? static_cast<std::int64_t>(base::random_u32()) % window.count() : 0;
      connection->apply(auth::Draining{base::Milliseconds(share)});
    }
    finish_drain_if_empty();
  });
}

void Worker::finish_drain_if_empty() {
  if (draining_ && live_ == 0 && drained_) std::exchange(drained_, nullptr)();
}

// ---- Accepting

void Worker::on_accept(int fd, const io::Endpoint& peer) {
  const http::IpAddress address = address_of(peer);
  const Admission::Pending pending = shared_.admission.enter(address);
  if (pending != Admission::Pending::kOk && !make_room(address, pending)) {
    shared_.admission.leave(address);
    ::close(fd);
    return;
  }
  std::uint32_t slot = 0;
  if (!free_slots_.empty()) {
    slot = free_slots_.back();
    free_slots_.pop_back();
  } else {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  }
  slots_[slot].connection = std::make_unique<Connection>(*this, fd, address);
  Connection& connection = *slots_[slot].connection;
  connection.set_place(slot, slots_[slot].generation);
  pending_.enter(connection, address, connection.handshake()->pending());
  ++live_;
  if (!loop_.poller().add(fd, connection, true, false)) connection.evict(Failure::kUnavailable);
}

// Over a limit the socket that has waited longest without proving itself gives way: a newcomer with a valid
// credential needs a moment, a hoard of silent sockets needs for ever.
bool Worker::make_room(const http::IpAddress& address, Admission::Pending pending) {
  const bool by_address = pending == Admission::Pending::kAddressFull;
  Connection* const victim = by_address ? pending_.oldest_of(address) : pending_.oldest();
  if (victim == nullptr) return false;
  victim->evict(by_address ? Failure::kTooManyRequests : Failure::kUnavailable);
  return true;
}

bool Worker::on_descriptors_exhausted() {
  Event(shared_.options.log, LogLevel::kError, "server.descriptors_exhausted")
      .with("connections", static_cast<std::int64_t>(live_))
      .with("advice", "raise the limit of open files (ulimit -n, LimitNOFILE=)");
  Connection* const victim = pending_.oldest();
  if (victim == nullptr) return false;
  victim->evict(Failure::kUnavailable);
  return true;
}

void Worker::promote(Connection& connection) {
  Handshake* const handshake = connection.handshake();
  if (handshake == nullptr || !handshake->pending().held()) return;
  handshake->pending().leave();
  shared_.admission.leave(connection.address());
}

void Worker::release(Connection& connection) {
  promote(connection);
  if (corked_ == &connection) uncork();
  std::erase(again_, &connection);
  ++slots_[connection.slot()].generation;  // handles go stale at once
  released_.push_back(connection.slot());
}

Connection* Worker::find(std::uint32_t slot, std::uint32_t generation) noexcept {
  if (slot >= slots_.size() || slots_[slot].generation != generation) return nullptr;
  return slots_[slot].connection.get();
}

// ---- Turns

std::string& Worker::cork(Connection& connection) {
  if (corked_ != nullptr && corked_ != &connection) {
    Connection* const other = corked_;
    other->flush();
    uncork();
  }
  corked_ = &connection;
  return cork_;
}

void Worker::verify_in_budget(Connection& connection,
                              std::move_only_function<void(Connection&)> work) {
  if (deferred_.empty() && verify_budget_ > 0) {
    --verify_budget_;
    work(connection);
    return;
  }
  deferred_.push_back({connection.slot(), connection.slot_generation(), std::move(work)});
}

void Worker::serve_deferred() {
  while (!deferred_.empty() && verify_budget_ > 0) {
    Deferred next = std::move(deferred_.front());
    deferred_.pop_front();
    Connection* const connection = find(next.slot, next.generation);
    if (connection == nullptr) continue;
    --verify_budget_;
    next.work(*connection);
  }
}

void Worker::on_timer(base::TimerWheel::Node& node) {
  for (const auto& listener : listeners_) {
    if (listener->on_timer(node)) return;
  }
  static_cast<Connection&>(node).on_timer();
}

bool Worker::on_turn_end() {
  serve_deferred();
  for (Connection* const connection : std::exchange(again_, {})) connection->resume();
  // Flushing may run on_drain, which may queue for others: until nothing is left.
  for (std::size_t i = 0; i < dirty_.size(); ++i) dirty_[i]->flush();
  dirty_.clear();
  for (const std::uint32_t slot : released_) {
    slots_[slot].connection.reset();
    free_slots_.push_back(slot);
    --live_;
  }
  released_.clear();
  retired_.clear();
  if (cork_.capacity() > 4 * kCorkBytes) {
    cork_ = {};
    cork_.reserve(kCorkBytes);
  }
  tls_budget_ = kTlsHandshakesPerTurn;
  verify_budget_ = kVerificationsPerTurn;
  finish_drain_if_empty();
  return !deferred_.empty() || !again_.empty();
}

void Worker::on_clock_step() {
  // Not within the turn's own work: the list of connections may be in use.
  loop_.post([this] {
    for (const Slot& slot : slots_) {
      if (slot.connection != nullptr && !slot.connection->dropped()) {
        slot.connection->apply(auth::ClockStepped{});
      }
    }
  });
}

ws::Inflater& Worker::inflater() {
  if (inflater_ == nullptr) inflater_ = std::make_unique<ws::Inflater>();
  return *inflater_;
}

ws::Deflater& Worker::deflater() {
  if (deflater_ == nullptr) deflater_ = std::make_unique<ws::Deflater>();
  return *deflater_;
}

std::any* Worker::state(std::type_index type) {
  const auto found = states_.find(type);
  return found == states_.end() ? nullptr : &found->second;
}

std::any* find_worker_state(std::type_index type) {
  return current_worker == nullptr ? nullptr : current_worker->state(type);
}

}  // namespace sallyport::server
