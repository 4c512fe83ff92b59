#pragma once

#include <any>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/auth/credentials.h"
#include "core/auth/inband.h"
#include "core/auth/state_machine.h"
#include "core/base/digest.h"
#include "core/base/timer_wheel.h"
#include "core/http/address.h"
#include "core/ws/decoder.h"
#include "io/poller.h"
#include "io/stream.h"
#include "sallyport/connection.h"
#include "sallyport/verifier.h"
#include "server/hub.h"
#include "server/outbox.h"
#include "server/request_state.h"
#include "server/subject_table.h"

namespace sallyport::server {

class Handshake;
class RouteTable;
class Verification;
class Worker;
struct ConnectionInfo;
struct Recheck;
struct ResumeRequest;
struct ResumeState;
struct ResumeTrack;
struct Replay;
struct WsRoute;
using WsRouteRef = std::shared_ptr<const WsRoute>;

/// One socket from accept to close. It moves bytes, turns them into events for the state machine and executes
/// the actions that come back; whether something may happen is never decided here. It stays in memory until
/// the turn in which it was dropped has ended. Belongs to its worker's thread.
///
/// The implementation is in eight files: connection.cc (life, reading, timers), connection_peer.cc (whose it is),
/// connection_output.cc (writing), connection_actions.cc (what the machine orders), connection_verify.cc (its
/// credentials), connection_site.cc (what becomes of it where the rules change), connection_inband.cc (messages
/// and the control protocol) and connection_resume.cc (going on where another one stopped).
class Connection final : public io::Watcher, public base::TimerWheel::Node {
 public:
  /// `proxied`: the peer at `address` is a trusted proxy, and who the client is remains to be said.
  Connection(Worker& worker, int fd, const http::IpAddress& address, bool proxied);
  ~Connection();

  // ---- Events from the worker
  void on_ready(io::Readiness readiness) override;
  void on_timer();
  /// Feeds the machine and does what it says.
  void apply(const auth::Event& event);
  /// Reads on where a turn's budget ended.
  void resume();
  /// The answer of a verification, at once or later; of an old generation it is dropped by the machine.
  void verified(std::uint32_t generation, const Verdict& verdict);
  /// The answer of a re-check; of an old one it is dropped.
  void rechecked(std::uint32_t generation, const Verdict& verdict);
  /// A new principal that was verified elsewhere, and by what. Why it is not taken; nothing: it holds from here.
  [[nodiscard]] std::optional<Failure> refresh(const auth::PrincipalRef& proven, std::uint8_t verifier,
                                               const std::shared_ptr<const auth::Credential>& credential);
  /// Its worker goes by another site. It follows: to the route of the same path there, by whose rules it is judged
  /// anew; or it ends.
  void follow_site();
  /// Makes room for others: says why if that is possible at once, and is gone.
  void evict(Failure failure);
  /// Goes on with what was held while reads paused; to be called when an answer came outside of reading.
  void process_held();
  /// Everything queued goes to the kernel, as far as it takes it. Runs none of the user's code but `on_close`.
  void flush();
  /// The turn ends: flushes, and runs `on_drain` where it is owed.
  void end_turn();

  // ---- For handlers
  SendResult send(ws::Opcode opcode, std::string_view payload);
  /// Queues a publication's frame. False if this connection may not receive it (any more).
  bool deliver(const Frame& frame, std::uint64_t number);
  /// It has left a channel.
  void left_channel() noexcept;
  /// Its worker may have delivered by now what was waited for before it goes on where another one stopped.
  void caught_up();
  void close(std::uint16_t code, std::string_view reason);
  [[nodiscard]] Handle handle() const;
  [[nodiscard]] const Principal& principal() const;
  [[nodiscard]] std::string_view param(std::string_view name) const noexcept;
  [[nodiscard]] const std::any* local(std::string_view name) const;
  [[nodiscard]] std::any& data() noexcept { return data_; }
  [[nodiscard]] const ConnectionId& id() const noexcept { return id_; }
  [[nodiscard]] const http::IpAddress& address() const noexcept { return address_; }
  /// What waits for the peer; not what is on its way to the kernel in this turn.
  [[nodiscard]] std::size_t queued_bytes() const noexcept { return was_blocked_ ? outbox_.bytes() : 0; }
  [[nodiscard]] Worker& worker() noexcept { return worker_; }

  [[nodiscard]] ConnectionInfo info() const;

