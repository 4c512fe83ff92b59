#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/ws/decoder.h"
#include "io/test_certificate.h"

struct ssl_st;

namespace sallyport::server::test {

using Fields = std::vector<std::pair<std::string, std::string>>;

/// An HTTP answer.
struct Reply {
  int status = 0;  ///< 0: none came
  Fields fields;
  std::string body;
  /// The field's value, or an empty string.
  [[nodiscard]] std::string field(std::string_view name) const;
};

/// What a server said after the handshake.
struct Heard {
  enum class Kind : std::uint8_t {
    kMessage,
    kClose,    ///< a Close frame: `code`, and `text` is the reason
    kEnd,      ///< TCP has ended in order
    kReset,    ///< or not in order
    kNothing,  ///< within the time given
    kBroken,   ///< not valid frames: `text` says what is wrong
  };
  Kind kind = Kind::kNothing;
  std::string text;
  bool binary = false;
  bool compressed = false;  ///< the first frame had RSV1
  std::uint16_t code = 0;
};

/// A blocking WebSocket client made of the codec in its client role. It does nothing by itself: pings are
/// answered only within `hear`, and a Close only by `close`. One thread uses it.
class Client {
 public:
  static constexpr std::chrono::milliseconds kPatience{10'000};

  struct Options {
    bool tls = false;
    int receive_buffer = 0;  ///< SO_RCVBUF; 0: the kernel's choice
    std::string from = {};   ///< a loopback address of our end; empty: the kernel's choice
    std::string first = {};  ///< what is sent before TLS or anything else
    bool bytewise = false;   ///< the former, byte by byte
    const io::test::Certificate* certificate = nullptr;  ///< over TLS
  };
  explicit Client(std::uint16_t port) : Client(port, Options{}) {}
  Client(std::uint16_t port, Options options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// False if the connection or its TLS handshake failed.
  [[nodiscard]] bool connected() const noexcept { return fd_ >= 0; }

  // ---- The handshake
  /// Sends an upgrade request with `fields` and, in the same segment, `after`; then reads the answer.
  Reply upgrade(const std::string& target, const Fields& fields = {}, std::string_view after = {});
  /// Only sends it.
  void send_upgrade(const std::string& target, const Fields& fields = {}, std::string_view after = {});
  /// A plain request and its answer.
  Reply request(const std::string& method, const std::string& target, const Fields& fields = {});
  Reply read_reply(bool head_only = false);

  // ---- Frames
  static std::string frame(std::string_view payload, ws::Opcode opcode = ws::Opcode::kText);
  /// False if the connection is gone.
  bool send(std::string_view payload, ws::Opcode opcode = ws::Opcode::kText);
  bool send_raw(std::string_view bytes);
  bool send_close(std::uint16_t code = 1000, std::string_view reason = {});
  /// The next thing the server says; answers pings on the way.
  Heard hear(std::chrono::milliseconds patience = kPatience);
  /// The next message's text; "<...>" if something else came.
  std::string hear_text(std::chrono::milliseconds patience = kPatience);
  /// Everything up to the Close frame, which is answered, then up to the end of TCP, which is answered too.
  /// The Close's code, 0 if none came.
  std::uint16_t hear_close(std::chrono::milliseconds patience = kPatience);

  // ---- Ends
  void end();    ///< FIN (over TLS with close_notify); reading goes on
  void reset();  ///< RST
  void close();  ///< whatever the kernel makes of it

 private:
  long receive(std::chrono::milliseconds patience);
  struct FreeSsl {
    void operator()(ssl_st* ssl) const noexcept;
  };

  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::unique_ptr<ssl_st, FreeSsl> ssl_;
  ws::Decoder decoder_{ws::Role::kClient,
                       {.message_bytes = 64 * 1024 * 1024, .control_frames_between_data = 100'000}};
  std::unique_ptr<ws::Inflater> inflater_;
  std::string input_;       // received and not yet taken
  std::size_t taken_ = 0;   // of input_
};

/// "Authorization: Bearer T", the field that most tests need.
[[nodiscard]] inline Fields bearer(const std::string& token) {
  return {{"Authorization", "Bearer " + token}};
}

}  // namespace sallyport::server::test
