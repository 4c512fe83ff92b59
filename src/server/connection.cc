#include "server/connection.h"

#include <cstddef>
#include <utility>

#include "core/base/random.h"
#include "server/handshake.h"
#include "server/resume_track.h"
#include "server/verification.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

// What a connection reads at once before it is authenticated; also what it may hold of bytes that a peer
// sends too early.
constexpr std::size_t kEarlyReadBytes = 16 * 1024;

// How long the answer to a plain request, a page perhaps, may take to reach a slow peer.
constexpr base::Milliseconds kAnswerTimeout{15'000};

const auth::Policy& policy_before_route(Worker& worker) {
  // Until the route is known only the handshake's own deadline applies.
  thread_local auth::Policy policy;
  policy.handshake_timeout = worker.site()->limits.handshake_timeout;
  policy.close_timeout = kAnswerTimeout;
  return policy;
}

Failure failure_of(const ws::Event& event) {
  switch (event.code) {
    case ws::CloseCode::kInvalidPayload: return Failure::kInvalidPayload;
    case ws::CloseCode::kMessageTooBig: return Failure::kMessageTooBig;
    case ws::CloseCode::kPolicyViolation: return Failure::kRateLimited;
    default: return Failure::kProtocolError;
  }
}

}  // namespace

Connection::Connection(Worker& worker, int fd, const http::IpAddress& address, bool proxied)
    : worker_(worker),
      stream_(fd, worker.site()->tls.get()),
      state_(policy_before_route(worker), worker.now()),
      decoder_(ws::Role::kServer),
      address_(address),
      proxied_(proxied),
      proxy_header_due_(proxied) {
  base::random_bytes(id_);
  handshake_ = std::make_shared<Handshake>(worker, worker.site()->limits, address, id_);
  arm_timer();
}

Connection::~Connection() {
  if (handshake_ != nullptr) handshake_->cancel();
  if (verification_ != nullptr) verification_->cancel();
  if (recheck_ != nullptr && recheck_->running != nullptr) recheck_->running->cancel();
  worker_.loop().timers().disarm(*this);
}

const auth::Policy& Connection::policy() const noexcept {
  return route_ != nullptr ? route_->policy : policy_before_route(worker_);
}

void Connection::apply(const auth::Event& event) {
  execute(auth::step(state_, event, policy(), worker_.now()));
  arm_timer();
}

void Connection::arm_timer() {
  if (!released_) worker_.loop().timers().arm(*this, state_.next_deadline());
}

void Connection::on_timer() {
  while (const auto which = state_.passed(worker_.now().mono)) {
    if (*which == auth::Deadline::kPing) decoder_.renew_control_frames();
    apply(auth::DeadlinePassed{*which});
    if (dropped()) return;
  }
  arm_timer();
}

void Connection::on_ready(io::Readiness readiness) {
  if (dropped()) return;
  if (proxy_header_due_ && !take_proxy_header(readiness.peer_closed)) return;
  if (!stream_.handshaken() && !advance_tls()) return;
  if (readiness.error && !readiness.readable) return lost();
  // A TLS read may have had something to say first, such as its half of a key update.
  const bool read_on = readiness.writable && tls_wants_write_;
  if (read_on) tls_wants_write_ = false;
  if (readiness.writable) flush();
  if (dropped()) return;
  if (readiness.readable || readiness.peer_closed || read_on) {
    if (reads_paused_ || waiting_) {
      // The peer has ended its direction while we are not reading. What it sent before still counts, so
      // stop waiting for hang-ups (they would be reported for ever) and go on.
      if (readiness.peer_closed) {
        peer_ended_ = true;
        worker_.loop().poller().modify(stream_.descriptor(), *this, false, want_write_, false);
      }
      return;
    }
    // Out of budget: the poller reports it again in the next turn.
    if (ws_mode_ && worker_.flow_spent() && !read_on) return;
    read();
  }
}

