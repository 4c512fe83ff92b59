#include "bench/load/session.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace sallyport::bench {
namespace {

// The accept value of the key that every request here carries: the example of RFC 6455 section 1.3.
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
constexpr std::size_t kAnswerBytesMax = 8192;

std::string_view text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::vector<std::uint8_t> client_frame(std::uint8_t opcode, std::string_view payload) {
  constexpr std::array<std::uint8_t, 4> kMask{0x37, 0xfa, 0x21, 0x3d};
  std::vector<std::uint8_t> frame;
  frame.push_back(static_cast<std::uint8_t>(0x80 | opcode));
  if (payload.size() < 126) {
    frame.push_back(static_cast<std::uint8_t>(0x80 | payload.size()));
  } else {
    frame.push_back(0x80 | 126);
    frame.push_back(static_cast<std::uint8_t>(payload.size() >> 8));
    frame.push_back(static_cast<std::uint8_t>(payload.size() & 0xff));
  }
  frame.insert(frame.end(), kMask.begin(), kMask.end());
  for (std::size_t i = 0; i < payload.size(); ++i) {
    frame.push_back(
        static_cast<std::uint8_t>(static_cast<std::uint8_t>(payload[i]) ^ kMask[i % 4]));
  }
  return frame;
}

void Session::start(Stream stream, std::string request) {
  stream_ = std::move(stream);
  state_ = State::kConnecting;
  wants_write_ = true;
  drained_ = false;
  held_.clear();
  input_ = {};
  unsent_.assign(request.begin(), request.end());
}

void Session::close() noexcept {
  stream_.close();
  state_ = State::kIdle;
  input_ = {};
}

void Session::send(std::span<const std::uint8_t> bytes) {
  if (unsent_.empty()) {
    const Transfer sent = stream_.write(bytes);
    if (sent.state == Io::kEnded) throw std::runtime_error("the server closed a connection");
    bytes = bytes.subspan(sent.bytes);
    if (bytes.empty()) return;
  }
  unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
  wants_write_ = true;
}

void Session::flush() {
  while (!unsent_.empty()) {
    const Transfer sent = stream_.write(unsent_);
    if (sent.state == Io::kEnded) throw std::runtime_error("the server closed a connection");
    if (sent.state != Io::kDone) break;
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(sent.bytes));
  }
  wants_write_ = !unsent_.empty();
}

Session::Event Session::advance(std::span<std::uint8_t> buffer) {
  if (state_ == State::kConnecting) return advance_connect();
  if (wants_write_) flush();
  while (true) {
    if (!input_.empty()) {
      const Event event = state_ == State::kOpen ? parse_frames() : parse_answer();
      if (event != Event::kNothing) return event;
    }
    if (!fill(buffer)) return Event::kNothing;
  }
}

Session::Event Session::advance_connect() {
  const Io io = stream_.connect();
  if (io == Io::kEnded) throw std::runtime_error("the server refused a connection");
  wants_write_ = io == Io::kWaitWrite;
  if (io != Io::kDone) return Event::kNothing;
  state_ = State::kUpgrading;
  flush();
  return Event::kNothing;
}

// Returns false when the socket has nothing more for now. A read that did not fill the buffer has
// emptied the socket, so that the usual case costs one system call and not two.
bool Session::fill(std::span<std::uint8_t> buffer) {
  if (std::exchange(drained_, false)) return false;
  const std::size_t kept = held_.size();
  std::copy(held_.begin(), held_.end(), buffer.begin());
  const Transfer got = stream_.read(buffer.subspan(kept));
  if (got.state == Io::kEnded) throw std::runtime_error("the server closed a connection");
  if (got.state != Io::kDone) return false;
  held_.clear();
  drained_ = !stream_.has_pending() && kept + got.bytes < buffer.size();
  input_ = buffer.first(kept + got.bytes);
  return true;
}

void Session::keep_rest() {
  held_.assign(input_.begin(), input_.end());
  input_ = {};
}

Session::Event Session::parse_answer() {
  const std::string_view head = text(input_);
  const std::size_t end = head.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (head.size() > kAnswerBytesMax) throw std::runtime_error("an endless answer");
    keep_rest();
    return Event::kNothing;
  }
  if (!head.starts_with("HTTP/1.1 101 ")) {
    throw std::runtime_error("the handshake was answered: " +
                             std::string(head.substr(0, head.find("\r\n"))));
  }
  if (head.substr(0, end).find(kAccept) == std::string_view::npos) {
    throw std::runtime_error("no or a wrong Sec-WebSocket-Accept");
  }
  input_ = input_.subspan(end + 4);
  state_ = State::kOpen;
  return Event::kOpened;
}

Session::Event Session::parse_frames() {
  while (input_.size() >= 2) {
    const std::uint8_t opcode = input_[0] & 0x0f;
    std::size_t header = 2;
    std::size_t length = input_[1];
    if ((input_[0] & 0xf0) != 0x80 || length > 126) {
      throw std::runtime_error("a fragmented, extended, masked or too long frame");
    }
    if (length == 126) {
      header = 4;
      if (input_.size() < header) break;
      length = static_cast<std::size_t>(input_[2]) << 8 | input_[3];
    }
    if (input_.size() < header + length) break;
    payload_ = input_.subspan(header, length);
    input_ = input_.subspan(header + length);
    switch (opcode) {
      case kText:
      case kBinary:
        return Event::kMessage;
      case kPing:
        send(client_frame(kPong, text(payload_)));
        break;
      case kPong:
        break;
      case kClose:
        throw std::runtime_error("the server sent a Close frame");
      default:
        throw std::runtime_error("an unknown opcode");
    }
  }
  keep_rest();
  return Event::kNothing;
}

}  // namespace sallyport::bench
