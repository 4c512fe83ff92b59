// The public view of a connection, and handles that outlive it.

#include <utility>

#include "core/ws/encoder.h"
#include "sallyport/connection.h"
#include "server/connection.h"
#include "server/worker.h"

namespace sallyport {
namespace {

ws::Opcode opcode_of(bool binary) { return binary ? ws::Opcode::kBinary : ws::Opcode::kText; }

}  // namespace

const Principal& Connection::principal() const { return self_->principal(); }
std::string Connection::id() const { return server::text_of(self_->id()); }
std::string Connection::address() const { return self_->address().text(); }
std::string_view Connection::param(std::string_view name) const { return self_->param(name); }
const std::any* Connection::find_local(std::string_view name) const { return self_->local(name); }
std::any& Connection::slot() const { return self_->data(); }
std::size_t Connection::queued_bytes() const { return self_->queued_bytes(); }
Handle Connection::handle() const { return self_->handle(); }

SendResult Connection::send(std::string_view text) { return self_->send(ws::Opcode::kText, text); }

SendResult Connection::send(const Message& message) {
  return self_->send(opcode_of(message.binary), message.data);
}

bool Connection::subscribe(std::string_view channel) {
  if (!self_->state().authenticated()) return false;
  return self_->worker().hub().subscribe(*self_, channel) == server::Hub::Joined::kYes;
}

bool Connection::unsubscribe(std::string_view channel) {
  return self_->worker().hub().unsubscribe(*self_, channel);
}

void Connection::publish(std::string_view channel, const Message& message) {
  if (!self_->may_publish()) return;
  std::string frame;
  ws::append_frame(frame, {.opcode = opcode_of(message.binary)}, message.data);
  // From on_close in another turn: it may run in the middle of a delivery, and a room full of slow members, each of
  // whose ends is told to the others, would nest as deep as it is full.
  server::Worker* const from = self_->closes() ? nullptr : &self_->worker();
  self_->set_publishes();
  self_->worker().shared().publish(from, channel, std::make_shared<const std::string>(std::move(frame)));
}

void Connection::close(std::uint16_t code, std::string_view reason) { self_->close(code, reason); }

void Handle::send(std::string data, bool binary) const {
  const auto mailbox = mailbox_.lock();
  if (mailbox == nullptr) return;
  mailbox->post(slot_, generation_,
                [data = std::move(data), binary](server::Connection& connection) {
                  connection.send(opcode_of(binary), data);
                });
}

void Handle::close(std::uint16_t code, std::string reason) const {
  const auto mailbox = mailbox_.lock();
  if (mailbox == nullptr) return;
  mailbox->post(slot_, generation_, [code, reason = std::move(reason)](server::Connection& connection) {
    connection.close(code, reason);
  });
}

}  // namespace sallyport