bool Connection::advance_tls() {
  // Out of budget: the socket stays readable, so the poller reports it again in the next turn.
  if (!worker_.take_tls_budget()) return false;
  std::string why;
  switch (stream_.handshake(&why)) {
    case io::IoStatus::kOk:
      set_interest(true, false);
      return true;
    case io::IoStatus::kWantRead: set_interest(true, false); return false;
    case io::IoStatus::kWantWrite: set_interest(true, true); return false;
    case io::IoStatus::kError: log_tls_failure(why); [[fallthrough]];
    case io::IoStatus::kEof: lost(); return false;
  }
  return false;
}

void Connection::resume() {
  listed_ = false;
  if (dropped()) return;
  const bool waited = waiting_;
  waiting_ = false;
  if (reads_paused_) return;
  if (!waited) return read();
  state_.heard(worker_.now().mono);  // it was not the peer that kept silent
  process_held();
}

void Connection::read_later() {
  if (listed_) return;
  listed_ = true;
  worker_.read_again(*this);
}

// Whether the next message must wait: nobody takes more than its share of a turn, and nobody publishes faster than
// the members' workers deliver. Those who only listen are read all the same.
bool Connection::must_wait() {
  if (resume_ != nullptr && resume_->pending) {
    waiting_ = true;
  } else if (worker_.flow_spent() || (publishes_ && state_.authenticated() && worker_.hub().backlogged())) {
    waiting_ = true;
    read_later();
  } else if (publishes_ && state_.authenticated() &&
             worker_.shared().full_inboxes.load(std::memory_order_relaxed) > 0) {
    waiting_ = true;
    if (listed_) return true;
    listed_ = true;
    worker_.wait_to_publish(*this);
  }
  return waiting_;
}

void Connection::read() {
  std::span<char> buffer = worker_.receive_buffer();
  if (!state_.opened()) buffer = buffer.first(kEarlyReadBytes);
  for (int i = 0; i < Worker::kReadsPerTurn; ++i) {
    const io::IoResult result = stream_.read(buffer);
    switch (result.status) {
      case io::IoStatus::kOk:
        bytes_in_ += result.bytes;
        state_.heard(worker_.now().mono);
        process(buffer.first(result.bytes));
        break;
      case io::IoStatus::kWantRead: return;
      case io::IoStatus::kWantWrite:
        tls_wants_write_ = true;
        return set_interest(want_read_, true);
      case io::IoStatus::kEof:
        flush();  // a peer that has only ended its own direction still gets the answers
        return lost();
      case io::IoStatus::kError: return lost();
    }
    if (dropped() || reads_paused_ || waiting_) return;
    // A buffer that was not filled means an empty socket; level triggering reports whatever comes next.
    if (!stream_.has_buffered() && result.bytes < buffer.size()) return;
  }
  if (stream_.has_buffered()) read_later();
}

// Everything that a peer sends goes through here, in order: first the head, then frames. It stops where the
// machine pauses reading or the next message must wait; what is left is held, and goes through here again when
// reading resumes.
void Connection::process(std::span<char> input) {
  parsing_ = true;
  while (!input.empty() && !reads_paused_ && !dropped()) {
    if (!ws_mode_) {
      if (!process_head(input)) break;
      continue;
    }
    if (must_wait()) break;
    const ws::Event event = decoder_.next(input, deflate_bits_ != 0 ? &worker_.inflater() : nullptr);
    if (event.kind == ws::Event::Kind::kNeedMore) break;
    worker_.spend_flow();
    take(event);
  }
  // Gives back the memory of the last message, and tells a decoder that has ended to discard.
  if (ws_mode_ && input.empty() && !dropped() && decoder_.held_bytes() != 0) {
    std::span<char> nothing;
    (void)decoder_.next(nothing);
  }
  parsing_ = false;
  if ((!reads_paused_ && !waiting_) || dropped()) return;
  if (!input.empty()) {
    if (held_ == nullptr) held_ = std::make_unique<std::string>();
    held_->append(input.data(), input.size());
  }
  set_interest(false, want_write_);
}

