#include "server/worker.h"

#include <cxxabi.h>
#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "core/base/random.h"
#include "io/ask.h"
#include "server/events.h"
#include "server/handshake.h"
#include "server/visit.h"

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

Shared::Shared(AppOptions given)
    : options(std::move(given)), site(std::make_shared<Site>(options)), admission(options.limits) {
  node = options.node;
  if (node.empty()) {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) == 0) node = host.data();
    if (node.empty()) node = "node";
  }
  if (!options.log) return;
  // A log that fails must not take the server with it: events are told in destructors and on every thread.
  options.log = [sink = std::move(options.log)](const LogEvent& event) {
    try {
      sink(event);
    } catch (...) {
    }
  };
}
Shared::~Shared() = default;

bool Shared::publish(Worker* from, std::string_view channel, const Frame& frame) {
  // Anybody may publish at any time, also while `run` is still making the workers.
  if (!serving.load(std::memory_order_acquire)) return true;
  bool taken = true;
  std::vector<Worker*> asleep;  // hardly ever more than a few: whoever is busy finds it by itself
  history.publish(channel, frame, read_clocks().mono, [&](std::uint64_t number) {
    for (const auto& worker : workers) {
      switch (worker->accept_publication(channel, frame, number)) {
        case Inbox::Put::kTaken: break;
        case Inbox::Put::kFirst: asleep.push_back(worker.get()); break;
        case Inbox::Put::kDropped: taken = false; break;
      }
    }
  });
  for (Worker* const worker : asleep) {
    if (worker != from) worker->post([] {});  // a turn's end looks for it
  }
  // At once, where nothing waits before it: a publisher hears itself before it hears that it has been heard.
  if (from != nullptr) from->deliver_publications();
  if (!taken) tell_drop();
  return taken;
}

awaitable<std::expected<RevokeResult, RevokeFault>> Shared::revoke(RevokeRequest request,
                                                                  std::optional<Store::SeenToken> token) {
  using Answer = std::expected<RevokeResult, RevokeFault>;
  // Named: see HACKING.md on what GCC 12 does to temporaries in a co_await.
  std::function<awaitable<Answer>()> question = [this, request = std::move(request), token] {
    return revocations.revoke(request, token);
  };
  co_return co_await io::ask<Answer>(*control, std::move(question));
}

void Shared::tell_drop() {
  dropped_publications.fetch_add(1, std::memory_order_relaxed);
  const std::int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                  std::chrono::steady_clock::now().time_since_epoch())
                                  .count();
  std::int64_t told_ms = drops_told_ms.load(std::memory_order_relaxed);
  if (told_ms != 0 && now_ms - told_ms < 1000) return;
  if (!drops_told_ms.compare_exchange_strong(told_ms, now_ms, std::memory_order_relaxed)) return;
  Event(options.log, LogLevel::kWarn, "server.publications_dropped")
      .with("count", static_cast<std::int64_t>(dropped_publications.exchange(0, std::memory_order_relaxed)))
      .with("advice", "more is published than the members' workers can deliver");
}

void Shared::wake_publishers() {
  for (const auto& worker : workers) worker->post([target = worker.get()] { target->wake_publishers(); });
}

Worker::Worker(Shared& shared, std::uint32_t number)
    : shared_(shared),
      number_(number),
      site_(shared.site),
      loop_(*this),
      mailbox_(std::make_shared<Mailbox>(*this)),
      inbox_(shared.full_inboxes),
      receive_(kReceiveBytes) {
  cork_.reserve(kCorkBytes);
}

Worker::~Worker() {
  mailbox_->close();
  stop();
  join();
  // A coroutine that waited for something outside has come back meanwhile, if it ever does.
  loop_.close();
  states_.clear();
}

