#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "core/ws/decoder.h"
#include "core/ws/deflate.h"
#include "core/ws/test_frames.h"

namespace sallyport::ws {
namespace {

struct Conversation {
  std::string stream;
  std::vector<Said> expected;
};

// Builds frames of one role and notes what the other end must hear.
class Writer {
 public:
  Writer(Role sender, bool compression, unsigned seed)
      : sender_(sender), compression_(compression), random_(seed) {}

  void frame(Opcode opcode, std::string_view payload, bool fin = true, bool rsv1 = false) {
    FrameStart start{.opcode = opcode, .fin = fin, .rsv1 = rsv1};
    if (sender_ == Role::kClient) {
      start.mask.emplace();
      for (auto& byte : *start.mask) byte = static_cast<std::uint8_t>(random_() & 0xFF);
      if (random_() % 16 == 0) start.mask->fill(0);
    }
    append_frame(done_.stream, start, payload);
  }
  void control(bool is_ping, const std::string& payload) {
    frame(is_ping ? Opcode::kPing : Opcode::kPong, payload);
    done_.expected.push_back(is_ping ? ping(payload) : pong(payload));
  }
  void whole(Opcode opcode, const std::string& payload) { fragmented(opcode, payload, 1, false); }

  void fragmented(Opcode opcode, const std::string& payload, std::size_t frames, bool controls) {
    std::string wire = payload;
    bool rsv1 = false;
    if (compression_ && random_() % 2 == 0) {
      if (const auto small = deflater_.deflate(payload)) {
        wire = *small;
        rsv1 = true;
      }
    }
    std::string_view rest = wire;
    for (std::size_t i = 0; i < frames; ++i) {
      const bool fin = i + 1 == frames;
      const std::size_t size = fin ? rest.size() : random_() % (rest.size() + 1);
      frame(i == 0 ? opcode : Opcode::kContinuation, rest.substr(0, size), fin, rsv1 && i == 0);
      rest.remove_prefix(size);
      if (!fin && controls && random_() % 2 == 0) {
        control(random_() % 2 == 0, random_text(random_, random_() % 126));
      }
    }
    done_.expected.push_back(message(opcode, payload));
  }
  void close(CloseCode code, std::string reason) {
    frame(Opcode::kClose, encode_close(code, reason)->view());
    done_.expected.push_back(closed(code, std::move(reason)));
  }
  std::mt19937& random() { return random_; }
  Conversation take() { return std::move(done_); }

