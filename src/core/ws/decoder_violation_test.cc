#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "core/ws/decoder.h"
#include "core/ws/deflate.h"
#include "core/ws/test_frames.h"

namespace sallyport::ws {
namespace {

struct Case {
  const char* name;
  std::string stream;
  Violation violation;
  /// The byte with which the rule is broken: the decoder says nothing of it before, and says it
  /// then.
  std::size_t at;
  Role role = Role::kServer;
  bool compression = false;
  DecoderLimits limits = {};
};

std::string close_payload(int code, std::string_view reason = {}) {
  return bytes({code >> 8, code & 0xFF}).append(reason);
}

// The last byte of a whole frame.
std::size_t last(const std::string& frame) {
  return frame.size() - 1;
}

std::vector<Case> framing_cases() {
  const std::string open = masked(Opcode::kBinary, "abc", false);
  std::vector<Case> cases = {
      {"rsv1 without extension", masked(Opcode::kText, "x", true, true), Violation::kReservedBit,
       0},
      {"rsv1 on a ping", masked(Opcode::kPing, "x", true, true), Violation::kReservedBit, 0},
      {"rsv2", bytes({0xA1, 0x80, 0, 0, 0, 0}), Violation::kReservedBit, 0},
      {"rsv3", bytes({0x91, 0x80, 0, 0, 0, 0}), Violation::kReservedBit, 0},
      {"rsv2 with compression", bytes({0xA1, 0x80, 0, 0, 0, 0}), Violation::kReservedBit, 0,
       Role::kServer, true},
      {"rsv3 beside rsv1", bytes({0xD1, 0x80, 0, 0, 0, 0}), Violation::kReservedBit, 0,
       Role::kServer, true},
      {"compressed ping", masked(Opcode::kPing, "x", true, true), Violation::kCompressedControl, 0,
       Role::kServer, true},
      {"compressed close", masked(Opcode::kClose, "", true, true), Violation::kCompressedControl, 0,
       Role::kServer, true},
      {"compressed continuation", open + masked(Opcode::kContinuation, "x", true, true),
       Violation::kCompressedContinuation, open.size(), Role::kServer, true},
      {"fragmented ping", masked(Opcode::kPing, "x", false), Violation::kFragmentedControl, 0},
      {"fragmented pong", masked(Opcode::kPong, "", false), Violation::kFragmentedControl, 0},
      {"fragmented close", masked(Opcode::kClose, "", false), Violation::kFragmentedControl, 0},
      {"ping of 126", masked(Opcode::kPing, std::string(126, 'x')), Violation::kControlTooLong, 1},
      {"close of 126", masked(Opcode::kClose, close_payload(1000, std::string(124, 'x'))),
       Violation::kControlTooLong, 1},
      {"pong of 65536", masked(Opcode::kPong, std::string(65536, 'x')), Violation::kControlTooLong,
       1},
      {"continuation first", masked(Opcode::kContinuation, "x"), Violation::kUnexpectedContinuation,
       0},
      {"continuation after the end",
       open + masked(Opcode::kContinuation, "") + masked(Opcode::kContinuation, "x"),
       Violation::kUnexpectedContinuation, open.size() + 6},
      {"text within a message", open + masked(Opcode::kText, "x"), Violation::kExpectedContinuation,
       open.size()},
      {"binary within a message", open + masked(Opcode::kPing, "") + masked(Opcode::kBinary, "x"),
       Violation::kExpectedContinuation, open.size() + 6},
      {"unmasked to a server", plain(Opcode::kText, "Hello"), Violation::kUnmaskedFrame, 1},
      {"unmasked ping to a server", plain(Opcode::kPing, ""), Violation::kUnmaskedFrame, 1},
      {"masked to a client", masked(Opcode::kText, "Hello"), Violation::kMaskedFrame, 1,
       Role::kClient},
      {"masked close to a client", masked(Opcode::kClose, ""), Violation::kMaskedFrame, 1,
       Role::kClient},
      {"125 in 16 bits", bytes({0x82, 0xFE, 0, 125, 1, 2, 3, 4}), Violation::kLengthNotMinimal, 3},
      {"0 in 16 bits", bytes({0x82, 0x7E, 0, 0}), Violation::kLengthNotMinimal, 3, Role::kClient},
      {"65535 in 64 bits", bytes({0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 1, 2, 3, 4}),
       Violation::kLengthNotMinimal, 9},
      {"5 in 64 bits", bytes({0x82, 0x7F, 0, 0, 0, 0, 0, 0, 0, 5}), Violation::kLengthNotMinimal, 9,
       Role::kClient},
      {"2^63", bytes({0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0}), Violation::kLengthHighBit, 9},
      {"2^64-1",
       bytes({0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}),
       Violation::kLengthHighBit,
       9,
       Role::kServer,
       false,
       {.message_bytes = UINT64_MAX}},
  };
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    cases.push_back({"reserved opcode", bytes({0x80 | opcode, 0x80, 0, 0, 0, 0}),
                     Violation::kReservedOpcode, 0});
    cases.push_back({"reserved opcode within a message",
                     open + bytes({0x80 | opcode, 0x80, 0, 0, 0, 0}), Violation::kReservedOpcode,
                     open.size()});
  }
  return cases;
}

std::vector<Case> content_cases() {
  std::vector<Case> cases;
  const auto add = [&](const char* name, std::string stream, Violation violation, std::size_t at) {
    cases.push_back({name, std::move(stream), violation, at});
  };
  const std::string half = masked(Opcode::kClose, "\x03");
  add("close of one byte", half, Violation::kCloseTruncated, last(half));
  for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535}) {
    const std::string frame = masked(Opcode::kClose, close_payload(code, "why"));
    add("close code", frame, Violation::kCloseCode, last(frame));
  }
  const std::string reason = masked(Opcode::kClose, close_payload(1000, "caf\xE9"));
  add("close reason", reason, Violation::kCloseReason, last(reason));
  const std::string cut = masked(Opcode::kClose, close_payload(1000, "caf\xC3"));
  add("close reason cut off", cut, Violation::kCloseReason, last(cut));

  // Payloads begin after 6 bytes of header.
  add("latin1", masked(Opcode::kText, "caf\xE9 au lait"), Violation::kInvalidUtf8, 6 + 4);
  add("overlong", masked(Opcode::kText, "\xC0\xAF"), Violation::kInvalidUtf8, 6);
  add("surrogate", masked(Opcode::kText, "a\xED\xA0\x80z"), Violation::kInvalidUtf8, 6 + 2);
  add("above the last code point", masked(Opcode::kText, "\xF4\x90\x80\x80"),
      Violation::kInvalidUtf8, 6 + 1);
  const std::string ended = masked(Opcode::kText, "caf\xC3");
  add("cut off at the end", ended, Violation::kInvalidUtf8, last(ended));
  const std::string first = masked(Opcode::kText, "\xE2\x82", false);
  add("second fragment", first + masked(Opcode::kContinuation, "("), Violation::kInvalidUtf8,
      first.size() + 6);
  add("cut off by an empty last fragment", first + masked(Opcode::kContinuation, ""),
      Violation::kInvalidUtf8, first.size() + 5);
  add("bad in the first fragment", masked(Opcode::kText, "\xFF...", false), Violation::kInvalidUtf8,
      6);
  add("late in a long text", masked(Opcode::kText, std::string(1000, 'a') + "\x80" + "tail"),
      Violation::kInvalidUtf8, 8 + 1000);
  return cases;
}

