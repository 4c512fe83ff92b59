// Routes with a `jwt` verifier: where its keys come from, and how a credential may come.

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "core/base/base64url.h"
#include "core/jose/jws.h"
#include "core/jose/mint.h"
#include "io/test_certificate.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

struct KeyPair {
  jose::Key key;
  std::string public_pem;
  std::string jwks;
  [[nodiscard]] std::string token(const TokenSpec& spec = {}) const {
    return *jose::sign_compact(claims_of(spec), key, jose::Algorithm::kEs256);
  }
};

const KeyPair& es256() {
  static const KeyPair pair = [] {
    jose::Key key = *jose::generate_key(jose::Algorithm::kEs256, "k1");
    const std::array<jose::Key, 1> keys{key};
    return KeyPair{key, *jose::export_public_pem(key), *jose::export_jwks(keys)};
  }();
  return pair;
}

JwtOptions es256_options(Keys keys) {
  return {.issuer = std::string(kIssuer), .audience = {}, .algorithms = {"ES256"}, .keys = std::move(keys)};
}

// An app with one route, "/echo", that answers with the subject and what was said.
class JwtRouteTest : public ::testing::TestWithParam<bool> {
 protected:
  JwtRouteTest() : server(GetParam() ? AppOptions{.tls = localhost_tls(), .log = log.sink()}
                                     : AppOptions{.log = log.sink()}) {}

  void serve(Verifier verifier, CredentialSet from = header | subprotocol | first_message) {
    server.app.ws("/echo", {.auth = {.verifier = std::move(verifier), .from = std::move(from)},
                            .on_message = [](Connection& c, Message m) {
                              c.send(c.principal().subject.str() + ": " + std::string(m.data));
                            }});
    server.start();
  }
  [[nodiscard]] Client client() const { return Client(server.port(), {.tls = GetParam()}); }
  void expect_echo(const Fields& fields) {
    Client c = client();
    ASSERT_EQ(c.upgrade("/echo", fields).status, 101);
    c.send("hello");
    EXPECT_EQ(c.hear_text(), "ada: hello");
    c.send_close();
    EXPECT_EQ(c.hear_close(), 1000);
  }

  Log log;
  Server server;
};

INSTANTIATE_TEST_SUITE_P(Transports, JwtRouteTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

TEST_P(JwtRouteTest, TakesASecretFromAFileWithoutItsNewline) {
  const io::test::TempFolder folder;
  serve(jwt({.issuer = std::string(kIssuer),
             .audience = {},
             .algorithms = {"HS256"},
             .keys = secret_file(folder.write("secret", std::string(kSecret) + "\n"))}));
  expect_echo(bearer(token()));
}

TEST_P(JwtRouteTest, TakesASecretAsText) {
  serve(secret_verifier());
  expect_echo(bearer(token()));
}

TEST_P(JwtRouteTest, TakesAPublicKeyFromAFile) {
  const io::test::TempFolder folder;
  serve(jwt(es256_options(public_key_file(folder.write("key.pem", es256().public_pem)))));
  expect_echo(bearer(es256().token()));
}

TEST_P(JwtRouteTest, TakesAPublicKeyAsText) {
  serve(jwt(es256_options(public_key_text(es256().public_pem))));
  expect_echo(bearer(es256().token()));
}

TEST_P(JwtRouteTest, TakesAKeySetFromAFile) {
  const io::test::TempFolder folder;
  serve(jwt(es256_options(jwks_file(folder.write("jwks.json", es256().jwks)))));
  expect_echo(bearer(es256().token()));
}

TEST_P(JwtRouteTest, TakesAKeySetAsText) {
  serve(jwt(es256_options(jwks_text(es256().jwks))));
  expect_echo(bearer(es256().token()));
}

TEST_P(JwtRouteTest, TakesTheTokenFromTheSubprotocolAndNeverEchoesIt) {
  serve(secret_verifier());
  Client c = client();
  const Reply reply = c.upgrade("/echo", {{"Sec-WebSocket-Protocol", "sallyport.v1, bearer." + token()}});
  ASSERT_EQ(reply.status, 101);
  EXPECT_EQ(reply.field("Sec-WebSocket-Protocol"), "sallyport.v1");
  EXPECT_TRUE(c.hear_text().starts_with(R"({"type":"ready")"));
  c.send("hello");
  EXPECT_EQ(c.hear_text(), "ada: hello");
}

TEST_P(JwtRouteTest, TakesTheTokenAsFirstMessageAndDeliversOnlyWhatFollows) {
  serve(secret_verifier());
  Client c = client();
  ASSERT_EQ(c.upgrade("/echo").status, 101);
  EXPECT_EQ(server.app.connections(), 0U);
  c.send_raw(Client::frame(R"({"type":"auth","token":")" + token() + "\"}") + Client::frame("hello"));
  EXPECT_TRUE(c.hear_text().starts_with(R"({"type":"ready")"));
  EXPECT_EQ(c.hear_text(), "ada: hello");
  EXPECT_EQ(server.app.connections(), 1U);
}

