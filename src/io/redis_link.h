#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/secret.h"

namespace boost::asio {
class io_context;
}

namespace sallyport::io {

/// redis://[user:password@]host[:port][/database]
struct RedisUrl {
  std::string host = "127.0.0.1";  ///< without brackets
  std::uint16_t port = 6379;
  std::string user = {};           ///< empty: the default user, if there is a password
  base::Secret password = {};
  unsigned database = 0;

  /// User and password may be percent-encoded. The error is a sentence for the reader of a configuration and does
  /// not contain the password.
  [[nodiscard]] static std::expected<RedisUrl, std::string> parse(std::string_view text);
  [[nodiscard]] RedisUrl copy() const;
  /// "127.0.0.1:6379" or "[::1]:6379": for logs.
  [[nodiscard]] std::string address() const;
};

/// A reply of the server. Status replies, such as OK, are texts. Arrays may contain arrays.
struct RedisReply {
  enum class Kind : std::uint8_t { kNil, kText, kInteger, kArray };
  Kind kind = Kind::kNil;
  std::string text = {};
  std::int64_t integer = 0;
  std::vector<RedisReply> items = {};
};

enum class RedisError : std::uint8_t {
  kUnavailable,  ///< not connected, the connection was lost, or no reply came in time
  kRefused,      ///< the server answered with an error
  kBusy,         ///< too many commands are on their way
};
struct RedisFailure {
  RedisError code;
  /// For the log; never an argument of a command: of the server's own words the error code alone, such as NOPERM.
  std::string detail;
};

struct RedisLinkOptions {
  std::chrono::milliseconds timeout{2000};  ///< for one command; and for connecting, authentication included
  std::size_t pending = 4096;               ///< commands on their way; then kBusy
  std::size_t reply_bytes = 1024 * 1024;    ///< a longer reply ends the connection
  /// Told, on the context's thread, when the link has come up or gone down, and when it stays down for another
  /// reason than before. Must not destroy the link.
  std::function<void(bool connected, const std::string& detail)> on_change = {};
};

/// A command and its arguments.
using RedisCommand = std::vector<base::Secret>;
[[nodiscard]] RedisCommand redis_command(std::initializer_list<std::string_view> words);

/// One connection to a Redis server, driven by an io_context and used from its thread only. It connects at once and
/// again, with a growing pause (50 ms to 2 s), when the connection is lost; commands meanwhile fail at once with
/// kUnavailable. Nothing here blocks.
///
/// The protocol is hiredis' (its formatter and its reader); the socket is Asio's. hiredis' own asynchronous API is
/// not used: its 0.14 aborts the process when a server says something that it was not asked for, and leaves copies
/// of passwords in freed memory.
class RedisLink {
 public:
  RedisLink(boost::asio::io_context& context, RedisUrl url, RedisLinkOptions options = {});
  /// Commands on their way fail with kUnavailable. The context may have stopped, but must still exist.
  ~RedisLink();
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  /// Whether the server has been reached and has let us in. Thread-safe.
  [[nodiscard]] bool connected() const noexcept;

  using Result = std::expected<RedisReply, RedisFailure>;
  using Results = std::expected<std::vector<RedisReply>, RedisFailure>;
  /// Sends one command. While the very first connection is being made it waits for it, within the timeout. A caller
  /// who is cancelled gets kUnavailable; the command may have been carried out all the same.
  [[nodiscard]] boost::asio::awaitable<Result> command(RedisCommand command);
  /// Sends several at once and gives all their replies, or the first failure. Nothing of others comes between them
  /// on the wire, but they are no transaction. There must be one at least.
  [[nodiscard]] boost::asio::awaitable<Results> pipeline(std::vector<RedisCommand> commands);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sallyport::io
