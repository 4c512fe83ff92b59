#include "core/http/upgrade.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "core/http/head_test_support.h"

namespace sallyport::http {
namespace {

constexpr std::string_view kUpgradeLine = "Upgrade: websocket\r\n";
constexpr std::string_view kConnectionLine = "Connection: Upgrade\r\n";
constexpr std::string_view kKeyLine = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
constexpr std::string_view kVersionLine = "Sec-WebSocket-Version: 13\r\n";

struct Lines {
  std::string_view upgrade = kUpgradeLine;
  std::string_view connection = kConnectionLine;
  std::string_view key = kKeyLine;
  std::string_view version = kVersionLine;
  std::string_view more = {};
  std::string_view request_line = "GET /chat HTTP/1.1\r\n";
};

std::expected<Upgrade, UpgradeError> validate(const Lines& lines) {
  std::string text(lines.request_line);
  text.append("Host: a\r\n").append(lines.upgrade).append(lines.connection);
  text.append(lines.key).append(lines.version).append(lines.more).append("\r\n");
  const Head head = head_of(text);
  EXPECT_FALSE(head.method().empty()) << text;
  return validate_upgrade(head);
}

std::optional<UpgradeError> error_in(const Lines& lines) {
  const auto upgrade = validate(lines);
  return upgrade ? std::nullopt : std::optional(upgrade.error());
}

TEST(Upgrade, AnswersTheKeyOfTheStandardsExample) {
  const auto upgrade = validate({});
  ASSERT_TRUE(upgrade.has_value());
  EXPECT_EQ(upgrade->accept_key(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_TRUE(upgrade->subprotocols.applications.empty());
  EXPECT_TRUE(upgrade->extensions.empty());
}

TEST(Upgrade, AcceptsABrowsersRequestAndOutlivesItsHead) {
  auto head = head_of(browser_upgrade());
  const auto upgrade = validate_upgrade(head);
  head = Head();
  ASSERT_TRUE(upgrade.has_value());
  EXPECT_EQ(upgrade->extensions, "permessage-deflate; client_max_window_bits");
  EXPECT_EQ(upgrade->subprotocols.applications, (std::vector<std::string>{"chat", "sallyport.v1"}));
  ASSERT_TRUE(upgrade->subprotocols.credential.has_value());
  EXPECT_EQ((*upgrade->subprotocols.credential)->reveal(), "abc.def.ghi");
}

TEST(Upgrade, ReadsConnectionAsAList) {
  for (const std::string_view connection :
       {"Connection: upgrade\r\n", "Connection: UPGRADE\r\n", "connection: keep-alive, Upgrade\r\n",
        "Connection: Upgrade, keep-alive\r\n", "Connection: keep-alive\r\nConnection: Upgrade\r\n",
        "Connection: upgrade,x-foo,close\r\n", "Connection:\tUpgrade \r\n",
        "Connection: , Upgrade ,\r\n", "Connection: keep-alive,Upgrade\r\n"}) {
    EXPECT_EQ(error_in({.connection = connection}), std::nullopt) << connection;
  }
  for (const std::string_view connection :
       {"", "Connection:\r\n", "Connection: keep-alive\r\n", "Connection: upgraded\r\n",
        "Connection: no-upgrade\r\n", "Connection: keep-alive\r\nConnection: close\r\n"}) {
    EXPECT_EQ(error_in({.connection = connection}), UpgradeError::kConnection) << connection;
  }
}

TEST(Upgrade, UpgradesToWebSocketAlone) {
  for (const std::string_view upgrade : {"Upgrade: WebSocket\r\n", "upgrade: WEBSOCKET\r\n"}) {
    EXPECT_EQ(error_in({.upgrade = upgrade}), std::nullopt) << upgrade;
  }
  for (const std::string_view upgrade :
       {"Upgrade: h2c\r\n", "Upgrade: h2c, websocket\r\n", "Upgrade: websocket, h2c\r\n",
        "Upgrade: websocket\r\nUpgrade: h2c\r\n", "Upgrade: websocket, foo\r\n", "Upgrade:\r\n",
        "Upgrade: websockets\r\n", "Upgrade: websocket/13\r\n", "Upgrade: websocket, websocket\r\n",
        "Upgrade: web socket\r\n"}) {
    EXPECT_EQ(error_in({.upgrade = upgrade}), UpgradeError::kUpgrade) << upgrade;
  }
}

TEST(Upgrade, TellsAPlainRequestFromAMalformedUpgrade) {
  EXPECT_EQ(error_in({.upgrade = ""}), UpgradeError::kNotAnUpgrade);
  EXPECT_EQ(error_in({.upgrade = "", .connection = "", .key = "", .version = ""}),
            UpgradeError::kNotAnUpgrade);
  EXPECT_TRUE(wants_upgrade_required(UpgradeError::kNotAnUpgrade));
  EXPECT_TRUE(wants_upgrade_required(UpgradeError::kWrongVersion));
  EXPECT_FALSE(wants_upgrade_required(UpgradeError::kUpgrade));
  EXPECT_FALSE(wants_upgrade_required(UpgradeError::kVersion));
}

TEST(Upgrade, RefusesOtherMethodsVersionsAndBodies) {
  EXPECT_EQ(error_in({.request_line = "POST / HTTP/1.1\r\n"}), UpgradeError::kMethod);
  EXPECT_EQ(error_in({.request_line = "HEAD / HTTP/1.1\r\n"}), UpgradeError::kMethod);
  EXPECT_EQ(error_in({.request_line = "get / HTTP/1.1\r\n"}), UpgradeError::kMethod);
  EXPECT_EQ(error_in({.request_line = "GET / HTTP/1.0\r\n"}), UpgradeError::kHttpVersion);
  EXPECT_EQ(error_in({.more = "Content-Length: 5\r\n"}), UpgradeError::kBody);
  EXPECT_EQ(error_in({.more = "Transfer-Encoding: chunked\r\n"}), UpgradeError::kBody);
  EXPECT_EQ(error_in({.more = "Content-Length: 0\r\n"}), std::nullopt);
}

TEST(Upgrade, DemandsOneCanonicalKey) {
  for (const std::string_view key :
       {"", "Sec-WebSocket-Key:\r\n", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n",  // unused bits set
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWE=\r\n",  // 17 bytes
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBs-SBub25jZQ==\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, x\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\n"}) {
    EXPECT_EQ(error_in({.key = key}), UpgradeError::kKey) << key;
  }
}

TEST(Upgrade, SpeaksVersionThirteenOnly) {
  for (const std::string_view version : {"8", "12", "14", "0", "255"}) {
    const std::string line = "Sec-WebSocket-Version: " + std::string(version) + "\r\n";
    EXPECT_EQ(error_in({.version = line}), UpgradeError::kWrongVersion) << version;
  }
  for (const std::string_view line :
       {"", "Sec-WebSocket-Version:\r\n", "Sec-WebSocket-Version: 13, 8\r\n",
        "Sec-WebSocket-Version: x\r\n", "Sec-WebSocket-Version: 1300\r\n",
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n"}) {
    EXPECT_EQ(error_in({.version = line}), UpgradeError::kVersion) << line;
  }
}

TEST(Upgrade, ReadsProtocolsStrictly) {
  const auto with = [](std::string value) {
    return "Sec-WebSocket-Protocol: " + value + "\r\n";
  };
  const std::string two_lines = with("a, b") + with("c");
  const auto upgrade = validate({.more = two_lines});
  ASSERT_TRUE(upgrade.has_value());
  EXPECT_EQ(upgrade->subprotocols.applications, (std::vector<std::string>{"a", "b", "c"}));

  for (const std::string& line :
       {with(""), with("a,,b"), with("a,"), with("a, a"), with("a") + with("a"), with("bearer.x=="),
        with("a/b"), with("a b"), with("\xc3\xa4"), with("bearer.a, bearer.a")}) {
    EXPECT_EQ(error_in({.more = line}), UpgradeError::kProtocols) << line;
  }
  std::string many = "p0";
  for (std::size_t i = 1; i < kSubprotocolsMax; ++i) many += ",p" + std::to_string(i);
  EXPECT_EQ(error_in({.more = with(many)}), std::nullopt);
  EXPECT_EQ(error_in({.more = with(many + ",one-more")}), UpgradeError::kProtocols);
}

TEST(Upgrade, JoinsExtensionsInOrder) {
  const auto upgrade =
      validate({.more = "Sec-WebSocket-Extensions: a; x=1\r\nSec-WebSocket-Extensions: b\r\n"});
  ASSERT_TRUE(upgrade.has_value());
  EXPECT_EQ(upgrade->extensions, "a; x=1, b");
}

}  // namespace
}  // namespace sallyport::http