 private:
  Role sender_;
  bool compression_;
  std::mt19937 random_;
  Deflater deflater_;
  Conversation done_;
};

const std::string kGreek = "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5 \xF0\x9F\x98\x80";

Conversation mixed(Role sender, bool compression) {
  Writer writer(sender, compression, 3);
  writer.whole(Opcode::kText, "Hello");
  writer.whole(Opcode::kBinary, "");
  writer.whole(Opcode::kText, "");
  writer.control(true, "");
  writer.whole(Opcode::kText, kGreek);
  writer.fragmented(Opcode::kText, kGreek + kGreek, 9, true);
  writer.control(false, std::string(125, 'p'));
  for (const std::size_t size : {124, 125, 126, 127, 128, 300}) {
    writer.whole(Opcode::kText, std::string(size, 'a'));
    writer.whole(Opcode::kBinary, random_text(writer.random(), size));
  }
  writer.fragmented(Opcode::kBinary, random_text(writer.random(), 400), 20, true);
  writer.fragmented(Opcode::kText, "", 5, true);
  writer.whole(Opcode::kText, "last");
  writer.close(CloseCode::kGoingAway, "bye " + kGreek);
  return writer.take();
}

Conversation random_conversation(Role sender, bool compression, unsigned seed) {
  Writer writer(sender, compression, seed);
  auto& random = writer.random();
  for (auto count = 5 + random() % 20; count > 0; --count) {
    const std::size_t size = random() % 20 == 0 ? random() % 70'000 : random() % 300;
    const bool text = random() % 2 == 0;
    std::string payload = random_text(random, size);
    if (text) {
      payload.clear();
      while (payload.size() < size) payload += random() % 4 == 0 ? kGreek : "plain ascii text ";
    }
    const Opcode opcode = text ? Opcode::kText : Opcode::kBinary;
    writer.fragmented(opcode, payload, random() % 3 == 0 ? 1 + random() % 8 : 1, true);
    if (random() % 3 == 0) writer.control(random() % 2 == 0, random_text(random, random() % 126));
  }
  return writer.take();
}

Role other(Role role) {
  return role == Role::kServer ? Role::kClient : Role::kServer;
}

Decoder decoder_for(Role sender, bool compression) {
  Decoder decoder(other(sender), {.message_bytes = 1 << 20});
  decoder.allow_compressed(compression);
  return decoder;
}

struct Setting {
  Role sender;
  bool compression;
};

class DecoderStream : public testing::TestWithParam<Setting> {
 protected:
  Inflater inflater_;
};

TEST_P(DecoderStream, SaysTheSameWhereverTheStreamIsCutOnce) {
  const auto [sender, compression] = GetParam();
  const Conversation talk = mixed(sender, compression);
  for (std::size_t split = 0; split <= talk.stream.size(); ++split) {
    Decoder decoder = decoder_for(sender, compression);
    std::vector<Said> said;
    feed(decoder, talk.stream.substr(0, split), said, &inflater_);
    feed(decoder, talk.stream.substr(split), said, &inflater_);
    ASSERT_EQ(said, talk.expected) << split;
  }
}

TEST_P(DecoderStream, SaysTheSameInPiecesOfAnyFixedSize) {
  const auto [sender, compression] = GetParam();
  const Conversation talk = mixed(sender, compression);
  for (std::size_t step = 1; step < 300; ++step) {
    Decoder decoder = decoder_for(sender, compression);
    ASSERT_EQ(feed_all(
                  decoder, talk.stream, [&] { return step; }, &inflater_),
              talk.expected)
        << step;
  }
}

TEST_P(DecoderStream, SaysWhatWasWrittenForRandomConversationsInRandomPieces) {
  const auto [sender, compression] = GetParam();
  std::mt19937 random(11);
  for (unsigned seed = 0; seed < 60; ++seed) {
    const Conversation talk = random_conversation(sender, compression, seed);
    for (const std::size_t longest : {3, 40, 1500, 40'000}) {
      Decoder decoder = decoder_for(sender, compression);
      const auto next_size = [&] {
        return 1 + random() % longest;
      };
      ASSERT_EQ(feed_all(decoder, talk.stream, next_size, &inflater_), talk.expected)
          << seed << ' ' << longest;
      ASSERT_TRUE(decoder.idle());
      ASSERT_EQ(decoder.held_bytes(), 0U);
    }
  }
}

TEST_P(DecoderStream, SaysTheSameWithFlippedBitsHoweverItIsCut) {
  const auto [sender, compression] = GetParam();
  std::mt19937 random(13);
  const Conversation talk = mixed(sender, compression);
  int violations = 0;
  for (int round = 0; round < 500; ++round) {
    std::string stream = talk.stream;
    for (int flips = 0; flips < 4; ++flips) {
      stream[random() % stream.size()] ^= static_cast<char>(1U << (random() % 8));
    }
    Decoder whole = decoder_for(sender, compression);
    const auto expected = feed_whole(whole, stream, &inflater_);
    violations += !expected.empty() && expected.back().kind == Event::Kind::kViolation ? 1 : 0;
    Decoder cut = decoder_for(sender, compression);
    const auto next_size = [&] {
      return 1 + random() % 9;
    };
    ASSERT_EQ(feed_all(cut, stream, next_size, &inflater_), expected) << round;
  }
  EXPECT_GT(violations, 50);
}

INSTANTIATE_TEST_SUITE_P(
    Roles, DecoderStream,
    testing::Values(Setting{Role::kClient, false}, Setting{Role::kServer, false},
                    Setting{Role::kClient, true}, Setting{Role::kServer, true}),
    [](const auto& setting) {
      return std::string(setting.param.sender == Role::kClient ? "FromClient" : "FromServer") +
             (setting.param.compression ? "Compressed" : "Plain");
    });

TEST(Decoder, DeliversAWholeMessageWithoutCopying) {
  for (const std::size_t size : {5, 125, 126, 70'000}) {
    std::string frame = masked(Opcode::kText, std::string(size, 'x'));
    Decoder decoder(Role::kServer, {.message_bytes = 1 << 20});
    std::span<char> input(frame);
    const Event event = decoder.next(input);
    ASSERT_EQ(event.kind, Event::Kind::kMessage);
    EXPECT_EQ(event.payload.data(), frame.data() + frame.size() - size);
    EXPECT_EQ(event.payload, std::string(size, 'x'));
    EXPECT_TRUE(input.empty());
    EXPECT_EQ(decoder.held_bytes(), 0U);
    EXPECT_TRUE(decoder.idle());
  }
}

TEST(Decoder, DeliversAPayloadWithoutCopyingWhenOnlyItsHeaderCameBefore) {
  const std::string frame = masked(Opcode::kBinary, "payload");
  Decoder decoder(Role::kServer);
  std::string head = frame.substr(0, 6);
  std::string body = frame.substr(6);
  std::span<char> input(head);
  EXPECT_EQ(decoder.next(input).kind, Event::Kind::kNeedMore);
  EXPECT_FALSE(decoder.idle());
  input = body;
  const Event event = decoder.next(input);
  EXPECT_EQ(event.payload.data(), body.data());
  EXPECT_EQ(event.payload, "payload");
}

TEST(Decoder, StopsAfterEachEventSoThatTheOwnerMayStopReading) {
  std::string stream = masked(Opcode::kText, "one") + masked(Opcode::kText, "two");
  Decoder decoder(Role::kServer);
  std::span<char> input(stream);
  EXPECT_EQ(decoder.next(input).payload, "one");
  EXPECT_EQ(input.size(), stream.size() / 2);
  EXPECT_EQ(decoder.next(input).payload, "two");
  EXPECT_TRUE(input.empty());
  EXPECT_EQ(decoder.next(input).kind, Event::Kind::kNeedMore);
}

TEST(Decoder, DiscardsEverythingAfterAClose) {
  Decoder decoder(Role::kServer);
  std::vector<Said> said;
  feed(decoder, masked(Opcode::kClose, bytes({0x0F, 0xA0})) + masked(Opcode::kText, "late"), said);
  feed(decoder, "anything at all", said);
  EXPECT_EQ(said, std::vector{closed(CloseCode{4000}, "")});
  EXPECT_TRUE(decoder.closed());
  EXPECT_FALSE(decoder.idle());
}

TEST(Decoder, IsMovedInTheMiddleOfAMessage) {
  const Conversation talk = mixed(Role::kClient, false);
  Decoder decoder(Role::kServer);
  std::vector<Said> said;
  for (const char c : talk.stream) {
    feed(decoder, std::string(1, c), said);
    Decoder moved = std::move(decoder);
    decoder = std::move(moved);
  }
  EXPECT_EQ(said, talk.expected);
}

}  // namespace
}  // namespace sallyport::ws
