// Revocation, through a running app: who is ended, who is kept out, and that nobody slips through in between.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sallyport/sallyport.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport::server::test {
namespace {

using Result = std::expected<RevokeResult, RevokeFault>;

class MemoryStore final : public Store {
 public:
  std::expected<Contents, std::string> open(WallTime) override {
    if (broken) return std::unexpected("the disk is gone");
    return contents;
  }
  std::expected<void, std::string> write(const Changes& changes) override {
    if (broken) return std::unexpected("the disk is full");
    ++writes;
    for (const Revocation& revocation : changes.put) {
      std::erase_if(contents.revocations, [&](const Revocation& known) { return known.id == revocation.id; });
      contents.revocations.push_back(revocation);
      contents.last_id = std::max(contents.last_id, revocation.id);
    }
    for (const std::uint64_t id : changes.erase) {
      std::erase_if(contents.revocations, [&](const Revocation& known) { return known.id == id; });
    }
    return {};
  }
  void close() noexcept override {}

  Contents contents;
  std::atomic<int> writes = 0;
  std::atomic<bool> broken = false;
};

struct RevocationTest : testing::Test {
  void start(AppOptions options = {}) {
    options.log = log.sink();
    server.emplace(std::move(options));
    server->app.ws("/", {.auth = {.verifier = secret_verifier()},
                         .limits = {.connections_per_subject = 0},
                         .on_message = [](sallyport::Connection& c, Message m) { c.send(m.data); },
                         .on_close = [this](sallyport::Connection& c, const Close& why) {
                           closes.add(c.principal().subject.str() + " " +
                                      std::string(why.failure ? reason(*why.failure) : "none"));
                         }});
    server->start();
  }
  Result revoke(RevokeRequest request) {
    std::promise<Result> promise;
    server->app.revoke(std::move(request), [&](const Result& result) { promise.set_value(result); });
    return promise.get_future().get();
  }
  std::unique_ptr<Client> open(const TokenSpec& spec) {
    auto client = std::make_unique<Client>(server->port());
    EXPECT_EQ(client->upgrade("/", bearer(token(spec))).status, 101);
    return client;
  }
  int status(const TokenSpec& spec) { return Client(server->port()).upgrade("/", bearer(token(spec))).status; }
  static bool talks(Client& client) { return client.send("x") && client.hear_text() == "x"; }

  Log log;
  Record closes;
  std::optional<Server> server;
};

TEST_F(RevocationTest, EndsOneSessionAndLeavesTheOthers) {
  start();
  const auto tab = open({.subject = "ada", .more = R"(,"sid":"s1")"});
  const auto other_tab = open({.subject = "ada", .more = R"(,"sid":"s1","jti":"t2")"});
  const auto phone = open({.subject = "ada", .more = R"(,"sid":"s2")"});
  const Result result = revoke({.selector = {.session = "s1"}});
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->closed, 2U);
  ASSERT_EQ(result->nodes.size(), 1U);
  EXPECT_FALSE(result->nodes.front().node.empty());
  EXPECT_EQ(tab->hear_close(), 3000);
  EXPECT_EQ(other_tab->hear_close(), 3000);
  EXPECT_TRUE(talks(*phone));
  EXPECT_EQ(status({.subject = "ada", .more = R"(,"sid":"s1")"}), 401);
  EXPECT_EQ(status({.subject = "ada", .more = R"(,"sid":"s2")"}), 101);
}

TEST_F(RevocationTest, NeedsEverythingThatTheSelectorSays) {
  start();
  const auto ada = open({.subject = "ada", .more = R"(,"sid":"s1")"});
  const Result result = revoke({.selector = {.subject = "bob", .session = "s1"}});
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->closed, 0U);
  EXPECT_TRUE(talks(*ada));
}

TEST_F(RevocationTest, OfATokenLeavesTheOneThatReplacedIt) {
  start();
  const auto client = std::make_unique<Client>(server->port());
  // In band: only where the route speaks it. The first message is one of this route's transports.
  ASSERT_EQ(client->upgrade("/", bearer(token({.more = R"(,"jti":"old")"}))).status, 101);
  client->send(R"({"type":"refresh","token":")" + token({.more = R"(,"jti":"new")"}) + R"("})");
  ASSERT_TRUE(client->hear_text().starts_with(R"({"type":"refreshed")"));
  ASSERT_EQ(revoke({.selector = {.token_id = "old"}})->closed, 0U);
  EXPECT_TRUE(talks(*client));
  ASSERT_EQ(revoke({.selector = {.token_id = "new"}})->closed, 1U);
  EXPECT_EQ(client->hear_close(), 3000);
}

