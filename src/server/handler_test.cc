// Callbacks: their data, their handles, and what becomes of what they throw.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>

#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

Auth with_token() { return {.verifier = secret_verifier(), .from = header}; }

class HandlerTest : public ::testing::Test {
 protected:
  std::unique_ptr<Client> open(const std::string& path = "/") {
    auto c = std::make_unique<Client>(server.port());
    EXPECT_EQ(c->upgrade(path, bearer(token())).status, 101);
    return c;
  }

  Record events;
  Log log;
  Server server{AppOptions{.log = log.sink()}};
};

// ---- Data

struct Player {
  std::string name = "nobody";
  int moves = 0;
};

TEST_F(HandlerTest, GivesEveryConnectionOfATypedRouteItsOwnData) {
  server.app.ws<Player>("/", {.auth = with_token(),
                              .on_open = [](ConnectionOf<Player>& c) { EXPECT_EQ(c.data().name, "nobody"); },
                              .on_message =
                                  [](ConnectionOf<Player>& c, Message m) {
                                    if (c.data().moves++ == 0) c.data().name = m.data;
                                    c.send(c.data().name + " " + std::to_string(c.data().moves));
                                  },
                              .on_close =
                                  [this](ConnectionOf<Player>& c, const Close&) {
                                    events.add(c.data().name + " " + std::to_string(c.data().moves));
                                  }});
  server.start();
  auto one = open();
  const auto two = open();
  one->send("one");
  two->send("two");
  EXPECT_EQ(one->hear_text(), "one 1");
  EXPECT_EQ(two->hear_text(), "two 1");
  one->send("again");
  EXPECT_EQ(one->hear_text(), "one 2");
  one.reset();
  ASSERT_TRUE(events.wait_for(1));
  EXPECT_EQ(events.all()[0], "one 2");
}

TEST_F(HandlerTest, GivesEveryWorkerItsOwnState) {
  constexpr unsigned kWorkers = 3;
  constexpr int kClients = 24;
  struct Counter {
    std::thread::id thread;
    int calls = 0;
  };
  std::mutex mutex;
  std::set<const Counter*> counters;
  int calls = 0;
  server.app
      .per_worker<Counter>([this] {
        events.add("made");
        return Counter{.thread = std::this_thread::get_id()};
      })
      .ws("/", {.auth = with_token(), .on_message = [&](Connection& c, Message m) {
                  auto& state = worker_state<Counter>();
                  EXPECT_EQ(state.thread, std::this_thread::get_id());
                  ++state.calls;  // no lock: it is this thread's
                  {
                    const std::lock_guard lock(mutex);
                    counters.insert(&state);
                    ++calls;
                  }
                  c.send(m);
                }});
  server.start({.workers = kWorkers, .drain = std::chrono::milliseconds(0)});
  for (int i = 0; i < kClients; ++i) {
    const auto c = open();
    c->send("x");
    EXPECT_EQ(c->hear_text(), "x");
  }
  EXPECT_EQ(events.size(), kWorkers);
  EXPECT_EQ(calls, kClients);
  EXPECT_GT(counters.size(), 1U);  // the kernel spreads connections over the workers' listeners
  int sum = 0;
  for (const Counter* counter : counters) sum += counter->calls;
  EXPECT_EQ(sum, kClients);
  EXPECT_EQ(server::find_worker_state(typeid(Counter)), nullptr);  // not on this thread
}

TEST_F(HandlerTest, CarriesDataThatCanOnlyBeMoved) {
  struct Owner {
    std::unique_ptr<int> count = std::make_unique<int>(0);
  };
  server.app.ws<Owner>("/", {.auth = with_token(), .on_message = [](ConnectionOf<Owner>& c, Message) {
                               c.send(std::to_string(++*c.data().count));
                             }});
  server.start();
  const auto c = open();
  c->send("x");
  c->send("x");
  EXPECT_EQ(c->hear_text(), "1");
  EXPECT_EQ(c->hear_text(), "2");
}