  // ---- For the handshake, the hub and the worker
  [[nodiscard]] Place place() const noexcept;
  /// It was here when the drain began, which ends with it.
  void set_counted_by_drain() noexcept { counted_by_drain_ = true; }
  [[nodiscard]] bool counted_by_drain() const noexcept { return counted_by_drain_; }
  /// The handshake is complete and wants this route; nothing for a plain request.
  void set_route(WsRouteRef route) noexcept { route_ = std::move(route); }
  [[nodiscard]] const WsRouteRef& route() const noexcept { return route_; }
  [[nodiscard]] const auth::State& state() const noexcept { return state_; }
  [[nodiscard]] std::vector<Subscription>& subscriptions() noexcept { return subscriptions_; }
  [[nodiscard]] const std::vector<Subscription>& subscriptions() const noexcept { return subscriptions_; }
  [[nodiscard]] Handshake* handshake() noexcept { return handshake_.get(); }
  [[nodiscard]] bool dropped() const noexcept { return !stream_.open(); }
  /// Whether the user's code may still publish in its name: in `on_close` it says goodbye.
  [[nodiscard]] bool may_publish() const noexcept { return state_.authenticated() || in_on_close_; }
  [[nodiscard]] bool closes() const noexcept { return in_on_close_; }
  /// It publishes: while publications wait, it does.
  void set_publishes() noexcept { publishes_ = true; }
  /// Whether it is in one of the worker's lists of connections to be read again.
  [[nodiscard]] bool listed() const noexcept { return listed_; }
  /// Likewise, and it is not any more.
  [[nodiscard]] bool take_listed() noexcept {
    const bool listed = listed_;
    listed_ = false;
    return listed;
  }
  /// Bytes outside of frames: an HTTP answer.
  void send_raw(std::string_view bytes);
  /// Likewise, and not copied.
  void send_raw(Frame bytes);
  /// After the answer to a plain request: our direction ends when it is written.
  void finish_answer();
  void set_place(std::uint32_t slot, std::uint32_t generation) noexcept {
    slot_ = slot;
    slot_generation_ = generation;
  }
  [[nodiscard]] std::uint32_t slot() const noexcept { return slot_; }
  [[nodiscard]] std::uint32_t slot_generation() const noexcept { return slot_generation_; }

 private:
  // connection.cc
  void read();
  void process(std::span<char> input);
  [[nodiscard]] bool must_wait();
  void read_later();
  bool process_head(std::span<char>& input);
  void take(const ws::Event& event);
  void lost();
  void drop();
  void set_interest(bool read, bool write);
  void arm_timer();
  [[nodiscard]] bool advance_tls();
  [[nodiscard]] const auth::Policy& policy() const noexcept;

  // connection_peer.cc
  [[nodiscard]] bool take_proxy_header(bool peer_closed);
  [[nodiscard]] std::optional<Failure> settle_address();
  [[nodiscard]] bool set_client(const http::IpAddress& address);
  void log_tls_failure(std::string_view why);

  // connection_actions.cc
  void execute(const auth::Actions& actions);
  void execute(const auth::Action& action);
  void reject(Failure failure);
  void reject_over_http(Failure failure);
  void accept_upgrade();
  // connection_verify.cc
  void start_verify();
  void run_verify(std::uint32_t generation);
  void commit(std::uint32_t generation, const auth::PrincipalRef& proven);
  void redeem_ticket(const auth::Credential& ticket);
  void start_recheck();
  [[nodiscard]] Failure refused(const Verdict& verdict);
  [[nodiscard]] auth::PrincipalRef keep(auth::PrincipalRef who) const;
  void register_opened();
  void unregister();
  void run_open();
  void run_close(std::optional<Failure> failure);
  void recheck_subscriptions();
  void send_close(std::uint16_t code, std::string_view reason);
  [[nodiscard]] std::optional<Failure> denied(const Principal& who);
  [[nodiscard]] std::optional<Failure> move_to_site();
  [[nodiscard]] std::optional<Failure> take_place(const Principal& who);
  void leave_place(const Principal& who);
  void count_close(const Close& why);
  void log_close(const Close& why);
  void log_refusal(Failure failure);

  // connection_inband.cc
  void take_message(ws::Opcode opcode, std::string_view payload);
  void take_first_message(ws::Opcode opcode, std::string_view payload);
  void take_control(std::string_view payload, bool hub);
  void take_channel_message(const auth::ControlMessage& message);
  void present(CredentialKind kind, base::Secret token);
  void say(std::string_view json);
  [[nodiscard]] bool within_rate() noexcept;
  [[nodiscard]] bool speaks_control() const noexcept;