std::vector<Case> limit_cases() {
  const DecoderLimits small = {
      .message_bytes = 200, .fragments = 3, .control_frames_between_data = 2};
  std::vector<Case> cases;
  const auto add = [&](const char* name, std::string stream, Violation violation, std::size_t at,
                       bool compression = false) {
    cases.push_back({name, std::move(stream), violation, at, Role::kServer, compression, small});
  };
  add("message of 201", masked(Opcode::kBinary, std::string(201, 'x')), Violation::kMessageTooBig,
      3);
  add("a header that claims 2^63-1",
      bytes({0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}),
      Violation::kMessageTooBig, 9);
  const std::string most = masked(Opcode::kBinary, std::string(120, 'x'), false);
  add("81 after 120", most + masked(Opcode::kContinuation, std::string(81, 'x')),
      Violation::kMessageTooBig, most.size() + 1);
  const std::string piece = masked(Opcode::kText, "a", false);
  const std::string more = masked(Opcode::kContinuation, "b", false);
  add("third of three fragments is not the last", piece + more + more, Violation::kTooManyFragments,
      piece.size() + more.size() + 1);
  const std::string ping = masked(Opcode::kPing, "");
  const std::string pong = masked(Opcode::kPong, "");
  add("three pings", ping + ping + ping, Violation::kTooManyControlFrames, 2 * ping.size() + 1);
  add("pings within a message", piece + ping + pong + ping, Violation::kTooManyControlFrames,
      piece.size() + 2 * ping.size() + 1);

  Deflater deflater;
  const std::string bomb =
      masked(Opcode::kBinary, *deflater.deflate(std::string(201, 'x')), true, true);
  add("inflates to 201", bomb, Violation::kInflatedTooBig, last(bomb), true);
  const std::string corrupt = masked(Opcode::kBinary, "\xFF\xFF", true, true);
  add("does not inflate", corrupt, Violation::kInvalidDeflate, last(corrupt), true);
  const std::string text =
      masked(Opcode::kText, *deflater.deflate(std::string(100, '\xFF')), true, true);
  add("inflates to bad text", text, Violation::kInvalidUtf8, last(text), true);
  return cases;
}

