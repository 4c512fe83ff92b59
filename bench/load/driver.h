#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bench/load/options.h"
#include "bench/load/session.h"

namespace sallyport::bench {

/// What a mode does when something happens on a connection. It may close, restart or open sessions.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void opened(std::size_t index) = 0;
  virtual void message(std::size_t index, std::span<const std::uint8_t> payload) = 0;
};

/// One epoll loop over all connections of the run. Belongs to one thread.
class Driver {
 public:
  /// `options` is borrowed for the driver's life. The driver makes room for `sessions` connections.
  Driver(const Options& options, std::size_t sessions, std::uint64_t handshakes_expected);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  /// Connects, or connects anew, session `index`, with the next token and source address in turn.
  void open(std::size_t index);
  void close(std::size_t index) noexcept { sessions_[index].close(); }
  void send(std::size_t index, std::span<const std::uint8_t> bytes);

  /// Serves events until `stop` is called. Throws std::runtime_error if a server misbehaves or
  /// nothing at all happens for `kSilenceMaxMilliseconds`, unless `input_ends_it`: then silence is
  /// expected, and anything on standard input, or its end, stops the loop.
  void run(Handler& handler, bool input_ends_it = false);
  void stop() noexcept { stopped_ = true; }

 private:
  static constexpr int kSilenceMaxMilliseconds = 20'000;

  void serve(Handler& handler, std::size_t index);
  void watch(std::size_t index, int operation);

  const Options& options_;
  TlsContext tls_;
  int epoll_;
  bool stopped_ = false;
  std::uint32_t sources_;         // how many client addresses are in use
  std::uint64_t handshakes_ = 0;  // started so far
  sockaddr_in server_{};
  std::vector<Session> sessions_;
  std::vector<bool> watching_write_;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace sallyport::bench
