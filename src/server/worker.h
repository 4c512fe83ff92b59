#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <typeindex>
#include <vector>

#include "core/auth/live_index.h"
#include "core/auth/revocation.h"
#include "core/base/random.h"
#include "core/ws/deflate.h"
#include "io/listener.h"
#include "io/loop.h"
#include "server/connection.h"
#include "server/control.h"
#include "server/hub.h"
#include "server/inbox.h"
#include "server/metrics.h"
#include "server/pending_pool.h"
#include "server/refusal_cache.h"
#include "server/shared.h"
#include "server/verification_cache.h"

namespace sallyport::server {

/// How other threads reach a worker that may have ended. Thread-safe; the mutex is taken when a handle is used
/// from outside, never for a message on its own worker.
class Mailbox {
 public:
  explicit Mailbox(Worker& worker) : worker_(&worker) {}
  /// Runs `work` on the worker with the connection, unless either has gone.
  void post(std::uint32_t slot, std::uint32_t generation,
            std::move_only_function<void(Connection&)> work);
  void close();

 private:
  std::mutex mutex_;
  Worker* worker_;
};

/// One thread with its loop, listeners, connections, hub and caches. It shares nothing that changes with the
/// other workers except through `post`.
class Worker final : public io::TurnHooks, public io::Listener::Sink {
 public:
  static constexpr std::size_t kReceiveBytes = 64 * 1024;  ///< the one receive buffer
  static constexpr std::size_t kCorkBytes = 64 * 1024;     ///< the one buffer for what a turn writes
  static constexpr int kTlsHandshakesPerTurn = 8;
  static constexpr int kVerificationsPerTurn = 16;
  static constexpr std::size_t kDeferredMost = 8192;  ///< verifications that wait for a later turn; then 503
  static constexpr int kReadsPerTurn = 4;  ///< full buffers from one connection, then others get their go
  /// Messages processed and publications' frames queued in each part of a turn: by what is read, by what waits in
  /// the hub and the inbox, and by connections that go on where this ended.
  static constexpr int kFlowPerPart = 2048;
  static constexpr base::Milliseconds kUnwindGrace{1000};   ///< for cancelled coroutines, when the worker ends
  static constexpr base::Milliseconds kShortageReports{1000};  ///< at most one in so much time

  /// `number` is its place among `Shared::workers`.
  Worker(Shared& shared, std::uint32_t number);
  ~Worker();

  /// Before `start`.
  void listen(io::ListeningSocket socket) { sockets_.push_back(std::move(socket)); }
  /// Throws std::system_error if there is no thread to be had.
  void start();
  /// After `start`: waits until it serves. Throws what a `per_worker` factory has thrown; it has ended then.
  void wait_until_serving() { serving_.get_future().get(); }
  /// Waits for its end. When it returns nothing of the user's runs on the worker or is held by it, except for
  /// coroutines that wait for something outside of it.
  void join();
  /// Ends the loop at once, whatever is open. Thread-safe.
  void stop();
  /// Stops accepting and closes every connection within `window`. Calls `done` on the worker's thread when
  /// the last one has gone.
  void drain(base::Milliseconds window, std::function<void()> done);
  void post(std::move_only_function<void()> work) { loop_.post(std::move(work)); }
  /// Takes what has been published, here or on another thread. It must be woken where that is the first. Thread-safe.
  [[nodiscard]] Inbox::Put accept_publication(std::string_view channel, const Frame& frame, std::uint64_t number) {
    return inbox_.put(channel, frame, number);
  }
  /// Delivers what waits, as far as it goes in this turn.
  void deliver_publications();
  /// Whether a publication that another worker has delivered has yet to come here.
  [[nodiscard]] bool behind(std::uint64_t number) const;
  /// `caught_up` of the connection is called when this turn has delivered what it could.
  void call_caught_up(const Connection& connection);
  /// The last one, by its number, that there was no room for.
  [[nodiscard]] std::uint64_t last_dropped_publication() const noexcept { return inbox_.last_dropped(); }
  /// Those who wait to publish may go on.
  void wake_publishers();

