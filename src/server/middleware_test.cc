#include <gtest/gtest.h>

#include <stdexcept>

#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

class MiddlewareTest : public ::testing::Test {
 protected:
  void serve() {
    const auto echo = [this](Connection& c, Message m) {
      events.add("message");
      c.send(m);
    };
    for (const char* path : {"/a/:name", "/b"}) {
      server.app.ws(path, {.auth = {.verifier = secret_verifier(), .from = header},
                           .on_open = [this](Connection&) { events.add("open"); },
                           .on_message = echo});
    }
    server.app.get("/page", [this](Request&) {
      events.add("page");
      return Response{.body = "page"};
    });
    server.start();
  }
  [[nodiscard]] Client client() const { return Client(server.port()); }
  int status_of(const std::string& target) { return client().upgrade(target, bearer(token())).status; }
  // Middleware that records its name on the way in and out, and waits in between.
  Middleware named(const std::string& name, std::chrono::milliseconds wait = 0ms) {
    return [this, name, wait](Request&, Next next) -> awaitable<void> {
      events.add(name);
      if (wait > 0ms) co_await pause_for(wait);
      co_await next();
      events.add("/" + name);
    };
  }
  using Events = std::vector<std::string>;

  Record events;
  Log log;
  Server server{AppOptions{.log = log.sink()}};
};

TEST_F(MiddlewareTest, RunsInOrderOfRegistrationUnwindsAndThenTheDecisionFalls) {
  server.app.use(named("one")).use("/a/*", named("two")).use(named("three"));
  serve();
  EXPECT_EQ(status_of("/a/x"), 101);
  EXPECT_TRUE(events.wait_for(7));
  EXPECT_EQ(events.all(), (Events{"one", "two", "three", "/three", "/two", "/one", "open"}));
}

TEST_F(MiddlewareTest, RunsOnItsPathsOnly) {
  server.app.use("/a/*", named("a")).use("/b", named("b"));
  serve();
  EXPECT_EQ(status_of("/b"), 101);
  EXPECT_TRUE(events.wait_for(3));
  EXPECT_EQ(events.all(), (Events{"b", "/b", "open"}));
}

TEST_F(MiddlewareTest, KeepsItsOrderAcrossWaitsAndHoldsWhatThePeerSendsMeanwhile) {
  server.app.use(named("one", 100ms)).use(named("two", 50ms));
  serve();
  Client c = client();
  ASSERT_EQ(c.upgrade("/b", bearer(token()), Client::frame("early")).status, 101);
  EXPECT_EQ(c.hear_text(), "early");
  EXPECT_EQ(events.all(), (Events{"one", "two", "/two", "/one", "open", "message"}));
}

TEST_F(MiddlewareTest, RunsOncePerHandshakeAndNeverPerFrame) {
  server.app.use(named("one"));
  serve();
  Client c = client();
  ASSERT_EQ(c.upgrade("/b", bearer(token())).status, 101);
  for (int i = 0; i < 3; ++i) {
    c.send("hello");
    EXPECT_EQ(c.hear_text(), "hello");
  }
  EXPECT_EQ(events.all(), (Events{"one", "/one", "open", "message", "message", "message"}));
}

TEST_F(MiddlewareTest, AnswersInsteadOfUpgrading) {
  server.app.use([](Request& request, Next) -> awaitable<void> {
    co_await pause_for(20ms);
    request.respond({.status = 302, .fields = {{"Location", "/login"}}});
    request.respond({.status = 200});  // the first answer counts
  });
  server.app.use(named("never"));
  serve();
  Client c = client();
  const Reply reply = c.upgrade("/b", bearer(token()), Client::frame("early"));
  EXPECT_EQ(reply.status, 302);
  EXPECT_EQ(reply.field("Location"), "/login");
  EXPECT_EQ(c.hear().kind, Heard::Kind::kEnd);
  EXPECT_EQ(events.size(), 0U);
}

TEST_F(MiddlewareTest, MayAnswerAfterTheRestHasRun) {
  server.app.use([](Request& request, Next next) -> awaitable<void> {
    co_await next();
    request.respond({.status = 418, .body = "short and stout"});
  });
  server.app.use(named("rest"));
  serve();
  const Reply reply = client().upgrade("/b", bearer(token()));
  EXPECT_EQ(reply.status, 418);
  EXPECT_EQ(reply.body, "short and stout");
  EXPECT_EQ(events.all(), (Events{"rest", "/rest"}));
}

TEST_F(MiddlewareTest, RefusesWhenItThrowsWhateverAndWhenever) {
  server.app.use([](Request& request, Next next) -> awaitable<void> {
    const std::string when = request.query("when").value_or("");
    if (when == "before") throw std::runtime_error("no tenant");
    if (when == "waiting") {
      co_await pause_for(20ms);
      throw std::runtime_error("no tenant");
    }
    co_await next();
    if (when == "after") throw std::runtime_error("no tenant");
    if (when == "odd") throw 42;
  });
  serve();
  for (const char* when : {"before", "waiting", "after", "odd"}) {
    const Reply reply = client().upgrade("/b?when=" + std::string(when), bearer(token()));
    EXPECT_EQ(reply.status, 500) << when;
    EXPECT_EQ(reply.body.find("tenant"), std::string::npos);
  }
  EXPECT_EQ(client().request("GET", "/page?when=before").status, 500);
  EXPECT_EQ(log.count("http.middleware_threw", "what=no tenant"), 4U);
  EXPECT_EQ(log.count("http.middleware_threw"), 5U);
  EXPECT_EQ(events.size(), 0U);
  EXPECT_EQ(status_of("/b"), 101);
}

