#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
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
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  std::string user = {};
  base::Secret password = {};
  unsigned database = 0;

  /// The error is a sentence for the reader of a configuration and does not contain the password.
  [[nodiscard]] static std::expected<RedisUrl, std::string> parse(std::string_view text);
};

/// A reply of the server. Nested arrays are given flat up to one level: what the commands here need.
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
  std::string detail;  ///< for the log; never an argument of a command
};

struct RedisLinkOptions {
  std::chrono::milliseconds timeout{2000};  ///< for one command; and for connecting, authentication included
  std::size_t pending = 4096;               ///< commands on their way; then kBusy
};

/// One connection to a Redis server (hiredis), driven by an io_context and used from its thread only. It connects at
/// once and again, with a growing pause (50 ms to 2 s), when the connection is lost; commands meanwhile fail at
/// once with kUnavailable.
class RedisLink {
 public:
  RedisLink(boost::asio::io_context& context, RedisUrl url, RedisLinkOptions options = {});
  ~RedisLink();
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  [[nodiscard]] bool connected() const noexcept;
  /// Sends one command. While the very first connection is being made it waits for it, within the timeout.
  [[nodiscard]] boost::asio::awaitable<std::expected<RedisReply, RedisFailure>> command(
      std::vector<base::Secret> arguments);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sallyport::io
