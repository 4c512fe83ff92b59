// Every key and value that the configuration's reference names is either taken or refused as "not
// available in this version"; none is ignored, and none is called a misspelling.

#include "feature/config/config.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "feature/config/test_support.h"

namespace sallyport::config {
namespace {

// The reference's example, whole, with file names of the tests.
constexpr std::string_view kReference = R"([server]
listen = ["127.0.0.1:8080"]
insecure_plaintext = false
public_url = "https://chat.example.com"
workers = 0
trusted_proxies = ["10.0.0.0/8"]
drain = "10s"
[server.tls]
certificate = "good.crt"
key = "good.key"
client_ca = "clients.pem"
client_certificate = "none"
[server.limits]
handshake_timeout = "5s"
header_bytes = "16KiB"
pending = 10000
pending_per_address = 256
failures_per_address = "60/1m"
[admin]
listen = "127.0.0.1:9090"
token_file = "admin.token"
[store]
kind = "memory"
[log]
level = "info"
format = "json"
[verifier.main]
type = "jwt"
issuer = "https://id.example.com/"
audience = ["chat"]
algorithms = ["ES256", "RS256"]
jwks_file = "es256.jwks"
leeway = "30s"
token_types = ["JWT", "at+jwt"]
logout_token_types = ["logout+jwt"]
logout_audience = ["web"]
[[route]]
path = "/chat/:room"
handler = "hub"
verifiers = ["main"]
credentials = ["header", "subprotocol", "ticket", "first_message"]
origins = "same"
scopes = ["chat"]
claims = { tenant = "acme", role = ["admin", "staff"] }
allow_addresses = ["192.0.2.0/24"]
deny_addresses = []
reject = "auto"
close_codes = "iana"
auth_timeout = "5s"
pre_auth_bytes = "8KiB"
refresh_lead = "30s"
max_session = "12h"
connections_per_subject = 32
when_full = "evict_oldest"
message_bytes = "64KiB"
messages_per_second = 0
send_queue_bytes = "1MiB"
slow_consumer = "close"
ping_interval = "25s"
idle_timeout = "60s"
compression = false
[[route.permit]]
do = ["subscribe", "publish"]
channel = "room/{param.room}"
scopes = []
)";

TEST(Reference, IsTakenAsAWhole) {
  EXPECT_EQ(findings_of(kReference),
            "31: warning: verifier main: algorithms has several families (ECDSA, RSA) for one key "
            "source; keep what "
            "the issuer signs with\n");
  const auto config = parse_fake(kReference);
  ASSERT_TRUE(config.has_value());
  ASSERT_TRUE(config->admin.has_value());
  EXPECT_EQ(config->admin->listen, std::vector<std::string>{"127.0.0.1:9090"});
  EXPECT_EQ(config->admin->token_file, "conf/admin.token");
  EXPECT_EQ(config->routes.front().route->limits.connections_per_subject, 32U);
}

std::string after_good(std::string_view text) {
  return findings_of(std::string(kGood) + std::string(text));
}

TEST(Reference, RefusesOtherStoresByName) {
  EXPECT_EQ(after_good("[store]\nkind = \"redis\"\nurl = \"redis://127.0.0.1\"\n"),
            "12: error: [store]: not available in this version: kind = \"redis\"\n"
            "13: error: [store]: not available in this version: url\n");
}

TEST(Store, IsAFileOrMemory) {
  const auto config = parse_fake(std::string(kGood) + "[store]\nkind = \"sqlite\"\npath = \"x.db\"\nkeep = \"7d\"\n");
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->store.sqlite_file, "conf/x.db");
  EXPECT_EQ(config->app.keep_revocations, std::chrono::days(7));
  EXPECT_EQ(parse_fake(kGood)->store.sqlite_file, "");
  EXPECT_EQ(after_good("[store]\nkind = \"sqlite\"\n"),
            "12: error: [store]: path is missing; name the file that keeps revocations, such as \"sallyport.db\"\n");
  EXPECT_EQ(after_good("[store]\nkind = \"memory\"\npath = \"x.db\"\n"),
            "13: error: [store]: path belongs to kind = \"sqlite\"; in memory nothing is kept in a file\n");
  EXPECT_NE(after_good("[store]\nkind = \"sqlit\"\n").find("sqlite"), std::string::npos);
  EXPECT_NE(after_good("[store]\nkeep = \"1s\"\n").find("12: error: [store]: keep"), std::string::npos);
}