TEST_F(HandlerTest, RunsNoCallbackWhereTheDataCannotBeMade) {
  struct Broken {
    int moves = 0;
    Broken() { throw std::runtime_error("out of players"); }
  };
  const auto never = [this](ConnectionOf<Broken>& c) {
    events.add("called");
    ++c.data().moves;
  };
  server.app.ws<Broken>("/", {.auth = with_token(),
                              .on_open = never,
                              .on_message = [never](ConnectionOf<Broken>& c, Message) { never(c); },
                              .on_close = [never](ConnectionOf<Broken>& c, const Close&) { never(c); }});
  server.start();
  Client c(server.port());
  ASSERT_EQ(c.upgrade("/", bearer(token()), Client::frame("early")).status, 101);
  EXPECT_EQ(c.hear_close(), 1011);
  EXPECT_TRUE(server.empties());
  EXPECT_EQ(events.size(), 0U);
  EXPECT_EQ(log.count("ws.handler_threw", "out of players"), 1U);
  EXPECT_EQ(log.count("ws.close", "reason=internal"), 1U);
}

TEST_F(HandlerTest, SaysWhichDataOrStateThereIsNot) {
  struct Missing {
    int unused = 0;
  };
  server.app.ws("/", {.auth = with_token(), .on_message = [](Connection& c, Message m) {
                        if (m.data == "data") {
                          ++ConnectionOf<Missing>(c).data().unused;
                        } else {
                          ++worker_state<Missing>().unused;
                        }
                      }});
  server.start();
  for (const char* wanted : {"data", "state"}) {
    const auto c = open();
    c->send(wanted);
    EXPECT_EQ(c->hear_close(), 1011);
  }
  EXPECT_EQ(log.count("ws.handler_threw", "Missing"), 2U);
  EXPECT_EQ(log.count("ws.handler_threw", "no per_worker of that type"), 1U);
  EXPECT_THROW((void)worker_state<Missing>(), std::logic_error);
}

TEST_F(HandlerTest, KnowsTheConnectionItSpeaksTo) {
  server.app.ws("/:room/:name", {.auth = with_token(), .on_open = [](Connection& c) {
                                   EXPECT_EQ(c.param("room"), "b lue");
                                   EXPECT_EQ(c.param("name"), "x");
                                   EXPECT_EQ(c.param("other"), "");
                                   EXPECT_EQ(c.address(), "127.0.0.1");
                                   EXPECT_EQ(c.id().size(), 22U);
                                   EXPECT_EQ(c.principal().subject, "ada");
                                   EXPECT_EQ(c.principal().issuer, kIssuer);
                                   c.send(c.id());
                                 }});
  server.start();
  EXPECT_NE(open("/b%20lue/x")->hear_text(), open("/b%20lue/x")->hear_text());
}

TEST_F(HandlerTest, KeepsBinaryAndTextApart) {
  server.app.ws("/", {.auth = with_token(), .on_message = [](Connection& c, Message m) { c.send(m); }});
  server.start();
  const auto c = open();
  const std::string bytes("\xFF\x00\xFE", 3);
  c->send(bytes, ws::Opcode::kBinary);
  Heard heard = c->hear();
  EXPECT_TRUE(heard.binary);
  EXPECT_EQ(heard.text, bytes);
  c->send("text");
  EXPECT_FALSE(c->hear().binary);
}

// ---- Closing

TEST_F(HandlerTest, ClosesWithItsOwnCodeAndHearsNothingAfterwards) {
  server.app.ws("/", {.auth = with_token(),
                      .on_message =
                          [this](Connection& c, Message m) {
                            events.add(std::string(m.data));
                            c.send("goodbye");
                            c.close(4321, "enough");
                            events.add(c.send("more") == SendResult::kDropped ? "dropped" : "sent");
                            c.close(4000, "again");
                          },
                      .on_close =
                          [this](Connection&, const Close& why) {
                            events.add("close " + std::to_string(why.code) + (why.failure ? " failure" : ""));
                          }});
  server.start();
  const auto c = open();
  c->send_raw(Client::frame("one") + Client::frame("two"));
  EXPECT_EQ(c->hear_text(), "goodbye");
  const Heard heard = c->hear();
  EXPECT_EQ(heard.code, 4321);
  EXPECT_EQ(heard.text, "enough");
  c->send_close(4321);
  EXPECT_EQ(c->hear().kind, Heard::Kind::kEnd);
  EXPECT_TRUE(server.empties());
  EXPECT_EQ(events.all(), (std::vector<std::string>{"one", "close 4321", "dropped"}));
}