std::vector<Case> all_cases() {
  std::vector<Case> all = framing_cases();
  for (auto& c : content_cases()) all.push_back(c);
  for (auto& c : limit_cases()) all.push_back(c);
  return all;
}

// What is said before the violation may be pings and pongs, never a message, except where the case
// has a whole message in front.
void expect_violation(const Case& c, const std::vector<Said>& said, std::size_t messages) {
  ASSERT_FALSE(said.empty());
  EXPECT_EQ(said.back(), violated(c.violation));
  for (std::size_t i = 0; i + 1 < said.size(); ++i) {
    if (said[i].kind == Event::Kind::kMessage && messages > 0) {
      --messages;
      continue;
    }
    EXPECT_TRUE(said[i].kind == Event::Kind::kPing || said[i].kind == Event::Kind::kPong);
  }
}

Decoder decoder_for(const Case& c) {
  Decoder decoder(c.role, c.limits);
  decoder.allow_compressed(c.compression);
  return decoder;
}

TEST(DecoderViolation, IsReportedOnceAndDeliversNothingAtEverySplitPoint) {
  Inflater inflater;
  for (const Case& c : all_cases()) {
    SCOPED_TRACE(c.name);
    const std::size_t messages = std::string(c.name) == "continuation after the end" ? 1 : 0;
    // What comes behind must be discarded, well-formed or not.
    const std::string stream = c.stream + masked(Opcode::kText, "late") + plain(Opcode::kPing, "");
    for (std::size_t split = 0; split <= std::min<std::size_t>(stream.size(), 2'000); ++split) {
      SCOPED_TRACE(split);
      Decoder decoder = decoder_for(c);
      std::vector<Said> said;
      feed(decoder, stream.substr(0, split), said, &inflater);
      feed(decoder, stream.substr(split), said, &inflater);
      expect_violation(c, said, messages);
      EXPECT_TRUE(decoder.closed());
      EXPECT_FALSE(decoder.idle());
      EXPECT_EQ(decoder.held_bytes(), 0U);
    }
  }
}

TEST(DecoderViolation, IsReportedWithTheViolatingByteAndNotBefore) {
  Inflater inflater;
  for (const Case& c : all_cases()) {
    SCOPED_TRACE(c.name);
    const std::size_t messages = std::string(c.name) == "continuation after the end" ? 1 : 0;
    for (const std::size_t step : {std::size_t{1}, c.at == 0 ? std::size_t{1} : c.at}) {
      Decoder decoder = decoder_for(c);
      std::vector<Said> said;
      for (std::size_t at = 0; at < c.at; at += step) {
        feed(decoder, c.stream.substr(at, std::min(step, c.at - at)), said, &inflater);
      }
      for (const Said& s : said) EXPECT_NE(s.kind, Event::Kind::kViolation);
      EXPECT_FALSE(decoder.closed());
      feed(decoder, c.stream.substr(c.at, 1), said, &inflater);
      expect_violation(c, said, messages);
    }
  }
}

TEST(DecoderViolation, ClosesWithTheCodeOfItsKind) {
  EXPECT_EQ(close_code_of(Violation::kReservedBit), CloseCode::kProtocolError);
  EXPECT_EQ(close_code_of(Violation::kUnmaskedFrame), CloseCode::kProtocolError);
  EXPECT_EQ(close_code_of(Violation::kCloseCode), CloseCode::kProtocolError);
  EXPECT_EQ(close_code_of(Violation::kInvalidUtf8), CloseCode::kInvalidPayload);
  EXPECT_EQ(close_code_of(Violation::kCloseReason), CloseCode::kInvalidPayload);
  EXPECT_EQ(close_code_of(Violation::kMessageTooBig), CloseCode::kMessageTooBig);
  EXPECT_EQ(close_code_of(Violation::kInflatedTooBig), CloseCode::kMessageTooBig);
  EXPECT_EQ(close_code_of(Violation::kTooManyFragments), CloseCode::kMessageTooBig);
  EXPECT_EQ(close_code_of(Violation::kTooManyControlFrames), CloseCode::kPolicyViolation);
}

TEST(DecoderViolation, HasANameForEveryKind) {
  std::vector<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Violation::kTooManyControlFrames); ++i) {
    const auto violation = static_cast<Violation>(i);
    EXPECT_TRUE(valid_on_the_wire(close_code_of(violation)));
    for (const std::string_view name : names) EXPECT_NE(name, name_of(violation));
    names.push_back(name_of(violation));
    EXPECT_NE(names.back(), "unknown");
  }
}

}  // namespace
}  // namespace sallyport::ws