  // connection_resume.cc
  struct Rejoined {
    std::string_view refused = {};         // why it is not; empty: it is
    std::uint64_t until = UINT64_MAX;      // what was published later has been handed over already
  };
  void send_ready();
  void ask_resume(const auth::ControlMessage& message);
  void take_resume(const auth::ControlMessage& message);
  void begin_resume();
  [[nodiscard]] static std::optional<ResumeState> hand_over(Worker& worker, Place place, const base::Sha256& token,
                                                            const Principal& who, std::string_view route);
  void resume_answered(std::optional<ResumeState> state);
  void settle_resume(std::optional<ResumeState> state);
  void finish_resume(std::optional<ResumeState> state);
  [[nodiscard]] std::vector<Rejoined> rejoin(const ResumeState& state);
  void fit(Replay& replay) const;
  void hand(const Frame& frame, std::uint64_t number);
  void note_arrived();
  void note_dropped();
  void note_cut();
  [[nodiscard]] ResumeState resume_state();
  void stop_resumable();
  void settle_resumable(const std::optional<Failure>& failure);

  // connection_output.cc
  SendResult enqueue(ws::Opcode opcode, std::string_view payload, bool compressible);
  [[nodiscard]] bool room_for(std::size_t bytes);
  void flush_outbox();
  void drop_unbegun();
  void expire_queued();
  void written();

  /// Runs a user's callback. What it throws ends the connection with 1011.
  template <typename Callback>
  void guard(Callback&& callback);

  Worker& worker_;
  WsRouteRef route_;
  io::Stream stream_;
  auth::State state_;
  ws::Decoder decoder_;
  Outbox outbox_;
  std::shared_ptr<Handshake> handshake_;        // until authenticated or dropped
  std::shared_ptr<Verification> verification_;  // while one runs
  std::unique_ptr<Recheck> recheck_;            // where the verifier is asked again from time to time
  std::unique_ptr<RequestState> context_;       // what of the request is still needed
  std::vector<Subscription> subscriptions_;
  std::unique_ptr<ResumeTrack> resume_;         // on hub routes, where it may be resumed
  std::unique_ptr<std::string> held_;           // read from the peer, not processed while reads pause
  std::any data_;
  base::MonoTime opened_at_{};
  base::MonoTime rate_second_{};
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  ConnectionId id_;
  http::IpAddress address_;
  std::uint32_t slot_ = 0;
  std::uint32_t slot_generation_ = 0;
  std::uint32_t rate_count_ = 0;
  std::uint16_t close_code_ = 0;                // what went, or will go, over the wire
  std::uint8_t verifier_ = 0;                   // of the route's: the one that accepted
  CredentialKind credential_ = CredentialKind::kNone;  // how it was presented
  std::uint8_t deflate_bits_ = 0;               // 0: permessage-deflate was not negotiated
  bool control_protocol_ : 1 = false;           // sallyport.v1 was selected
  bool ws_mode_ : 1 = false;                    // a 101 has been sent
  bool reads_paused_ : 1 = false;               // the machine says so
  bool waiting_ : 1 = false;                    // not read: the turn's budget is spent, or publications wait
  bool listed_ : 1 = false;                     // in a list of the worker's, to be read again
  bool publishes_ : 1 = false;
  bool want_read_ : 1 = true;
  bool want_write_ : 1 = false;
  bool peer_ended_ : 1 = false;                 // FIN seen while reads were paused
  bool close_sent_ : 1 = false;
  bool closed_by_peer_ : 1 = false;
  bool end_when_written_ : 1 = false;           // FIN follows what is queued
  bool dirty_ : 1 = false;                      // in the worker's list of connections to flush
  bool was_blocked_ : 1 = false;                // the kernel has refused some of what is queued
  bool drain_owed_ : 1 = false;                 // since then it has taken everything
  bool announced_ : 1 = false;                  // on_open has been called, or would have been
  bool in_on_close_ : 1 = false;
  bool released_ : 1 = false;
  bool placed_ : 1 = false;                     // counts among its subject's connections
  bool counted_by_drain_ : 1 = false;
  bool limited_ : 1 = false;                    // refused for what others ask; the worker tells of all of them
  bool parsing_ : 1 = false;                    // inside process(): do not enter it again
  bool tls_wants_write_ : 1 = false;            // to be read again when the socket takes bytes
  bool proxied_ : 1;                            // `address_` is a trusted proxy's: it may name another one
  bool proxy_header_due_ : 1;                   // the first bytes may be the PROXY protocol's
};

/// How long publications must be remembered for the routes that resume; 0 if none does.
[[nodiscard]] base::Milliseconds history_age(const RouteTable& routes);

}  // namespace sallyport::server
