#include "io/address.h"

#include <gtest/gtest.h>

namespace sallyport::io {
namespace {

TEST(Address, ReadsBothFamiliesAndWritesThemBack) {
  for (const char* text : {"127.0.0.1:8080", "0.0.0.0:0", "192.0.2.7:65535", "[::1]:443", "[::]:1"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint.has_value()) << endpoint.error();
    EXPECT_EQ(endpoint->text(), text);
  }
  EXPECT_EQ(parse_endpoint("localhost:80")->text(), "127.0.0.1:80");
}

TEST(Address, KnowsLoopback) {
  for (const char* text : {"127.0.0.1:1", "127.255.0.3:1", "localhost:1", "[::1]:1"}) {
    EXPECT_TRUE(parse_endpoint(text)->loopback()) << text;
  }
  for (const char* text : {"0.0.0.0:1", "128.0.0.1:1", "[::]:1", "[::2]:1", "[::ffff:127.0.0.1]:1"}) {
    EXPECT_FALSE(parse_endpoint(text)->loopback()) << text;
  }
}

TEST(Address, ReplacesThePort) {
  for (const char* text : {"127.0.0.1:0", "[::1]:0"}) {
    Endpoint endpoint = *parse_endpoint(text);
    endpoint.set_port(4711);
    EXPECT_EQ(endpoint.port(), 4711);
    EXPECT_TRUE(endpoint.text().ends_with(":4711"));
  }
}

TEST(Address, RefusesWhatIsNoAddressAndSaysHowToWriteOne) {
  for (const char* text : {"", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
                           "127.0.0.1:80x", "127.0.0.1: 80", "127.0.0:80", "127.0.0.1.5:80", "::1:80",
                           "[::1]", "[::1]80", "[]:80", "[::g]:80", "[127.0.0.1]:80", "example.com:80"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_FALSE(endpoint.has_value()) << text;
    EXPECT_NE(endpoint.error().find("127.0.0.1:8080"), std::string::npos) << endpoint.error();
  }
}

TEST(Address, SaysWhichHalfIsMissing) {
  for (const char* text : {"8080", ":8080"}) {
    EXPECT_NE(parse_endpoint(text).error().find("the host is missing"), std::string::npos) << text;
  }
  for (const char* text : {"127.0.0.1", "localhost", ""}) {
    EXPECT_NE(parse_endpoint(text).error().find("the port is missing"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace sallyport::io
