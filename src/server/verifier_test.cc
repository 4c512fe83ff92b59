// Verifiers of a user's own: coroutines that answer later, or never, and backends.

#include "sallyport/verifier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <type_traits>

#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

// A verifier answers by returning, once: its coroutine can neither be resumed again nor copied.
static_assert(!std::is_copy_constructible_v<awaitable<Verdict>>);
// Nothing that needs a verifier comes into being without one.
static_assert(!std::is_default_constructible_v<Verifier>);
static_assert(!std::is_default_constructible_v<Auth>);
static_assert(!std::is_default_constructible_v<Route>);
static_assert(!std::is_default_constructible_v<RouteOf<int>>);

Verdict ada() { return Verdict::accept(Principal{.issuer = "test", .subject = "ada"}); }

// An app with the route "/", which echoes and records what happens.
class VerifierTest : public ::testing::TestWithParam<bool> {
 protected:
  VerifierTest() : server(GetParam() ? AppOptions{.tls = localhost_tls(), .log = log.sink()}
                                     : AppOptions{.log = log.sink()}) {}

  void serve(Verifier verifier, CredentialSet from = header, unsigned workers = 2) {
    server.app.ws("/", {.auth = {.verifier = std::move(verifier), .from = std::move(from)},
                        .on_open = [this](Connection&) { events.add("open"); },
                        .on_message =
                            [this](Connection& c, Message m) {
                              events.add(std::string(m.data));
                              c.send(m);
                            },
                        .on_close = [this](Connection&, const Close&) { events.add("close"); }});
    server.start({.workers = workers, .drain = std::chrono::milliseconds(0)});
  }
  void serve(std::function<awaitable<Verdict>(Presented)> ask, CredentialSet from = header,
             std::chrono::milliseconds deadline = 5s) {
    serve(verifier(std::move(ask), {.name = "mine", .deadline = deadline}), std::move(from));
  }
  [[nodiscard]] Client client() const { return Client(server.port(), {.tls = GetParam()}); }
  [[nodiscard]] std::string ten_frames() const {
    std::string frames;
    for (int i = 0; i < 10; ++i) frames += Client::frame(std::to_string(i));
    return frames;
  }

  Record events;
  Record asked;
  Log log;
  Server server;
};

INSTANTIATE_TEST_SUITE_P(Transports, VerifierTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

TEST_P(VerifierTest, DeliversWhatCameEarlyOnceAndInOrderWhenItAcceptsLater) {
  serve([](Presented) -> awaitable<Verdict> {
    co_await pause_for(500ms);
    co_return ada();
  });
  Client c = client();
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(c.upgrade("/", bearer("t"), ten_frames()).status, 101);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 500ms);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(c.hear_text(), std::to_string(i));
  c.send("late");
  EXPECT_EQ(c.hear_text(), "late");
  EXPECT_EQ(events.all(), (std::vector<std::string>{"open", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9",
                                                    "late"}));
}

TEST_P(VerifierTest, DeliversNothingOfWhatCameEarlyWhenItRefuses) {
  serve([](Presented) -> awaitable<Verdict> {
    co_await pause_for(100ms);
    co_return Verdict::refuse(Failure::kInvalidToken, "not today");
  });
  Client c = client();
  const Reply reply = c.upgrade("/", bearer("t"), ten_frames());
  EXPECT_EQ(reply.status, 401);
  EXPECT_EQ(reply.body.find("not today"), std::string::npos);
  EXPECT_EQ(c.hear().kind, Heard::Kind::kEnd);
  EXPECT_EQ(events.size(), 0U);
  EXPECT_EQ(log.count("ws.refused", "detail=not today"), 1U);
}

TEST_P(VerifierTest, IsCancelledAtItsDeadlineAndCountsAsUnavailable) {
  serve(
      [this](Presented) -> awaitable<Verdict> {
        try {
          co_await pause_for(1h);
        } catch (const std::exception&) {
          asked.add("cancelled");
          throw;
        }
        co_return ada();
      },
      header | first_message, 200ms);
  Client c = client();
  const Reply reply = c.upgrade("/", bearer("t"), ten_frames());
  EXPECT_EQ(reply.status, 503);
  EXPECT_FALSE(reply.field("Retry-After").empty());
  EXPECT_TRUE(asked.wait_for(1));

  Client second = client();
  ASSERT_EQ(second.upgrade("/").status, 101);
  second.send(R"({"type":"auth","token":"t"})");
  second.send("too early");
  EXPECT_EQ(second.hear_close(), 1013);
  EXPECT_TRUE(asked.wait_for(2));
  EXPECT_EQ(events.size(), 0U);
}

