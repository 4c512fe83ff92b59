// Which credentials which verifiers take. The table itself is in docs/credentials.md, and is read
// from there.

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "feature/config/config.h"
#include "feature/config/test_support.h"

namespace sallyport::config {
namespace {

// Every kind of verifier, and clients that are asked for a certificate.
constexpr std::string_view kVerifiers = R"([server.tls]
certificate = "good.crt"
key = "good.key"
client_ca = "clients.pem"
client_certificate = "optional"
[verifier.jwt]
type = "jwt"
issuer = "i"
audience = ["a"]
algorithms = ["ES256"]
jwks_file = "es256.jwks"
[verifier.introspection]
type = "introspection"
endpoint = "https://id.example.com"
client_id = "c"
client_secret_file = "s"
[verifier.keys]
type = "keys"
file = "k"
[verifier.session]
type = "session"
cookie = "sid"
secret_files = ["s"]
store = "redis://127.0.0.1"
[verifier.certificate]
type = "certificate"
[verifier.http]
type = "http"
url = "https://app.example.com"
[verifier.other_session]
type = "session"
cookie = "other"
secret_files = ["s"]
store = "redis://127.0.0.1"
[verifier.http_cookies]
type = "http"
url = "https://app.example.com"
forward = ["cookie"]
[verifier.http_tokens]
type = "http"
url = "https://app.example.com"
forward = ["authorization"]
[verifier.open]
type = "anonymous"
)";

// How long logins last is another question.
constexpr std::string_view kShort = "max_session = \"1h\"\n";

// The findings about a route of such verifiers, without line numbers.
std::string route_findings(std::string_view keys, std::string_view before = kVerifiers,
                           std::string_view session = kShort) {
  std::string lines;
  const std::string all =
      findings_of(std::string(before) + "[[route]]\npath = \"/x\"\nhandler = \"echo\"\n" +
                  std::string(session) + std::string(keys));
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = all.find('\n', at);
    const std::string line = all.substr(at, end - at);
    at = end + 1;
    // Nearly all of kVerifiers.
    if (line.ends_with(": no route names it")) continue;
    lines += line.substr(line.find(": ") + 2) + "\n";
  }
  return lines;
}

// ---- the table of the documentation

constexpr std::array<std::string_view, 7> kCredentials{
    "header",     "subprotocol", "first_message",       "ticket",
    "cookie:sid", "certificate", "insecure_query:token"};

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  for (std::size_t at = 1; at < line.size();) {
    const std::size_t end = line.find('|', at);
    if (end == std::string::npos) break;
    std::string cell = line.substr(at, end - at);
    cell.erase(0, cell.find_first_not_of(' '));
    cell.erase(cell.find_last_not_of(' ') + 1);
    cells.push_back(cell);
    at = end + 1;
  }
  return cells;
}

// Verifier type -> a cell for each of kCredentials.
std::map<std::string, std::vector<std::string>> documented() {
  std::ifstream file(std::string(SALLYPORT_SOURCE_DIR) + "/docs/credentials.md");
  std::map<std::string, std::vector<std::string>> table;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) inside = line == "## Which verifier takes which";
    if (!inside || !line.starts_with("| `")) continue;
    std::vector<std::string> cells = cells_of(line);
    std::string type = cells.front().substr(1, cells.front().size() - 2);
    cells.erase(cells.begin());
    table[type] = std::move(cells);
  }
  return table;
}

TEST(Matrix, IsTheTableOfTheDocumentation) {
  const auto table = documented();
  EXPECT_EQ(table.size(), 6U);
  for (const auto& [type, cells] : table) {
    ASSERT_EQ(cells.size(), kCredentials.size()) << type;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string findings =
          route_findings("verifiers = [\"" + type + "\"]\ncredentials = [\"" +
                         std::string(kCredentials[i]) + "\"]\n");
      const bool taken = findings.find("error: ") == std::string::npos;
      EXPECT_EQ(taken, cells[i].starts_with("yes")) << type << " and " << kCredentials[i] << "\n"
                                                    << findings;
    }
  }
}

