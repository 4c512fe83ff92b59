// What the state machine orders, carried out.

#include <boost/asio/post.hpp>
#include <algorithm>
#include <utility>

#include "core/http/answer.h"
#include "core/http/subprotocol.h"
#include "core/ws/close_code.h"
#include "core/ws/negotiation.h"
#include "server/connection.h"
#include "server/entry.h"
#include "server/events.h"
#include "server/guard.h"
#include "server/handshake.h"
#include "server/resume_track.h"
#include "server/verification.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

LogLevel level_of(auth::Severity severity) {
  switch (severity) {
    case auth::Severity::kDebug: return LogLevel::kDebug;
    case auth::Severity::kInfo: return LogLevel::kInfo;
    case auth::Severity::kWarn: return LogLevel::kWarn;
    case auth::Severity::kError: return LogLevel::kError;
  }
  return LogLevel::kError;
}

}  // namespace

void Connection::execute(const auth::Actions& actions) {
  for (const auth::Action& action : actions) execute(action);
}

void Connection::execute(const auth::Action& action) {
  using enum auth::ActionKind;
  switch (action.kind) {
    case kRejectUpgrade: return reject(*action.failure);
    case kAcceptUpgrade: return accept_upgrade();
    case kStartVerify: return start_verify();
    case kCancelVerify:
      if (verification_ != nullptr) verification_->cancel();
      return;
    case kStartRecheck: return start_recheck();
    case kPauseReads: reads_paused_ = true; return;
    case kResumeReads:
      reads_paused_ = false;
      return set_interest(!waiting_, want_write_);
    case kRegister: return register_opened();
    case kUnregister: return unregister();
    case kOpen: return run_open();
    case kReplacePrincipal:
      ++worker_.metrics().refreshes;
      return worker_.live().enter(slot_, principal(), name_of(id_));
    case kRecheckSubscriptions: return recheck_subscriptions();
    case kRefuseRefresh: return;  // refresh() says so
    case kDeliver: return;  // the caller does
    case kSendReady: return send_ready();
    case kSendExpiring:
      if (speaks_control()) say(auth::expiring_message(principal(), worker_.now().wall));
      return;
    case kSendRefreshed:
      if (speaks_control()) say(auth::refreshed_message(principal()));
      return;
    case kSendError:
      if (speaks_control()) say(auth::error_message(reason(*action.failure), {}));
      return;
    case kSendPing:
      note_arrived();  // so that who has nothing on its way keeps nothing for it
      enqueue(ws::Opcode::kPing, {}, false);
      return;
    case kClose: {
      if (opened_at_ == base::MonoTime{}) log_refusal(*action.failure);  // in the vestibule
      const int status = auth::row(*action.failure).status;
      if (opened_at_ != base::MonoTime{} && (status == 401 || status == 403)) drop_unbegun();
      const auto profile = route_ != nullptr ? route_->close_profile : auth::CloseProfile::kIana;
      return send_close(auth::close_code(*action.failure, profile), reason(*action.failure));
    }
    case kCloseApplication: return;  // close() has queued it
    case kCloseNow:
      outbox_.clear();
      close_code_ = 1006;
      return;
    case kEchoClose: {
      const std::uint16_t theirs = close_code_;
      const bool none = theirs == static_cast<std::uint16_t>(ws::CloseCode::kNoStatus);
      send_close(none ? static_cast<std::uint16_t>(ws::CloseCode::kNormal) : theirs, {});
      close_code_ = theirs;
      return finish_answer();  // the server ends the TCP connection (RFC 6455 section 7.1.1)
    }
    case kOnClose: return run_close(action.failure);
    case kDropTransport:
      if (worker_.corked(*this) || !outbox_.empty()) flush_outbox();
      return drop();
    case kCountStale:
      ++worker_.metrics().stale;
      return;
  }
}

// ---- Refusing and accepting the upgrade

void Connection::reject(Failure failure) {
  // Middleware that still runs, past its deadline for example, has nobody left to work for.
  if (handshake_ != nullptr) handshake_->cancel();
  log_refusal(failure);
  reads_paused_ = false;
  held_.reset();
  if (!stream_.handshaken()) return drop();
  const bool can_close = handshake_ != nullptr && handshake_->upgrade() && route_ != nullptr &&
                         failure != Failure::kOriginNotAllowed && failure != Failure::kBadRequest;
  bool close = false;
  if (can_close) {
    switch (route_->spec.reject) {
      case Reject::kHttp: break;
      case Reject::kClose: close = true; break;
      case Reject::kAuto: close = handshake_->from_allowed_page(); break;
    }
  }
  if (close) {
    accept_upgrade();
    return send_close(auth::close_code(failure, route_->close_profile), reason(failure));
  }
  reject_over_http(failure);
}

