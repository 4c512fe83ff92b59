#include "core/http/origin.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::http {
namespace {

using Fields = std::vector<std::string_view>;

Origin origin_of(std::string_view text) {
  const auto origin = Origin::parse(text);
  EXPECT_TRUE(origin.has_value()) << text;
  return origin.value_or(Origin());
}

OriginPolicy list_of(std::vector<std::string> entries) {
  const auto policy = OriginPolicy::list(entries);
  EXPECT_TRUE(policy.has_value()) << (policy ? "" : policy.error());
  return policy.value_or(OriginPolicy::same({}));
}

TEST(Origin, NormalisesCaseDefaultPortsAndAddresses) {
  EXPECT_EQ(origin_of("HTTPS://App.Example.com:443").text(), "https://app.example.com");
  EXPECT_EQ(origin_of("http://a:80").text(), "http://a");
  EXPECT_EQ(origin_of("http://a:443").text(), "http://a:443");
  EXPECT_EQ(origin_of("http://[0:0::1]:8080").text(), "http://[::1]:8080");
  EXPECT_EQ(origin_of("https://xn--bcher-kva.example").host(), "xn--bcher-kva.example");
  EXPECT_EQ(origin_of("capacitor://localhost").text(), "capacitor://localhost");
  EXPECT_EQ(origin_of("https://a").port(), 443);
  EXPECT_EQ(origin_of("http://a"), origin_of("http://A:80"));
  EXPECT_NE(origin_of("http://a"), origin_of("https://a"));
  EXPECT_NE(origin_of("http://a:443"), origin_of("https://a"));
}

TEST(Origin, RefusesWhatIsNoOrigin) {
  const struct {
    std::string text;
    OriginError error;
  } cases[] = {
      {"", OriginError::kEmpty},
      {"null", OriginError::kNull},
      {"https://" + std::string(8192, 'a'), OriginError::kTooLong},
      {"https://" + std::string(64, 'a') + ".example", OriginError::kHost},
      {"app.example.com", OriginError::kMalformed},
      {"https:app.example.com", OriginError::kMalformed},
      {"//app.example.com", OriginError::kMalformed},
      {"https://app.example.com:", OriginError::kMalformed},
      {"https://app.example.com:0", OriginError::kMalformed},
      {"https://app.example.com:0443", OriginError::kMalformed},
      {"https://app.example.com:65536", OriginError::kMalformed},
      {"https://app.example.com:x", OriginError::kHasMore},
      {"https://app.example.com/", OriginError::kHasMore},
      {"https://app.example.com?x", OriginError::kHasMore},
      {"https://app.example.com#x", OriginError::kHasMore},
      {"https://u@app.example.com", OriginError::kHasMore},
      {"https://", OriginError::kHost},
      {"file://", OriginError::kHost},
      {"https://app.example.com.", OriginError::kHost},
      {"https://app..example.com", OriginError::kHost},
      {"https://.example.com", OriginError::kHost},
      {"https://app%2eexample.com", OriginError::kHost},
      {"https://*.example.com", OriginError::kHost},
      {"https://[::ffff:127.0.0.1]", OriginError::kHost},
      {"https://b\xc3\xbc"
       "cher.example",
       OriginError::kMalformed},
      {"https://app.example.com\t", OriginError::kMalformed},
      {"https://app.example.com https://evil.com", OriginError::kMalformed},
      {" https://app.example.com", OriginError::kMalformed},
      {"https://app.example.com\\.evil.com", OriginError::kMalformed},
      {std::string("https://app.example.com\0", 24), OriginError::kMalformed},
  };
  for (const auto& c : cases) {
    const auto origin = Origin::parse(c.text);
    ASSERT_FALSE(origin.has_value()) << c.text;
    EXPECT_EQ(origin.error(), c.error) << c.text << ": " << describe(origin.error());
  }
}

struct Credential {
  const char* name;
  OriginDemand demand;
};

constexpr Credential kCookie{"cookie", {.ambient_credential = true, .required = true}};
constexpr Credential kCertificate{"certificate", {.ambient_credential = true, .required = false}};
constexpr Credential kBearer{"bearer, ticket, subprotocol, first message", {}};

// The matrix: what a browser, a bug or an attacker may send, against each kind of credential. What
// a request carries must match whatever the credential; only absence is judged by it.
TEST(OriginPolicy, DecidesTheMatrixOfOriginsAndCredentials) {
  const std::string long_origin = "https://app.example.com" + std::string(8192, 'a');
  std::vector<std::pair<Fields, OriginDecision>> rows = {
      {{"https://app.example.com"}, OriginDecision::kAllowed},
      {{"https://app.example.com:443"}, OriginDecision::kAllowed},
      {{"https://APP.Example.COM"}, OriginDecision::kAllowed},
      {{"http://app.example.com"}, OriginDecision::kRefused},
      {{"https://app.example.com:8443"}, OriginDecision::kRefused},
      {{"https://app.example.com."}, OriginDecision::kRefused},
      {{"https://app.example.com.evil.com"}, OriginDecision::kRefused},
      {{"https://evil.com/app.example.com"}, OriginDecision::kRefused},
      {{"https://evil.com#https://app.example.com"}, OriginDecision::kRefused},
      {{"https://app.example.com@evil.com"}, OriginDecision::kRefused},
      {{"https://xapp.example.com"}, OriginDecision::kRefused},
      {{"https://example.com"}, OriginDecision::kRefused},
      {{"https://a.app.example.com"}, OriginDecision::kRefused},
      {{"https://xn--pp-example-1pc.com"}, OriginDecision::kRefused},
      {{"https://\xd0\xb0pp.example.com"}, OriginDecision::kRefused},
      {{"null"}, OriginDecision::kRefused},
      {{""}, OriginDecision::kRefused},
      {{"file://"}, OriginDecision::kRefused},
      {{"https://app.example.com", "https://app.example.com"}, OriginDecision::kRefused},
      {{"https://app.example.com", "https://evil.com"}, OriginDecision::kRefused},
      {{"https://app.example.com, https://app.example.com"}, OriginDecision::kRefused},
      {{long_origin}, OriginDecision::kRefused},
  };
  std::vector<std::string> with_controls;
  for (char c = 0; c < 0x20; ++c) {
    with_controls.push_back(std::string("https://app.example.com") + c);
    with_controls.push_back(std::string("https://app") + c + ".example.com");
    with_controls.push_back(std::string(1, c));
  }
  for (const std::string& text : with_controls) rows.push_back({{text}, OriginDecision::kRefused});

  const OriginPolicy policies[] = {OriginPolicy::same({origin_of("https://app.example.com")}),
                                   list_of({"https://app.example.com", "https://other.example"})};
  for (const OriginPolicy& policy : policies) {
    for (const Credential& credential : {kCookie, kCertificate, kBearer}) {
      for (const auto& [fields, decision] : rows) {
        EXPECT_EQ(evaluate(policy, fields, credential.demand), decision)
            << credential.name << " with " << fields.front().substr(0, 60);
      }
      const auto absent =
          credential.demand.required ? OriginDecision::kMissing : OriginDecision::kAllowed;
      EXPECT_EQ(evaluate(policy, {}, credential.demand), absent) << credential.name;
    }
  }
}

TEST(OriginPolicy, RefusesEveryOriginIfItKnowsNone) {
  const OriginPolicy policy = OriginPolicy::same({});
  EXPECT_EQ(evaluate(policy, Fields{"https://app.example.com"}, kBearer.demand),
            OriginDecision::kRefused);
  EXPECT_EQ(evaluate(policy, {}, kBearer.demand), OriginDecision::kAllowed);
}

TEST(OriginPolicy, KnowsTheLoopbackOriginsOfAListener) {
  const OriginPolicy policy = OriginPolicy::same(loopback_origins(8080, false));
  for (const std::string_view text :
       {"http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"}) {
    EXPECT_EQ(evaluate(policy, Fields{text}, kCookie.demand), OriginDecision::kAllowed) << text;
  }
  for (const std::string_view text :
       {"http://localhost", "https://localhost:8080", "http://localhost:8081",
        "http://127.0.0.2:8080", "http://evil.test:8080"}) {
    EXPECT_EQ(evaluate(policy, Fields{text}, kCookie.demand), OriginDecision::kRefused) << text;
  }
  EXPECT_EQ(loopback_origins(443, true).front().text(), "https://127.0.0.1");
  EXPECT_EQ(loopback_origins(80, false).size(), 3U);
}

TEST(OriginPolicy, MatchesExactlyOneLabelForAnAsterisk) {
  const OriginPolicy policy = list_of({"https://*.example.com"});
  for (const std::string_view text : {"https://a.example.com", "https://A.EXAMPLE.com:443"}) {
    EXPECT_EQ(evaluate(policy, Fields{text}, {}), OriginDecision::kAllowed) << text;
  }
  for (const std::string_view text :
       {"https://example.com", "https://a.b.example.com", "http://a.example.com",
        "https://a.example.com:444", "https://aexample.com", "https://.example.com",
        "https://a.example.com.evil.com", "https://a.example.org"}) {
    EXPECT_EQ(evaluate(policy, Fields{text}, {}), OriginDecision::kRefused) << text;
  }
  EXPECT_EQ(
      evaluate(list_of({"http://*.test.example:8080"}), Fields{"http://a.test.example:8080"}, {}),
      OriginDecision::kAllowed);
}

TEST(OriginPolicy, AcceptsAnyOriginOnlyIfAskedTo) {
  const OriginPolicy any = OriginPolicy::insecure_any();
  const struct {
    Fields fields;
    OriginDecision cookie, certificate, bearer;
  } cases[] = {
      {{"https://evil.com"},
       OriginDecision::kAllowed,
       OriginDecision::kAllowed,
       OriginDecision::kAllowed},
      {{"null"}, OriginDecision::kRefused, OriginDecision::kRefused, OriginDecision::kAllowed},
      {{"file://"}, OriginDecision::kRefused, OriginDecision::kRefused, OriginDecision::kAllowed},
      {{""}, OriginDecision::kRefused, OriginDecision::kRefused, OriginDecision::kRefused},
      {{"https://a/b"},
       OriginDecision::kRefused,
       OriginDecision::kRefused,
       OriginDecision::kRefused},
      {{"null", "null"},
       OriginDecision::kRefused,
       OriginDecision::kRefused,
       OriginDecision::kRefused},
      {{}, OriginDecision::kMissing, OriginDecision::kAllowed, OriginDecision::kAllowed},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(evaluate(any, c.fields, kCookie.demand), c.cookie);
    EXPECT_EQ(evaluate(any, c.fields, kCertificate.demand), c.certificate);
    EXPECT_EQ(evaluate(any, c.fields, kBearer.demand), c.bearer);
  }
}

TEST(OriginPolicy, ExplainsEntriesThatItDoesNotUnderstand) {
  for (const std::string& entry :
       {std::string("app.example.com"), std::string("https://app.example.com/"), std::string("*"),
        std::string("null"), std::string(""), std::string("https://*"),
        std::string("https://*.com"), std::string("https://*.*.example.com"),
        std::string("https://a*.example.com"), std::string("https://a.*.example.com"),
        std::string("*://app.example.com"), std::string("https://*.127.0.0.1"),
        std::string("https://*.[::1]"), std::string("insecure_any"),
        std::string("https://*.example.com.")}) {
    const auto policy = OriginPolicy::list(std::vector<std::string>{"https://a.example", entry});
    ASSERT_FALSE(policy.has_value()) << entry;
    EXPECT_NE(policy.error().find("\"" + entry + "\""), std::string::npos) << policy.error();
  }
}

TEST(Host, TellsLoopbackNamesFromOthers) {
  for (const std::string_view host : {"localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:1",
                                      "127.8.9.10", "[::1]", "[::1]:8080"}) {
    EXPECT_TRUE(host_is_loopback(host)) << host;
  }
  for (const std::string_view host :
       {"", "evil.test", "evil.test:8080", "localhost.", "localhost.evil.test",
        "127.0.0.1.evil.test", "127.1", "0x7f.0.0.1", "[::2]", "[::ffff:127.0.0.1]", "128.0.0.1",
        "::1", "localhost:x", "localhost@evil.test", "xlocalhost", "127.0.0.1:80:80", "0.0.0.0"}) {
    EXPECT_FALSE(host_is_loopback(host)) << host;
  }
}

}  // namespace
}  // namespace sallyport::http