TEST_F(RevocationTest, SaysLoggedOutWhereThatIsWhy) {
  start();
  const auto client = open({});
  ASSERT_TRUE(revoke({.selector = {.subject = "ada"}, .reason = Failure::kLoggedOut}).has_value());
  const Heard heard = client->hear();
  EXPECT_EQ(heard.code, 3000);
  EXPECT_EQ(heard.text, "logged_out");
  EXPECT_TRUE(closes.wait_for(1));
  EXPECT_EQ(closes.all().front(), "ada logged_out");
}

TEST_F(RevocationTest, OfEverybodyBeforeAMomentMeansThoseWhoseTokensAreOlder) {
  start();
  const auto ada = open({.subject = "ada"});
  const auto bob = open({.subject = "bob"});
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  EXPECT_EQ(revoke({.selector = {.issued_before = now - 1h}})->closed, 0U);
  EXPECT_TRUE(talks(*ada));
  EXPECT_EQ(status({}), 101);
  EXPECT_TRUE(eventually([&] { return server->app.connections() == 2; }));
  EXPECT_EQ(revoke({.selector = {.issued_before = now + 1h}})->closed, 2U);
  EXPECT_EQ(ada->hear_close(), 3000);
  EXPECT_EQ(bob->hear_close(), 3000);
  EXPECT_EQ(status({}), 401);
}

TEST_F(RevocationTest, IsLiftedAgain) {
  start();
  const auto id = revoke({.selector = {.subject = "ada"}})->id;
  EXPECT_EQ(status({}), 401);
  std::promise<std::expected<bool, RevokeFault>> lifted;
  server->app.lift(id, [&](const auto& result) { lifted.set_value(result); });
  EXPECT_TRUE(lifted.get_future().get().value());
  EXPECT_EQ(status({}), 101);
  std::promise<std::expected<bool, RevokeFault>> again;
  server->app.lift(id, [&](const auto& result) { again.set_value(result); });
  EXPECT_FALSE(again.get_future().get().value());
}

TEST_F(RevocationTest, WithoutASelectorIsRefused) {
  start();
  const auto client = open({});
  EXPECT_EQ(revoke({}).error(), RevokeFault::kInvalid);
  EXPECT_EQ(revoke({.selector = {.subject = ""}}).error(), RevokeFault::kInvalid);
  EXPECT_TRUE(talks(*client));
}

// Many handshakes with one token while it is revoked: when the answer has come nobody is open with it, and nobody
// becomes so.
TEST_F(RevocationTest, LetsNoRacingHandshakeThrough) {
  start();
  for (int round = 0; round < 5; ++round) {
    const std::string jti = "race" + std::to_string(round);
    const std::string racing = token({.subject = "racer", .more = R"(,"jti":")" + jti + R"(")"});
    std::atomic<bool> stop = false;
    std::vector<std::thread> crowd;
    std::atomic<int> opened = 0;
    for (int i = 0; i < 4; ++i) {
      crowd.emplace_back([&] {
        std::vector<std::unique_ptr<Client>> mine;
        while (!stop) {
          auto client = std::make_unique<Client>(server->port());
          if (client->upgrade("/", bearer(racing)).status != 101) break;
          ++opened;
          mine.push_back(std::move(client));
        }
        for (const auto& client : mine) EXPECT_EQ(client->hear_close(), 3000);
      });
    }
    ASSERT_TRUE(eventually([&] { return opened > 20; }));
    ASSERT_TRUE(revoke({.selector = {.token_id = jti}}).has_value());
    EXPECT_EQ(Client(server->port()).upgrade("/", bearer(racing)).status, 401);
    stop = true;
    for (std::thread& thread : crowd) thread.join();
    EXPECT_TRUE(server->empties());
  }
}

TEST_F(RevocationTest, IsThereAgainAfterARestart) {
  const auto store = std::make_shared<MemoryStore>();
  start({.store = store});
  const auto id = revoke({.selector = {.subject = "ada"}})->id;
  server->stop();
  start({.store = store});
  EXPECT_EQ(status({.subject = "ada"}), 401);
  EXPECT_EQ(status({.subject = "bob"}), 101);
  EXPECT_GT(revoke({.selector = {.subject = "eve"}})->id, id);
}

TEST_F(RevocationTest, HoldsAndSaysSoWhereTheStoreCannotBeWritten) {
  const auto store = std::make_shared<MemoryStore>();
  start({.store = store});
  const auto client = open({});
  store->broken = true;
  EXPECT_EQ(revoke({.selector = {.subject = "ada"}}).error(), RevokeFault::kNotDurable);
  EXPECT_EQ(client->hear_close(), 3000);
  EXPECT_EQ(status({}), 401);
  EXPECT_EQ(log.count("store.write_failed"), 1U);
}

