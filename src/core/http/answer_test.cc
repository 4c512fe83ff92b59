#include "core/http/answer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::http {
namespace {

using namespace std::chrono_literals;

TEST(Answer, WritesARefusalAsTheInterfacePrescribes) {
  const auto text = serialize(problem(401, "token_expired", {www_authenticate("invalid_token")}));
  const std::string body =
      R"({"type":"about:blank","title":"Unauthorized","status":401,"reason":"token_expired"})";
  EXPECT_EQ(text,
            "HTTP/1.1 401 Unauthorized\r\n"
            "Content-Type: application/problem+json\r\n"
            "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"
            "Cache-Control: no-store\r\n"
            "Connection: close\r\n"
            "Content-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
}

TEST(Answer, AsksForAnUpgrade) {
  const auto text = serialize(problem(426, "upgrade_required", upgrade_required()));
  ASSERT_TRUE(text.has_value());
  for (const std::string_view line :
       {"HTTP/1.1 426 Upgrade Required\r\n", "\r\nUpgrade: websocket\r\n",
        "\r\nSec-WebSocket-Version: 13\r\n", "\r\nConnection: Upgrade, close\r\n"}) {
    EXPECT_NE(text->find(line), std::string::npos) << line;
  }
}

TEST(Answer, RoundsRetryAfterUpToSeconds) {
  EXPECT_EQ(retry_after(0ms).value, "1");
  EXPECT_EQ(retry_after(1ms).value, "1");
  EXPECT_EQ(retry_after(1001ms).value, "2");
  EXPECT_EQ(retry_after(30s).value, "30");
  EXPECT_EQ(retry_after(-5s).value, "1");
  EXPECT_EQ(www_authenticate().value, "Bearer");
}

TEST(Answer, HasAPhraseForEveryStatusOfTheHandshake) {
  for (const unsigned status : {101U, 200U, 204U, 400U, 401U, 403U, 404U, 405U, 408U, 411U, 413U,
                                415U, 426U, 429U, 431U, 500U, 502U, 503U, 504U}) {
    EXPECT_FALSE(reason_phrase(status).empty()) << status;
  }
  EXPECT_TRUE(serialize({.status = 599})->starts_with("HTTP/1.1 599 \r\n"));
}

TEST(Answer, OmitsTheBodyWhereNoneMayCome) {
  const Answer answer{.status = 200, .body = "hello"};
  const auto head = serialize(answer, Body::kOmitted);
  ASSERT_TRUE(head.has_value());
  EXPECT_NE(head->find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_TRUE(head->ends_with("\r\n\r\n"));
  EXPECT_TRUE(serialize(answer)->ends_with("\r\n\r\nhello"));
  const auto empty = serialize({.status = 204, .body = "hello"});
  ASSERT_TRUE(empty.has_value());
  EXPECT_EQ(empty->find("Content-Length"), std::string::npos);
  EXPECT_TRUE(empty->ends_with("\r\n\r\n"));
}

TEST(Answer, LeavesCacheControlToTheCaller) {
  const auto text =
      serialize({.status = 200, .fields = {{.name = "cache-control", .value = "max-age=60"}}});
  ASSERT_TRUE(text.has_value());
  EXPECT_EQ(text->find("no-store"), std::string::npos);
}

TEST(Answer, RefusesFieldsThatCouldStartAnotherAnswer) {
  const AnswerField bad[] = {
      {.name = "X", .value = "a\r\nSet-Cookie: b"},
      {.name = "X", .value = "a\nb"},
      {.name = "X", .value = "a\rb"},
      {.name = "X", .value = std::string("a\0b", 3)},
      {.name = "X\r\nY", .value = "a"},
      {.name = "", .value = "a"},
      {.name = "X Y", .value = "a"},
      {.name = "X:", .value = "a"},
  };
  for (const AnswerField& field : bad) {
    const auto text = serialize({.status = 200, .fields = {field}});
    ASSERT_FALSE(text.has_value()) << field.name;
    EXPECT_EQ(text.error(), AnswerError::kField);
    const auto opened =
        switching_protocols("key", std::nullopt, std::nullopt, std::span(&field, 1));
    ASSERT_FALSE(opened.has_value()) << field.name;
    EXPECT_EQ(opened.error(), AnswerError::kField);
  }
}

TEST(Answer, KeepsFramingToItself) {
  for (const char* const name : {"content-length", "Transfer-Encoding", "Connection", "Upgrade"}) {
    const AnswerField field{.name = name, .value = "1"};
    EXPECT_EQ(serialize({.status = 200, .fields = {field}}).error(), AnswerError::kFramed) << name;
    EXPECT_EQ(switching_protocols("key", std::nullopt, std::nullopt, std::span(&field, 1)).error(),
              AnswerError::kFramed);
  }
  EXPECT_EQ(serialize({.status = 101}).error(), AnswerError::kStatus);
  EXPECT_EQ(serialize({.status = 600}).error(), AnswerError::kStatus);
}

TEST(Answer, OpensAWebSocket) {
  EXPECT_EQ(switching_protocols("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", std::nullopt, std::nullopt),
            "HTTP/1.1 101 Switching Protocols\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  const std::vector<AnswerField> fields = {{.name = "X-Node", .value = "a"}};
  EXPECT_EQ(switching_protocols("k", "chat", "permessage-deflate", fields),
            "HTTP/1.1 101 Switching Protocols\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Accept: k\r\n"
            "Sec-WebSocket-Protocol: chat\r\n"
            "Sec-WebSocket-Extensions: permessage-deflate\r\n"
            "X-Node: a\r\n\r\n");
  EXPECT_FALSE(switching_protocols("k", "a, b", std::nullopt).has_value());
  EXPECT_FALSE(switching_protocols("k", "", std::nullopt).has_value());
  EXPECT_FALSE(switching_protocols("k", std::nullopt, "x\r\ny").has_value());
}

TEST(Answer, EscapesJson) {
  EXPECT_EQ(json_string("a\"b\\c\n\x01ä"), R"("a\"b\\c\u000a\u0001ä")");
  EXPECT_EQ(problem(418, "x\"y", {}, "Tea").body,
            R"({"type":"about:blank","title":"Tea","status":418,"reason":"x\"y"})");
}

}  // namespace
}  // namespace sallyport::http
