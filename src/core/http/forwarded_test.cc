#include "core/http/forwarded.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::http {
namespace {

const std::vector<CidrBlock> kTrusted{*CidrBlock::parse("10.0.0.0/8"), *CidrBlock::parse("fd00::/8")};

using Values = std::vector<std::string_view>;

// The client's address when 10.0.0.1 sends these fields; "refused" for two that contradict each other.
std::string client_of(const Values& x_forwarded_for, const Values& forwarded,
                      std::string_view peer = "10.0.0.1") {
  const auto address = client_address(*IpAddress::parse(peer), kTrusted,
                                      {.x_forwarded_for = x_forwarded_for, .forwarded = forwarded});
  return address ? address->text() : "refused";
}
std::string by_x(const Values& values) { return client_of(values, {}); }
std::string by_forwarded(const Values& values) { return client_of({}, values); }

constexpr const char* kPeer = "10.0.0.1";

TEST(ClientAddress, IsThePeersWhereNothingIsSaid) {
  EXPECT_EQ(client_of({}, {}), kPeer);
  EXPECT_EQ(client_of({}, {}, "203.0.113.9"), "203.0.113.9");
}

TEST(ClientAddress, BelievesNothingOfAPeerThatIsNotTrusted) {
  EXPECT_EQ(client_of({"192.0.2.1"}, {}, "203.0.113.9"), "203.0.113.9");
  EXPECT_EQ(client_of({}, {"for=192.0.2.1"}, "203.0.113.9"), "203.0.113.9");
  EXPECT_EQ(client_of({"192.0.2.1"}, {"for=192.0.2.2"}, "203.0.113.9"), "203.0.113.9");
  EXPECT_EQ(client_of({"192.0.2.1"}, {}, "11.0.0.1"), "11.0.0.1");
}

TEST(ClientAddress, IsWhatATrustedPeerSays) {
  EXPECT_EQ(by_x({"192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(by_forwarded({"for=192.0.2.1"}), "192.0.2.1");
}

TEST(ClientAddress, IsTheRightmostThatIsNotTrusted) {
  EXPECT_EQ(by_x({"198.51.100.7, 192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(by_x({"198.51.100.7, 192.0.2.1, 10.0.0.2,10.0.0.3"}), "192.0.2.1");
  EXPECT_EQ(by_x({"127.0.0.1, 10.9.9.9, 192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(by_forwarded({"for=198.51.100.7, for=192.0.2.1, for=10.0.0.2"}), "192.0.2.1");
}

TEST(ClientAddress, IsTheLeftmostWhereAllAreTrusted) {
  EXPECT_EQ(by_x({"10.0.0.9, 10.0.0.2"}), "10.0.0.9");
  EXPECT_EQ(by_forwarded({"for=10.0.0.9, for=10.0.0.2"}), "10.0.0.9");
}

TEST(ClientAddress, TakesSeveralFieldsAsOneList) {
  EXPECT_EQ(by_x({"198.51.100.7", "192.0.2.1, 10.0.0.2", "10.0.0.3"}), "192.0.2.1");
  EXPECT_EQ(by_x({"198.51.100.7", "192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(by_forwarded({"for=198.51.100.7", "for=192.0.2.1", "for=10.0.0.2"}), "192.0.2.1");
}

TEST(ClientAddress, ReadsEveryFormOfXForwardedFor) {
  EXPECT_EQ(by_x({"192.0.2.1:47011"}), "192.0.2.1");
  EXPECT_EQ(by_x({"2001:db8::1"}), "2001:db8::1");
  EXPECT_EQ(by_x({"[2001:DB8::1]"}), "2001:db8::1");
  EXPECT_EQ(by_x({"[2001:db8::1]:47011"}), "2001:db8::1");
  EXPECT_EQ(by_x({"  192.0.2.1\t"}), "192.0.2.1");
}

TEST(ClientAddress, ReadsEveryFormOfForwarded) {
  EXPECT_EQ(by_forwarded({"For=192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(by_forwarded({R"(for="192.0.2.1:47011")"}), "192.0.2.1");
  EXPECT_EQ(by_forwarded({R"(for="[2001:db8:cafe::17]:4711")"}), "2001:db8:cafe::17");
  EXPECT_EQ(by_forwarded({R"(for="[2001:db8::1]:_port")"}), "2001:db8::1");
  EXPECT_EQ(by_forwarded({R"(for="192.0.\2.1")"}), "192.0.2.1") << "a quoted pair";
  EXPECT_EQ(by_forwarded({"for=192.0.2.60;proto=http;by=203.0.113.43"}), "192.0.2.60");
  EXPECT_EQ(by_forwarded({R"(host="a, for=9.9.9.9; \"b";by=_x; for=192.0.2.1;)"}), "192.0.2.1");
}

TEST(ClientAddress, CountsAMappedIPv4AddressAsIPv4) {
  EXPECT_EQ(by_x({"192.0.2.1, ::ffff:10.0.0.2"}), "192.0.2.1");
  EXPECT_EQ(client_of({"192.0.2.1"}, {}, "::ffff:10.0.0.1"), "192.0.2.1");
  EXPECT_EQ(client_of({"192.0.2.1"}, {}, "fd00::1"), "192.0.2.1");
}

TEST(ClientAddress, IsTheProxysWhereTheProxyDoesNotTell) {
  for (const char* const silent :
       {"unknown", "_hidden", "", "garbage", "192.0.2.999", "192.0.2.1.", "192.0.2.1:", "192.0.2.1:123456",
        "192.0.2.1:x", "[192.0.2.1]", "[2001:db8::1", "2001:db8::1]", "[2001:db8::1]47", "fe80::1%eth0",
        "192.0.2.1 198.51.100.7", "\"192.0.2.1\"", "192.0.2.01"}) {
    EXPECT_EQ(by_x({silent}), kPeer) << silent;
    const std::string behind = "198.51.100.7, " + std::string(silent) + ", 10.0.0.2";
    EXPECT_EQ(by_x({behind}), "10.0.0.2") << behind;
  }
}

TEST(ClientAddress, IsTheProxysWhereForwardedIsMalformed) {
  for (const char* const silent :
       {"for=unknown", "for=_hidden", R"(for="_hidden:47")", "for=", "for", "=192.0.2.1", "proto=http",
        "for=192.0.2.1:80", "for=[2001:db8::1]", R"(for="2001:db8::1")", R"(for="192.0.2.1)",
        R"(for=192.0.2.1")", R"(for="192.0.2.1"x)", "for=192.0.2.1;for=198.51.100.7",
        "for=192.0.2.1;FOR=192.0.2.1", "for =192.0.2.1", "for= 192.0.2.1", ";", "",
        R"(for=192.0.2.1;host="x)", R"(for="192.0.2.1\")"}) {
    EXPECT_EQ(by_forwarded({silent}), kPeer) << silent;
    const std::string behind = "for=198.51.100.7, " + std::string(silent) + ", for=10.0.0.2";
    EXPECT_EQ(by_forwarded({behind}), "10.0.0.2") << behind;
  }
}

// What a client sends stands to the left of what the proxy appends, in the same field or in one before.
TEST(ClientAddress, CannotBeChosenByTheClientThroughAProxyThatAppends) {
  for (const char* const sent :
       {"10.0.0.1", "10.0.0.1, 10.0.0.2", "for=10.0.0.1", "\"", "for=\"", "for=\"10.0.0.1", "\\", "for=\"\\",
        "\"\\\"", "for=\"a\\\"", ",", ",,,,", ";", "for=10.0.0.1;", "unknown", "_x", "for=\"[",
        "\" , for=10.0.0.1 , \""}) {
    const std::string text(sent);
    EXPECT_EQ(by_x({text + ", 192.0.2.1"}), "192.0.2.1") << text;
    EXPECT_EQ(by_x({text, "192.0.2.1"}), "192.0.2.1") << text;
    EXPECT_EQ(by_forwarded({text + ", for=192.0.2.1"}), "192.0.2.1") << text;
    EXPECT_EQ(by_forwarded({text, "for=192.0.2.1"}), "192.0.2.1") << text;
    EXPECT_EQ(by_forwarded({text + R"(,for="[2001:db8::1]:7";by=_me)"}), "2001:db8::1") << text;
  }
}

TEST(ClientAddress, RefusesTwoFieldsThatNameDifferentAddresses) {
  EXPECT_EQ(client_of({"192.0.2.1"}, {"for=192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(client_of({"9.9.9.9, 192.0.2.1"}, {"for=192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(client_of({"192.0.2.1"}, {"for=198.51.100.7"}), "refused");
  EXPECT_EQ(client_of({"192.0.2.1"}, {"for=unknown"}), "refused");
  EXPECT_EQ(client_of({"192.0.2.1"}, {""}), "refused");
  EXPECT_EQ(client_of({"unknown"}, {"for=_hidden"}), kPeer);
}

TEST(ClientAddress, BelievesAChainOfBoundedLength) {
  std::string chain = "192.0.2.1";
  for (std::size_t i = 0; i + 1 < kForwardedHopsMax; ++i) chain += ", 10.1.0." + std::to_string(i);
  EXPECT_EQ(by_x({chain}), "192.0.2.1");
  EXPECT_EQ(by_x({chain + ", 10.2.0.1"}), "10.1.0.0");
}

}  // namespace
}  // namespace sallyport::http
