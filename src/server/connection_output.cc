// Writing: frames gather in the worker's cork while a turn lasts and leave in one system call; what the
// kernel does not take waits in the outbox.

#include <array>
#include <utility>

#include "core/ws/deflate.h"
#include "core/ws/encoder.h"
#include "server/connection.h"
#include "server/guard.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

// Below this a compressed message is hardly ever shorter.
constexpr std::size_t kDeflateFrom = 64;

}  // namespace

SendResult Connection::send(ws::Opcode opcode, std::string_view payload) {
  if (!state_.authenticated()) return SendResult::kDropped;
  const auth::Actions actions =
      auth::step(state_, auth::Delivery{}, policy(), worker_.fresh_now());
  if (!actions.has(auth::ActionKind::kDeliver)) {
    execute(actions);
    arm_timer();
    return SendResult::kDropped;
  }
  return enqueue(opcode, payload, true);
}

bool Connection::deliver(const Frame& frame, std::uint64_t number) {
  if (!state_.authenticated()) return false;
  const auth::Actions actions =
      auth::step(state_, auth::Delivery{}, policy(), worker_.fresh_now());
  if (!actions.has(auth::ActionKind::kDeliver)) {
    execute(actions);
    arm_timer();
    return false;
  }
  if (!room_for(frame->size())) {
    note_dropped();
    return false;
  }
  if (worker_.corked(*this)) flush_outbox();  // what was said before goes first
  if (close_sent_ || dropped()) return false;
  hand(frame, number);
  return true;
}

SendResult Connection::enqueue(ws::Opcode opcode, std::string_view payload, bool compressible) {
  if (!ws_mode_ || close_sent_ || dropped()) return SendResult::kDropped;
  bool compressed = false;
  if (compressible && deflate_bits_ != 0 && payload.size() >= kDeflateFrom) {
    if (const auto shorter = worker_.deflater().deflate(payload, deflate_bits_)) {
      payload = *shorter;
      compressed = true;
    }
  }
  if (!ws::is_control(opcode)) ++worker_.metrics().messages_out;
  const ws::FrameStart start{.opcode = opcode, .rsv1 = compressed};
  const std::size_t size = ws::frame_size(payload.size(), ws::Role::kServer);
  if (!room_for(size)) return SendResult::kDropped;
  if (outbox_.empty() && size <= Worker::kCorkBytes) {
    std::string& cork = worker_.cork(*this);
    if (worker_.corked(*this) && cork.size() + size > Worker::kCorkBytes) flush_outbox();
    if (close_sent_ || dropped()) return SendResult::kDropped;
    if (outbox_.empty()) {
      ws::append_frame(worker_.cork(*this), start, payload);
      written();
      return SendResult::kSent;
    }
  }
  if (worker_.corked(*this)) flush_outbox();
  if (close_sent_ || dropped()) return SendResult::kDropped;
  std::string frame;
  ws::append_frame(frame, start, payload);
  outbox_.push(std::make_shared<const std::string>(std::move(frame)));
  // What is too large for the cork goes at once: only then is it known whether the peer keeps up, and with it
  // whether on_drain will follow.
  if (!was_blocked_ && outbox_.bytes() > Worker::kCorkBytes) flush_outbox();
  if (dropped()) return SendResult::kDropped;
  written();
  return was_blocked_ ? SendResult::kQueued : SendResult::kSent;
}

void Connection::send_raw(std::string_view bytes) {
  if (dropped()) return;
  std::string& cork = worker_.cork(*this);
  if (dropped()) return;
  cork.append(bytes);
  written();
}

void Connection::send_raw(Frame bytes) {
  if (worker_.corked(*this)) flush_outbox();
  if (dropped()) return;
  outbox_.push(std::move(bytes));
  written();
}

// The limit counts what waits for the peer, not what is on its way to the kernel in this turn.
bool Connection::room_for(std::size_t bytes) {
  if (route_ == nullptr || outbox_.empty()) return true;
  const RouteLimits& limits = route_->spec.limits;
  if (outbox_.bytes() + bytes <= limits.send_queue_bytes) return true;
  if (!was_blocked_) {
    flush_outbox();
    if (dropped()) return false;
    if (outbox_.empty() || outbox_.bytes() + bytes <= limits.send_queue_bytes) return true;
  }
  if (limits.slow_consumer == SlowConsumer::kDropOldest && bytes <= limits.send_queue_bytes) {
    if (outbox_.drop_oldest(limits.send_queue_bytes - bytes, stream_.committed()) != 0) note_dropped();
    return outbox_.bytes() + bytes <= limits.send_queue_bytes;
  }
  if (limits.slow_consumer == SlowConsumer::kClose) apply(auth::SendQueueOverLimit{});
  return false;
}

void Connection::written() {
  if (dirty_) return;
  dirty_ = true;
  worker_.mark_dirty(*this);
}

void Connection::flush() {
  if (!dropped()) expire_queued();
  if (!dropped()) flush_outbox();
}

void Connection::end_turn() {
  dirty_ = false;
  flush();
  if (!drain_owed_ || was_blocked_ || dropped()) return;
  drain_owed_ = false;
  if (!state_.authenticated() || route_ == nullptr || !route_->spec.on_drain) return;
  guard([this] {
    sallyport::Connection view(*this);
    route_->spec.on_drain(view);
  });
}

// What is queued and has not begun on the wire is dropped: it was said under an authority that has ended.
void Connection::drop_unbegun() {
  if (worker_.corked(*this)) {
    std::string& cork = worker_.cork_bytes();
    cork.resize(unit_end(cork, 0));  // the 101 stays
  }
  outbox_.drop_unbegun(stream_.committed());
  note_cut();
}

// What waited, for its turn or for a slow peer, is judged once more. Otherwise the Close takes its place.
void Connection::expire_queued() {
  if (state_.authenticated() && worker_.fresh_now().wall >= state_.authority_end()) apply(auth::Delivery{});
}

void Connection::flush_outbox() {
  if (worker_.corked(*this)) {
    std::string& cork = worker_.cork_bytes();
    std::size_t done = 0;
    if (outbox_.empty()) {
      const std::array<std::string_view, 1> parts{cork};
      const io::IoResult result = stream_.write(parts);
      if (result.status == io::IoStatus::kError || result.status == io::IoStatus::kEof) {
        worker_.uncork();
        return lost();
      }
      done = result.bytes;
    }
    bytes_out_ += done;
    if (done < cork.size()) {
      const std::size_t begun = ws_mode_ ? unit_end(cork, done) : cork.size();
      outbox_.push_rest(std::string_view(cork).substr(done), begun - done);
    }
    worker_.uncork();
  }
  if (!outbox_.empty()) {
    const std::size_t before = outbox_.bytes();
    const io::IoStatus status = outbox_.flush(stream_);
    bytes_out_ += before - outbox_.bytes();
    if (status == io::IoStatus::kError || status == io::IoStatus::kEof) return lost();
  }
  set_interest(want_read_, !outbox_.empty() || tls_wants_write_);
  if (!outbox_.empty()) {
    was_blocked_ = true;
    return;
  }
  if (end_when_written_) {
    end_when_written_ = false;
    stream_.shutdown_write();
  }
  if (was_blocked_) {
    // on_drain runs when the turn ends: a flush may be another connection's doing, in the middle of its work.
    was_blocked_ = false;
    drain_owed_ = true;
    written();
  }
}

}  // namespace sallyport::server