TEST(Matrix, SaysWhatToAddForAVerifierThatTakesNothing) {
  const auto of = [](const std::string& type, const std::string& credential) {
    const std::string findings =
        route_findings("verifiers = [\"" + type + "\"]\ncredentials = [\"" + credential + "\"]\n");
    return findings.substr(0, findings.find('\n'));
  };
  const auto text = [](const std::string& type, const std::string& hint) {
    return "error: route /x: verifier \"" + type + "\" of type \"" + type +
           "\" takes none of the route's credentials; " + hint;
  };
  EXPECT_EQ(of("jwt", "certificate"),
            text("jwt", "add one that carries a token, such as \"header\""));
  EXPECT_EQ(of("session", "header"), text("session", "add \"cookie:sid\" to credentials"));
  EXPECT_EQ(of("session", "ticket"), text("session", "add \"cookie:sid\" to credentials"));
  EXPECT_EQ(of("certificate", "header"), text("certificate", "add \"certificate\" to credentials"));
  EXPECT_EQ(of("http", "certificate"),
            text("http", "add one that carries a token, such as \"header\""));
}

TEST(Matrix, HoldsForTheDefaultCredentialsToo) {
  EXPECT_EQ(route_findings("verifiers = [\"jwt\"]\n"), "");
  EXPECT_EQ(route_findings("verifiers = [\"session\"]\n"),
            "error: route /x: verifier \"session\" of type \"session\" takes none of the route's "
            "credentials; add \"cookie:sid\" to credentials\n");
  EXPECT_EQ(route_findings("verifiers = [\"jwt\", \"certificate\"]\n"),
            "error: route /x: verifier \"certificate\" of type \"certificate\" takes none of the "
            "route's credentials; add \"certificate\" to credentials\n");
}

TEST(Matrix, NamesCredentialsThatNoVerifierTakes) {
  EXPECT_EQ(route_findings("verifiers = [\"session\"]\n"
                           "credentials = [\"cookie:sid\", \"header\", \"certificate\"]\n"),
            "error: route /x: credentials: none of the route's verifiers takes \"header\"; leave "
            "it out, or list a verifier that does, such as one of type \"jwt\"\n"
            "error: route /x: credentials: none of the route's verifiers takes \"certificate\"; "
            "leave it out, or list a verifier that does, such as one of type \"certificate\"\n");
  // Each by one of the verifiers is enough.
  EXPECT_EQ(route_findings("verifiers = [\"session\", \"jwt\", \"certificate\"]\n"
                           "credentials = [\"cookie:sid\", \"header\", \"certificate\", "
                           "\"ticket\", \"first_message\"]\n"),
            "");
}

TEST(Matrix, IsSilentAboutWhatAVerifierAtFaultMightTake) {
  EXPECT_EQ(route_findings("verifiers = [\"session\", \"later\"]\n"
                           "credentials = [\"cookie:sid\", \"header\"]\n"),
            "error: route /x: verifier \"later\" is not defined; define it as [verifier.later]\n");
}

TEST(Matrix, HasOneCookieForARoute) {
  EXPECT_EQ(route_findings("verifiers = [\"session\"]\ncredentials = [\"cookie:connect.sid\"]\n"),
            "error: route /x: credentials: verifier \"session\" reads the cookie \"sid\"; write "
            "\"cookie:sid\", not \"cookie:connect.sid\"\n");
  EXPECT_EQ(route_findings("verifiers = [\"session\", \"other_session\"]\n"
                           "credentials = [\"cookie:sid\"]\n"),
            "error: route /x: verifiers \"session\" and \"other_session\" read different cookies "
            "(\"sid\" and \"other\"), and a route takes one; give each a route of its own\n");
  // A session and a token in one cookie are told apart by their form.
  EXPECT_EQ(route_findings("verifiers = [\"session\", \"jwt\"]\ncredentials = [\"cookie:sid\"]\n"),
            "");
}

