#include "main/log_format.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "core/base/json.h"

namespace sallyport::main {
namespace {

using namespace std::chrono_literals;

const WallTime kTime{std::chrono::milliseconds(1'738'324'800'007)};  // 2025-01-31T12:00:00.007Z

std::string json_value(const std::string& value) {
  const std::string line = format_json({.name = "e", .fields = {{"v", value}}}, kTime);
  const std::string head = R"({"time":"2025-01-31T12:00:00.007Z","level":"info","event":"e","v":)";
  EXPECT_TRUE(line.starts_with(head)) << line;
  EXPECT_TRUE(base::parse_json(line)) << line;
  return line.substr(head.size(), line.size() - head.size() - 1);
}

std::string text_value(const std::string& value) {
  const std::string line = format_text({.name = "e", .fields = {{"v", value}}}, kTime);
  return line.substr(line.find("v=") + 2);
}

TEST(LogFormat, WritesTimesAsRfc3339InUtc) {
  EXPECT_EQ(format_time(kTime), "2025-01-31T12:00:00.007Z");
  EXPECT_EQ(format_time(WallTime{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_time(WallTime{-1ms}), "1969-12-31T23:59:59.999Z");
}

TEST(LogFormat, WritesAnEventAsOneJsonObject) {
  EXPECT_EQ(
      format_json(
          {.level = LogLevel::kWarn,
           .name = "ws.close",
           .fields = {{"code", std::int64_t{1000}}, {"clean", true}, {"by", std::string("peer")}}},
          kTime),
      R"({"time":"2025-01-31T12:00:00.007Z","level":"warn","event":"ws.close","code":1000,"clean":true,"by":"peer"})");
}

TEST(LogFormat, WritesAnEventAsText) {
  EXPECT_EQ(format_text({.level = LogLevel::kError,
                         .name = "ws.close",
                         .fields = {{"code", std::int64_t{-1}},
                                    {"clean", false},
                                    {"by", std::string("the peer")}}},
                        kTime),
            R"(2025-01-31T12:00:00.007Z error ws.close code=-1 clean=false by="the peer")");
  EXPECT_EQ(format_text({.level = LogLevel::kInfo, .name = "x"}, kTime),
            "2025-01-31T12:00:00.007Z info  x");
}

TEST(LogFormat, EscapesWhatCouldEndTheLineOrTheString) {
  EXPECT_EQ(json_value("a\r\nb\"c\\d"), R"("a\u000d\u000ab\"c\\d")");
  EXPECT_EQ(json_value(std::string("\0\t\x1b[31m\x7f", 8)), R"("\u0000\u0009\u001b[31m\u007f")");
  EXPECT_EQ(text_value("a\nb"), R"("a\u000ab")");
  EXPECT_EQ(text_value("\x1b[2J"), R"("\u001b[2J")");
  EXPECT_EQ(text_value("x level=error"), R"("x level=error")");
  EXPECT_EQ(text_value("a=b"), R"("a=b")");
  EXPECT_EQ(text_value(""), R"("")");
}

TEST(LogFormat, EscapesControlCharactersAbove127) {
  EXPECT_EQ(json_value("\xc2\x9b"), R"("\u009b")");        // CSI in one character
  EXPECT_EQ(json_value("\xe2\x80\xa8"), R"("\u2028")");    // line separator
  EXPECT_EQ(json_value("a\xe2\x80\xae"), R"("a\u202e")");  // right-to-left override
  EXPECT_EQ(text_value("\xe2\x81\xa6x"), R"("\u2066x")");
}

TEST(LogFormat, KeepsOtherText) {
  EXPECT_EQ(json_value("zażółć 漢字 🙂"), "\"zażółć 漢字 🙂\"");
  EXPECT_EQ(text_value("https://id.example.com/?a"), "https://id.example.com/?a");
}

TEST(LogFormat, ReplacesInvalidUtf8) {
  EXPECT_EQ(json_value("a\xff"), R"("a\ufffd")");
  EXPECT_EQ(json_value("\xc0\xaf"), R"("\ufffd\ufffd")");            // overlong slash
  EXPECT_EQ(json_value("\xed\xa0\x80"), R"("\ufffd\ufffd\ufffd")");  // surrogate
  EXPECT_EQ(json_value("\xe2\x82"), R"("\ufffd\ufffd")");            // cut short
  EXPECT_EQ(text_value("\x80"), R"("\ufffd")");
}

TEST(LogFormat, CutsLongValuesAtACharacter) {
  const std::string long_value = json_value(std::string(kLogValueBytesMax - 1, 'x') + "żż");
  EXPECT_EQ(long_value, "\"" + std::string(kLogValueBytesMax - 1, 'x') + "...\"");
  const std::string exact(kLogValueBytesMax, 'x');
  EXPECT_EQ(json_value(exact), "\"" + exact + "\"");
  EXPECT_EQ(text_value(exact + "y"), "\"" + exact + "...\"");
}

TEST(LogFormat, NeverWritesAMemberTwice) {
  EXPECT_EQ(
      format_json(
          {.name = "e", .fields = {{"event", true}, {"a", true}, {"a", false}, {"a", false}}},
          kTime),
      R"({"time":"2025-01-31T12:00:00.007Z","level":"info","event":"e","event_":true,"a":true,"a_":false,"a__":false})");
}

}  // namespace
}  // namespace sallyport::main