TEST_P(VerifierTest, IsNotHeardAfterItsDeadlineEvenIfItAcceptsThen) {
  serve(
      [this](Presented) -> awaitable<Verdict> {
        try {
          co_await pause_for(1h);
        } catch (const std::exception&) {
        }
        asked.add("accepts too late");
        co_return ada();
      },
      header, 100ms);
  EXPECT_EQ(client().upgrade("/", bearer("t")).status, 503);
  EXPECT_TRUE(asked.wait_for(1));
  EXPECT_EQ(events.size(), 0U);
  EXPECT_EQ(server.app.connections(), 0U);
}

TEST_P(VerifierTest, IsCancelledWhenThePeerGoes) {
  serve([this](Presented) -> awaitable<Verdict> {
    asked.add("asked");
    try {
      co_await pause_for(1h);
    } catch (const std::exception&) {
      asked.add("cancelled");
      throw;
    }
    co_return ada();
  });
  Client c = client();
  c.send_upgrade("/", bearer("t"));
  ASSERT_TRUE(asked.wait_for(1));
  c.reset();
  EXPECT_TRUE(asked.wait_for(2));
}

TEST_P(VerifierTest, RefusesAsOurFaultWhenItThrows) {
  const auto throws = [](Presented presented) -> awaitable<Verdict> {
    if (presented.token == "later") co_await pause_for(20ms);
    if (presented.token == "odd") throw 42;
    throw std::runtime_error("database on fire");
  };
  serve(throws, header | first_message);
  for (const char* presented : {"at once", "later", "odd"}) {
    Client c = client();
    const Reply reply = c.upgrade("/", bearer(presented), ten_frames());
    EXPECT_EQ(reply.status, 500) << presented;
    EXPECT_EQ(reply.body.find("fire"), std::string::npos);
  }
  Client c = client();
  ASSERT_EQ(c.upgrade("/").status, 101);
  c.send(R"({"type":"auth","token":"later"})");
  EXPECT_EQ(c.hear_close(), 1011);
  EXPECT_EQ(events.size(), 0U);
  EXPECT_EQ(log.count("ws.handler_threw", "verifier=mine what=database on fire"), 3U);
  EXPECT_EQ(log.count("ws.handler_threw", "verifier=mine what=an exception of unknown type"), 1U);
}

TEST_P(VerifierTest, RefusesAsOurFaultWhenThereIsNoCoroutineToAwait) {
  serve([](Presented) -> awaitable<Verdict> { throw std::runtime_error("before there is a coroutine"); });
  EXPECT_EQ(client().upgrade("/", bearer("t")).status, 500);
}

TEST_P(VerifierTest, CannotAcceptNobody) {
  serve([](Presented) -> awaitable<Verdict> { co_return Verdict::accept(Principal{.issuer = "test"}); });
  EXPECT_EQ(client().upgrade("/", bearer("t")).status, 401);
  EXPECT_EQ(events.size(), 0U);
}

TEST_P(VerifierTest, IsToldWhatWasPresentedAndHow) {
  serve(
      [this](Presented presented) -> awaitable<Verdict> {
        asked.add(std::string(name(presented.kind)) + " " + std::string(presented.token));
        co_await pause_for(20ms);
        asked.add(std::string(presented.token));  // it lives as long as the verification
        co_return ada();
      },
      header | subprotocol | insecure_query("key"));
  EXPECT_EQ(client().upgrade("/", bearer("one")).status, 101);
  EXPECT_EQ(client().upgrade("/", {{"Sec-WebSocket-Protocol", "x, bearer.two"}}).status, 101);
  EXPECT_EQ(client().upgrade("/?key=three").status, 101);
  EXPECT_EQ(asked.all(), (std::vector<std::string>{"header one", "one", "subprotocol two", "two",
                                                   "insecure_query three", "three"}));
}

TEST_P(VerifierTest, UnavailableIsNeitherRefusedNorAccepted) {
  serve([](Presented) -> awaitable<Verdict> { co_return Verdict::unavailable("no route to host"); });
  EXPECT_EQ(client().upgrade("/", bearer("t")).status, 503);
  EXPECT_EQ(events.size(), 0U);
}

TEST_P(VerifierTest, AsksTheNextOneWhereACredentialIsNotItsOwn) {
  const auto mine = [this](std::string prefix) {
    return verifier([this, prefix](Presented presented) -> awaitable<Verdict> {
      asked.add(prefix);
      if (!presented.token.starts_with(prefix)) co_return Verdict::not_mine();
      if (presented.token.ends_with("bad")) co_return Verdict::refuse();
      co_return ada();
    });
  };
  serve(any_of({mine("a."), secret_verifier(), mine("b.")}));
  EXPECT_EQ(client().upgrade("/", bearer("b.x")).status, 101);
  EXPECT_EQ(client().upgrade("/", bearer(token())).status, 101);
  EXPECT_EQ(client().upgrade("/", bearer("a.bad")).status, 401);  // refused: nobody else is asked
  EXPECT_EQ(client().upgrade("/", bearer("c.x")).status, 401);
  EXPECT_EQ(asked.all(), (std::vector<std::string>{"a.", "b.", "a.", "a.", "a.", "b."}));
}

