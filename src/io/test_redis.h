#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::io::test {

/// A redis-server on 127.0.0.1, at a port that was free, which keeps nothing on disk. It ends with this object, and with
/// the process if that is killed.
class RedisServer {
 public:
  /// Further arguments of the command, such as {"--requirepass", "x"}.
  explicit RedisServer(std::vector<std::string> arguments = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  /// Whether the command is installed; it is where script/bootstrap has installed what the tests need.
  [[nodiscard]] static bool installed();

  /// Starts it again at the same port, empty, after `kill`. True if it answers.
  bool start();
  void kill();
  /// Lets it stand still (SIGSTOP) and go on.
  void pause() const;
  void go_on() const;
  /// Asks over a connection of its own, blocking; the reply as text, "(nil)", "(error) ...", or "(gone)". Log in with
  /// `password` first if it is not empty.
  std::string ask(const std::vector<std::string>& command, const std::string& password = {}) const;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }

 private:
  std::vector<std::string> arguments_;
  std::uint16_t port_ = 0;
  ::pid_t pid_ = 0;
};

}  // namespace sallyport::io::test