void Worker::start() {
  thread_ = std::thread([this] { run(); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
  sockets_.clear();  // of a worker that never began to serve
}

void Worker::stop() {
  // Once: what follows the loop's end, on the worker's own thread, is not to be cut short.
  if (!stopped_.exchange(true)) loop_.stop();
}

void Worker::run() {
  current_worker = this;
  // OpenSSL writes without MSG_NOSIGNAL: a peer that resets its connection must cost that connection, not the
  // process. Blocked on our own threads only, so that the program's handling of the signal stays its own.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  if (prepare()) loop_.run();
  end();
  current_worker = nullptr;
}

// False: it cannot serve, and whoever waits for it has been told why.
bool Worker::prepare() {
  try {
    for (const auto& [type, factory] : shared_.worker_states) states_.emplace(type, factory());
    for (const auth::RevocationRef& revocation : shared_.revocations.all()) {
      SALLYPORT_ASSERT(revocations_.add(revocation));  // it had room for them when it read the store
    }
    for (io::ListeningSocket& socket : sockets_) {
      listeners_.push_back(std::make_unique<io::Listener>(loop_, std::move(socket), *this));
    }
  } catch (...) {
    serving_.set_exception(std::current_exception());
    return false;
  }
  sockets_.clear();
  serving_.set_value();
  return true;
}

void Worker::end() {
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
  mailbox_->close();
  // Every coroutine has been cancelled by now. They come to their own ends, here, where their callbacks ran and
  // with everything they knew still in place; whoever ignores that is destroyed where it waits.
  loop_.run_until([this] { return running_.use_count() == 1; }, kUnwindGrace);
  loop_.close();
  retired_.clear();
  if (running_.use_count() == 1) states_.clear();  // otherwise when the worker is destroyed
}

void Worker::drain(base::Milliseconds window, std::function<void()> done) {
  post([this, window, done = std::move(done)]() mutable {
    if (draining_) return;
    draining_ = true;
    drained_ = std::move(done);
    // The listeners stay: a load balancer that asks is told 503, and so is whoever wants a socket now. The window
    // ends with the last of those who are here.
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      Connection* const connection = slots_[i].connection.get();
      if (connection == nullptr || connection->dropped()) continue;
      connection->set_counted_by_drain();
      ++undrained_;
      const std::int64_t share =
          window.count() > 0 ? static_cast<std::int64_t>(base::random_u32()) % window.count() : 0;
      connection->apply(auth::Draining{base::Milliseconds(share)});
    }
    finish_drain_if_empty();
  });
}

void Worker::finish_drain_if_empty() {
  // The listeners go when the last worker has drained: until then whoever comes to this one is told 503 too.
  if (!draining_ || undrained_ != 0 || !drained_) return;
  std::exchange(drained_, nullptr)();
}

// ---- Accepting

void Worker::on_accept(int fd, const io::Endpoint& peer) {
  const http::IpAddress address = address_of(peer);
  // A trusted proxy carries everybody: its own address counts for nobody.
  const bool proxied = http::contains(site_->trusted_proxies, address);
  const auto counted = proxied ? std::nullopt : std::optional(address);
  const Admission::Pending pending = shared_.admission.enter(counted);
  if (pending != Admission::Pending::kOk && !make_room(counted, pending)) {
    shared_.admission.leave(counted);
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
  slots_[slot].connection = std::make_unique<Connection>(*this, fd, address, proxied);
  Connection& connection = *slots_[slot].connection;
  connection.set_place(slot, slots_[slot].generation);
  pending_.enter(connection, counted, connection.handshake()->pending());
  ++live_;
  if (!loop_.poller().add(fd, connection, true, false)) connection.evict(Failure::kUnavailable);
}

// Over a limit the socket that has waited longest without proving itself gives way: a newcomer with a valid
// credential needs a moment, a hoard of silent sockets needs for ever.
bool Worker::make_room(const std::optional<http::IpAddress>& address, Admission::Pending pending) {
  const bool by_address = address && pending == Admission::Pending::kAddressFull;
  Connection* const victim = by_address ? pending_.oldest_of(*address) : pending_.oldest();
  if (victim == nullptr) return false;
  victim->evict(by_address ? Failure::kTooManyRequests : Failure::kUnavailable);
  return true;
}

bool Worker::on_descriptors_exhausted() {
  if (shortage_reported_ == base::MonoTime{} || now().mono - shortage_reported_ >= kShortageReports) {
    shortage_reported_ = now().mono;
    Event(shared_.options.log, LogLevel::kError, "server.descriptors_exhausted")
        .with("connections", static_cast<std::int64_t>(live_))
        .with("advice", "raise the limit of open files (ulimit -n, LimitNOFILE=)");
  }
  Connection* const victim = pending_.oldest();
  if (victim == nullptr) return false;
  victim->evict(Failure::kUnavailable);
  return true;
}

void Worker::promote(Connection& connection) {
  Handshake* const handshake = connection.handshake();
  if (handshake == nullptr || !handshake->pending().held()) return;
  handshake->pending().leave();
  shared_.admission.leave(handshake->pending().key());
}

bool Worker::attribute(Connection& connection, const http::IpAddress& address) {
  const Admission::Pending pending = shared_.admission.attribute(address);
  const bool room = pending == Admission::Pending::kOk || make_room(address, pending);
  pending_.attribute(connection, address, connection.handshake()->pending());
  return room;
}

void Worker::release(Connection& connection) {
  promote(connection);
  if (connection.counted_by_drain()) --undrained_;
  if (corked_ == &connection) uncork();
  unlist(connection);
  ++slots_[connection.slot()].generation;  // handles go stale at once
  released_.push_back(connection.slot());
}

Connection* Worker::find(std::uint32_t slot, std::uint32_t generation) noexcept {
  if (slot >= slots_.size() || slots_[slot].generation != generation) return nullptr;
  return slots_[slot].connection.get();
}

VerificationCache::Found Worker::known(const VerificationCache::Key& key, base::WallTime now) {
  if (auto mine = cache_.find(key, now)) return mine;
  if (shared_.workers.size() == 1) return {};
  auto others = shared_.verified.find(key, now);
  if (others) cache_.insert(key, others.principal, others.verifier);
  return others;
}

void Worker::remember(const VerificationCache::Key& key, const auth::PrincipalRef& who, std::uint8_t verifier) {
  cache_.insert(key, who, verifier);
  if (shared_.workers.size() > 1) shared_.verified.insert(key, who, verifier);
}

// ---- Turns

std::string& Worker::cork(Connection& connection) {
  while (corked_ != nullptr && corked_ != &connection) corked_->flush();
  // Another one's flush may have ended it, and with it this one.
  corked_ = connection.dropped() ? nullptr : &connection;
  return cork_;
}

bool Worker::verify_in_budget(Connection& connection,
                              std::move_only_function<void(Connection&)> work) {
  if (deferred_.empty() && verify_budget_ > 0) {
    --verify_budget_;
    work(connection);
    return true;
  }
  if (deferred_.size() >= kDeferredMost) return false;
  ++metrics_.verifications_delayed;
  deferred_.push_back({connection.slot(), connection.slot_generation(), std::move(work)});
  return true;
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

// First what waited longest.
void Worker::serve_publications() {
  if (!hub_.backlogged() && !inbox_.waits()) return;
  flow_budget_ = kFlowPerPart;
  hub_.go_on();
  deliver_publications();
}

void Worker::deliver_publications() {
  while (!hub_.backlogged()) {
    const auto next = inbox_.take();
    if (!next) break;
    hub_.publish(*next);
    if (flow_spent()) break;
  }
  if (inbox_.settle()) shared_.wake_publishers();
}

bool Worker::behind(std::uint64_t number) const {
  if (hub_.delivered() >= number) return false;
  (void)shared_.history.last();  // from here on it is in the inbox, unless that had no room
  return hub_.backlogged() || inbox_.waits();
}

void Worker::call_caught_up(const Connection& connection) {
  behind_.emplace_back(connection.slot(), connection.slot_generation());
}

void Worker::serve_behind() {
  const auto list = std::exchange(behind_, {});
  for (const auto& [slot, generation] : list) {
    if (Connection* const connection = find(slot, generation)) connection->caught_up();
  }
}

void Worker::serve_again() {
  if (again_.empty()) return;
  flow_budget_ = kFlowPerPart;
  const std::vector<Connection*> list = std::exchange(again_, {});
  std::size_t served = 0;
  for (; served < list.size() && !flow_spent(); ++served) {
    if (list[served]->listed()) list[served]->resume();
  }
  // Who did not get a go is first next time, unless it has been taken off the list meanwhile.
  std::vector<Connection*> rest;
  for (; served < list.size(); ++served) {
    if (list[served]->listed()) rest.push_back(list[served]);
  }
  again_.insert(again_.begin(), rest.begin(), rest.end());
}

void Worker::unlist(Connection& connection) {
  if (!connection.take_listed()) return;
  std::erase(again_, &connection);
  std::erase(publishers_, &connection);
}

void Worker::wake_publishers() {
  again_.insert(again_.end(), publishers_.begin(), publishers_.end());
  publishers_.clear();
}

void Worker::on_timer(base::TimerWheel::Node& node) {
  for (const auto& listener : listeners_) {
    if (listener->on_timer(node)) return;
  }
  static_cast<Connection&>(node).on_timer();
}

bool Worker::on_turn_end() {
  struct Measure {
    Worker& worker;
    ~Measure() {
      const auto took = std::chrono::steady_clock::now() - worker.loop_.turn_began();
      worker.metrics_.loop_delay.add(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
    }
  } measure{*this};
  serve_deferred();
  serve_publications();
  serve_behind();
  serve_again();
  // Flushing may run on_drain, which may queue for others: until nothing is left.
  for (std::size_t i = 0; i < dirty_.size(); ++i) dirty_[i]->end_turn();
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
  flow_budget_ = kFlowPerPart;
  finish_drain_if_empty();
  return !deferred_.empty() || !again_.empty() || hub_.backlogged() || inbox_.waits();
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

namespace {

std::string name_of(std::type_index type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  return name != nullptr ? name.get() : type.name();
}

}  // namespace

void throw_no_data(std::type_index type) {
  throw std::logic_error("data: the connections of this route carry no " + name_of(type));
}

void throw_no_worker_state(std::type_index type) {
  throw std::logic_error("worker_state<" + name_of(type) + ">: " +
                         (current_worker == nullptr ? "called outside of a callback"
                                                    : "the app has no per_worker of that type"));
}

std::any* find_worker_state(std::type_index type) {
  return current_worker == nullptr ? nullptr : current_worker->state(type);
}

}  // namespace sallyport::server