  // ---- What the control thread orders, on the worker's thread (worker_control.cc)
  /// From here on handshakes meet it, and whoever it means has been ended: how many that were.
  std::size_t apply_revocation(const auth::RevocationRef& revocation);
  void lift_revocation(std::uint64_t id);
  void expire_revocations(base::WallTime now, std::size_t budget);
  /// Goes by another site: what was remembered about credentials is forgotten, and every connection follows.
  void adopt(SiteRef site);
  /// Those that the query means, from a slot on, until `page` is full. The slot to go on with; nothing: that is all.
  [[nodiscard]] std::optional<std::uint32_t> list(const ConnectionQuery& query, std::uint32_t from,
                                                  std::vector<ConnectionInfo>& page);
  [[nodiscard]] Connection* named(std::string_view id);
  /// Adds what this worker counts.
  void count(MetricsSnapshot& snapshot) const;

  // ---- For connections, on the worker's thread
  [[nodiscard]] std::uint32_t number() const noexcept { return number_; }
  [[nodiscard]] WorkerMetrics& metrics() noexcept { return metrics_; }
  [[nodiscard]] auth::LiveIndex& live() noexcept { return live_index_; }
  /// Whether a revocation means this principal. It is told then that somebody has met it.
  [[nodiscard]] bool revoked(const Principal& who);
  [[nodiscard]] Shared& shared() noexcept { return shared_; }
  /// What this worker goes by; another one after a reload.
  [[nodiscard]] const SiteRef& site() const noexcept { return site_; }
  [[nodiscard]] io::Loop& loop() noexcept { return loop_; }
  [[nodiscard]] Hub& hub() noexcept { return hub_; }
  /// Whether the credential has been verified before, by this worker or another one.
  [[nodiscard]] VerificationCache::Found known(const VerificationCache::Key& key, base::WallTime now);
  void remember(const VerificationCache::Key& key, const auth::PrincipalRef& who, std::uint8_t verifier);
  [[nodiscard]] RefusalCache& refusals() noexcept { return refusals_; }
  [[nodiscard]] base::Now now() const noexcept { return loop_.now(); }
  /// For what must be true at this moment, however long the turn has taken until now.
  [[nodiscard]] base::Now fresh_now() {
    loop_.refresh_clocks();
    return loop_.now();
  }
  [[nodiscard]] std::span<char> receive_buffer() noexcept { return receive_; }
  [[nodiscard]] const std::shared_ptr<Mailbox>& mailbox() const noexcept { return mailbox_; }
  [[nodiscard]] ws::Inflater& inflater();
  [[nodiscard]] ws::Deflater& deflater();

  /// The cork: bytes that `connection` writes in this turn gather here and leave in one system call. Taking it
  /// flushes whoever had it.
  std::string& cork(Connection& connection);
  [[nodiscard]] bool corked(const Connection& connection) const noexcept {
    return corked_ == &connection;
  }
  [[nodiscard]] std::string& cork_bytes() noexcept { return cork_; }
  void uncork() noexcept {
    corked_ = nullptr;
    cork_.clear();
  }

