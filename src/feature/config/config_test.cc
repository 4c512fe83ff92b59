#include "feature/config/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "feature/config/test_support.h"

namespace sallyport::config {
namespace {

using namespace std::chrono_literals;
using namespace sallyport::literals;

Config good(std::string_view text) {
  auto config = parse_fake(text);
  EXPECT_TRUE(config) << findings_of(text);
  return config ? std::move(*config) : Config{};
}

const Route& route_of(const Config& config, std::size_t index) {
  const std::optional<Route>& route = config.routes.at(index).route;
  if (!route) throw std::logic_error("a static route");
  return *route;
}

// The route of `kGood` with further keys.
Route route_with(std::string_view keys) {
  const Config config = good(std::string(kGood) + std::string(keys));
  return route_of(config, 0);
}

TEST(Configuration, HasTheLibrarysDefaults) {
  const Config config = good(kGood);
  EXPECT_EQ(config.run.listen, std::vector<std::string>{"127.0.0.1:8080"});
  EXPECT_EQ(config.run.workers, 0U);
  EXPECT_EQ(config.run.drain, 10s);
  EXPECT_FALSE(config.app.insecure_plaintext);
  EXPECT_FALSE(config.app.tls);
  EXPECT_EQ(config.app.limits.header_bytes, 16_KiB);
  EXPECT_EQ(config.log.level, LogLevel::kInfo);
  EXPECT_EQ(config.log.format, LogFormat::kJson);
  ASSERT_EQ(config.routes.size(), 1U);
  const Route& route = route_of(config, 0);
  EXPECT_EQ(route.origins.kind, Origins::Kind::kSame);
  EXPECT_TRUE(route.auth.from.contains(CredentialKind::kHeader));
  EXPECT_TRUE(route.auth.from.contains(CredentialKind::kSubprotocol));
  EXPECT_TRUE(route.auth.from.contains(CredentialKind::kFirstMessage));
  EXPECT_FALSE(route.auth.from.contains(CredentialKind::kInsecureQuery));
  EXPECT_FALSE(route.allow_addresses);
  EXPECT_FALSE(route.compression);
  EXPECT_TRUE(config.warnings.empty());
}

TEST(Configuration, MapsTheServersKeys) {
  const Config config = good(R"([server]
listen = ["0.0.0.0:8443", "[::1]:0"]
public_url = "https://chat.example.com"
workers = 3
drain = "2s"
trusted_proxies = ["10.0.0.0/8", "2001:db8::1"]
[server.tls]
certificate = "good.crt"
key = "good.key"
client_ca = "clients.pem"
client_certificate = "optional"
[server.limits]
handshake_timeout = "1s"
header_bytes = "8KiB"
pending = 100
pending_per_address = 10
failures_per_address = "5/10s"
[log]
level = "trace"
format = "text"
[store]
kind = "memory"
)" + std::string(kGood));
  EXPECT_EQ(config.run.listen, (std::vector<std::string>{"0.0.0.0:8443", "[::1]:0"}));
  EXPECT_EQ(config.run.workers, 3U);
  EXPECT_EQ(config.run.drain, 2s);
  EXPECT_EQ(config.app.public_url, "https://chat.example.com");
  ASSERT_TRUE(config.app.tls);
  const Tls tls = config.app.tls.value_or(Tls{});
  EXPECT_EQ(tls.certificate_file, "conf/good.crt");
  EXPECT_EQ(tls.key_file, "conf/good.key");
  EXPECT_EQ(tls.client_ca_file, "conf/clients.pem");
  EXPECT_EQ(tls.client_certificate, ClientCertificate::kOptional);
  EXPECT_EQ(config.app.trusted_proxies, (std::vector<std::string>{"10.0.0.0/8", "2001:db8::1"}));
  EXPECT_EQ(config.app.limits.handshake_timeout, 1s);
  EXPECT_EQ(config.app.limits.header_bytes, 8_KiB);
  EXPECT_EQ(config.app.limits.pending, 100U);
  EXPECT_EQ(config.app.limits.pending_per_address, 10U);
  EXPECT_EQ(config.app.limits.failures_per_address.count, 5U);
  EXPECT_EQ(config.app.limits.failures_per_address.within, 10s);
  EXPECT_EQ(config.log.level, LogLevel::kTrace);
  EXPECT_EQ(config.log.format, LogFormat::kText);
  EXPECT_TRUE(config.warnings.empty()) << to_string(config.warnings.front());
}

TEST(Configuration, MapsAVerifiersKeys) {
  const Config config = good(R"([verifier.hs]
type = "jwt"
issuer = "https://hs.example.com/"
audience = ["a", "b"]
algorithms = ["HS256", "HS512"]
secret_file = "long.secret"
leeway = "5s"
token_types = ["JWT"]
logout_token_types = ["logout+jwt", "JWT"]
logout_audience = ["web"]
)" + std::string(kGood));
  ASSERT_EQ(config.verifiers.size(), 2U);
  const VerifierEntry& hs = config.verifiers[0];
  EXPECT_EQ(hs.name, "hs");
  EXPECT_EQ(hs.line, 1);
  EXPECT_EQ(hs.jwt->issuer, "https://hs.example.com/");
  EXPECT_EQ(hs.jwt->audience, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(hs.jwt->algorithms, (std::vector<std::string>{"HS256", "HS512"}));
  EXPECT_EQ(hs.jwt->leeway, 5s);
  EXPECT_EQ(hs.jwt->token_types, std::vector<std::string>{"JWT"});
  EXPECT_EQ(hs.jwt->logout_token_types, (std::vector<std::string>{"logout+jwt", "JWT"}));
  EXPECT_EQ(hs.jwt->logout_audience, std::vector<std::string>{"web"});
  EXPECT_EQ(config.verifiers[1].jwt->logout_token_types, std::vector<std::string>{"logout+jwt"});
  EXPECT_EQ(config.verifiers[1].jwt->leeway, 30s);
  EXPECT_EQ(config.verifiers[1].verifier.backends().front()->name(), "main");
}

TEST(Configuration, MapsARoutesLimits) {
  const Route route = route_with(R"(auth_timeout = "2s"
pre_auth_bytes = "4KiB"
refresh_lead = "7s"
max_session = "1h"
message_bytes = "1KiB"
messages_per_second = 20
send_queue_bytes = "2MiB"
slow_consumer = "drop_oldest"
ping_interval = "10s"
idle_timeout = "21s"
compression = true
)");
  EXPECT_EQ(route.auth.timeout, 2s);
  EXPECT_EQ(route.auth.pre_auth_bytes, 4_KiB);
  EXPECT_EQ(route.auth.refresh_lead, 7s);
  EXPECT_EQ(route.auth.max_session, 1h);
  EXPECT_EQ(route.limits.message_bytes, 1_KiB);
  EXPECT_EQ(route.limits.messages_per_second, 20U);
  EXPECT_EQ(route.limits.send_queue_bytes, 2_MiB);
  EXPECT_EQ(route.limits.slow_consumer, SlowConsumer::kDropOldest);
  EXPECT_EQ(route.limits.ping_interval, 10s);
  EXPECT_EQ(route.limits.idle_timeout, 21s);
  EXPECT_TRUE(route.compression);
}

TEST(Configuration, MapsARoutesRules) {
  const Route route =
      route_with(R"(credentials = ["header", "cookie:session", "insecure_query:access_token"]
origins = ["https://app.example.com", "https://*.example.com"]
scopes = ["chat", "read"]
claims = { tenant = "acme", role = ["admin", "staff"] }
allow_addresses = ["192.0.2.0/24", "::1"]
deny_addresses = ["192.0.2.7"]
reject = "close"
close_codes = "44xx"
)");
  EXPECT_TRUE(route.auth.from.contains(CredentialKind::kHeader));
  EXPECT_FALSE(route.auth.from.contains(CredentialKind::kSubprotocol));
  EXPECT_FALSE(route.auth.from.contains(CredentialKind::kFirstMessage));
  EXPECT_EQ(route.auth.from.cookie_name(), "session");
  EXPECT_EQ(route.auth.from.query_name(), "access_token");
  EXPECT_EQ(route.origins.kind, Origins::Kind::kList);
  EXPECT_EQ(route.origins.list,
            (std::vector<std::string>{"https://app.example.com", "https://*.example.com"}));
  EXPECT_EQ(route.scopes, (std::vector<std::string>{"chat", "read"}));
  EXPECT_EQ(route.claims.at("tenant"), std::vector<std::string>{"acme"});
  EXPECT_EQ(route.claims.at("role"), (std::vector<std::string>{"admin", "staff"}));
  EXPECT_EQ(route.allow_addresses, (std::vector<std::string>{"192.0.2.0/24", "::1"}));
  EXPECT_EQ(route.deny_addresses, std::vector<std::string>{"192.0.2.7"});
  EXPECT_EQ(route.reject, Reject::kClose);
  EXPECT_EQ(route.close_codes, CloseCodes::k44xx);
}

TEST(Configuration, TakesAnEmptyAllowListAsNobody) {
  const Route route = route_with("allow_addresses = []\n");
  EXPECT_EQ(route.allow_addresses, std::vector<std::string>{});
}

TEST(Configuration, TakesAnEmptyListOfOriginsAsNoBrowser) {
  const Route route = route_with("origins = []\n");
  EXPECT_EQ(route.origins.kind, Origins::Kind::kList);
  EXPECT_TRUE(route.origins.list.empty());
}

TEST(Configuration, MapsAHubAndItsPermits) {
  const Config config = good(std::string(kGood) + R"([[route]]
path = "/chat/:room"
handler = "hub"
verifiers = ["main"]
[[route.permit]]
do = ["subscribe"]
channel = "room/{param.room}"
[[route.permit]]
do = ["publish", "subscribe"]
channel = "user/{sub}/*"
scopes = ["write"]
)");
  ASSERT_EQ(config.routes.size(), 2U);
  EXPECT_EQ(config.routes[1].handler, Handler::kHub);
  EXPECT_EQ(config.routes[1].line, 11);
  const std::vector<Permit>& permits = route_of(config, 1).permit;
  ASSERT_EQ(permits.size(), 2U);
  EXPECT_TRUE(permits[0].subscribe);
  EXPECT_FALSE(permits[0].publish);
  EXPECT_EQ(permits[0].channel, "room/{param.room}");
  EXPECT_TRUE(permits[1].publish);
  EXPECT_EQ(permits[1].scopes, std::vector<std::string>{"write"});
}

TEST(Configuration, MapsAStaticRouteWithItsFolderBesideTheFile) {
  const Config config = good(R"([[route]]
path = "/*"
handler = "static"
root = "site"
[[route]]
path = "/other/*"
handler = "static"
root = "/srv/site"
)");
  ASSERT_EQ(config.routes.size(), 2U);
  EXPECT_EQ(config.routes[0].root, "conf/site");
  EXPECT_EQ(config.routes[1].root, "/srv/site");
  EXPECT_FALSE(config.routes[0].route);
}

TEST(Configuration, TakesAStaticAndAWebSocketRouteOfOnePath) {
  const Config config = good(std::string(kGood) + R"([[route]]
path = "/both/*"
handler = "echo"
verifiers = ["main"]
[[route]]
path = "/both"
handler = "static"
root = "site"
)");
  EXPECT_EQ(config.routes.size(), 3U);
}

TEST(Configuration, KeepsSeveralVerifiersInTheRoutesOrder) {
  const Config config = good(R"([verifier.b]
type = "jwt"
issuer = "https://b.example.com/"
audience = ["x"]
algorithms = ["RS256"]
jwks_file = "rs256.jwks"
[[route]]
path = "/both"
handler = "echo"
verifiers = ["main", "b"]
)" + std::string(kGood));
  const auto& backends = route_of(config, 0).auth.verifier.backends();
  ASSERT_EQ(backends.size(), 2U);
  EXPECT_EQ(backends[0]->name(), "main");
  EXPECT_EQ(backends[1]->name(), "b");
}

TEST(Configuration, InstallsItsRoutes) {
  const Config config = good(kGood);
  App app;
  install(config, app);
  // The path is taken now.
  EXPECT_THROW(install(config, app), std::invalid_argument);
}

// ---- real files

class ConfigurationFile : public testing::Test {
 protected:
  ConfigurationFile() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "sallyport-config-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~ConfigurationFile() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, std::string_view text) const {
    const std::string path = (folder_ / name).string();
    std::ofstream(path) << text;
    return path;
  }
  // The file's findings without its folder's name.
  std::string load_findings(std::string_view text) const {
    const auto config = load(write("s.toml", text), {});
    std::string lines;
    for (const Finding& finding : config ? config->warnings : config.error()) {
      lines += to_string(finding) + "\n";
    }
    const std::string prefix = folder_.string() + "/";
    for (std::size_t at = lines.find(prefix); at != std::string::npos; at = lines.find(prefix)) {
      lines.erase(at, prefix.size());
    }
    return lines;
  }
  std::string testdata(const std::string& name) const {
    return std::string(SALLYPORT_SOURCE_DIR) + "/src/feature/config/testdata/" + name;
  }
  void copy(const std::string& name) const {
    std::filesystem::copy_file(testdata(name), folder_ / name);
  }

  std::filesystem::path folder_;
};

TEST_F(ConfigurationFile, IsReportedIfItCannotBeRead) {
  const auto missing = load((folder_ / "none.toml").string(), {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(
      to_string(missing.error().at(0)),
      (folder_ / "none.toml").string() + ":1: error: cannot be opened: No such file or directory");
  ASSERT_FALSE(load(folder_.string(), {}));
}

TEST_F(ConfigurationFile, FindsItsKeysBesideItself) {
  write("es256.jwks",
        jose::export_jwks(std::array{jose::generate_key(jose::Algorithm::kEs256, "k").value()})
            .value());
  EXPECT_EQ(load_findings(kGood), "");
}

TEST_F(ConfigurationFile, FindsPublicKeysAndSecrets) {
  write("key.pem",
        jose::export_public_pem(jose::generate_key(jose::Algorithm::kEs256).value()).value());
  write("hmac", std::string(32, 'k') + "\n");
  EXPECT_EQ(load_findings(R"([verifier.a]
type = "jwt"
issuer = "a"
audience = ["x"]
algorithms = ["ES256"]
public_key_file = "key.pem"
[verifier.b]
type = "jwt"
issuer = "b"
audience = ["x"]
algorithms = ["HS256"]
secret_file = "hmac"
[[route]]
path = "/"
handler = "echo"
verifiers = ["a", "b"]
)"),
            "");
}

TEST_F(ConfigurationFile, ReportsKeysThatAreMissingOrNotKeys) {
  write("bad.jwks", "{}");
  const std::string findings = load_findings(R"([verifier.a]
type = "jwt"
issuer = "a"
audience = ["x"]
algorithms = ["ES256"]
jwks_file = "none.jwks"
[verifier.b]
type = "jwt"
issuer = "b"
audience = ["x"]
algorithms = ["ES256"]
jwks_file = "bad.jwks"
)");
  EXPECT_NE(findings.find("s.toml:6: error: verifier a: jwks_file: none.jwks: cannot be opened: "
                          "No such file or directory\n"),
            std::string::npos)
      << findings;
  EXPECT_NE(findings.find("s.toml:12: error: verifier b: jwks_file: bad.jwks: "), std::string::npos)
      << findings;
}

TEST_F(ConfigurationFile, SaysWhichKeyReadsAPemAndWhichAJwkSet) {
  write("key.pem",
        jose::export_public_pem(jose::generate_key(jose::Algorithm::kEs256).value()).value());
  write("keys.json", R"({"keys":[]})");
  const std::string verifier =
      "[verifier.a]\ntype = \"jwt\"\nissuer = \"a\"\naudience = [\"x\"]\nalgorithms = "
      "[\"ES256\"]\n";
  EXPECT_NE(load_findings(verifier + "jwks_file = \"key.pem\"\n")
                .find("a public key in PEM is read with public_key_file"),
            std::string::npos);
  EXPECT_NE(load_findings(verifier + "public_key_file = \"keys.json\"\n")
                .find("a JWK Set is read with jwks_file"),
            std::string::npos);
}

TEST(Configuration, IsNoFolder) {
  const auto config = load("/", {});
  ASSERT_FALSE(config);
  EXPECT_EQ(to_string(config.error().front()), "/:1: error: is a folder, not a file");
}

TEST_F(ConfigurationFile, TakesACertificateWithItsKeyOnly) {
  for (const char* name : {"server.crt", "server.key", "other.key"}) copy(name);
  const std::string head = "[server.tls]\ncertificate = \"server.crt\"\nkey = ";
  const std::string tail = "\n[[route]]\npath = \"/*\"\nhandler = \"static\"\nroot = \".\"\n";
  EXPECT_EQ(load_findings(head + "\"server.key\"" + tail), "");
  const std::string other = load_findings(head + "\"other.key\"" + tail);
  EXPECT_TRUE(other.starts_with("s.toml:3: error: [server.tls]: other.key: ")) << other;
  const std::string missing = load_findings(head + "\"none.key\"" + tail);
  EXPECT_TRUE(missing.starts_with("s.toml:3: error: [server.tls]: none.key: ")) << missing;
}

TEST_F(ConfigurationFile, TakesAnAuthorityOfClientsThatIsPem) {
  for (const char* name : {"server.crt", "server.key"}) copy(name);
  write("no.pem", "not a certificate\n");
  const std::string head =
      "[server.tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\nclient_certificate = "
      "\"required\"\nclient_ca = ";
  const std::string tail = "\n[[route]]\npath = \"/*\"\nhandler = \"static\"\nroot = \".\"\n";
  EXPECT_EQ(load_findings(head + "\"server.crt\"" + tail), "");
  for (const std::string name : {"no.pem", "none.pem"}) {
    const std::string findings = load_findings(head + "\"" + name + "\"" + tail);
    EXPECT_TRUE(findings.starts_with("s.toml:5: error: [server.tls]: " + name + ": ")) << findings;
  }
}

TEST_F(ConfigurationFile, NamesAStaticRoutesFolderThatIsMissing) {
  EXPECT_EQ(load_findings("[[route]]\npath = \"/*\"\nhandler = \"static\"\nroot = \"none\"\n"),
            "s.toml:4: error: route /*: root \"none\" is not a folder that can be read\n");
}

}  // namespace
}  // namespace sallyport::config
