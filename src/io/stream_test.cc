#include "io/stream.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "io/test_certificate.h"
#include "io/test_pair.h"
#include "io/tls.h"

namespace sallyport::io {
namespace {

using test::Peer;

IoResult write(Stream& stream, std::string_view text) {
  const std::array<std::string_view, 1> parts{text};
  return stream.write(parts);
}

void wait_for(const Stream& stream, short events) {
  pollfd poll{stream.descriptor(), events, 0};
  ASSERT_EQ(::poll(&poll, 1, 5000), 1);
}

// Reads until `size` bytes have come or something else than bytes has.
std::string read_exactly(Stream& stream, std::size_t size) {
  std::string got;
  std::vector<char> buffer(64 * 1024);
  while (got.size() < size) {
    const IoResult result = stream.read(buffer);
    if (result.status == IoStatus::kWantRead) {
      wait_for(stream, POLLIN);
      continue;
    }
    EXPECT_EQ(result.status, IoStatus::kOk);
    if (result.status != IoStatus::kOk) break;
    got.append(buffer.data(), result.bytes);
  }
  return got;
}

std::string pattern(std::size_t size, std::size_t seed = 0) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('!' + (i * 31 + i / 251 + seed) % 90);
  return text;
}

// Every test runs over plain TCP and over TLS.
class StreamTest : public ::testing::TestWithParam<bool> {
 protected:
  test::Pair pair{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Transports, StreamTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

TEST_P(StreamTest, MovesBytesBothWays) {
  EXPECT_EQ(pair.stream().tls(), GetParam());
  EXPECT_TRUE(pair.stream().handshaken());
  pair.peer().write("hello");
  EXPECT_EQ(read_exactly(pair.stream(), 5), "hello");
  std::array<char, 16> buffer;
  EXPECT_EQ(pair.stream().read(buffer).status, IoStatus::kWantRead);
  EXPECT_EQ(write(pair.stream(), "and back").bytes, 8U);
  EXPECT_EQ(pair.peer().read(8), "and back");
}

TEST_P(StreamTest, WritesManyPartsInOrderHoweverFewItTakesAtOnce) {
  std::vector<std::string> texts;
  std::string all;
  for (std::size_t i = 0; i < 300; ++i) {
    texts.push_back(pattern(i % 7 == 0 ? 20'000 : i % 50, i));
    all += texts.back();
  }
  std::thread writer([&] {
    std::size_t done = 0;
    while (done < all.size()) {
      std::vector<std::string_view> parts;
      std::size_t skip = done;
      for (const std::string& text : texts) {
        if (skip >= text.size()) {
          skip -= text.size();
          continue;
        }
        parts.push_back(std::string_view(text).substr(skip));
        skip = 0;
      }
      const IoResult result = pair.stream().write(parts);
      if (result.status == IoStatus::kWantWrite) {
        wait_for(pair.stream(), POLLOUT);
        continue;
      }
      ASSERT_EQ(result.status, IoStatus::kOk);
      ASSERT_GT(result.bytes, 0U);
      done += result.bytes;
    }
    EXPECT_EQ(done, all.size());
  });
  EXPECT_EQ(pair.peer().read(all.size()), all);
  writer.join();
}

TEST_P(StreamTest, TellsThatAPeerWhoDoesNotReadIsFullAndLosesNothing) {
  const std::string block = pattern(100'000);
  std::string sent;
  while (true) {
    const IoResult result = write(pair.stream(), block);
    if (result.status != IoStatus::kOk) {
      EXPECT_EQ(result.status, IoStatus::kWantWrite);
      EXPECT_EQ(result.bytes, 0U);
      break;
    }
    sent += block.substr(0, result.bytes);
    ASSERT_LT(sent.size(), 100'000'000U);
    // What follows must begin where this one ended: a refused TLS write has to be repeated with its bytes.
    if (result.bytes < block.size()) {
      const IoResult rest = write(pair.stream(), std::string_view(block).substr(result.bytes));
      if (rest.status == IoStatus::kOk) {
        sent += block.substr(result.bytes, rest.bytes);
        continue;
      }
      EXPECT_EQ(rest.status, IoStatus::kWantWrite);
      break;
    }
  }
  EXPECT_EQ(pair.peer().read(sent.size()), sent);
}

TEST_P(StreamTest, ReportsHowMuchOfARefusedWriteMustBeRepeated) {
  EXPECT_EQ(pair.stream().committed(), 0U);
  const std::string block = pattern(8'000);
  std::size_t sent = 0;
  IoResult result = write(pair.stream(), block);
  while (result.bytes == block.size()) {
    sent += result.bytes;
    result = write(pair.stream(), block);
  }
  sent += result.bytes;
  // Plain sockets forget what they refuse; TLS has encrypted it already.
  EXPECT_EQ(pair.stream().committed(), GetParam() ? block.size() : 0U);
  EXPECT_EQ(pair.peer().read(sent).size(), sent);
  EXPECT_EQ(write(pair.stream(), block).status, IoStatus::kOk);
  EXPECT_EQ(pair.stream().committed(), 0U);
}

// Until `condition` holds; the kernel on the other side acknowledges when it likes.
bool soon(const std::function<bool()>& condition) {
  for (int i = 0; i < 5000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

void fill(Stream& stream) {
  const std::string block = pattern(100'000);
  while (write(stream, block).status == IoStatus::kOk) {
  }
}

TEST_P(StreamTest, TellsHowMuchThePeersMachineHasNotAcknowledged) {
  EXPECT_TRUE(soon([&] { return pair.stream().unacknowledged() == 0U; }));
  EXPECT_EQ(write(pair.stream(), "hello").bytes, 5U);
  EXPECT_TRUE(soon([&] { return pair.stream().unacknowledged() == 0U; }));  // though nobody has read it
  fill(pair.stream());
  EXPECT_GT(pair.stream().unacknowledged().value_or(0), 0U);
}

TEST_P(StreamTest, StillTellsItAfterAReset) {
  fill(pair.stream());
  const auto before = pair.stream().unacknowledged();
  ASSERT_TRUE(before);
  ASSERT_GT(*before, 0U);
  pair.peer().reset();
  wait_for(pair.stream(), POLLIN);
  std::array<char, 16> buffer;
  EXPECT_EQ(pair.stream().read(buffer).status, IoStatus::kError);
  const auto after = pair.stream().unacknowledged();
  ASSERT_TRUE(after);
  EXPECT_GT(*after, 0U);
  EXPECT_LE(*after, *before);
  pair.stream().close();
  EXPECT_FALSE(pair.stream().unacknowledged());
}

TEST_P(StreamTest, ReadsOnAfterItHasEndedItsOwnDirection) {
  EXPECT_EQ(write(pair.stream(), "last words").bytes, 10U);
  pair.stream().shutdown_write();
  EXPECT_EQ(pair.peer().read(10), "last words");
  EXPECT_TRUE(pair.peer().at_end());
  pair.peer().write("still talking");
  EXPECT_EQ(read_exactly(pair.stream(), 13), "still talking");
}

TEST_P(StreamTest, ReportsThePeersEndAfterItsBytesAndWritesOn) {
  pair.peer().write("bye");
  pair.peer().end();
  EXPECT_EQ(read_exactly(pair.stream(), 3), "bye");
  wait_for(pair.stream(), POLLIN);
  std::array<char, 16> buffer;
  EXPECT_EQ(pair.stream().read(buffer).status, IoStatus::kEof);
  EXPECT_EQ(pair.stream().read(buffer).status, IoStatus::kEof);
  EXPECT_EQ(write(pair.stream(), "answer").bytes, 6U);
  EXPECT_EQ(pair.peer().read(6), "answer");
}

TEST_P(StreamTest, ReportsAResetAsAnError) {
  pair.peer().reset();
  wait_for(pair.stream(), POLLIN);
  std::array<char, 16> buffer;
  EXPECT_EQ(pair.stream().read(buffer).status, IoStatus::kError);
}

TEST_P(StreamTest, ReportsAWriteToAVanishedPeerAsAnErrorWithoutASignal) {
  pair.peer().reset();
  wait_for(pair.stream(), POLLIN);
  IoResult result{IoStatus::kOk};
  for (int i = 0; i < 3 && result.status == IoStatus::kOk; ++i) result = write(pair.stream(), "hello?");
  EXPECT_EQ(result.status, IoStatus::kError);
}

TEST_P(StreamTest, ClosesOnceAndKnowsIt) {
  EXPECT_TRUE(pair.stream().open());
  pair.stream().close();
  EXPECT_FALSE(pair.stream().open());
  pair.stream().close();
  EXPECT_LT(pair.stream().descriptor(), 0);
}

TEST(TlsStream, SaysThatItHoldsBytesThePollerDoesNotKnowOf) {
  test::Pair pair(true);
  pair.peer().write(pattern(1000));
  wait_for(pair.stream(), POLLIN);
  std::array<char, 10> small;
  EXPECT_EQ(pair.stream().read(small).bytes, small.size());
  EXPECT_TRUE(pair.stream().has_buffered());
  EXPECT_EQ(read_exactly(pair.stream(), 990).size(), 990U);
  EXPECT_FALSE(pair.stream().has_buffered());
}

TEST(TlsStream, SaysNothingToAPeerBeforeTheHandshakeIsComplete) {
  test::Pair pair(true, test::Pair::kNoHandshake);
  EXPECT_FALSE(pair.stream().handshaken());
  EXPECT_EQ(pair.stream().handshake(), IoStatus::kWantRead);
}

TEST(TlsStream, RefusesAPeerThatSpeaksPlainText) {
  test::Pair pair(true, test::Pair::kNoHandshake);
  pair.peer().write_plain("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  wait_for(pair.stream(), POLLIN);
  EXPECT_EQ(pair.stream().handshake(), IoStatus::kError);
}

TEST(TlsStream, ReportsAPeerThatLeavesDuringTheHandshake) {
  test::Pair pair(true, test::Pair::kNoHandshake);
  pair.peer().end_plain();
  wait_for(pair.stream(), POLLIN);
  const IoStatus status = pair.stream().handshake();
  EXPECT_TRUE(status == IoStatus::kEof || status == IoStatus::kError);
}

// What stands before TLS is looked at and taken without TLS.
TEST(TlsStream, TakesWhatStandsBeforeTheHandshake) {
  test::Pair pair(true, test::Pair::kNoHandshake);
  std::array<char, 64> buffer;
  EXPECT_EQ(pair.stream().peek(buffer).status, IoStatus::kWantRead);
  pair.peer().write_plain("PROXY\r\nhello");
  wait_for(pair.stream(), POLLIN);
  for (int i = 0; i < 2; ++i) {
    const IoResult seen = pair.stream().peek(buffer);
    EXPECT_EQ(seen.status, IoStatus::kOk);
    EXPECT_EQ(std::string_view(buffer.data(), seen.bytes), "PROXY\r\nhello");
  }
  EXPECT_TRUE(pair.stream().skip(7));
  EXPECT_EQ(std::string_view(buffer.data(), pair.stream().peek(buffer).bytes), "hello");
  EXPECT_FALSE(pair.stream().skip(6)) << "more than is there";
  pair.peer().end_plain();
  wait_for(pair.stream(), POLLIN);
  EXPECT_EQ(pair.stream().peek(buffer).status, IoStatus::kEof);
}

TEST(PlainStream, IsReadableFromSoManyBytesOrTheEnd) {
  const auto readable = [](const Stream& stream, int patience) {
    pollfd poll{stream.descriptor(), POLLIN, 0};
    return ::poll(&poll, 1, patience) == 1;
  };
  test::Pair pair(false);
  pair.stream().readable_from(3);
  pair.peer().write_plain("ab");
  EXPECT_FALSE(readable(pair.stream(), 100));
  pair.peer().write_plain("c");
  EXPECT_TRUE(readable(pair.stream(), 5000));
  pair.stream().readable_from(4);
  EXPECT_FALSE(readable(pair.stream(), 100));
  pair.peer().end_plain();
  EXPECT_TRUE(readable(pair.stream(), 5000));
}

}  // namespace
}  // namespace sallyport::io
