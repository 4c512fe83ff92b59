// The verifiers that ask others, and those of other credentials than tokens: every key reaches its
// factory, and what is wrong with one has a line.

#include <gtest/gtest.h>

#include <chrono>
#include <ostream>
#include <string>
#include <string_view>

#include "feature/config/config.h"
#include "feature/config/test_support.h"

namespace sallyport::config {
namespace {

using namespace std::chrono_literals;

#define STATIC_ROUTE "[[route]]\npath = \"/*\"\nhandler = \"static\"\nroot = \"site\"\n"

// Parses a configuration without faults and keeps what its factories were asked for.
struct Parsed {
  explicit Parsed(std::string_view text) {
    auto parsed = parse(text, "conf/s.toml", fake_files(), fake_factories(made));
    EXPECT_TRUE(parsed) << findings_of(text);
    if (!parsed) return;
    for (const Finding& warning : parsed->warnings) {
      EXPECT_TRUE(warning.text.ends_with(": no route names it")) << to_string(warning);
    }
    config = std::move(*parsed);
  }
  Made made;
  Config config;
};

TEST(VerifierTypes, MapTheKeysOfIntrospection) {
  const Parsed parsed(R"([verifier.opaque]
type = "introspection"
endpoint = "https://id.example.com/introspect"
client_id = "chat"
client_secret_file = "client.secret"
issuer = "https://id.example.com/"
cache = "3s"
recheck = "30s"
timeout = "1s"
)" STATIC_ROUTE);
  ASSERT_EQ(parsed.made.introspection.size(), 1U);
  const IntrospectionOptions& options = parsed.made.introspection[0];
  EXPECT_EQ(options.endpoint, "https://id.example.com/introspect");
  EXPECT_EQ(options.client_id, "chat");
  EXPECT_EQ(options.client_secret_file, "conf/client.secret");
  EXPECT_EQ(options.issuer, "https://id.example.com/");
  EXPECT_EQ(options.cache, 3s);
  EXPECT_EQ(options.recheck, 30s);
  EXPECT_EQ(options.timeout, 1s);
  EXPECT_EQ(options.name, "opaque");
  ASSERT_EQ(parsed.config.verifiers.size(), 1U);
  EXPECT_EQ(parsed.config.verifiers[0].type, VerifierType::kIntrospection);
  EXPECT_FALSE(parsed.config.verifiers[0].jwt);
}

TEST(VerifierTypes, LeaveTheDefaultsOfIntrospectionToTheLibrary) {
  const Parsed parsed(
      "[verifier.v]\ntype = \"introspection\"\nendpoint = \"http://127.0.0.1:9/\"\n"
      "client_id = \"c\"\nclient_secret_file = \"/etc/secret\"\n" STATIC_ROUTE);
  ASSERT_EQ(parsed.made.introspection.size(), 1U);
  const IntrospectionOptions& options = parsed.made.introspection[0];
  EXPECT_EQ(options.client_secret_file, "/etc/secret");
  EXPECT_EQ(options.issuer, "");
  EXPECT_EQ(options.cache, 10s);
  EXPECT_EQ(options.recheck, 60s);
  EXPECT_EQ(options.timeout, 2s);
}

TEST(VerifierTypes, MapTheKeysOfSessions) {
  const Parsed parsed(R"([verifier.web]
type = "session"
cookie = "sid"
secret_files = ["new.secret", "/etc/old.secret"]
store = "redis://user:pass@127.0.0.1:6380/2"
prefix = ""
subject = "/user/id"
scopes = "/user/rights"
recheck = "5s"
)" STATIC_ROUTE);
  ASSERT_EQ(parsed.made.session.size(), 1U);
  const SessionOptions& options = parsed.made.session[0];
  EXPECT_EQ(options.cookie, "sid");
  EXPECT_EQ(options.secret_files, (std::vector<std::string>{"conf/new.secret", "/etc/old.secret"}));
  EXPECT_EQ(options.store, "redis://user:pass@127.0.0.1:6380/2");
  EXPECT_EQ(options.prefix, "");
  EXPECT_EQ(options.subject, "/user/id");
  EXPECT_EQ(options.scopes, "/user/rights");
  EXPECT_EQ(options.recheck, 5s);
  EXPECT_EQ(options.name, "web");
  EXPECT_EQ(parsed.config.verifiers.at(0).cookie, "sid");
}

TEST(VerifierTypes, LeaveTheDefaultsOfSessionsToTheLibrary) {
  const Parsed parsed(
      "[verifier.v]\ntype = \"session\"\nsecret_files = [\"s\"]\n"
      "store = \"redis://127.0.0.1\"\n" STATIC_ROUTE);
  ASSERT_EQ(parsed.made.session.size(), 1U);
  const SessionOptions& options = parsed.made.session[0];
  EXPECT_EQ(options.cookie, "connect.sid");
  EXPECT_EQ(options.prefix, "sess:");
  EXPECT_EQ(options.subject, "/passport/user");
  EXPECT_EQ(options.scopes, "");
  EXPECT_EQ(options.recheck, 30s);
}

TEST(VerifierTypes, MapTheKeysOfHttp) {
  const Parsed parsed(R"([verifier.app]
type = "http"
url = "http://localhost:3000/whoami"
forward = ["Cookie", "X-Api-Key"]
timeout = "500ms"
recheck = "10s"
issuer = "app"
)" STATIC_ROUTE);
  ASSERT_EQ(parsed.made.http.size(), 1U);
  const HttpVerifierOptions& options = parsed.made.http[0];
  EXPECT_EQ(options.url, "http://localhost:3000/whoami");
  EXPECT_EQ(options.forward, (std::vector<std::string>{"cookie", "x-api-key"}));
  EXPECT_EQ(options.timeout, 500ms);
  EXPECT_EQ(options.recheck, 10s);
  EXPECT_EQ(options.issuer, "app");
  EXPECT_EQ(options.name, "app");
}

TEST(VerifierTypes, LeaveTheDefaultsOfHttpToTheLibrary) {
  const Parsed parsed(
      "[verifier.v]\ntype = \"http\"\nurl = \"https://app.example.com\"\n" STATIC_ROUTE);
  ASSERT_EQ(parsed.made.http.size(), 1U);
  EXPECT_EQ(parsed.made.http[0].forward, (std::vector<std::string>{"cookie", "authorization"}));
  EXPECT_EQ(parsed.made.http[0].timeout, 2s);
  EXPECT_EQ(parsed.made.http[0].recheck, 60s);
}

TEST(VerifierTypes, FindTheFileOfApiKeysBesideTheConfiguration) {
  const Parsed parsed("[verifier.v]\ntype = \"keys\"\nfile = \"api.keys\"\n" STATIC_ROUTE);
  EXPECT_EQ(parsed.made.api_keys, std::vector<std::string>{"conf/api.keys"});
}

TEST(VerifierTypes, MapTheSubjectOfCertificates) {
  const Parsed parsed(
      "[verifier.a]\ntype = \"certificate\"\n[verifier.b]\ntype = \"certificate\"\n"
      "subject = \"san_dns\"\n[verifier.c]\ntype = \"certificate\"\nsubject = \"san_email\"\n"
      "[verifier.d]\ntype = \"certificate\"\nsubject = \"cn\"\n[verifier.e]\n"
      "type = \"certificate\"\nsubject = \"san_uri\"\n" STATIC_ROUTE);
  using enum CertificateSubject;
  EXPECT_EQ(parsed.made.certificate,
            (std::vector<CertificateSubject>{kSanUri, kSanDns, kSanEmail, kCommonName, kSanUri}));
}

TEST(VerifierTypes, TakeKeysFromTheNetwork) {
  const Parsed parsed(R"([verifier.a]
type = "jwt"
issuer = "a"
audience = ["x"]
algorithms = ["ES256"]
jwks_url = "https://id.example.com/jwks"
discovery = false
[verifier.b]
type = "jwt"
issuer = "https://id.example.com/tenant"
audience = ["x"]
algorithms = ["ES256"]
discovery = true
)" STATIC_ROUTE);
  EXPECT_EQ(parsed.made.jwks, std::vector<std::string>{"https://id.example.com/jwks"});
  EXPECT_EQ(parsed.made.discovered, 1);
  ASSERT_EQ(parsed.config.verifiers.size(), 2U);
  EXPECT_TRUE(parsed.config.verifiers[1].jwt);
}

TEST(VerifierTypes, AreNotAvailableWhereNobodyMakesThem) {
  const auto parsed = parse(
      "[verifier.a]\ntype = \"keys\"\nfile = \"k\"\n[verifier.b]\ntype = \"jwt\"\nissuer = \"i\"\n"
      "audience = [\"x\"]\nalgorithms = [\"ES256\"]\njwks_url = \"https://id.example.com\"\n"
      "[verifier.c]\ntype = \"certificate\"\n" STATIC_ROUTE,
      "conf/s.toml", fake_files(), {});
  ASSERT_FALSE(parsed);
  std::string lines;
  for (const Finding& finding : parsed.error()) lines += to_string(finding) + "\n";
  EXPECT_EQ(
      lines,
      "conf/s.toml:2: error: verifier a: not available in this version: type = \"keys\"\n"
      "conf/s.toml:9: error: verifier b: not available in this version: jwks_url\n"
      "conf/s.toml:11: error: verifier c: not available in this version: type = \"certificate\"\n");
}

// ---- what is wrong with one

struct Case {
  std::string_view name;
  std::string_view text;
  std::string_view findings;
  friend std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }
};

class VerifierFindings : public testing::TestWithParam<Case> {};

TEST_P(VerifierFindings, AreExactlyThese) {
  EXPECT_EQ(findings_of(std::string(GetParam().text) + STATIC_ROUTE), GetParam().findings);
}

constexpr auto kNameOf = [](const testing::TestParamInfo<Case>& info) {
  return std::string(info.param.name);
};

#define INTROSPECTION                                                               \
  "[verifier.v]\ntype = \"introspection\"\nendpoint = \"https://id.example.com\"\n" \
  "client_id = \"c\"\nclient_secret_file = \"s\"\n"  // lines 1 to 5
#define SESSION                                                \
  "[verifier.v]\ntype = \"session\"\nsecret_files = [\"s\"]\n" \
  "store = \"redis://127.0.0.1\"\n"                                                // lines 1 to 4
#define HTTP "[verifier.v]\ntype = \"http\"\nurl = \"https://app.example.com\"\n"  // 1 to 3
#define JWT \
  "[verifier.v]\ntype = \"jwt\"\naudience = [\"a\"]\nalgorithms = [\"ES256\"]\n"  // 1 to 4

INSTANTIATE_TEST_SUITE_P(
    Introspection, VerifierFindings,
    testing::Values(
        Case{"Nothing", "[verifier.v]\ntype = \"introspection\"\n",
             "1: error: verifier v: endpoint is missing; write the URL of the introspection "
             "endpoint (RFC 7662)\n"
             "1: error: verifier v: client_id is missing; write the id under which the endpoint "
             "knows this server\n"
             "1: error: verifier v: client_secret_file is missing; name the file with this "
             "server's secret at the endpoint\n"},
        Case{"PlainHttpOffLoopback",
             "[verifier.v]\ntype = \"introspection\"\nendpoint = \"http://id.example.com/\"\n"
             "client_id = \"c\"\nclient_secret_file = \"s\"\n",
             "3: error: verifier v: endpoint: plain http is for loopback only (127.0.0.0/8, "
             "[::1], localhost); write https://\n"},
        Case{"MissingSecret",
             "[verifier.v]\ntype = \"introspection\"\nendpoint = \"https://id.example.com\"\n"
             "client_id = \"c\"\nclient_secret_file = \"missing\"\n",
             "5: error: verifier v: client_secret_file: conf/missing: cannot be opened: No such "
             "file\n"},
        Case{"Ranges", INTROSPECTION "cache = \"1h\"\nrecheck = \"10ms\"\ntimeout = \"0s\"\n",
             "6: error: verifier v: cache must be from 0s to 10m\n"
             "7: error: verifier v: recheck must be from 100ms to 1h\n"
             "8: error: verifier v: timeout must be from 1ms to 1m\n"},
        Case{"WrongTypes", INTROSPECTION "cache = 10\nissuer = []\n",
             "6: error: verifier v: cache must be a duration such as \"30s\", not an integer\n"
             "7: error: verifier v: issuer must be a string, not a list\n"},
        Case{"Misspelt", INTROSPECTION "reckeck = \"30s\"\n",
             "6: error: verifier v: unknown key \"reckeck\"; did you mean \"recheck\"?\n"},
        Case{"KeysOfOthers", INTROSPECTION "audience = [\"a\"]\ncookie = \"sid\"\n",
             "6: error: verifier v: audience belongs to a verifier of type \"jwt\"; this one is "
             "of type \"introspection\"\n"
             "7: error: verifier v: cookie belongs to a verifier of type \"session\"; this one is "
             "of type \"introspection\"\n"}),
    kNameOf);

INSTANTIATE_TEST_SUITE_P(
    Session, VerifierFindings,
    testing::Values(
        Case{"Nothing", "[verifier.v]\ntype = \"session\"\n",
             "1: error: verifier v: secret_files is missing; name the files with the "
             "application's session secrets, the newest first\n"
             "1: error: verifier v: store is missing; name the application's Redis, such as "
             "\"redis://127.0.0.1:6379\"\n"},
        Case{"Cookie", SESSION "cookie = \"a b\"\n",
             "5: error: verifier v: cookie: \"a b\" is not the name of a cookie\n"},
        Case{"NoSecrets",
             "[verifier.v]\ntype = \"session\"\nsecret_files = []\nstore = "
             "\"redis://127.0.0.1\"\n",
             "3: error: verifier v: secret_files is missing; name the files with the "
             "application's session secrets, the newest first\n"},
        Case{"OneSecretTwice",
             "[verifier.v]\ntype = \"session\"\nsecret_files = [\n\"a\",\n\"a\",\n]\n"
             "store = \"redis://127.0.0.1\"\n",
             "5: error: verifier v: secret_files names \"a\" twice\n"},
        Case{"MissingSecret",
             "[verifier.v]\ntype = \"session\"\nstore = \"redis://127.0.0.1\"\nsecret_files = "
             "[\n\"good\",\n\"missing\",\n]\n",
             "6: error: verifier v: secret_files: conf/missing: cannot be opened: No such file\n"},
        Case{"SecretsAsText",
             "[verifier.v]\ntype = \"session\"\nstore = \"redis://127.0.0.1\"\nsecret_files = "
             "\"s\"\n",
             "4: error: verifier v: secret_files must be a list of strings, in brackets, not a "
             "string\n"},
        Case{"StoreOfAnotherKind",
             "[verifier.v]\ntype = \"session\"\nsecret_files = [\"s\"]\nstore = "
             "\"memcached://127.0.0.1\"\n",
             "4: error: verifier v: store: a store is "
             "redis://[user:password@]host[:port][/database]; what is not a letter or digit in "
             "the password is percent-encoded\n"},
        Case{"StoreWithTls",
             "[verifier.v]\ntype = \"session\"\nsecret_files = [\"s\"]\nstore = "
             "\"rediss://:hunter2@redis.example.com\"\n",
             "4: error: verifier v: store: TLS to Redis (rediss://) is not supported: write "
             "redis://, with a tunnel off loopback\n"},
        Case{"Pointers", SESSION "subject = \"passport.user\"\nscopes = \"/a~b\"\n",
             "5: error: verifier v: subject: a JSON pointer begins with a slash, such as "
             "/passport/user\n"
             "6: error: verifier v: scopes: in a JSON pointer ~ is written ~0, and a slash within "
             "a name ~1\n"},
        Case{"EmptyPointer", SESSION "subject = \"\"\n",
             "5: error: verifier v: subject must not be empty\n"},
        Case{"Ranges", SESSION "recheck = \"2h\"\nprefix = 1\n",
             "5: error: verifier v: recheck must be from 200ms to 1h\n"
             "6: error: verifier v: prefix must be a string, not an integer\n"},
        Case{"KeysOfOthers", SESSION "timeout = \"1s\"\nfile = \"x\"\nforward = []\n",
             "5: error: verifier v: timeout belongs to a verifier of type \"introspection\" or "
             "\"http\"; this one is of type \"session\"\n"
             "6: error: verifier v: file belongs to a verifier of type \"keys\"; this one is of "
             "type \"session\"\n"
             "7: error: verifier v: forward belongs to a verifier of type \"http\"; this one is "
             "of type \"session\"\n"}),
    kNameOf);

INSTANTIATE_TEST_SUITE_P(
    Http, VerifierFindings,
    testing::Values(
        Case{"Nothing", "[verifier.v]\ntype = \"http\"\n",
             "1: error: verifier v: url is missing; write the URL of the application that answers "
             "who somebody is\n"},
        Case{"UrlWithAUser",
             "[verifier.v]\ntype = \"http\"\nurl = \"https://user:hunter2@app.example.com/\"\n",
             "3: error: verifier v: url: the URL has user information (before the @); write a URL "
             "without it\n"},
        Case{"Forward",
             HTTP "forward = [\n\"Host\",\n\"x y\",\n\"Sec-WebSocket-Key\",\n\"Cookie\",\n"
                  "\"cookie\",\n]\n",
             "5: error: verifier v: forward: \"Host\" is about one connection and cannot be passed "
             "on\n"
             "6: error: verifier v: forward: \"x y\" is not the name of a header field\n"
             "7: error: verifier v: forward: \"Sec-WebSocket-Key\" is about one connection and "
             "cannot be passed on\n"
             "9: error: verifier v: forward names \"cookie\" twice\n"},
        Case{"NothingToForward", HTTP "forward = []\n",
             "4: error: verifier v: forward must not be empty: the application would have nothing "
             "to judge by; leave it out for \"cookie\" and \"authorization\"\n"},
        Case{"Ranges", HTTP "timeout = \"2m\"\nrecheck = \"0s\"\n",
             "4: error: verifier v: timeout must be from 1ms to 1m\n"
             "5: error: verifier v: recheck must be from 100ms to 1h\n"},
        Case{"WhatTheLibraryRefuses", HTTP "issuer = \"?\"\n",
             "1: error: verifier v: cannot be meant\n"},
        Case{"KeysOfOthers", HTTP "cache = \"1s\"\nscopes = \"/s\"\n",
             "4: error: verifier v: cache belongs to a verifier of type \"introspection\"; this "
             "one is of type \"http\"\n"
             "5: error: verifier v: scopes belongs to a verifier of type \"session\"; this one is "
             "of type \"http\"\n"}),
    kNameOf);

INSTANTIATE_TEST_SUITE_P(
    KeysAndCertificates, VerifierFindings,
    testing::Values(
        Case{"KeysWithoutAFile", "[verifier.v]\ntype = \"keys\"\n",
             "1: error: verifier v: file is missing; name the file with a line \"sha256hex "
             "subject scope,scope\" for each key\n"},
        Case{"KeysWithAMissingFile", "[verifier.v]\ntype = \"keys\"\nfile = \"missing\"\n",
             "3: error: verifier v: file: conf/missing: cannot be opened: No such file\n"},
        Case{"KeysOfAnotherType",
             "[verifier.v]\ntype = \"keys\"\nfile = \"k\"\nsecret_file = \"s\"\nfil = \"k\"\n",
             "4: error: verifier v: secret_file belongs to a verifier of type \"jwt\"; this one "
             "is of type \"keys\"\n"
             "5: error: verifier v: unknown key \"fil\"; did you mean \"file\"?\n"},
        Case{"CertificateSubject", "[verifier.v]\ntype = \"certificate\"\nsubject = \"san_url\"\n",
             "3: error: verifier v: subject must be \"san_uri\", \"san_dns\", \"san_email\" or "
             "\"cn\", not \"san_url\"; did you mean \"san_uri\"?\n"},
        Case{"CertificateWithAKeyOfAnotherType",
             "[verifier.v]\ntype = \"certificate\"\nissuer = \"i\"\n",
             "3: error: verifier v: issuer belongs to a verifier of type \"jwt\", "
             "\"introspection\" or \"http\"; this one is of type \"certificate\"\n"},
        Case{"AnonymousHasNoKeys", "[verifier.v]\ntype = \"anonymous\"\nissuer = \"i\"\n",
             "3: error: verifier v: issuer belongs to a verifier of type \"jwt\", "
             "\"introspection\" or \"http\"; this one is of type \"anonymous\"\n"}),
    kNameOf);

INSTANTIATE_TEST_SUITE_P(
    KeysFromTheNetwork, VerifierFindings,
    testing::Values(
        Case{"PlainHttpOffLoopback",
             JWT "issuer = \"i\"\njwks_url = \"http://id.example.com/jwks\"\n",
             "6: error: verifier v: jwks_url: plain http is for loopback only (127.0.0.0/8, "
             "[::1], localhost); write https://\n"},
        Case{"NoUrl", JWT "issuer = \"i\"\njwks_url = \"/etc/jwks.json\"\n",
             "6: error: verifier v: jwks_url: a URL begins with https://, or with http:// on "
             "loopback\n"},
        Case{"WrongTypes", JWT "issuer = \"i\"\njwks_url = 1\n",
             "6: error: verifier v: jwks_url must be a string, not an integer\n"},
        Case{"DiscoveryThatIsNoBoolean",
             JWT "issuer = \"https://id.example.com\"\ndiscovery = \"yes\"\n",
             "6: error: verifier v: discovery must be true or false, not a string\n"},
        Case{"DiscoveryOfAnIssuerThatIsNoUrl", JWT "issuer = \"my-idp\"\ndiscovery = true\n",
             "5: error: verifier v: issuer: discovery asks the issuer for its keys: a URL begins "
             "with https://, or with http:// on loopback\n"},
        Case{"DiscoveryOfAnIssuerWithAQuery",
             JWT "issuer = \"https://id.example.com/?t=1\"\ndiscovery = true\n",
             "5: error: verifier v: issuer: discovery asks the issuer for its keys: the issuer "
             "must have no query\n"},
        Case{"DiscoveryWithoutAnIssuer", JWT "discovery = true\n",
             "1: error: verifier v: issuer is missing; write the exact iss of the tokens\n"},
        Case{"DiscoveryOff", JWT "issuer = \"i\"\ndiscovery = false\n",
             "1: error: verifier v: has no keys; name them with one of jwks_file, jwks_url, "
             "discovery = true, secret_file and public_key_file\n"},
        Case{"TwoSources",
             JWT "issuer = \"https://id.example.com\"\njwks_url = "
                 "\"https://id.example.com/jwks\"\ndiscovery = true\n",
             "1: error: verifier v: has several key sources; keep one of jwks_file, jwks_url, "
             "discovery = true, secret_file and public_key_file\n"},
        Case{"ASecretFromAPublicPlace",
             "[verifier.v]\ntype = \"jwt\"\nissuer = \"i\"\naudience = [\"a\"]\nalgorithms = "
             "[\"HS256\"]\njwks_url = \"https://id.example.com/jwks\"\n",
             "5: error: verifier v: algorithms: \"HS256\" needs a secret, and what jwks_url finds "
             "is public; use secret_file, or leave it out\n"}),
    kNameOf);

TEST(VerifierTypes, NeverQuoteAPasswordInAFinding) {
  for (const std::string store :
       {"rediss://:hunter2@redis.example.com", "redis://:hunter2@", "redis://:hunter2@a b",
        "redis://:hunter2@127.0.0.1:99999", "redis://:hunter2@127.0.0.1/x"}) {
    const std::string findings =
        findings_of("[verifier.v]\ntype = \"session\"\nsecret_files = [\"s\"]\nstore = \"" + store +
                    "\"\n" STATIC_ROUTE);
    EXPECT_NE(findings.find("4: error: verifier v: store: "), std::string::npos) << findings;
    EXPECT_EQ(findings.find("hunter2"), std::string::npos) << findings;
  }
}

}  // namespace
}  // namespace sallyport::config
