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
    case kUnregister:
      worker_.shared().open.fetch_sub(1, std::memory_order_relaxed);
      return worker_.hub().leave_all(*this);
    case kOpen: return run_open();
    case kReplacePrincipal: return;  // the machine holds it
    case kRecheckSubscriptions: return recheck_subscriptions();
    case kDeliver: return;  // the caller does
    case kSendReady:
      if (control_protocol_ || (verification_ != nullptr &&
                                verification_->kind() == CredentialKind::kFirstMessage)) {
        say(auth::ready_message(text_of(id_), principal()));
      }
      return;
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
      worker_.shared().stale.fetch_add(1, std::memory_order_relaxed);
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

// ---- Verifying

void Connection::start_verify() {
  const std::uint32_t generation = state_.generation();
  if (route_->anonymous) {
    Principal who;
    who.issuer = "anonymous";
    who.subject = "anonymous:" + text_of(id_);
    return verified(generation, Verdict::accept(std::move(who)));
  }
  if (handshake_ != nullptr && handshake_->credential() &&
      handshake_->credential()->kind == CredentialKind::kTicket) {
    return redeem_ticket(*std::exchange(handshake_->credential(), {}));
  }
  if (handshake_ != nullptr && handshake_->credential()) {
    verification_ = std::make_shared<Verification>(
        verifier_of(route_), std::make_shared<const auth::Credential>(
                                        std::move(*std::exchange(handshake_->credential(), {}))));
  }
  SALLYPORT_ASSERT(verification_ != nullptr);
  const VerificationCache::Key& key = verification_->cache_key(route_->index);
  if (const auto cached = worker_.cache().find(key, worker_.now().wall)) {
    return verified(generation, Verdict::accept(cached));
  }
  if (const auto failure = worker_.refusals().find(key, worker_.now().mono)) {
    return verified(generation, Verdict::refuse(*failure, "refused a moment ago"));
  }
  // What strangers behind the same address do is not held against an open connection; its refreshes have a limit
  // of their own.
  if (!state_.authenticated() && !worker_.shared().admission.may_verify(address_, worker_.now().mono)) {
    return verified(generation, Verdict::refuse(Failure::kTooManyRequests,
                                                "too many refused credentials from this address"));
  }
  worker_.verify_in_budget(*this, [generation](Connection& self) {
    if (self.verification_ == nullptr || self.state_.generation() != generation) return;
    const auto verdict =
        self.verification_->run(self.worker_, self, generation, &Connection::verified);
    if (!verdict) return;
    self.verified(generation, *verdict);
  });
}

void Connection::verified(std::uint32_t generation, const Verdict& verdict) {
  if (generation != state_.generation() || route_ == nullptr) {
    return execute(auth::Action{auth::ActionKind::kCountStale});
  }
  if (!verdict.accepted() || verdict.principal()->subject.empty()) {
    apply(auth::VerifyFailed{generation, refused(verdict)});
  } else {
    const auth::PrincipalRef who = keep(verdict.principal());
    if (verification_ != nullptr && verification_->cacheable()) {
      worker_.cache().insert(verification_->cache_key(route_->index), who);
    }
    apply(auth::Verified{.generation = generation, .principal = who, .denied = denied(*who)});
    if (state_.authenticated() && verification_ != nullptr) {
      recheck_ = principal().recheck_every
                     ? std::make_unique<Recheck>(Recheck{verification_->credential()})
                     : nullptr;
    }
  }
  if (verification_ != nullptr && state_.phase() != auth::Phase::kReauthenticating) {
    worker_.keep_until_turn_ends(std::exchange(verification_, nullptr));
  }
  process_held();
}

// A ticket's principal was verified when it was issued, and ends as that credential does.
void Connection::redeem_ticket(const auth::Credential& ticket) {
  const std::uint32_t generation = state_.generation();
  const http::Head& head = handshake_->request().head;
  auto taken = worker_.shared().tickets.take(ticket.token.reveal(), head.raw_path(),
                                             head.find("origin").value_or(""), worker_.now().mono);
  if (!taken) {
    const bool expired = taken.error() == TicketStore::Bad::kExpired;
    return verified(generation, Verdict::refuse(expired ? Failure::kTokenExpired : Failure::kInvalidToken,
                                                std::string(describe(taken.error()))));
  }
  auto credential = taken->credential;
  if (credential == nullptr) {
    credential = std::make_shared<const auth::Credential>(auth::Credential{.kind = CredentialKind::kTicket});
  }
  verification_ = std::make_shared<Verification>(verifier_of(route_), std::move(credential),
                                                 CredentialKind::kTicket);
  verified(generation, Verdict::accept(taken->principal));
}

