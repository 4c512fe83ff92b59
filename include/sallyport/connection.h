#pragma once

#include <any>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <typeindex>

#include "sallyport/failure.h"
#include "sallyport/principal.h"

namespace sallyport {

namespace server {
class Connection;
class Mailbox;
}  // namespace server

/// A whole message. The bytes are valid until the callback returns.
struct Message {
  std::string_view data;
  bool binary = false;
};

/// Why a connection ended, for `on_close`.
struct Close {
  std::uint16_t code = 1006;  ///< what went over the wire; 1006 if nothing did (RFC 6455 section 7.4.1)
  std::string_view reason = {};
  /// Set if Sallyport ended it; nothing if the peer or the application did, or the network broke.
  std::optional<Failure> failure = {};
};

enum class SendResult : std::uint8_t {
  kSent,    ///< handed to the kernel, or about to be within this turn
  kQueued,  ///< behind other bytes; `on_drain` follows when the queue is empty again
  kDropped, ///< not sent: the connection is closing, its authority has ended, or the queue is full
};

/// Survives its connection. Any thread may call it; the work is done on the connection's worker, in order,
/// and is silently nothing if the connection has gone.
class Handle {
 public:
  Handle() = default;
  void send(std::string data, bool binary = false) const;
  void close(std::uint16_t code = 1000, std::string reason = {}) const;

 private:
  friend class server::Connection;
  std::weak_ptr<server::Mailbox> mailbox_;
  std::uint32_t slot_ = 0;
  std::uint32_t generation_ = 0;
};

/// An authenticated connection, as its callbacks see it: a view that lives until the callback returns.
/// Belongs to the worker thread that calls; keep a `handle()` for later or for other threads.
class Connection {
 public:
  explicit Connection(server::Connection& connection) : self_(&connection) {}

  [[nodiscard]] const Principal& principal() const;
  [[nodiscard]] std::string id() const;  ///< 128 random bits as text; names the connection in logs
  [[nodiscard]] std::string address() const;
  /// A parameter of the route's path, percent-decoded.
  [[nodiscard]] std::string_view param(std::string_view name) const;
  /// What middleware kept with `Request::locals`, or null.
  template <typename T>
  [[nodiscard]] const T* local(std::string_view name) const {
    return std::any_cast<T>(find_local(name));
  }

  SendResult send(std::string_view text);
  SendResult send(const Message& message);
  [[nodiscard]] std::size_t queued_bytes() const;

  /// Joins a channel of this process. False if it has joined already, is in 256 channels, which is the most, or
  /// is no longer open.
  bool subscribe(std::string_view channel);
  bool unsubscribe(std::string_view channel);
  /// Sends to everyone who has joined the channel, on all workers, this connection included if it has. In
  /// `on_close` too; otherwise it is nothing once the connection is closing.
  void publish(std::string_view channel, const Message& message);

  /// Starts the closing handshake; nothing is delivered any more. `code` is 1000 or from 3000 to 4999,
  /// `reason` at most 123 bytes.
  void close(std::uint16_t code = 1000, std::string_view reason = {});

  [[nodiscard]] Handle handle() const;

 protected:
  [[nodiscard]] std::any& slot() const;

 private:
  [[nodiscard]] const std::any* find_local(std::string_view name) const;
  server::Connection* self_;
};

namespace server {
[[noreturn]] void throw_no_data(std::type_index type);
}  // namespace server

/// A connection of a route made with `app.ws<T>(...)`: `data()` is its own `T`, made on opening. Where making it
/// throws, the connection is closed with 1011 and no callback runs. `data()` of a connection that carries no `T`
/// throws `std::logic_error`.
template <typename T>
class ConnectionOf : public Connection {
 public:
  explicit ConnectionOf(const Connection& connection) : Connection(connection) {}
  [[nodiscard]] T& data() const {
    auto* const data = std::any_cast<std::shared_ptr<T>>(&slot());
    if (data == nullptr) server::throw_no_data(typeid(T));
    return **data;
  }
};

}  // namespace sallyport
