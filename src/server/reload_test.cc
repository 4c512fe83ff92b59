// An app that becomes another one while it serves.

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "sallyport/sallyport.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport::server::test {
namespace {

struct ReloadTest : testing::Test {
  static Route route(std::string says, std::vector<std::string> scopes = {}) {
    return {.auth = {.verifier = secret_verifier()},
            .scopes = std::move(scopes),
            .on_message = [says](sallyport::Connection& c, Message) { c.send(says); }};
  }
  static App with(const std::string& path, Route made) {
    App app;
    app.ws(path, std::move(made));
    return app;
  }
  std::unique_ptr<Client> open(const std::string& path, const TokenSpec& spec = {}) {
    auto client = std::make_unique<Client>(server.port());
    EXPECT_EQ(client->upgrade(path, bearer(token(spec))).status, 101);
    return client;
  }
  static std::string asked(Client& client) { return client.send("?") ? client.hear_text() : "<gone>"; }

  Server server;
};

TEST_F(ReloadTest, KeepsEverySocketAndGivesItTheNewRoute) {
  server.app.ws("/", route("old"));
  server.start();
  const auto client = open("/");
  EXPECT_EQ(asked(*client), "old");
  ASSERT_TRUE(server.app.reload([] { return with("/", route("new")); }).has_value());
  EXPECT_EQ(asked(*client), "new");
  EXPECT_EQ(asked(*open("/")), "new");
}

TEST_F(ReloadTest, ClosesThoseWhoseRouteIsGone) {
  server.app.ws("/a", route("a"));
  server.start();
  const auto client = open("/a");
  ASSERT_TRUE(server.app.reload([] { return with("/b", route("b")); }).has_value());
  EXPECT_EQ(client->hear_close(), 3003);
  EXPECT_EQ(Client(server.port()).upgrade("/a", bearer(token())).status, 404);
  EXPECT_EQ(asked(*open("/b")), "b");
}

TEST_F(ReloadTest, ClosesThoseWhoAreNotPermittedAnyMore) {
  server.app.ws("/", route("old"));
  server.start();
  const auto chatter = open("/", {.scope = "chat"});
  const auto nobody = open("/", {.subject = "bob"});
  ASSERT_TRUE(server.app.reload([] { return with("/", route("new", {"chat"})); }).has_value());
  EXPECT_EQ(nobody->hear_close(), 3003);
  EXPECT_EQ(asked(*chatter), "new");
}

TEST_F(ReloadTest, ClosesThoseWhoseVerifierIsGone) {
  server.app.ws("/", route("old"));
  server.start();
  const auto client = open("/");
  ASSERT_TRUE(server.app
                  .reload([] {
                    Route other = route("new");
                    other.auth.verifier = jwt({.issuer = "https://other.example/",
                                               .audience = {"a"},
                                               .algorithms = {"HS256"},
                                               .keys = secret_text(kSecret),
                                               .name = "other"});
                    return with("/", std::move(other));
                  })
                  .has_value());
  const Heard heard = client->hear();
  EXPECT_EQ(heard.code, 3000);
  EXPECT_EQ(heard.text, "token_revoked");
  EXPECT_EQ(Client(server.port()).upgrade("/", bearer(token())).status, 401);
}

TEST_F(ReloadTest, ChangesNothingWhereTheNewOneCannotBe) {
  server.app.ws("/", route("old"));
  server.start();
  const auto client = open("/");
  const auto result = server.app.reload([]() -> App { throw std::runtime_error("line 7: nonsense"); });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), "line 7: nonsense");
  EXPECT_FALSE(server.app.reload([] {
                     App tls({.tls = localhost_tls()});
                     return tls;
                   }).has_value());
  EXPECT_EQ(asked(*client), "old");
  EXPECT_EQ(asked(*open("/")), "old");
}

TEST_F(ReloadTest, CanHappenManyTimesUnderLoad) {
  server.app.ws("/", route("0"));
  server.start();
  const auto client = open("/");
  for (int i = 1; i <= 50; ++i) {
    ASSERT_TRUE(server.app.reload([i] { return with("/", route(std::to_string(i))); }).has_value());
    EXPECT_EQ(asked(*client), std::to_string(i));
    EXPECT_EQ(asked(*open("/")), std::to_string(i));
  }
}

TEST(Reload, OfAnAppThatDoesNotRunIsRefused) {
  App app;
  EXPECT_FALSE(app.reload([] { return App(); }).has_value());
}

// ---- Health while draining

TEST(Drain, IsToldToWhoeverAsks) {
  Server server;
  server.app.ws("/", {.auth = {.verifier = secret_verifier()}});
  server.start({.workers = 2, .drain = 20s});
  Client open(server.port());
  ASSERT_EQ(open.upgrade("/", bearer(token())).status, 101);
  EXPECT_EQ(Client(server.port()).request("GET", "/readyz").status, 200);
  server.app.stop();
  EXPECT_TRUE(eventually([&] { return Client(server.port()).request("GET", "/readyz").status == 503; }));
  EXPECT_EQ(Client(server.port()).request("GET", "/healthz").status, 200);
  const Reply refused = Client(server.port()).upgrade("/", bearer(token()));
  EXPECT_EQ(refused.status, 503);
  EXPECT_FALSE(refused.field("Retry-After").empty());
  open.close();  // the last of those who were there
  EXPECT_EQ(server.stop(), 0);
}

}  // namespace
}  // namespace sallyport::server::test
