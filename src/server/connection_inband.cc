// Messages: the application's, and the control protocol's.

#include <utility>

#include "core/auth/permit.h"
#include "core/ws/encoder.h"
#include "server/connection.h"
#include "server/guard.h"
#include "server/handshake.h"
#include "server/resume_track.h"
#include "server/route_table.h"
#include "server/verification.h"
#include "server/worker.h"

namespace sallyport::server {

bool Connection::speaks_control() const noexcept {
  return control_protocol_ || route_->hub || route_->first_message();
}

void Connection::say(std::string_view json) { enqueue(ws::Opcode::kText, json, false); }

void Connection::take_message(ws::Opcode opcode, std::string_view payload) {
  ++worker_.metrics().messages_in;
  if (!state_.authenticated()) return take_first_message(opcode, payload);
  if (!within_rate()) return apply(auth::Violation{Failure::kRateLimited});
  // The check of every message: is the authority still there at this moment?
  const auth::Actions actions =
      auth::step(state_, auth::MessageReceived{}, policy(), worker_.fresh_now());
  if (!actions.has(auth::ActionKind::kDeliver)) {
    execute(actions);
    return arm_timer();
  }
  if (route_->hub) return take_control(payload, opcode == ws::Opcode::kText);
  if (opcode == ws::Opcode::kText && speaks_control()) {
    const auto type = auth::control_type(payload);
    if (type == "auth" || type == "refresh") return take_control(payload, true);
  }
  if (!route_->spec.on_message) return;
  guard([&] {
    sallyport::Connection view(*this);
    route_->spec.on_message(view, Message{payload, opcode == ws::Opcode::kBinary});
  });
}

bool Connection::within_rate() noexcept {
  const std::uint32_t limit = route_->spec.limits.messages_per_second;
  if (limit == 0) return true;
  const base::MonoTime now = worker_.now().mono;
  if (now - rate_second_ >= base::Milliseconds(1000)) {
    rate_second_ = now;
    rate_count_ = 0;
  }
  return ++rate_count_ <= limit;
}

// The vestibule: exactly one message, and it must be the credential. Nothing in it reaches a handler.
void Connection::take_first_message(ws::Opcode opcode, std::string_view payload) {
  if (opcode == ws::Opcode::kText && auth::control_type(payload) == "auth") {
    auto message = auth::parse_control(payload);
    if (message && message->type == auth::ControlType::kAuth) {
      ask_resume(*message);
      return present(CredentialKind::kFirstMessage, std::move(message->token));
    }
  }
  apply(auth::MessageReceived{});
}

void Connection::present(CredentialKind kind, base::Secret token) {
  // One already under way is left to the machine, which ends the connection.
  if (state_.phase() != auth::Phase::kReauthenticating) {
    verification_ = std::make_shared<Verification>(
        verifier_of(route_),
        std::make_shared<const auth::Credential>(auth::Credential{
            .kind = kind, .token = std::move(token), .certificate = stream_.peer_certificate()}));
  }
  apply(auth::CredentialsReceived{});
}

void Connection::take_control(std::string_view payload, bool text) {
  const auto message = text ? auth::parse_control(payload)
                            : std::expected<auth::ControlMessage, auth::ControlError>(
                                  std::unexpect, auth::ControlError{});
  if (!message) return say(auth::error_message(reason(Failure::kBadRequest), message.error().id));
  switch (message->type) {
    case auth::ControlType::kAuth:
      // Once is enough: who wants a new credential accepted says "refresh", which cannot change the subject.
      return say(auth::error_message("already_authenticated", message->id));
    case auth::ControlType::kRefresh:
      if (route_->anonymous) return say(auth::error_message(reason(Failure::kBadRequest), message->id));
      return present(CredentialKind::kFirstMessage, message->token.copy());
    case auth::ControlType::kResume: return take_resume(*message);
    case auth::ControlType::kSubscribe:
    case auth::ControlType::kUnsubscribe:
    case auth::ControlType::kPublish: return take_channel_message(*message);
  }
}

void Connection::take_channel_message(const auth::ControlMessage& message) {
  const auto fail = [&](std::string_view why) { say(auth::error_message(why, message.id)); };
  if (!auth::valid_channel(message.channel)) return fail(reason(Failure::kBadRequest));
  if (message.type == auth::ControlType::kUnsubscribe) {
    worker_.hub().unsubscribe(*this, message.channel);
    return say(auth::channel_answer("unsubscribed", message.channel, message.id));
  }
  const bool publish = message.type == auth::ControlType::kPublish;
  const auth::ParamLookup params = [this](std::string_view name) { return param(name); };
  const auto action = publish ? auth::ChannelAction::kPublish : auth::ChannelAction::kSubscribe;
  if (!auth::permitted(route_->permits, action, message.channel, principal(), params)) {
    return fail(reason(Failure::kForbidden));
  }
  if (!publish) {
    if (worker_.hub().subscribe(*this, message.channel) == Hub::Joined::kTooMany) {
      return fail("too_many_channels");
    }
    if (resume_ != nullptr) resume_->may_ask = false;
    return say(auth::channel_answer("subscribed", message.channel, message.id));
  }
  std::string frame;
  ws::append_frame(frame, {.opcode = ws::Opcode::kText},
                   auth::publication(message.channel, principal().subject, message.data));
  set_publishes();
  if (!worker_.shared().publish(&worker_, message.channel,
                                std::make_shared<const std::string>(std::move(frame)))) {
    return fail(reason(Failure::kUnavailable));
  }
  if (!message.id.empty()) say(auth::channel_answer("published", message.channel, message.id));
}

const Principal& Connection::principal() const { return *state_.principal(); }

std::string_view Connection::param(std::string_view name) const noexcept {
  return context_ != nullptr ? context_->param(name) : std::string_view();
}

const std::any* Connection::local(std::string_view name) const {
  return context_ != nullptr ? context_->local(name) : nullptr;
}

Handle Connection::handle() const {
  Handle handle;
  handle.mailbox_ = worker_.mailbox();
  handle.slot_ = slot_;
  handle.generation_ = slot_generation_;
  return handle;
}

}  // namespace sallyport::server
