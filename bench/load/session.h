#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/stream.h"

namespace sallyport::bench {

/// A whole client frame (RFC 6455 section 5.2), masked, ready to be sent any number of times.
[[nodiscard]] std::vector<std::uint8_t> client_frame(std::uint8_t opcode, std::string_view payload);

inline constexpr std::uint8_t kText = 1;
inline constexpr std::uint8_t kBinary = 2;
inline constexpr std::uint8_t kClose = 8;
inline constexpr std::uint8_t kPing = 9;
inline constexpr std::uint8_t kPong = 10;

/// One client connection: TCP, TLS, the opening handshake, then messages. It is strict, because a
/// server that answers wrongly must not get a good figure: whatever is not expected is thrown as
/// std::runtime_error and ends the run.
class Session {
 public:
  enum class State { kIdle, kConnecting, kUpgrading, kOpen };

  /// What became of the socket's readiness.
  enum class Event { kNothing, kOpened, kMessage };

  /// Starts over with a new socket; `request` is the whole request head.
  void start(Stream stream, std::string request);
  void close() noexcept;

  /// Goes on as far as it can without blocking. Of kMessage there may be more: call again until
  /// kNothing comes back. `buffer` is scratch, and `payload()` points into it until the next call.
  [[nodiscard]] Event advance(std::span<std::uint8_t> buffer);
  [[nodiscard]] std::span<const std::uint8_t> payload() const noexcept { return payload_; }

  void send(std::span<const std::uint8_t> bytes);

  [[nodiscard]] int fd() const noexcept { return stream_.fd(); }
  [[nodiscard]] State state() const noexcept { return state_; }
  /// Whether it waits for the socket to become writable rather than readable.
  [[nodiscard]] bool wants_write() const noexcept { return wants_write_; }

 private:
  [[nodiscard]] bool fill(std::span<std::uint8_t> buffer);
  [[nodiscard]] Event advance_connect();
  [[nodiscard]] Event parse_answer();
  [[nodiscard]] Event parse_frames();
  void keep_rest();
  void flush();

  Stream stream_;
  State state_ = State::kIdle;
  bool wants_write_ = false;
  bool drained_ = false;            // the socket has no more for now
  std::vector<std::uint8_t> held_;  // an incomplete frame or head, between two reads
  std::vector<std::uint8_t> unsent_;
  std::span<const std::uint8_t> input_;  // what is read and not yet parsed; points into buffer
  std::span<const std::uint8_t> payload_;
};

}  // namespace sallyport::bench
