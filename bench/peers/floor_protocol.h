#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// The least of WebSocket that echoes to a well-behaved client: what a server pays for system calls
// and its event loop, and for nothing else. No limits, no UTF-8 check, no control frames, no
// refusals: not a server, a floor to measure against.

namespace sallyport::bench {

/// One connection of a floor server. It owns its socket.
class FloorConnection {
 public:
  explicit FloorConnection(int fd) noexcept : fd_(fd) {}
  FloorConnection(const FloorConnection&) = delete;
  FloorConnection& operator=(const FloorConnection&) = delete;
  ~FloorConnection();

  [[nodiscard]] int fd() const noexcept { return fd_; }
  /// Receives once and answers what is complete. False: the connection is over, destroy it.
  [[nodiscard]] bool on_readable();

 private:
  [[nodiscard]] std::size_t take(std::uint8_t* data, std::size_t size);
  [[nodiscard]] std::size_t upgrade(const std::uint8_t* data, std::size_t size);

  int fd_;
  bool open_ = false;
  bool failed_ = false;
  std::vector<std::uint8_t> held_;  // the incomplete rest; empty nearly always
};

/// A listening socket on 127.0.0.1, non-blocking; prints the line that the runner waits for. Exits
/// the process if the port is not to be had.
[[nodiscard]] int floor_listen(int argc, char** argv);

/// One accepted, non-blocking connection, or -1.
[[nodiscard]] int floor_accept(int listener);

}  // namespace sallyport::bench