TEST_F(HandlerTest, MayCloseInOnOpen) {
  server.app.ws("/", {.auth = with_token(),
                      .on_open = [](Connection& c) { c.close(4001); },
                      .on_message = [this](Connection&, Message) { events.add("message"); },
                      .on_close = [this](Connection&, const Close&) { events.add("close"); }});
  server.start();
  Client c(server.port());
  ASSERT_EQ(c.upgrade("/", bearer(token()), Client::frame("early")).status, 101);
  EXPECT_EQ(c.hear_close(), 4001);
  EXPECT_TRUE(server.empties());
  EXPECT_EQ(events.all(), (std::vector<std::string>{"close"}));
}

TEST_F(HandlerTest, CannotSendACodeThatIsNotItsOwn) {
  server.app.ws("/", {.auth = with_token(), .on_message = [](Connection& c, Message m) {
                        c.close(static_cast<std::uint16_t>(std::stoi(std::string(m.data))));
                      }});
  server.start();
  for (const char* code : {"0", "999", "1001", "1005", "1006", "2999", "5000"}) {
    const auto c = open();
    c->send(code);
    EXPECT_EQ(c->hear_close(), 1011) << code;
  }
}

// ---- What is thrown

TEST_F(HandlerTest, ClosesTheConnectionOfAHandlerThatThrowsAndServesTheOthers) {
  const auto fail = [](std::string_view how) {
    if (how == "odd") throw 42;
    if (how == "throw") throw std::runtime_error("boom");
  };
  server.app.ws("/", {.auth = with_token(),
                      .on_message =
                          [fail](Connection& c, Message m) {
                            fail(m.data);
                            c.send(m);
                          },
                      .on_close =
                          [this](Connection&, const Close& why) {
                            events.add(std::to_string(why.code) +
                                       (why.failure == Failure::kInternal ? " internal" : ""));
                          }});
  server.start({.workers = 1, .drain = std::chrono::milliseconds(0)});
  const auto bystander = open();
  for (const char* how : {"throw", "odd"}) {
    const auto c = open();
    c->send_raw(Client::frame(how) + Client::frame("after"));
    const Heard heard = c->hear();
    EXPECT_EQ(heard.code, 1011);
    EXPECT_EQ(heard.text, "internal");  // nothing of what was thrown
    c->send_close(1011);
    EXPECT_EQ(c->hear().kind, Heard::Kind::kEnd);
  }
  bystander->send("still here");
  EXPECT_EQ(bystander->hear_text(), "still here");
  EXPECT_TRUE(events.wait_for(2));
  EXPECT_EQ(events.all(), (std::vector<std::string>{"1011 internal", "1011 internal"}));
  EXPECT_EQ(log.count("ws.handler_threw", "what=boom"), 1U);
  EXPECT_EQ(log.count("ws.handler_threw"), 2U);
}

TEST_F(HandlerTest, FencesEveryCallback) {
  const auto boom = [] { throw std::runtime_error("boom"); };
  server.app.ws("/open", {.auth = with_token(),
                          .on_open = [boom](Connection&) { boom(); },
                          .on_close = [this](Connection&, const Close&) { events.add("close"); }});
  server.app.ws("/close", {.auth = with_token(), .on_close = [this, boom](Connection&, const Close&) {
                             events.add("close");
                             boom();
                           }});
  Route data{.auth = with_token()};
  data.make_data = [boom]() -> std::any {
    boom();
    return {};
  };
  server.app.ws("/data", std::move(data));
  server.start();
  EXPECT_EQ(open("/open")->hear_close(), 1011);
  EXPECT_TRUE(events.wait_for(1));
  {
    const auto c = open("/close");
    c->send_close();
    EXPECT_EQ(c->hear_close(), 1000);
  }
  EXPECT_EQ(open("/data")->hear_close(), 1011);
  EXPECT_TRUE(server.empties());
  EXPECT_EQ(events.all(), (std::vector<std::string>{"close", "close"}));
}