TEST_P(JwtRouteTest, RefusesWhatIsNotAValidTokenAndLogsNoPartOfIt) {
  serve(secret_verifier(), header);
  const std::string good = token();
  const std::string forged = good.substr(0, good.size() - 6) + (good.ends_with("AAAAAA") ? "BBBBBB" : "AAAAAA");
  const struct {
    std::string presented;
    std::string_view reason;
  } cases[] = {
      {forged, "invalid_token"},
      {"rubbish", "invalid_token"},
      {token({.issuer = "https://other.example.com/"}), "invalid_token"},
      {token({.life = std::chrono::seconds(-60)}), "token_expired"},
      {es256().token(), "invalid_token"},
  };
  for (const auto& c : cases) {
    Client peer = client();
    const Reply reply = peer.upgrade("/echo", bearer(c.presented));
    EXPECT_EQ(reply.status, 401);
    EXPECT_EQ(reply.field("WWW-Authenticate"), "Bearer error=\"invalid_token\"");
    EXPECT_NE(reply.body.find("\"reason\":\"" + std::string(c.reason) + "\""), std::string::npos) << reply.body;
    EXPECT_EQ(peer.hear().kind, Heard::Kind::kEnd);
  }
  EXPECT_EQ(client().upgrade("/echo").status, 401);
  EXPECT_EQ(server.app.connections(), 0U);
  for (const std::string& line : log.all()) {
    for (const auto& c : cases) EXPECT_EQ(line.find(c.presented), std::string::npos) << line;
  }
}

TEST_P(JwtRouteTest, EndsTheConnectionWhenTheTokenEnds) {
  serve(secret_verifier(), header);
  Client c = client();
  ASSERT_EQ(c.upgrade("/echo", bearer(token({.life = std::chrono::seconds(2)}))).status, 101);
  const Heard heard = c.hear(4s);
  EXPECT_EQ(heard.kind, Heard::Kind::kClose);
  EXPECT_EQ(heard.code, 3000);
  EXPECT_EQ(heard.text, "token_expired");
}

// Such as a shell's <(...), whose size nobody knows beforehand.
TEST(JwtKeys, AreReadFromAPipeToo) {
  std::array<int, 2> pipe;
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const std::string text = std::string(kSecret) + "\n";
  ASSERT_EQ(::write(pipe[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(pipe[1]);
  const Keys keys = secret_file("/dev/fd/" + std::to_string(pipe[0]));
  ::close(pipe[0]);
  EXPECT_NO_THROW((void)jwt({.issuer = "i", .audience = {}, .algorithms = {"HS256"}, .keys = keys}));
}

TEST(JwtKeys, NameTheFileThatCannotBeUsed) {
  const io::test::TempFolder folder;
  const std::string missing = folder.path() + "/missing";
  const std::string rubbish = folder.write("rubbish", "rubbish");
  using Load = Keys (*)(const std::string&);
  for (const Load load : {Load(jwks_file), Load(public_key_file), Load(secret_file)}) {
    for (const std::string& path : {missing, rubbish}) {
      try {
        const Keys keys = load(path);
        FAIL() << "loaded " << path;
      } catch (const std::runtime_error& error) {
        EXPECT_NE(std::string_view(error.what()).find(path), std::string_view::npos) << error.what();
      }
    }
  }
  EXPECT_THROW((void)jwks_text("{}"), std::runtime_error);
  EXPECT_THROW((void)public_key_text("rubbish"), std::runtime_error);
  EXPECT_THROW((void)secret_text("too short"), std::runtime_error);
}

TEST(JwtOptions, RefusesWhatCannotBeMeant) {
  const auto refused = [](JwtOptions options) {
    EXPECT_THROW((void)jwt(std::move(options)), std::invalid_argument);
  };
  const Keys secret = secret_text(kSecret);
  refused({.issuer = "", .audience = {}, .algorithms = {"HS256"}, .keys = secret});
  refused({.issuer = "i", .audience = {}, .algorithms = {}, .keys = secret});
  refused({.issuer = "i", .audience = {}, .algorithms = {"none"}, .keys = secret});
  refused({.issuer = "i", .audience = {}, .algorithms = {"hs256"}, .keys = secret});
  refused({.issuer = "i", .audience = {}, .algorithms = {"ES256"}, .keys = secret});
  refused({.issuer = "i",
           .audience = {},
           .algorithms = {"HS256"},
           .keys = secret,
           .leeway = std::chrono::seconds(-1)});
}

}  // namespace
}  // namespace sallyport