TEST(Matrix, LetsHttpTakeWhatItForwards) {
  EXPECT_EQ(route_findings("verifiers = [\"http_cookies\"]\ncredentials = [\"cookie:a\"]\n"), "");
  EXPECT_EQ(route_findings("verifiers = [\"http_tokens\"]\ncredentials = [\"first_message\"]\n"),
            "");
  EXPECT_EQ(route_findings("verifiers = [\"http_tokens\"]\ncredentials = [\"cookie:a\"]\n"),
            "error: route /x: verifier \"http_tokens\" of type \"http\" takes none of the route's "
            "credentials; add \"cookie\" to its forward\n"
            "error: route /x: credentials: none of the route's verifiers takes \"cookie:a\"; leave "
            "it out, or list a verifier that does, such as one of type \"jwt\"\n");
  EXPECT_EQ(route_findings("verifiers = [\"http_cookies\"]\n"),
            "error: route /x: verifier \"http_cookies\" of type \"http\" takes none of the route's "
            "credentials; add \"authorization\" to its forward\n");
}

TEST(Matrix, TakesTicketsWhereTheyCanBeHad) {
  // The endpoint takes a header whatever the route itself takes.
  EXPECT_EQ(route_findings("verifiers = [\"jwt\"]\ncredentials = [\"ticket\"]\n"), "");
  EXPECT_EQ(
      route_findings("verifiers = [\"session\"]\ncredentials = [\"ticket\", \"cookie:sid\"]\n"),
      "");
  EXPECT_EQ(route_findings(
                "verifiers = [\"certificate\"]\ncredentials = [\"ticket\", \"certificate\"]\n"),
            "");
  EXPECT_EQ(route_findings("verifiers = [\"jwt\"]\n"
                           "credentials = [\"ticket\", \"insecure_query:ticket\"]\n"),
            "error: route /x: credentials: the parameter \"ticket\" is that of one-time tickets; "
            "take another name for \"insecure_query:NAME\"\n"
            "warning: route /x: insecure_query: tokens in the URL end up in access logs, histories "
            "and Referer headers\n");
}

TEST(Matrix, NeedsClientsThatAreAskedForTheirCertificate) {
  constexpr std::string_view kCertificate = "[verifier.c]\ntype = \"certificate\"\n";
  const std::string route = "verifiers = [\"c\"]\ncredentials = [\"certificate\"]\n";
  const std::string unasked =
      "error: route /x: credentials: no client is asked for a certificate; write client_ca, and "
      "client_certificate = \"optional\" or \"required\", under [server.tls]\n";
  EXPECT_EQ(route_findings(route, kCertificate), unasked);
  const std::string tls =
      std::string(kCertificate) + "[server.tls]\ncertificate = \"good.crt\"\nkey = \"good.key\"\n";
  EXPECT_EQ(route_findings(route, tls), unasked);
  EXPECT_EQ(route_findings(route, tls + "client_certificate = \"none\"\n"), unasked);
  EXPECT_EQ(route_findings(
                route, tls + "client_certificate = \"required\"\nclient_ca = \"clients.pem\"\n"),
            "");
}

TEST(Matrix, LetsNobodyInWithoutSayingInsecure) {
  EXPECT_EQ(route_findings("verifiers = [\"open\"]\n"),
            "error: route /x: verifier \"open\" lets everybody in; if that is meant, write "
            "insecure_anonymous = true and list no other\n");
  EXPECT_EQ(route_findings("verifiers = [\"jwt\", \"open\"]\n"),
            "error: route /x: verifier \"open\" lets everybody in; if that is meant, write "
            "insecure_anonymous = true and list no other\n");
  EXPECT_EQ(route_findings("verifiers = [\"open\"]\ninsecure_anonymous = true\n"),
            "warning: route /x: insecure_anonymous: everybody may connect\n");
  EXPECT_EQ(route_findings("verifiers = [\"open\", \"jwt\"]\ninsecure_anonymous = true\n"),
            "error: route /x: insecure_anonymous next to verifiers: whoever fails these would get "
            "in without; keep one\n"
            "warning: route /x: insecure_anonymous: everybody may connect\n");
  EXPECT_EQ(route_findings("insecure_anonymous = true\ncredentials = [\"header\"]\n"),
            "warning: route /x: insecure_anonymous: everybody may connect\n"
            "error: route /x: credentials on a route with insecure_anonymous = true: nobody is "
            "asked for one there; leave it out\n");
}