void Connection::process_held() {
  if (parsing_ || reads_paused_ || waiting_ || dropped()) return;
  if (held_ != nullptr) {
    const auto held = std::exchange(held_, nullptr);
    process({held->data(), held->size()});
  }
  if (reads_paused_ || waiting_ || dropped()) return;
  set_interest(true, want_write_);
  if (peer_ended_) return read();
  if (stream_.has_buffered()) read_later();
}

// False: nothing more to do with this input.
bool Connection::process_head(std::span<char>& input) {
  // A request that has been answered: what still comes is discarded until the peer ends its direction.
  if (!state_.live() || handshake_ == nullptr || handshake_->head_complete()) return false;
  const auto fed = handshake_->feed({input.data(), input.size()});
  if (!fed) {
    handshake_->set_detail(std::string(http::describe(fed.error())));
    apply(auth::UpgradeParsed{.refused = http::is_too_large(fed.error()) ? Failure::kHeaderTooLarge
                                                                          : Failure::kBadRequest});
    return false;
  }
  if (!*fed) return false;
  input = input.subspan(**fed);
  apply(auth::HeadReceived{});
  // From here to the decision nothing is read: what the peer sends too early waits, bounded, for the answer.
  reads_paused_ = true;
  if (const auto failure = settle_address()) {
    apply(auth::UpgradeParsed{.refused = *failure});
    return true;
  }
  handshake_->set_certificate(stream_.peer_certificate());
  handshake_->run(*this);
  return true;
}

void Connection::take(const ws::Event& event) {
  if (!state_.live()) {
    if (event.kind == ws::Event::Kind::kClose) apply(auth::PeerClosed{});
    return;
  }
  switch (event.kind) {
    case ws::Event::Kind::kMessage: return take_message(event.opcode, event.payload);
    case ws::Event::Kind::kPing:
      enqueue(ws::Opcode::kPong, event.payload, false);
      return;
    case ws::Event::Kind::kPong: return;
    case ws::Event::Kind::kClose:
      close_code_ = static_cast<std::uint16_t>(event.code);
      closed_by_peer_ = true;
      return apply(auth::PeerClosed{});
    case ws::Event::Kind::kViolation: {
      Failure failure = failure_of(event);
      // In the vestibule the first message's own limits are a matter of policy.
      if (!state_.authenticated() && failure == Failure::kMessageTooBig) failure = Failure::kPolicy;
      apply(auth::Violation{failure});
      // The decoder hears no answer any more: end our direction behind the Close (RFC 6455 section 7.1.7).
      if (!dropped()) finish_answer();
      return;
    }
    case ws::Event::Kind::kNeedMore: return;
  }
}

void Connection::evict(Failure failure) {
  apply(auth::CloseRequested{failure});
  flush();
  lost();
}

void Connection::lost() {
  apply(auth::TransportLost{});
  drop();
}

void Connection::drop() {
  if (dropped()) return;
  if (handshake_ != nullptr) handshake_->cancel();
  if (verification_ != nullptr) verification_->cancel();
  if (recheck_ != nullptr && recheck_->running != nullptr) recheck_->running->cancel();
  worker_.hub().leave_all(*this);
  worker_.loop().poller().remove(stream_.descriptor());
  stream_.close();
  worker_.loop().timers().disarm(*this);
  outbox_.clear();
  released_ = true;
  worker_.release(*this);
}

void Connection::set_interest(bool read, bool write) {
  if (dropped() || (read == want_read_ && write == want_write_)) return;
  want_read_ = read;
  want_write_ = write;
  worker_.loop().poller().modify(stream_.descriptor(), *this, read, write, !peer_ended_);
}

}  // namespace sallyport::server
