#include "feature/verifiers/key_fetch.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport {
namespace {

TEST(DiscoveryUrl, AppendsThePathOnceWhateverTheIssuerEndsWith) {
  EXPECT_EQ(discovery_url("https://id.example.com")->target, "/.well-known/openid-configuration");
  EXPECT_EQ(discovery_url("https://id.example.com/")->target, "/.well-known/openid-configuration");
  EXPECT_EQ(discovery_url("https://id.example.com/realms/a")->target, "/realms/a/.well-known/openid-configuration");
  EXPECT_EQ(discovery_url("https://id.example.com/realms/a/")->target, "/realms/a/.well-known/openid-configuration");
  EXPECT_EQ(discovery_url("https://id.example.com:8443/")->origin(), "https://id.example.com:8443");
}

TEST(DiscoveryUrl, RefusesAnIssuerThatIsNoSuchUrl) {
  for (const char* const bad : {"accounts.example.com", "http://id.example.com", "https://id.example.com?tenant=1",
                                "https://id.example.com/#a", "", "urn:issuer"}) {
    const auto url = discovery_url(bad);
    ASSERT_FALSE(url) << bad;
    EXPECT_FALSE(url.error().empty());
  }
}

std::expected<io::HttpUrl, std::string> read(const std::string& issuer, const std::string& jwks_uri,
                                             const std::string& verifier_issuer = "https://id.example.com/") {
  return read_discovery(R"({"issuer":")" + issuer + R"(","jwks_uri":")" + jwks_uri + R"(","scopes_supported":["a"]})",
                        verifier_issuer);
}

TEST(ReadDiscovery, FindsTheKeySetOfThisIssuer) {
  EXPECT_EQ(read("https://id.example.com/", "https://keys.example.com/a?b=c")->origin(), "https://keys.example.com");
  EXPECT_TRUE(read("http://127.0.0.1:4444", "http://localhost:4444/jwks", "http://127.0.0.1:4444"));
}

TEST(ReadDiscovery, RefusesMetadataOfAnotherIssuer) {
  for (const char* const other : {"https://id.example.com", "https://id.example.com/x", "HTTPS://id.example.com/",
                                  "https://evil.example.com/", ""}) {
    EXPECT_FALSE(read(other, "https://id.example.com/jwks")) << other;
  }
}

TEST(ReadDiscovery, RefusesAKeySetThatIsNotWhereItMayBe) {
  for (const char* const bad : {"http://id.example.com/jwks", "ftp://id.example.com/jwks", "file:///etc/passwd", "/jwks",
                                "https://user@id.example.com/jwks", ""}) {
    EXPECT_FALSE(read("https://id.example.com/", bad)) << bad;
  }
}

TEST(ReadDiscovery, RefusesToBeLedToThisMachineFromElsewhere) {
  for (const char* const bad : {"http://127.0.0.1:6379/", "http://[::1]/jwks", "https://localhost/jwks",
                                "https://127.0.0.1:8443/jwks"}) {
    EXPECT_FALSE(read("https://id.example.com/", bad)) << bad;
  }
}

TEST(ReadDiscovery, RefusesWhatIsNoMetadata) {
  const std::string issuer = "https://id.example.com/";
  for (const std::string& bad :
       {std::string(), std::string("[]"), std::string("<html>"), std::string("{}"),
        R"({"issuer":")" + issuer + "\"}", R"({"issuer":[")" + issuer + R"("],"jwks_uri":"https://a.example/"})",
        R"({"issuer":")" + issuer + R"(","jwks_uri":1})",
        R"({"issuer":")" + issuer + R"(","issuer":")" + issuer + R"(","jwks_uri":"https://a.example/"})",
        R"({"issuer":")" + issuer + R"(","jwks_uri":"https://a.example/","x":")" + std::string(70'000, 'x') + "\"}"}) {
    EXPECT_FALSE(read_discovery(bad, issuer)) << bad.substr(0, 100);
  }
}

}  // namespace
}  // namespace sallyport
