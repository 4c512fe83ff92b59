#include "bench/load/session.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sallyport::bench {
namespace {

constexpr std::string_view kAnswer =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A session connected to a socket that the test plays the server on.
class SessionTest : public testing::Test {
 protected:
  SessionTest() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in server = any;
    socklen_t size = sizeof server;
    auto* generic = reinterpret_cast<sockaddr*>(&server);
    EXPECT_EQ(::bind(listener, generic, size), 0);
    EXPECT_EQ(::listen(listener, 1), 0);
    EXPECT_EQ(::getsockname(listener, generic, &size), 0);
    session_.start(Stream(any, server, nullptr), "GET / HTTP/1.1\r\n\r\n");
    peer_ = ::accept(listener, nullptr, nullptr);
    ::close(listener);
    pollfd writable{.fd = session_.fd(), .events = POLLOUT, .revents = 0};
    EXPECT_EQ(::poll(&writable, 1, 5000), 1);
    EXPECT_EQ(session_.advance(buffer_), Session::Event::kNothing);
    EXPECT_EQ(receive(), "GET / HTTP/1.1\r\n\r\n");
  }
  ~SessionTest() override { ::close(peer_); }

  std::string receive() {
    std::array<char, 1024> bytes{};
    const ssize_t size = ::recv(peer_, bytes.data(), bytes.size(), 0);
    return {bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  }

  // Sends as the server, and lets the session see it.
  Session::Event answer(std::string_view bytes) {
    EXPECT_EQ(::send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    pollfd readable{.fd = session_.fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&readable, 1, 5000), 1);
    return session_.advance(buffer_);
  }

  std::string payload() const {
    return {reinterpret_cast<const char*>(session_.payload().data()), session_.payload().size()};
  }

  std::array<std::uint8_t, 70'000> buffer_{};
  Session session_;
  int peer_ = -1;
};

TEST_F(SessionTest, OpensOnARightAnswer) {
  EXPECT_EQ(answer(kAnswer), Session::Event::kOpened);
  EXPECT_EQ(session_.state(), Session::State::kOpen);
}

TEST_F(SessionTest, RejectsAnAnswerThatIsNot101) {
  EXPECT_THROW(static_cast<void>(answer("HTTP/1.1 401 Unauthorized\r\n\r\n")), std::runtime_error);
}

TEST_F(SessionTest, RejectsAWrongAcceptValue) {
  std::string wrong(kAnswer);
  wrong[wrong.find("s3pP")] = 'S';
  EXPECT_THROW(static_cast<void>(answer(wrong)), std::runtime_error);
}

TEST_F(SessionTest, PutsAnAnswerAndAFrameTogetherByteByByte) {
  const std::string frame = "\x81\x05hello";
  for (const char byte : kAnswer.substr(0, kAnswer.size() - 1)) {
    ASSERT_EQ(answer({&byte, 1}), Session::Event::kNothing);
  }
  ASSERT_EQ(answer("\n"), Session::Event::kOpened);
  ASSERT_EQ(session_.advance(buffer_), Session::Event::kNothing);
  for (const char byte : frame.substr(0, frame.size() - 1)) {
    ASSERT_EQ(answer({&byte, 1}), Session::Event::kNothing);
  }
  ASSERT_EQ(answer("o"), Session::Event::kMessage);
  EXPECT_EQ(payload(), "hello");
}

TEST_F(SessionTest, ReportsEachOfTwoFramesInOneRead) {
  EXPECT_EQ(answer(std::string(kAnswer) + "\x81\x01"
                                          "a\x82\x01"
                                          "b"),
            Session::Event::kOpened);
  EXPECT_EQ(session_.advance(buffer_), Session::Event::kMessage);
  EXPECT_EQ(payload(), "a");
  EXPECT_EQ(session_.advance(buffer_), Session::Event::kMessage);
  EXPECT_EQ(payload(), "b");
  EXPECT_EQ(session_.advance(buffer_), Session::Event::kNothing);
}

TEST_F(SessionTest, ReadsAnExtendedLength) {
  const std::string text(1024, 'x');
  ASSERT_EQ(answer(kAnswer), Session::Event::kOpened);
  ASSERT_EQ(session_.advance(buffer_), Session::Event::kNothing);
  ASSERT_EQ(answer("\x81\x7e" + std::string("\x04\x00", 2) + text), Session::Event::kMessage);
  EXPECT_EQ(payload(), text);
}

TEST_F(SessionTest, AnswersAPingWithAMaskedPong) {
  ASSERT_EQ(answer(kAnswer), Session::Event::kOpened);
  ASSERT_EQ(session_.advance(buffer_), Session::Event::kNothing);
  ASSERT_EQ(answer("\x89\x02hi"), Session::Event::kNothing);
  const auto pong = client_frame(kPong, "hi");
  EXPECT_EQ(receive(), std::string(pong.begin(), pong.end()));
}

struct BadFrame {
  const char* name;
  std::string bytes;
};

class BadFrameTest : public SessionTest, public testing::WithParamInterface<BadFrame> {};

TEST_P(BadFrameTest, IsRejected) {
  ASSERT_EQ(answer(kAnswer), Session::Event::kOpened);
  ASSERT_EQ(session_.advance(buffer_), Session::Event::kNothing);
  EXPECT_THROW(static_cast<void>(answer(GetParam().bytes)), std::runtime_error);
}

INSTANTIATE_TEST_SUITE_P(Session, BadFrameTest,
                         testing::Values(BadFrame{"Masked", {"\x81\x80\0\0\0\0", 6}},
                                         BadFrame{"Fragmented", {"\x01\x00", 2}},
                                         BadFrame{"Compressed", {"\xc1\x00", 2}},
                                         BadFrame{"Closing", {"\x88\x00", 2}},
                                         BadFrame{"Unknown", {"\x83\x00", 2}},
                                         BadFrame{"TooLong", {"\x81\x7f", 2}}),
                         [](const auto& frame) { return frame.param.name; });

TEST_F(SessionTest, RejectsTheEndOfTheConnection) {
  ASSERT_EQ(answer(kAnswer), Session::Event::kOpened);
  ASSERT_EQ(session_.advance(buffer_), Session::Event::kNothing);
  ::shutdown(peer_, SHUT_WR);
  EXPECT_THROW(static_cast<void>(session_.advance(buffer_)), std::runtime_error);
}

TEST(ClientFrame, MasksItsPayload) {
  const auto frame = client_frame(kText, "abcde");
  ASSERT_EQ(frame.size(), 2U + 4U + 5U);
  EXPECT_EQ(frame[0], 0x81);
  EXPECT_EQ(frame[1], 0x80 | 5);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NE(frame[6 + i], static_cast<std::uint8_t>("abcde"[i]));
    EXPECT_EQ(frame[6 + i] ^ frame[2 + i % 4], "abcde"[i]);
  }
}

}  // namespace
}  // namespace sallyport::bench