// ---- Handles

class HandleTest : public HandlerTest {
 protected:
  HandleTest() {
    server.app.ws("/", {.auth = with_token(), .on_open = [this](Connection& c) {
                          const std::lock_guard lock(mutex);
                          handles.push_back(c.handle());
                        }});
  }
  Handle handle(std::size_t index) {
    EXPECT_TRUE(eventually([&] {
      const std::lock_guard lock(mutex);
      return handles.size() > index;
    }));
    const std::lock_guard lock(mutex);
    return handles.at(index);
  }
  std::mutex mutex;
  std::vector<Handle> handles;
};

TEST_F(HandleTest, SendsFromOtherThreadsInTheOrderOfEach) {
  constexpr int kThreads = 4;
  constexpr int kMessages = 300;
  server.start();
  const auto c = open();
  const Handle to = handle(0);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([to, t] {
      for (int i = 0; i < kMessages; ++i) to.send(std::to_string(t) + " " + std::to_string(i));
    });
  }
  std::vector<int> next(kThreads);
  for (int i = 0; i < kThreads * kMessages; ++i) {
    const std::string text = c->hear_text();
    const auto t = static_cast<std::size_t>(std::stoi(text));
    EXPECT_EQ(text, std::to_string(t) + " " + std::to_string(next.at(t)++));
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(HandleTest, SendsBinaryAndCloses) {
  server.start();
  const auto c = open();
  handle(0).send("bytes", true);
  EXPECT_TRUE(c->hear().binary);
  handle(0).close(4000, "from outside");
  const Heard heard = c->hear();
  EXPECT_EQ(heard.code, 4000);
  EXPECT_EQ(heard.text, "from outside");
}

TEST_F(HandleTest, IsNothingAfterItsConnectionHasGoneAndNeverMeansAnother) {
  server.start({.workers = 1, .drain = std::chrono::milliseconds(0)});
  auto first = open();
  const Handle stale = handle(0);
  first.reset();
  ASSERT_TRUE(server.empties());
  const auto second = open();  // in the place of the first
  stale.send("to the first");
  stale.close(4000);
  handle(1).send("to the second");
  EXPECT_EQ(second->hear_text(), "to the second");
}

TEST_F(HandleTest, IsNothingWithoutAnAppAndByDefault) {
  Handle().send("to nobody");
  Handle().close();
  Handle kept;
  {
    Server gone;
    std::mutex lock_kept;
    gone.app.ws("/", {.auth = with_token(), .on_open = [&](Connection& c) {
                        const std::lock_guard lock(lock_kept);
                        kept = c.handle();
                      }});
    gone.start();
    Client c(gone.port());
    ASSERT_EQ(c.upgrade("/", bearer(token())).status, 101);
    ASSERT_TRUE(eventually([&] { return gone.app.connections() == 1; }));
    std::thread peer([&] { EXPECT_EQ(c.hear_close(), 1012); });
    gone.stop();
    peer.join();
    kept.send("after the end");
  }
  kept.send("after the app");
  kept.close();
}

TEST_F(HandleTest, MayBeUsedWhileTheServerStops) {
  server.start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(open());
  for (std::size_t i = 0; i < 8; ++i) (void)handle(i);
  std::atomic<bool> done = false;
  std::thread sender([&] {
    while (!done) {
      for (const Handle& each : handles) each.send("tick");
      std::this_thread::yield();
    }
  });
  std::this_thread::sleep_for(20ms);
  std::vector<std::thread> readers;
  for (auto& c : clients) readers.emplace_back([&c] { (void)c->hear_close(); });
  EXPECT_EQ(server.stop(), 0);
  done = true;
  sender.join();
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace sallyport