TEST(RevocationStore, ThatCannotBeReadKeepsTheAppFromServing) {
  const auto store = std::make_shared<MemoryStore>();
  store->broken = true;
  Log log;
  App app({.log = log.sink(), .store = store});
  app.ws("/", {.auth = {.verifier = secret_verifier()}});
  EXPECT_EQ(app.run({.listen = {"127.0.0.1:0"}, .handle_signals = false}), 1);
  EXPECT_EQ(log.count("server.start_failed", "the disk is gone"), 1U);
}

// ---- One subject's connections

struct SubjectLimitTest : testing::Test {
  void start(WhenFull when_full) {
    server.app.ws("/", {.auth = {.verifier = secret_verifier()},
                        .limits = {.idle_timeout = 1500ms, .connections_per_subject = 3, .when_full = when_full},
                        .on_message = [](sallyport::Connection& c, Message m) { c.send(m.data); }});
    server.start();
  }
  Server server;
};

TEST_F(SubjectLimitTest, EvictsTheOldest) {
  start(WhenFull::kEvictOldest);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<Client>(server.port()));
    ASSERT_EQ(clients.back()->upgrade("/", bearer(token())).status, 101);
  }
  const Heard heard = clients.front()->hear();
  EXPECT_EQ(heard.code, 3003);
  EXPECT_EQ(heard.text, "evicted");
  for (std::size_t i = 1; i < clients.size(); ++i) {
    EXPECT_TRUE(clients[i]->send("x"));
    EXPECT_EQ(clients[i]->hear_text(), "x");
  }
  Client other(server.port());
  EXPECT_EQ(other.upgrade("/", bearer(token({.subject = "bob"}))).status, 101);
}

TEST_F(SubjectLimitTest, RefusesTheNewcomerAndNeverMoreThanTheLimitInARace) {
  start(WhenFull::kReject);
  std::atomic<int> in = 0;
  std::atomic<int> out = 0;
  std::vector<std::thread> crowd;
  std::atomic<bool> leave = false;
  for (int i = 0; i < 24; ++i) {
    crowd.emplace_back([&] {
      Client client(server.port());
      const int status = client.upgrade("/", bearer(token())).status;
      ++(status == 101 ? in : out);
      EXPECT_TRUE(status == 101 || status == 429) << status;
      while (!leave) {
        if (client.hear(50ms).kind == Heard::Kind::kEnd) break;
      }
    });
  }
  EXPECT_TRUE(eventually([&] { return in + out == 24; }));
  EXPECT_EQ(in, 3);
  leave = true;
  for (std::thread& thread : crowd) thread.join();
  // Who has left does not count.
  EXPECT_TRUE(eventually([&] { return Client(server.port()).upgrade("/", bearer(token())).status == 101; }));
}

TEST_F(SubjectLimitTest, DoesNotCountTheDeadOnceAPingHasFoundThem) {
  start(WhenFull::kReject);
  std::vector<std::unique_ptr<Client>> silent;  // they answer pings only while they listen
  for (int i = 0; i < 3; ++i) {
    silent.push_back(std::make_unique<Client>(server.port()));
    ASSERT_EQ(silent.back()->upgrade("/", bearer(token())).status, 101);
  }
  EXPECT_EQ(Client(server.port()).upgrade("/", bearer(token())).status, 429);
  EXPECT_TRUE(eventually([&] { return Client(server.port()).upgrade("/", bearer(token())).status == 101; }));
}

// ---- A crowd that comes back

TEST(Verifications, AreAdmittedAtARateAndThoseWhoAreKnownAtAnyTime) {
  Server server({.limits = {.verifications = {2, std::chrono::hours(1)}}});
  server.app.ws("/", {.auth = {.verifier = secret_verifier()}});
  server.start({.workers = 1, .drain = 0ms});
  const std::string known = token();
  ASSERT_EQ(Client(server.port()).upgrade("/", bearer(known)).status, 101);
  ASSERT_EQ(Client(server.port()).upgrade("/", bearer(token({.subject = "bob"}))).status, 101);
  const Reply reply = Client(server.port()).upgrade("/", bearer(token({.subject = "eve"})));
  EXPECT_EQ(reply.status, 503);
  EXPECT_FALSE(reply.field("Retry-After").empty());
  EXPECT_EQ(Client(server.port()).upgrade("/", bearer(known)).status, 101);
}

}  // namespace
}  // namespace sallyport::server::test