void Connection::reject_over_http(Failure failure) {
  // A peer that never sent a byte is not told anything: there was no request to answer. (Browsers open such
  // sockets in advance; a server that stops does not wait for them.)
  const bool waited_long_enough = failure == Failure::kHandshakeTimeout || failure == Failure::kDraining;
  if (waited_long_enough && (handshake_ == nullptr || !handshake_->started())) return drop();
  const auth::FailureRow& row = auth::row(failure);
  const auto body = handshake_ != nullptr && handshake_->is_head_request() ? http::Body::kOmitted
                                                                           : http::Body::kSent;
  const auto answer =
      http::serialize(http::problem(row.status, row.http_reason, fields_of(failure)), body);
  if (answer) send_raw(*answer);
  finish_answer();
}

void Connection::finish_answer() {
  end_when_written_ = true;
  set_interest(true, want_write_);
  written();
}

void Connection::accept_upgrade() {
  const http::Upgrade& upgrade = *handshake_->upgrade();
  const auto protocol =
      http::select_subprotocol(upgrade.subprotocols, route_->spec.subprotocols);
  control_protocol_ = protocol == http::kControlProtocol;
  std::optional<std::string> extensions;
  if (route_->spec.compression && state_.upgraded()) {
    const auto agreed = ws::accept_offer(upgrade.extensions, ws::kWindowBitsDefault);
    if (agreed && *agreed) {
      extensions = (*agreed)->response;
      deflate_bits_ = static_cast<std::uint8_t>((*agreed)->window_bits);
    }
  }
  const auto answer = http::switching_protocols(
      upgrade.accept_key(), protocol,
      extensions ? std::optional<std::string_view>(*extensions) : std::nullopt);
  SALLYPORT_ASSERT(answer.has_value());
  send_raw(*answer);
  ws_mode_ = true;
  // The vestibule: one small message in one frame, uncompressed. Authentication lifts these limits.
  decoder_.set_limits({.message_bytes = route_->spec.auth.pre_auth_bytes, .fragments = 1,
                       .control_frames_between_data = 16});
  // A browser that has negotiated it compresses its first message too; the limit holds while inflating.
  decoder_.allow_compressed(deflate_bits_ != 0);
}

// ---- Opening and closing

void Connection::register_opened() {
  worker_.promote(*this);
  worker_.shared().open.fetch_add(1, std::memory_order_relaxed);
  worker_.live().enter(slot_, principal(), name_of(id_));
  ++worker_.metrics().upgrades_accepted;
  opened_at_ = worker_.now().mono;
  decoder_.set_limits({.message_bytes = route_->spec.limits.message_bytes,
                       .control_frames_between_data = 256});
}

void Connection::unregister() {
  worker_.shared().open.fetch_sub(1, std::memory_order_relaxed);
  worker_.live().leave(slot_);
  leave_place(principal());
  stop_resumable();
  worker_.hub().leave_all(*this);
}

void Connection::run_open() {
  if (dropped() || !state_.authenticated()) return;  // what was said to it first has found nobody
  if (resume_ != nullptr && resume_->pending) {
    resume_->open_owed = true;
    return;
  }
  Event(worker_.shared().options.log, LogLevel::kDebug, "ws.open")
      .with("connection", text_of(id_))
      .with("route", route_->path)
      .with("address", address_.text())
      .with("issuer", principal().issuer.view())
      .with("subject", principal().subject.view())
      .with("credential", name(credential_));
  // The handshake has served its purpose. What callbacks may still ask for stays.
  context_ = handshake_->take_request();
  if (route_->spec.authorize == nullptr) context_->head = {};
  worker_.keep_until_turn_ends(std::exchange(handshake_, nullptr));
  guard([this] {
    if (route_->spec.make_data) data_ = route_->spec.make_data();
    announced_ = true;  // whoever throws in on_open still hears the end; without its data nobody does
    if (!route_->spec.on_open) return;
    sallyport::Connection view(*this);
    route_->spec.on_open(view);
  });
  if (context_ != nullptr && route_->spec.authorize == nullptr && context_->params.empty() &&
      context_->locals.empty()) {
    context_.reset();
  }
}