TEST(Admin, NeedsATokenAndStaysOnLoopback) {
  EXPECT_EQ(after_good("[admin]\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\ntoken_file = \"admin.token\"\n"), "");
  EXPECT_NE(after_good("[admin]\nlisten = \"127.0.0.1:1\"\n").find("11: error: [admin]: token_file is missing"),
            std::string::npos);
  EXPECT_NE(after_good("[admin]\ntoken_file = \"admin.token\"\n").find("11: error: [admin]: listen is missing"),
            std::string::npos);
  EXPECT_NE(after_good("[admin]\nlisten = \"0.0.0.0:1\"\ntoken_file = \"admin.token\"\n")
                .find("12: error: [admin]: listen: \"0.0.0.0:1\" is not a loopback address"),
            std::string::npos);
  EXPECT_NE(after_good("[admin]\nlisten = \"127.0.0.1:1\"\ntoken_file = \"none\"\n")
                .find("13: error: [admin]: conf/none: cannot be opened"),
            std::string::npos);
  EXPECT_NE(after_good("[admin]\nlisten = 9090\ntoken_file = \"admin.token\"\n").find("12: error: [admin]: listen"),
            std::string::npos);
}

TEST(RouteKeys, ForOneSubjectAndForResume) {
  const auto with = [](const std::string& lines) { return after_good(lines); };
  EXPECT_EQ(with("connections_per_subject = 0\nwhen_full = \"reject\"\n"), "");
  EXPECT_NE(with("when_full = \"evict\"\n").find("11: error: route /echo: when_full must be"), std::string::npos);
  EXPECT_EQ(with("resume = \"1m\"\n"),
            "11: error: route /echo: resume belongs to a route with handler = \"hub\"\n");
}

TEST(Reference, RefusesTheKeysOfOtherVerifierTypesByName) {
  for (const std::string key :
       {"endpoint", "client_id", "client_secret_file", "cache", "recheck", "timeout", "cookie",
        "secret_files", "store", "prefix", "subject", "scopes", "file", "url", "forward"}) {
    const std::string findings = findings_of("[verifier.v]\ntype = \"jwt\"\n" + key + " = \"x\"\n");
    EXPECT_NE(findings.find("3: error: verifier v: " + key + " belongs to a verifier of type "),
              std::string::npos)
        << findings;
  }
  for (const std::string key :
       {"issuer", "audience", "algorithms", "jwks_file", "jwks_url", "discovery", "secret_file",
        "public_key_file", "leeway", "token_types", "logout_token_types", "logout_audience"}) {
    const std::string findings =
        findings_of("[verifier.v]\ntype = \"session\"\n" + key + " = \"x\"\n");
    EXPECT_NE(findings.find("3: error: verifier v: " + key + " belongs to a verifier of type "),
              std::string::npos)
        << findings;
  }
}

TEST(Reference, RefusesTheProxyByName) {
  EXPECT_EQ(
      after_good("[[route]]\npath = \"/p\"\nhandler = \"proxy\"\nverifiers = [\"main\"]\n"
                 "upstream = \"ws://127.0.0.1:3000\"\nupstream_path = \"/\"\nidentity = \"jwt\"\n"
                 "forward_credentials = false\n"),
      "13: error: route /p: not available in this version: handler = \"proxy\"\n"
      "15: error: route /p: not available in this version: upstream\n"
      "16: error: route /p: not available in this version: upstream_path\n"
      "17: error: route /p: not available in this version: identity\n"
      "18: error: route /p: not available in this version: forward_credentials\n");
}

TEST(Reference, TakesEveryOtherWordOfItsChoices) {
  for (const std::string line :
       {"reject = \"http\"", "reject = \"close\"", "close_codes = \"44xx\"",
        "slow_consumer = \"drop_oldest\"", "credentials = [\"cookie:a\"]",
        "credentials = [\"header\", \"ticket\"]"}) {
    EXPECT_EQ(after_good(line + "\n"), "");
  }
  for (const std::string level : {"trace", "debug", "warn", "error"}) {
    EXPECT_EQ(after_good("[log]\nlevel = \"" + level + "\"\nformat = \"text\"\n"), "");
  }
}

}  // namespace
}  // namespace sallyport::config
