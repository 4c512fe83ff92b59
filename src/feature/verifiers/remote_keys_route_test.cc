// Routes whose tokens are signed with keys that are fetched, from outside.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "core/jose/jws.h"
#include "feature/verifiers/test_provider.h"
#include "sallyport/verifiers.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;
using io::test::http_answer;
using io::test::HttpAnswer;
using test::Provider;

std::string token_by(const std::string& kid, TokenSpec spec) {
  return *jose::sign_compact(claims_of(spec), test::provider_key(kid), jose::Algorithm::kEs256);
}

class RemoteKeysRouteTest : public ::testing::Test {
 protected:
  void serve(JwksOptions options) { serve(discovered(options), provider.issuer()); }
  void serve(Keys keys, const std::string& issuer) {
    server.app.ws("/", {.auth = {.verifier = jwt({.issuer = issuer,
                                                  .audience = {},
                                                  .algorithms = {"ES256"},
                                                  .keys = std::move(keys)}),
                                 .from = header}});
    server.start({.workers = 2, .drain = std::chrono::milliseconds(0)});
  }
  [[nodiscard]] std::string token_of(const std::string& kid, TokenSpec spec = {}) const {
    spec.issuer = provider.issuer();
    return token_by(kid, spec);
  }
  [[nodiscard]] int status(const std::string& presented) const {
    Client c(server.port());
    return c.upgrade("/", bearer(presented)).status;
  }
  // A token that no cache of the server knows.
  [[nodiscard]] std::string fresh(const std::string& kid) {
    return token_of(kid, {.more = R"(,"jti":")" + std::to_string(++number_) + "\""});
  }

  Provider provider;
  Log log;
  Server server{AppOptions{.log = log.sink()}};

 private:
  std::atomic<int> number_ = 0;
};

TEST_F(RemoteKeysRouteTest, AcceptTokensOfKeysThatTheIssuerPublishes) {
  serve({.cooldown = 200ms});
  EXPECT_EQ(status(token_of("k1")), 101);
  EXPECT_EQ(status(token_of("stranger")), 401);
  provider.publish({"k1", "k2"});
  std::this_thread::sleep_for(250ms);
  EXPECT_EQ(status(token_of("k2")), 101);
  EXPECT_EQ(provider.fetches(), 3U) << "at the start, for the stranger, for k2";
}

TEST_F(RemoteKeysRouteTest, AreUnavailableWhileTheIssuerIsDownAndRecoverByThemselves) {
  const std::uint16_t port = io::test::free_port();
  const std::string issuer = "http://127.0.0.1:" + std::to_string(port);
  serve(discovered({.timeout = 500ms}), issuer);
  const std::string token = token_by("k1", {.issuer = issuer});
  EXPECT_EQ(status(token), 503);
  Provider late({"k1"}, port);
  EXPECT_TRUE(eventually([&] { return status(token) == 101; }));
}

TEST_F(RemoteKeysRouteTest, KeepKnownKeysWorkingWhileTheIssuerIsDown) {
  serve({.timeout = 300ms, .cooldown = 100ms, .refresh_min = 100ms, .refresh_default = 100ms});
  ASSERT_EQ(status(fresh("k1")), 101);
  provider.misbehave([] { return http_answer(500, ""); });
  ASSERT_TRUE(eventually([&] { return log.count("keys.fetch_failed") > 0; }));
  EXPECT_EQ(status(fresh("k1")), 101);
  EXPECT_EQ(status(fresh("k2")), 503);
}

TEST_F(RemoteKeysRouteTest, RefuseTokensOfAWithdrawnKeyAlsoIfTheyWereAcceptedBefore) {
  serve({.cooldown = 100ms, .refresh_min = 100ms, .refresh_default = 100ms});
  const std::string token = token_of("k1");
  for (int i = 0; i < 4; ++i) ASSERT_EQ(status(token), 101);
  provider.publish({"k2"});
  EXPECT_TRUE(eventually([&] { return status(token) == 401; }));
  EXPECT_EQ(status(token_of("k2")), 101);
  provider.publish({"k1", "k2"});
  EXPECT_TRUE(eventually([&] { return status(token) == 101; }));
}

TEST_F(RemoteKeysRouteTest, AskNobodyAboutTokensThatNoKeyWouldSave) {
  serve({.cooldown = 1ms});
  ASSERT_EQ(status(fresh("k1")), 101);
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(status(token_of("k2", {.life = std::chrono::seconds(-60)})), 401);
  EXPECT_EQ(status(token_by("k2", {.issuer = "https://evil.example.com/"})), 401);
  EXPECT_EQ(provider.fetches(), 1U);
  EXPECT_EQ(status(fresh("k2")), 401);  // whereas this one is worth it
  EXPECT_EQ(provider.fetches(), 2U);
}

TEST_F(RemoteKeysRouteTest, AreFetchedOnceForManyConnectionsOnAColdStart) {
  provider.misbehave([this] {
    HttpAnswer answer = http_answer(200, provider.key_set());
    answer.delay = 1s;
    return answer;
  });
  serve({.timeout = 5s});
  std::vector<std::thread> peers;
  std::atomic<int> accepted = 0;
  for (int i = 0; i < 50; ++i) {
    peers.emplace_back([&] { accepted += status(fresh("k1")) == 101 ? 1 : 0; });
  }
  for (std::thread& peer : peers) peer.join();
  EXPECT_EQ(accepted, 50);
  EXPECT_EQ(provider.fetches(), 1U);
}

}  // namespace
}  // namespace sallyport