TEST(Matrix, MakesAnAnonymousRouteOfAnAnonymousVerifier) {
  const auto config = parse_fake(std::string(kVerifiers) +
                                 "[[route]]\npath = \"/x\"\nhandler = \"echo\"\nverifiers = "
                                 "[\"open\"]\ninsecure_anonymous = true\n");
  ASSERT_TRUE(config);
  const auto& route = config->routes.at(0).route;
  ASSERT_TRUE(route);
  ASSERT_EQ(route->auth.verifier.backends().size(), 1U);
  EXPECT_TRUE(route->auth.verifier.backends().front()->anonymous());
}

// ---- what a browser sends by itself

TEST(Ambient, CredentialsMakeInsecureAnyWorse) {
  const auto warned = [](const std::string& keys) {
    return route_findings(keys + "origins = \"insecure_any\"\n");
  };
  EXPECT_EQ(warned("verifiers = [\"certificate\"]\ncredentials = [\"certificate\"]\n"),
            "warning: route /x: insecure_any with a client certificate: any page that a user "
            "visits can open a socket in that user's name\n");
  EXPECT_EQ(warned("verifiers = [\"session\"]\ncredentials = [\"cookie:sid\"]\n"),
            "warning: route /x: insecure_any with a cookie: any page that a user visits can open a "
            "socket in that user's name\n");
  EXPECT_EQ(warned("verifiers = [\"http\"]\ncredentials = [\"first_message\"]\n"),
            "warning: route /x: insecure_any with verifier \"http\", which is shown the cookies: "
            "any page that a user visits can open a socket in that user's name\n");
  EXPECT_EQ(warned("verifiers = [\"http_tokens\"]\n"),
            "warning: route /x: insecure_any: pages of any site may open a socket\n");
}

// ---- how long a login lasts that has ended elsewhere

std::string long_login(const std::string& keys) {
  return route_findings(keys, kVerifiers, {});
}

TEST(LongLogins, AreWarnedOfForApiKeys) {
  EXPECT_EQ(long_login("verifiers = [\"jwt\", \"keys\"]\n"),
            "warning: route /x: verifier \"keys\": API keys do not expire, so a connection "
            "lasts until max_session (12h); write max_session = \"1h\" or less\n");
  EXPECT_EQ(long_login("verifiers = [\"keys\"]\nmax_session = \"61m\"\n"),
            "warning: route /x: verifier \"keys\": API keys do not expire, so a connection "
            "lasts until max_session (61m); write max_session = \"1h\" or less\n");
  EXPECT_EQ(long_login("verifiers = [\"keys\"]\nmax_session = \"1h\"\n"), "");
}

TEST(LongLogins, AreWarnedOfWhereTheyAreAskedForAndNobodyAsksAgain) {
  EXPECT_EQ(long_login("verifiers = [\"jwt\"]\nmax_session = \"1d\"\n"),
            "warning: route /x: max_session is 1d, and verifier \"jwt\" never asks again: a "
            "login that has ended elsewhere goes on here as long as its credential; keep those to "
            "an hour, or use a verifier that asks\n");
  EXPECT_EQ(long_login("verifiers = [\"jwt\"]\nmax_session = \"12h\"\n"), "");
  EXPECT_EQ(long_login("verifiers = [\"introspection\"]\nmax_session = \"30d\"\n"), "");
  EXPECT_EQ(long_login("verifiers = [\"http\"]\nmax_session = \"30d\"\n"), "");
  EXPECT_NE(long_login("verifiers = [\"introspection\", \"jwt\"]\nmax_session = \"30d\"\n"), "");
}

TEST(LongLogins, AreWarnedOfOnceForARoute) {
  EXPECT_EQ(long_login("verifiers = [\"jwt\", \"keys\"]\nmax_session = \"30d\"\n"),
            "warning: route /x: verifier \"keys\": API keys do not expire, so a connection "
            "lasts until max_session (30d); write max_session = \"1h\" or less\n");
}

}  // namespace
}  // namespace sallyport::config
