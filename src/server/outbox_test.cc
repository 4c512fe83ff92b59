#include "server/outbox.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <vector>

#include "core/ws/encoder.h"
#include "io/test_pair.h"

namespace sallyport::server {
namespace {

using io::test::Pair;

Frame frame(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

TEST(Outbox, CountsWhatWaitsAndSharesIt) {
  Outbox first;
  Outbox second;
  EXPECT_TRUE(first.empty());
  const Frame shared = frame(std::string(1000, 'x'));
  first.push(shared);
  first.push(frame("y"));
  second.push(shared);
  EXPECT_EQ(first.bytes(), 1001U);
  EXPECT_EQ(shared.use_count(), 3);  // one frame, however many receivers
  first.clear();
  second.clear();
  EXPECT_EQ(shared.use_count(), 1);
  EXPECT_TRUE(first.empty());
  EXPECT_EQ(first.bytes(), 0U);
}

class OutboxStreamTest : public ::testing::TestWithParam<bool> {
 protected:
  // Writes until the stream takes no more; the number of bytes that it took.
  std::size_t fill(std::string_view block) {
    std::size_t taken = 0;
    while (true) {
      const std::array<std::string_view, 1> parts{block};
      const io::IoResult result = pair.stream().write(parts);
      taken += result.bytes;
      if (result.bytes < block.size()) return taken;
    }
  }
  Pair pair{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Transports, OutboxStreamTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

TEST_P(OutboxStreamTest, WritesEverythingInOrder) {
  Outbox outbox;
  std::string all;
  for (int i = 0; i < 500; ++i) {
    const std::string text = std::to_string(i) + std::string(static_cast<std::size_t>(i % 40), '.');
    outbox.push(frame(text));
    all += text;
  }
  EXPECT_EQ(outbox.flush(pair.stream()), io::IoStatus::kOk);
  EXPECT_TRUE(outbox.empty());
  EXPECT_EQ(pair.peer().read(all.size()), all);
}

// Whatever is dropped while the stream is blocked: what the peer gets is whole frames in order, the first as
// it was begun, the last the newest.
TEST_P(OutboxStreamTest, DropsWholeFramesOnlyAndNoneThatHasBegun) {
  constexpr std::size_t kFrame = 100;
  constexpr int kFrames = 2000;
  constexpr std::size_t kLimit = 5000;
  std::vector<std::string> texts;
  for (int i = 0; i < kFrames; ++i) {
    std::string text = std::to_string(100'000 + i);
    text.resize(kFrame, static_cast<char>('a' + i % 26));
    texts.push_back(std::move(text));
  }
  Outbox outbox;
  std::size_t before = fill(std::string(kFrame, '-'));
  outbox.push_rest(std::string(kFrame - before % kFrame, '-'));
  before += outbox.bytes();
  std::size_t dropped = 0;
  for (const std::string& text : texts) {
    outbox.push(frame(text));
    dropped += outbox.drop_oldest(kLimit, pair.stream().committed());
    (void)outbox.flush(pair.stream());
  }
  EXPECT_GT(dropped, 0U);
  EXPECT_LE(outbox.bytes(), kLimit + 16 * 1024U);

  std::thread writer([&] {
    while (outbox.flush(pair.stream()) != io::IoStatus::kOk) {
      pollfd poll{pair.stream().descriptor(), POLLOUT, 0};
      ASSERT_EQ(::poll(&poll, 1, 10'000), 1);
    }
  });
  EXPECT_TRUE(pair.peer().read(before) == std::string(before, '-'));
  int last = -1;
  std::size_t received = 0;
  while (last < kFrames - 1) {
    const std::string text = pair.peer().read(kFrame);
    const auto place = std::find(texts.begin() + (last + 1), texts.end(), text);
    if (place == texts.end()) {
      ADD_FAILURE() << "not a frame, or not in order: " << text.substr(0, 20) << " after " << last << ", "
                    << received << " received, " << dropped << " dropped, " << outbox.bytes() << " waiting";
      break;
    }
    last = static_cast<int>(place - texts.begin());
    ++received;
  }
  if (last < kFrames - 1) pair.peer().reset();
  writer.join();
  EXPECT_EQ(received + dropped, static_cast<std::size_t>(kFrames));
}

// The same, but everything goes that may go: what the peer gets is whole frames, and then the one that is said
// afterwards.
TEST_P(OutboxStreamTest, DropsEverythingThatHasNotBegun) {
  const auto payload = [](int i) { return std::string(i % 7 == 0 ? 70'000 : 10 + i % 300, static_cast<char>('a' + i % 26)); };
  const auto framed = [](std::string_view text) {
    std::string bytes;
    ws::append_frame(bytes, {.opcode = ws::Opcode::kText}, text);
    return bytes;
  };
  for (const bool bundled : {false, true}) {
    Pair connected{GetParam()};
    Outbox outbox;
    int queued = 0;
    if (bundled) {
      // Many in one write, as a turn's output goes, until one is cut off.
      while (outbox.empty()) {
        std::string cork;
        for (int i = 0; i < 20; ++i) cork += framed(payload(queued++));
        const std::array<std::string_view, 1> parts{cork};
        const std::size_t done = connected.stream().write(parts).bytes;
        if (done < cork.size()) outbox.push_rest(std::string_view(cork).substr(done), unit_end(cork, done) - done);
      }
    }
    while (outbox.bytes() < 3'000'000) {
      outbox.push(frame(framed(payload(queued++))));
      (void)outbox.flush(connected.stream());
    }
    outbox.drop_unbegun(connected.stream().committed());
    EXPECT_LT(outbox.bytes(), 200'000U);
    outbox.push(frame(framed("the end")));
    std::thread writer([&] {
      while (outbox.flush(connected.stream()) != io::IoStatus::kOk) {
        pollfd poll{connected.stream().descriptor(), POLLOUT, 0};
        ASSERT_EQ(::poll(&poll, 1, 10'000), 1);
      }
    });
    int next = 0;
    while (true) {
      const std::string head = connected.peer().read(2);
      ASSERT_EQ(head.size(), 2U);
      std::size_t size = static_cast<unsigned char>(head[1]);
      if (size >= 126) {
        const std::string length = connected.peer().read(size == 126 ? 2 : 8);
        size = 0;
        for (const char c : length) size = size << 8 | static_cast<unsigned char>(c);
      }
      const std::string text = connected.peer().read(size);
      if (text == "the end") break;
      EXPECT_TRUE(text == payload(next)) << next;
      ++next;
      if (HasFailure()) break;
    }
    if (HasFailure()) connected.peer().reset();
    writer.join();
    EXPECT_LT(next, queued);
  }
}

TEST(UnitEnd, FindsTheEndsOfFramesAndOfAHead) {
  const std::string head = "HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n";
  std::string frames;
  std::vector<std::size_t> ends;
  for (const std::size_t size : {0U, 1U, 125U, 126U, 65'535U, 65'536U}) {
    ws::append_frame(frames, {.opcode = ws::Opcode::kBinary}, std::string(size, 'x'));
    ends.push_back(frames.size());
  }
  EXPECT_EQ(unit_end(frames, 0), 0U);
  EXPECT_EQ(unit_end(head + frames, 0), head.size());
  EXPECT_EQ(unit_end(head + frames, head.size()), head.size());
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    for (const std::size_t position : {begin + 1, (begin + end + 1) / 2, end}) {
      EXPECT_EQ(unit_end(frames, position), end);
      EXPECT_EQ(unit_end(head + frames, head.size() + position), head.size() + end);
    }
    begin = end;
  }
  EXPECT_EQ(unit_end(std::string_view(frames).substr(0, 4), 4), 4U);  // never beyond what there is
}

}  // namespace
}  // namespace sallyport::server