void Connection::run_close(std::optional<Failure> failure) {
  Close why{.code = close_code_ != 0 ? close_code_ : static_cast<std::uint16_t>(ws::CloseCode::kAbnormal),
            .failure = failure};
  if (failure) why.reason = reason(*failure);
  settle_resumable(failure);
  count_close(why);
  log_close(why);
  if (!announced_ || !route_->spec.on_close) return;
  in_on_close_ = true;
  guard([&] {
    sallyport::Connection view(*this);
    route_->spec.on_close(view, why);
  });
  in_on_close_ = false;
}

void Connection::recheck_subscriptions() {
  if (!route_->hub) return;
  const auth::ParamLookup params = [this](std::string_view name) { return param(name); };
  for (const std::string& channel : Hub::channels_of(*this)) {
    if (auth::permitted(route_->permits, auth::ChannelAction::kSubscribe, channel, principal(),
                        params)) {
      continue;
    }
    worker_.hub().unsubscribe(*this, channel);
    say(auth::unsubscribed_message(channel, reason(Failure::kForbidden)));
  }
}

void Connection::send_close(std::uint16_t code, std::string_view reason) {
  reads_paused_ = false;
  held_.reset();
  if (waiting_) {
    waiting_ = false;
    worker_.unlist(*this);
    if (stream_.has_buffered()) read_later();
  }
  set_interest(true, want_write_);
  if (close_sent_ || dropped()) return;
  const auto payload = ws::encode_close(static_cast<ws::CloseCode>(code), reason);
  enqueue(ws::Opcode::kClose, payload ? payload->view() : std::string_view(), false);
  if (close_sent_) return;  // its authority has ended meanwhile
  close_sent_ = true;
  close_code_ = code;
}

void Connection::close(std::uint16_t code, std::string_view reason) {
  if (!state_.authenticated()) return;
  const bool valid = code == 1000 || (code >= 3000 && code <= 4999);
  send_close(valid ? code : static_cast<std::uint16_t>(ws::CloseCode::kInternalError),
             ws::fit_reason(reason));
  apply(auth::CloseRequested{});
}

void Connection::log_close(const Close& why) {
  const auto lasted = worker_.now().mono - opened_at_;
  const LogLevel level =
      why.failure ? level_of(auth::row(*why.failure).severity) : LogLevel::kInfo;
  Event(worker_.shared().options.log, level, "ws.close")
      .with("connection", text_of(id_))
      .with("route", route_->path)
      .with("address", address_.text())
      .with("issuer", principal().issuer.view())
      .with("subject", principal().subject.view())
      .with("by", why.failure       ? "server"
                  : closed_by_peer_ ? "peer"
                  : close_sent_     ? "application"
                                    : "network")
      .with("reason", why.failure       ? auth::row(*why.failure).name
                      : why.code == 1006 ? std::string_view("lost")
                                         : std::string_view("closed"))
      .with("code", std::int64_t{why.code})
      .with("duration_ms", std::int64_t{lasted.count()})
      .with("bytes_in", static_cast<std::int64_t>(bytes_in_))
      .with("bytes_out", static_cast<std::int64_t>(bytes_out_));
}

void Connection::count_close(const Close& why) {
  WorkerMetrics& metrics = worker_.metrics();
  metrics.bytes_in += bytes_in_;
  metrics.bytes_out += bytes_out_;
  if (why.failure) {
    ++metrics.closed[static_cast<std::size_t>(*why.failure)];
  } else {
    ++(closed_by_peer_ ? metrics.closed_by_peer : close_sent_ ? metrics.closed_by_application : metrics.lost);
  }
}

void Connection::log_refusal(Failure failure) {
  ++worker_.metrics().refused[static_cast<std::size_t>(failure)];
  const auth::FailureRow& row = auth::row(failure);
  // A crowd that is told to wait is one piece of news, not ten thousand.
  const LogLevel level = limited_ ? LogLevel::kDebug : level_of(row.severity);
  Event(worker_.shared().options.log, level, "ws.refused")
      .with("connection", text_of(id_))
      .with("route", route_ != nullptr ? route_->path : std::string())
      .with("address", address_.text())
      .with("reason", row.name)
      .with("status", std::int64_t{row.status})
      .with("detail", handshake_ != nullptr ? handshake_->detail() : std::string());
}

}  // namespace sallyport::server