  /// To be flushed when the turn ends.
  void mark_dirty(Connection& connection) { dirty_.push_back(&connection); }
  /// To be read again in the next turn, although its socket may not become readable (TLS holds bytes).
  void read_again(Connection& connection) { again_.push_back(&connection); }
  /// To be read again when no inbox is full any more.
  void wait_to_publish(Connection& connection) { publishers_.push_back(&connection); }
  /// Takes it off the lists of those to be read again.
  void unlist(Connection& connection);
  [[nodiscard]] bool flow_spent() const noexcept { return flow_budget_ <= 0; }
  void spend_flow() noexcept { --flow_budget_; }
  [[nodiscard]] bool take_tls_budget() noexcept { return tls_budget_-- > 0; }
  /// Runs `work` on the connection now if this turn's budget for signatures allows, otherwise in a later one.
  /// Somebody was told to wait, because too many credentials come at once. The log hears of it once a second.
  void tell_limited();
  /// False: too many wait already.
  [[nodiscard]] bool verify_in_budget(Connection& connection, std::move_only_function<void(Connection&)> work);
  /// The connection has authenticated: it no longer counts as pending.
  void promote(Connection& connection);
  /// It has become known whose connection a trusted proxy's is. False if there is no room for another one of
  /// that address.
  [[nodiscard]] bool attribute(Connection& connection, const http::IpAddress& address);
  /// The connection has closed its socket: it is destroyed when the turn has ended.
  void release(Connection& connection);
  void keep_until_turn_ends(std::shared_ptr<void> object) { retired_.push_back(std::move(object)); }
  /// Held by the completion of every coroutine that runs here: a worker that ends waits for them a while.
  [[nodiscard]] std::shared_ptr<const void> running() const noexcept { return running_; }
  [[nodiscard]] Connection* find(std::uint32_t slot, std::uint32_t generation) noexcept;
  [[nodiscard]] bool draining() const noexcept { return draining_; }

  // ---- io::TurnHooks
  void on_timer(base::TimerWheel::Node& node) override;
  [[nodiscard]] bool on_turn_end() override;
  void on_clock_step() override;
  // ---- io::Listener::Sink
  void on_accept(int fd, const io::Endpoint& peer) override;
  [[nodiscard]] bool on_descriptors_exhausted() override;

  [[nodiscard]] std::any* state(std::type_index type);

 private:
  struct Slot {
    std::unique_ptr<Connection> connection;
    std::uint32_t generation = 0;
  };
  struct Deferred {
    std::uint32_t slot;
    std::uint32_t generation;
    std::move_only_function<void(Connection&)> work;
  };
  void run();
  [[nodiscard]] bool prepare();
  void end();
  void serve_deferred();
  void serve_publications();
  void serve_behind();
  void serve_again();
  void finish_drain_if_empty();
  [[nodiscard]] bool make_room(const std::optional<http::IpAddress>& address, Admission::Pending pending);

  Shared& shared_;
  const std::uint32_t number_;
  SiteRef site_;
  std::map<std::type_index, std::any> states_;  // before the loop, whose coroutines may hold on to them
  io::Loop loop_;
  std::shared_ptr<Mailbox> mailbox_;
  std::vector<io::ListeningSocket> sockets_;
  std::vector<std::unique_ptr<io::Listener>> listeners_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::size_t live_ = 0;
  PendingPool pending_;
  int flow_budget_ = kFlowPerPart;
  Hub hub_{flow_budget_};
  Inbox inbox_;
  VerificationCache cache_;
  RefusalCache refusals_;
  auth::RevocationIndex revocations_;
  auth::LiveIndex live_index_{std::uint64_t{base::random_u32()} << 32 | base::random_u32()};
  WorkerMetrics metrics_;
  std::vector<char> receive_;
  std::string cork_;
  Connection* corked_ = nullptr;
  std::vector<Connection*> dirty_;
  std::vector<Connection*> again_;
  std::vector<Connection*> publishers_;  // that wait for room in an inbox
  std::vector<std::pair<std::uint32_t, std::uint32_t>> behind_;  // slots with generations
  std::vector<std::uint32_t> released_;
  std::vector<std::shared_ptr<void>> retired_;
  std::deque<Deferred> deferred_;
  std::unique_ptr<ws::Inflater> inflater_;
  std::unique_ptr<ws::Deflater> deflater_;
  std::shared_ptr<const void> running_ = std::make_shared<char>();
  std::function<void()> drained_;
  base::MonoTime shortage_reported_{};
  base::MonoTime limited_reported_{};
  std::uint64_t limited_ = 0;  // since then
  int tls_budget_ = kTlsHandshakesPerTurn;
  int verify_budget_ = kVerificationsPerTurn;
  std::size_t undrained_ = 0;  // of those who were here when the drain began
  bool draining_ = false;
  std::atomic<bool> stopped_ = false;
  std::promise<void> serving_;
  std::thread thread_;
};

}  // namespace sallyport::server