TEST(VerifierOptions, RefusesToHaveNobodyToAsk) {
  EXPECT_THROW((void)verifier(nullptr), std::invalid_argument);
  App app;
  EXPECT_THROW(app.ws("/", {.auth = {.verifier = any_of({})}}), std::invalid_argument);
  EXPECT_THROW(app.ws("/", {.auth = {.verifier = any_of({insecure_anonymous(), secret_verifier()})}}),
               std::invalid_argument);
}

// ---- Backends

// Counts how often it is asked. Says no to "no", throws at "throw".
class CountingBackend final : public VerifierBackend {
 public:
  explicit CountingBackend(bool cacheable) : cacheable_(cacheable) {}
  std::optional<Verdict> verify_now(const Presented& presented, WallTime now) const override {
    ++asked;
    if (presented.token == "throw") throw std::runtime_error("database on fire");
    if (presented.token == "no") return Verdict::refuse();
    Principal who{.issuer = "test", .subject = presented.token};
    if (presented.token == "brief") who.valid_until = who.expires_at = now + 300ms;
    return Verdict::accept(std::move(who));
  }
  bool cacheable() const noexcept override { return cacheable_; }
  std::string_view name() const noexcept override { return "counting"; }

  mutable std::atomic<int> asked = 0;

 private:
  const bool cacheable_;
};

class BackendTest : public ::testing::Test {
 protected:
  void serve(bool cacheable) {
    backend = std::make_shared<CountingBackend>(cacheable);
    for (const char* path : {"/", "/other"}) {
      server.app.ws(path, {.auth = {.verifier = Verifier(backend), .from = header},
                           .on_open = [](Connection& c) { c.send(c.principal().subject); }});
    }
    server.start({.workers = 1, .drain = std::chrono::milliseconds(0)});  // each worker has a cache of its own
  }
  int connect(const std::string& presented, const std::string& path = "/") {
    Client c(server.port());
    const int status = c.upgrade(path, bearer(presented)).status;
    if (status == 101) {
      EXPECT_EQ(c.hear_text(), presented);
    }
    return status;
  }

  std::shared_ptr<CountingBackend> backend;
  Server server;
};

TEST_F(BackendTest, IsNotAskedAgainAboutACredentialItAccepted) {
  serve(true);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(connect("ada"), 101);
  EXPECT_EQ(backend->asked, 1);
  EXPECT_EQ(connect("bob"), 101);
  EXPECT_EQ(backend->asked, 2);
  EXPECT_EQ(connect("ada"), 101);
  EXPECT_EQ(backend->asked, 2);
}

TEST_F(BackendTest, IsAskedAgainOnAnotherRoute) {
  serve(true);
  EXPECT_EQ(connect("ada", "/"), 101);
  EXPECT_EQ(connect("ada", "/other"), 101);
  EXPECT_EQ(backend->asked, 2);
}

TEST_F(BackendTest, IsAskedAgainAboutWhatItRefusedAfterAMoment) {
  serve(true);
  EXPECT_EQ(connect("no"), 401);
  EXPECT_EQ(backend->asked, 1);
  std::this_thread::sleep_for(2100ms);
  EXPECT_EQ(connect("no"), 401);
  EXPECT_EQ(backend->asked, 2);
}

TEST_F(BackendTest, IsAskedAgainWhenTheAuthorityHasEnded) {
  serve(true);
  EXPECT_EQ(connect("brief"), 101);
  EXPECT_EQ(connect("brief"), 101);
  EXPECT_EQ(backend->asked, 1);
  std::this_thread::sleep_for(400ms);
  EXPECT_EQ(connect("brief"), 101);
  EXPECT_EQ(backend->asked, 2);
}

TEST_F(BackendTest, IsAskedEveryTimeUnlessItSaysOtherwise) {
  serve(false);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(connect("ada"), 101);
  EXPECT_EQ(backend->asked, 3);
}

TEST_F(BackendTest, RefusesAsOurFaultWhenItThrowsAtOnce) {
  serve(true);
  EXPECT_EQ(connect("throw"), 500);
  EXPECT_EQ(connect("ada"), 101);
}

}  // namespace
}  // namespace sallyport
