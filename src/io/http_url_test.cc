#include <gtest/gtest.h>

#include <string>

#include "io/http_client.h"

namespace sallyport::io {
namespace {

TEST(HttpUrl, TakesHttpsApart) {
  const auto url = HttpUrl::parse("HTTPS://ID.Example.com/realms/a%20b/keys?x=1");
  ASSERT_TRUE(url) << url.error();
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "id.example.com");
  EXPECT_EQ(url->port, 443);
  EXPECT_EQ(url->target, "/realms/a%20b/keys?x=1");
  EXPECT_EQ(url->origin(), "https://id.example.com");
  EXPECT_FALSE(url->loopback());
}

TEST(HttpUrl, HasATargetWithoutAPath) {
  EXPECT_EQ(HttpUrl::parse("https://id.example.com")->target, "/");
  EXPECT_EQ(HttpUrl::parse("https://id.example.com?a=b")->target, "/?a=b");
}

TEST(HttpUrl, NamesAPortOnlyIfItIsNotTheDefault) {
  EXPECT_EQ(HttpUrl::parse("https://id.example.com:443/")->origin(), "https://id.example.com");
  EXPECT_EQ(HttpUrl::parse("https://id.example.com:8443/")->origin(), "https://id.example.com:8443");
  EXPECT_EQ(HttpUrl::parse("http://127.0.0.1/")->origin(), "http://127.0.0.1");
  EXPECT_EQ(HttpUrl::parse("http://127.0.0.1:443/")->origin(), "http://127.0.0.1:443");
}

TEST(HttpUrl, HasAnIpv6HostWithoutItsBrackets) {
  const auto url = HttpUrl::parse("http://[0:0::1]:8080/keys");
  ASSERT_TRUE(url) << url.error();
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 8080);
  EXPECT_EQ(url->origin(), "http://[::1]:8080");
  EXPECT_TRUE(url->loopback());
}

TEST(HttpUrl, TakesPlainTextOnLoopbackOnly) {
  for (const char* const good : {"http://127.0.0.1:1/", "http://127.8.9.10/", "http://localhost:8080/", "http://[::1]/"}) {
    const auto url = HttpUrl::parse(good);
    ASSERT_TRUE(url) << good;
    EXPECT_TRUE(url->loopback()) << good;
  }
  for (const char* const bad :
       {"http://id.example.com/", "http://10.0.0.1/", "http://0.0.0.0/", "http://128.0.0.1/", "http://127.1/",
        "http://2130706433/", "http://0x7f.0.0.1/", "http://127.0.0.1.example.com/", "http://localhost.example.com/",
        "http://[::2]/", "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://localhost./"}) {
    EXPECT_FALSE(HttpUrl::parse(bad)) << bad;
  }
}

TEST(HttpUrl, RefusesWhatIsNoSuchUrlAndSaysWhy) {
  const struct {
    std::string text;
    std::string_view part;
  } cases[] = {
      {"", "empty"},
      {"id.example.com/keys", "begins with https://"},
      {"//id.example.com/keys", "begins with https://"},
      {"ftp://id.example.com/", "scheme"},
      {"file:///etc/passwd", "scheme"},
      {"https://user:secret@id.example.com/", "user information"},
      {"https://id.example.com/#keys", "fragment"},
      {"https://", "wrong before its path"},
      {"https:///keys", "wrong before its path"},
      {"https://id.example.com:0/", "wrong before its path"},
      {"https://id.example.com:65536/", "wrong before its path"},
      {"https://id.example.com:/", "wrong before its path"},
      {"https://id.example.com./", "wrong before its path"},
      {"https://id..example.com/", "wrong before its path"},
      {"https://id%2eexample.com/", "wrong before its path"},
      {"https://[::1/", "wrong before its path"},
      {"https://[fe80::1%25eth0]/", "wrong before its path"},
      {"https://id.example.com\\@evil.example.com/", "escaped"},
      {"https://id.example.com/a b", "escaped"},
      {"https://id.example.com/a\r\nHost: x", "escaped"},
      {"https://id.example.com/%zz", "escaped"},
      {"https://id.example.com/%2", "escaped"},
      {"https://id.example.com/\xc3\xa4", "escaped"},
      {"https://id.example.com/" + std::string(2048, 'a'), "2048"},
  };
  for (const auto& c : cases) {
    const auto url = HttpUrl::parse(c.text);
    ASSERT_FALSE(url) << c.text;
    EXPECT_NE(url.error().find(c.part), std::string::npos) << c.text << ": " << url.error();
    EXPECT_EQ(url.error().find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace sallyport::io
