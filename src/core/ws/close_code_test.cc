#include "core/ws/close_code.h"

#include <gtest/gtest.h>

#include <string>

#include "core/ws/utf8.h"

namespace sallyport::ws {
namespace {

std::string payload(int code, std::string_view reason = {}) {
  std::string out = {static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
  return out.append(reason);
}

TEST(CloseCode, KnowsWhichCodesMayBeOnTheWire) {
  for (int code = 0; code <= 0xFFFF; ++code) {
    const bool expected = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                          (code >= 3000 && code <= 4999);
    ASSERT_EQ(valid_on_the_wire(CloseCode{static_cast<std::uint16_t>(code)}), expected) << code;
    const auto status = parse_close(payload(code));
    ASSERT_EQ(status.has_value(), expected) << code;
    if (!expected) {
      ASSERT_EQ(status.error(), CloseError::kCode);
    }
    ASSERT_EQ(encode_close(CloseCode{static_cast<std::uint16_t>(code)}).has_value(),
              expected || code == 1005)
        << code;
  }
}

TEST(CloseCode, ReadsCodeAndReason) {
  const std::string text = payload(3000, "token_expired");
  const auto status = parse_close(text);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, CloseCode::kUnauthorized);
  EXPECT_EQ(status->reason, "token_expired");
}

TEST(CloseCode, ReadsAnEmptyPayloadAsNoStatus) {
  const auto status = parse_close("");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, CloseCode::kNoStatus);
  EXPECT_EQ(status->reason, "");
}

TEST(CloseCode, RefusesHalfACodeAndReasonsThatAreNotText) {
  EXPECT_EQ(parse_close("\x03").error(), CloseError::kTruncated);
  EXPECT_EQ(parse_close(payload(1000, "\xFF")).error(), CloseError::kReasonText);
  EXPECT_EQ(parse_close(payload(1000, "caf\xC3")).error(), CloseError::kReasonText);
  EXPECT_TRUE(parse_close(payload(1000, std::string(123, 'x'))));
  EXPECT_EQ(parse_close(payload(1000, std::string(124, 'x'))).error(), CloseError::kReasonTooLong);
}

TEST(CloseCode, WritesWhatItReads) {
  const auto encoded = encode_close(CloseCode::kTimeout, "auth_timeout");
  ASSERT_TRUE(encoded);
  EXPECT_EQ(encoded->view(), payload(3008, "auth_timeout"));
  const auto longest = encode_close(CloseCode::kNormal, std::string(123, 'x'));
  ASSERT_TRUE(longest);
  EXPECT_EQ(longest->view().size(), 125U);
  EXPECT_EQ(parse_close(longest->view())->reason, std::string(123, 'x'));
  EXPECT_EQ(encode_close(CloseCode::kNoStatus)->view(), "");
}

TEST(CloseCode, WritesNothingThatAPeerWouldRefuse) {
  EXPECT_EQ(encode_close(CloseCode::kAbnormal).error(), CloseError::kCode);
  EXPECT_EQ(encode_close(CloseCode::kNoStatus, "reason").error(), CloseError::kCode);
  EXPECT_EQ(encode_close(CloseCode::kNormal, std::string(124, 'x')).error(),
            CloseError::kReasonTooLong);
  EXPECT_EQ(encode_close(CloseCode::kNormal, "\xC0\x80").error(), CloseError::kReasonText);
}

TEST(CloseCode, FitsAReasonWithoutSplittingACharacter) {
  EXPECT_EQ(fit_reason("short"), "short");
  EXPECT_EQ(fit_reason(std::string(123, 'x')).size(), 123U);
  for (std::size_t before = 110; before < 130; ++before) {
    const std::string reason = std::string(before, 'x') + "\xF0\x9F\x98\x80" + std::string(20, 'y');
    const std::string_view fitted = fit_reason(reason);
    EXPECT_TRUE(valid_utf8(fitted)) << before;
    EXPECT_LE(fitted.size(), 123U);
    EXPECT_GE(fitted.size(), 120U);
    EXPECT_TRUE(encode_close(CloseCode::kNormal, fitted));
  }
  EXPECT_EQ(fit_reason(std::string(200, '\x80')), "");
}

}  // namespace
}  // namespace sallyport::ws