// Counts, remembers and tells a refusal; what follows from it is the machine's. Over its limit an address is told
// nothing about what it presents, also where one of its credentials was looked at.
Failure Connection::refused(const Verdict& verdict) {
  const Failure failure = verdict.accepted() ? Failure::kInvalidToken : verdict.failure();
  Admission& admission = worker_.shared().admission;
  const base::MonoTime now = worker_.now().mono;
  const bool counts = auth::row(failure).status == 401;
  const bool over = counts && !state_.authenticated() && admission.over_limit(address_, now);
  if (counts) {
    admission.failed(address_, now);
    // One that is not valid yet may be so in a moment.
    if (verification_ != nullptr && failure != Failure::kTokenNotYetValid) {
      worker_.refusals().insert(verification_->cache_key(route_->index), failure, now);
    }
  }
  if (handshake_ != nullptr) handshake_->set_detail(verdict.detail());
  if (state_.authenticated()) {
    Event(worker_.shared().options.log, LogLevel::kInfo, "ws.refresh_refused")
        .with("connection", text_of(id_))
        .with("reason", auth::row(failure).name)
        .with("detail", verdict.detail());
  }
  return over ? Failure::kTooManyRequests : failure;
}

// Claims that nobody will ask for are not carried along for hours.
auth::PrincipalRef Connection::keep(auth::PrincipalRef who) const {
  if (!route_->drops_claims || who->claims.empty()) return who;
  auto lean = std::make_shared<Principal>(*who);
  lean->claims = {};
  return lean;
}

// ---- Asking again

void Connection::start_recheck() {
  if (recheck_ == nullptr) return;
  const std::uint32_t generation = state_.recheck_generation();
  if (recheck_->running != nullptr) {
    recheck_->running->cancel();
    worker_.keep_until_turn_ends(std::move(recheck_->running));
  }
  recheck_->running = std::make_shared<Verification>(verifier_of(route_), recheck_->credential);
  const auto verdict =
      recheck_->running->run(worker_, *this, generation, &Connection::rechecked);
  if (verdict) rechecked(generation, *verdict);
}

void Connection::rechecked(std::uint32_t generation, const Verdict& verdict) {
  if (!state_.authenticated() || generation != state_.recheck_generation()) {
    return execute(auth::Action{auth::ActionKind::kCountStale});
  }
  if (recheck_ != nullptr) worker_.keep_until_turn_ends(std::exchange(recheck_->running, nullptr));
  if (verdict.accepted() && !verdict.principal()->subject.empty()) {
    const auth::PrincipalRef who = keep(verdict.principal());
    return apply(auth::Rechecked{.generation = generation, .principal = who, .denied = denied(*who)});
  }
  const Failure failure = verdict.accepted() ? Failure::kInvalidToken : verdict.failure();
  Event(worker_.shared().options.log, LogLevel::kInfo, "ws.recheck_refused")
      .with("connection", text_of(id_))
      .with("reason", auth::row(failure).name)
      .with("detail", verdict.detail());
  apply(auth::Rechecked{.generation = generation, .failure = failure});
}

std::optional<Failure> Connection::denied(const Principal& who) {
  if (auto failure = auth::unmet(route_->requirements, who)) return failure;
  if (!route_->spec.authorize) return std::nullopt;
  RequestState* const request = handshake_ != nullptr ? &handshake_->request() : context_.get();
  SALLYPORT_ASSERT(request != nullptr);
  try {
    Request view(*request);
    if (route_->spec.authorize(who, view)) return std::nullopt;
    return Failure::kForbidden;
  } catch (...) {
    Event(worker_.shared().options.log, LogLevel::kError, "ws.handler_threw")
        .with("connection", text_of(id_))
        .with("route", route_->path)
        .with("what", what_of(std::current_exception()));
  }
  return Failure::kInternal;
}

// ---- Opening and closing

void Connection::register_opened() {
  worker_.promote(*this);
  worker_.shared().open.fetch_add(1, std::memory_order_relaxed);
  opened_at_ = worker_.now().mono;
  decoder_.set_limits({.message_bytes = route_->spec.limits.message_bytes,
                       .control_frames_between_data = 256});
}

void Connection::run_open() {
  if (dropped()) return;  // what was said to it first has found nobody
  const CredentialKind kind =
      verification_ != nullptr ? verification_->kind() : CredentialKind::kNone;
  Event(worker_.shared().options.log, LogLevel::kDebug, "ws.open")
      .with("connection", text_of(id_))
      .with("route", route_->path)
      .with("address", address_.text())
      .with("issuer", principal().issuer.view())
      .with("subject", principal().subject.view())
      .with("credential", name(kind));
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

void Connection::log_refusal(Failure failure) {
  const auth::FailureRow& row = auth::row(failure);
  Event(worker_.shared().options.log, level_of(row.severity), "ws.refused")
      .with("connection", text_of(id_))
      .with("route", route_ != nullptr ? route_->path : std::string())
      .with("address", address_.text())
      .with("reason", row.name)
      .with("status", std::int64_t{row.status})
      .with("detail", handshake_ != nullptr ? handshake_->detail() : std::string());
}

}  // namespace sallyport::server