TEST_F(MiddlewareTest, RefusesWhenItNeitherAnswersNorGoesOn) {
  server.app.use([](Request& request, Next next) -> awaitable<void> {
    if (request.query("unawaited")) auto forgotten = next();
    co_return;
  });
  serve();
  EXPECT_EQ(status_of("/b"), 500);
  EXPECT_EQ(status_of("/b?unawaited=1"), 500);
  EXPECT_EQ(client().request("GET", "/page").status, 500);
  EXPECT_EQ(events.size(), 0U);
}

TEST_F(MiddlewareTest, IsCancelledAtItsDeadlineAndRefusedAsUnavailable) {
  server.app.use([this](Request&, Next next) -> awaitable<void> {
    try {
      co_await pause_for(1h);
    } catch (const std::exception&) {
      events.add("cancelled");
      throw;
    }
    co_await next();
  });
  serve();
  const auto begin = std::chrono::steady_clock::now();
  Client c = client();
  EXPECT_EQ(c.upgrade("/b", bearer(token())).status, 503);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 8s);
  EXPECT_TRUE(events.wait_for(1)) << "also while the peer stays";
  EXPECT_EQ(events.all(), (Events{"cancelled"}));
}

TEST_F(MiddlewareTest, IsCancelledWhenThePeerGoes) {
  server.app.use([this](Request&, Next next) -> awaitable<void> {
    events.add("waits");
    try {
      co_await pause_for(1h);
    } catch (const std::exception&) {
      events.add("cancelled");
      throw;
    }
    co_await next();
  });
  serve();
  Client c = client();
  c.send_upgrade("/b", bearer(token()));
  ASSERT_TRUE(events.wait_for(1));
  c.reset();
  EXPECT_TRUE(events.wait_for(2));
}

TEST_F(MiddlewareTest, PassesLocalsToLaterMiddlewareAuthorizeAndCallbacks) {
  server.app.use([](Request& request, Next next) -> awaitable<void> {
    request.locals("tenant", std::string("blue"));
    request.locals("tenant", *request.local<std::string>("tenant") + "berry");
    co_await next();
  });
  server.app.use([this](Request& request, Next next) -> awaitable<void> {
    events.add(*request.local<std::string>("tenant"));
    co_await next();
  });
  server.app.ws("/locals", {.auth = {.verifier = secret_verifier(), .from = header},
                            .authorize =
                                [this](const Principal&, Request& request) {
                                  events.add(*request.local<std::string>("tenant"));
                                  return true;
                                },
                            .on_open =
                                [this](Connection& c) {
                                  events.add(*c.local<std::string>("tenant"));
                                  EXPECT_EQ(c.local<int>("tenant"), nullptr);
                                  EXPECT_EQ(c.local<std::string>("other"), nullptr);
                                },
                            .on_message =
                                [](Connection& c, Message) { c.send(*c.local<std::string>("tenant")); }});
  serve();
  Client c = client();
  ASSERT_EQ(c.upgrade("/locals", bearer(token())).status, 101);
  c.send("?");
  EXPECT_EQ(c.hear_text(), "blueberry");
  EXPECT_EQ(events.all(), (Events{"blueberry", "blueberry", "blueberry"}));
}

TEST_F(MiddlewareTest, SeesTheRequestWithoutItsCredential) {
  std::string id;
  server.app.use([&](Request& request, Next next) -> awaitable<void> {
    EXPECT_EQ(request.method(), "GET");
    EXPECT_EQ(request.path(), "/a/caf%C3%A9");
    EXPECT_EQ(request.target(), "/a/caf%C3%A9?x=1%202&y=1&y=2");
    EXPECT_EQ(request.host(), "localhost:" + std::to_string(server.port()));
    EXPECT_EQ(request.header("x-thing"), "thing");
    EXPECT_EQ(request.header("x-other"), std::nullopt);
    EXPECT_EQ(request.header("authorization"), std::nullopt);
    EXPECT_EQ(request.query("x"), "1 2");
    EXPECT_EQ(request.query("y"), std::nullopt);
    EXPECT_EQ(request.query("z"), std::nullopt);
    EXPECT_EQ(request.param("name"), "caf\u00e9");
    EXPECT_EQ(request.param("nothing"), "");
    EXPECT_EQ(request.address(), "127.0.0.1");
    id = request.connection_id();
    request.log({.name = "test.seen"});
    co_await next();
  });
  serve();
  Fields fields = bearer(token());
  fields.emplace_back("X-Thing", "thing");
  ASSERT_EQ(client().upgrade("/a/caf%C3%A9?x=1%202&y=1&y=2", fields).status, 101);
  EXPECT_EQ(id.size(), 22U);  // 128 bits
  EXPECT_EQ(log.count("test.seen"), 1U);
  EXPECT_TRUE(eventually([&] { return log.count("ws.open", "connection=" + id) == 1; }));
}

TEST_F(MiddlewareTest, LogsEveryHandshakeWithoutItsQuery) {
  server.app.use(access_log());
  serve();
  EXPECT_EQ(status_of("/b?secret=1"), 101);
  EXPECT_EQ(client().request("GET", "/page").status, 200);
  EXPECT_EQ(log.count("http.request", "path=/b"), 1U);
  EXPECT_EQ(log.count("http.request", "path=/page"), 1U);
  for (const std::string& line : log.all()) EXPECT_EQ(line.find("secret"), std::string::npos) << line;
}

}  // namespace
}  // namespace sallyport
