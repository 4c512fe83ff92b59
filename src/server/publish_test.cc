#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <memory>
#include <set>

#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

// Messages are commands: "+C" joins channel C, "-C" leaves it, "C:text" publishes, "?" answers.
class PublishTest : public ::testing::Test {
 protected:
  void start(unsigned workers = 3) {
    struct Worker {
      int unused = 0;
    };
    server.app.per_worker<Worker>([] { return Worker{}; });
    server.app.ws("/", {.auth = {.verifier = secret_verifier(), .from = header},
                        .limits = {.send_queue_bytes = 64 * 1024 * 1024},
                        .on_open =
                            [this](Connection&) {
                              const std::lock_guard lock(mutex);
                              workers_used.insert(&worker_state<Worker>());
                            },
                        .on_message = [](Connection& c, Message m) {
                          const std::string_view text = m.data;
                          if (text.starts_with('+')) {
                            c.send(c.subscribe(text.substr(1)) ? "joined" : "already");
                          } else if (text.starts_with('-')) {
                            c.send(c.unsubscribe(text.substr(1)) ? "left" : "not in");
                          } else if (const std::size_t colon = text.find(':'); colon != text.npos) {
                            c.publish(text.substr(0, colon), {text.substr(colon + 1), m.binary});
                          } else {
                            c.send("!");
                          }
                        }});
    server.start({.workers = workers, .drain = std::chrono::milliseconds(0)});
  }
  std::unique_ptr<Client> open(int receive_buffer = 0) {
    auto c = std::make_unique<Client>(server.port(), Client::Options{.receive_buffer = receive_buffer});
    EXPECT_EQ(c->upgrade("/", bearer(token())).status, 101);
    return c;
  }
  std::unique_ptr<Client> member(const std::string& channel, int receive_buffer = 0) {
    auto c = open(receive_buffer);
    c->send("+" + channel);
    EXPECT_EQ(c->hear_text(), "joined");
    return c;
  }
  static void expect_quiet(Client& c) {
    c.send("?");
    EXPECT_EQ(c.hear_text(), "!");
  }

  std::mutex mutex;
  std::set<const void*> workers_used;
  Server server;
};

TEST_F(PublishTest, ReachesEveryMemberOnEveryWorkerInTheOrderOfThePublisher) {
  constexpr int kMessages = 500;
  start();
  std::vector<std::unique_ptr<Client>> members;
  for (int i = 0; i < 24; ++i) members.push_back(member("room"));
  EXPECT_GT(workers_used.size(), 1U);
  const auto stranger = member("other room");
  const auto publisher = open();
  for (int i = 0; i < kMessages; ++i) publisher->send("room:" + std::to_string(i));
  for (const auto& c : members) {
    for (int i = 0; i < kMessages; ++i) ASSERT_EQ(c->hear_text(), std::to_string(i));
  }
  expect_quiet(*stranger);
  expect_quiet(*publisher);  // who has not joined hears nothing
}

TEST_F(PublishTest, ReachesThePublisherIfItHasJoined) {
  start();
  const auto c = member("room");
  c->send("room:one", ws::Opcode::kBinary);
  c->send("room:two");
  Heard heard = c->hear();
  EXPECT_EQ(heard.text, "one");
  EXPECT_TRUE(heard.binary);
  heard = c->hear();
  EXPECT_EQ(heard.text, "two");
  EXPECT_FALSE(heard.binary);
}

TEST_F(PublishTest, TakesTextsFromAnyThreadInTheOrderOfEach) {
  constexpr int kThreads = 3;
  constexpr int kMessages = 200;
  start();
  std::vector<std::unique_ptr<Client>> members;
  for (int i = 0; i < 8; ++i) members.push_back(member("room"));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < kMessages; ++i) {
        server.app.publish("room", std::to_string(t) + " " + std::to_string(i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& c : members) {
    std::vector<int> next(kThreads);
    for (int i = 0; i < kThreads * kMessages; ++i) {
      const std::string text = c->hear_text();
      const auto t = static_cast<std::size_t>(std::stoi(text));
      ASSERT_EQ(text, std::to_string(t) + " " + std::to_string(next.at(t)++));
    }
  }
}

TEST_F(PublishTest, JoinsAndLeavesOnce) {
  start();
  const auto c = member("room");
  c->send("+room");
  EXPECT_EQ(c->hear_text(), "already");
  c->send("-other");
  EXPECT_EQ(c->hear_text(), "not in");
  c->send("room:before");
  EXPECT_EQ(c->hear_text(), "before");
  c->send("-room");
  EXPECT_EQ(c->hear_text(), "left");
  c->send("-room");
  EXPECT_EQ(c->hear_text(), "not in");
  c->send("room:after");
  expect_quiet(*c);
}

TEST_F(PublishTest, KeepsMembershipsApartWhenMembersComeAndGo) {
  start(2);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 12; ++i) {
    clients.push_back(open());
    for (const char* channel : {"a", "b", "c"}) {
      clients.back()->send("+" + std::string(channel));
      EXPECT_EQ(clients.back()->hear_text(), "joined");
    }
  }
  for (std::size_t i = 0; i < clients.size(); i += 3) clients[i].reset();  // vanishes from all three
  for (std::size_t i = 1; i < clients.size(); i += 3) {
    clients[i]->send("-b");
    EXPECT_EQ(clients[i]->hear_text(), "left");
  }
  EXPECT_TRUE(eventually([&] { return server.app.connections() == 8; }));
  for (const char* channel : {"a", "b", "c"}) server.app.publish(channel, channel);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (i % 3 == 0) continue;
    EXPECT_EQ(clients[i]->hear_text(), "a");
    if (i % 3 == 2) {
      EXPECT_EQ(clients[i]->hear_text(), "b");
    }
    EXPECT_EQ(clients[i]->hear_text(), "c");
    expect_quiet(*clients[i]);
  }
}

// Every receiver's queue holds the same frame: memory does not grow with the audience.
TEST_F(PublishTest, IsFramedOnceHoweverManyHear) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers' allocators do not tell what is in use";
  constexpr std::size_t kMembers = 40;
  constexpr std::size_t kSize = 8 * 1024 * 1024;  // more than a socket buffers
  start(1);
  std::vector<std::unique_ptr<Client>> members;
  for (std::size_t i = 0; i < kMembers; ++i) members.push_back(member("room", 4096));
  const auto in_use = [] {
    const struct mallinfo2 info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const std::size_t before = in_use();
  server.app.publish("room", std::string(kSize, 'x'));
  expect_quiet(*open());  // a turn later it is queued
  const std::size_t grown = in_use() - before;
  EXPECT_GE(grown, kSize);
  EXPECT_LT(grown, 3 * kSize);
  EXPECT_EQ(members.back()->hear_text(), std::string(kSize, 'x'));
}

TEST_F(PublishTest, ClosesASlowMemberAndReachesTheOthers) {
  Record closes;
  server.app.ws("/slow", {.auth = {.verifier = secret_verifier(), .from = header},
                          .limits = {.send_queue_bytes = 1024 * 1024},
                          .on_open = [](Connection& c) { c.subscribe("room"); },
                          .on_close = [&](Connection&, const Close& why) {
                            closes.add(why.failure ? std::string(reason(*why.failure)) : "none");
                          }});
  start(2);
  Client slow(server.port(), {.receive_buffer = 4096});
  ASSERT_EQ(slow.upgrade("/slow", bearer(token())).status, 101);
  const auto quick = member("room");
  const std::string block(256 * 1024, 'x');
  int sent = 0;
  while (closes.size() == 0) {
    server.app.publish("room", std::to_string(sent++) + block);
    ASSERT_EQ(std::stoi(quick->hear_text()), sent - 1);
    ASSERT_LT(sent, 200);
  }
  EXPECT_EQ(closes.all(), (std::vector<std::string>{"slow_consumer"}));
  server.app.publish("room", "still here");
  EXPECT_EQ(quick->hear_text(), "still here");
}

TEST_F(PublishTest, MaySayGoodbyeInOnClose) {
  server.app.ws("/room", {.auth = {.verifier = secret_verifier(), .from = header},
                          .on_open = [](Connection& c) { c.subscribe("room"); },
                          .on_message =
                              [](Connection& c, Message m) {
                                c.close(4000);
                                c.publish("room", m);  // too late
                              },
                          .on_close =
                              [](Connection& c, const Close&) {
                                c.publish("room", {c.principal().subject.str() + " has left"});
                              }});
  start();
  const auto stays = member("room");
  const auto enter = [&](const std::string& who) {
    auto c = std::make_unique<Client>(server.port());
    EXPECT_EQ(c->upgrade("/room", bearer(token({.subject = who}))).status, 101);
    return c;
  };
  enter("ada")->reset();
  EXPECT_EQ(stays->hear_text(), "ada has left");
  const auto eve = enter("eve");
  eve->send("I have closed");
  EXPECT_EQ(eve->hear_close(), 4000);
  EXPECT_EQ(stays->hear_text(), "eve has left");
  expect_quiet(*stays);
}

// Each of them is closed by what the end of another one makes the server say.
TEST_F(PublishTest, SurvivesARoomFullOfSlowMembersWhoseEndsAreTold) {
  constexpr std::size_t kMembers = 200;
  std::atomic<std::size_t> closes = 0;
  server.app.ws("/room", {.auth = {.verifier = secret_verifier(), .from = header},
                          .limits = {.send_queue_bytes = 1024},
                          .on_open = [](Connection& c) { c.subscribe("slow"); },
                          .on_close =
                              [&](Connection& c, const Close&) {
                                ++closes;
                                c.publish("slow", {"x"});
                              }});
  start(1);
  std::vector<std::unique_ptr<Client>> members;
  for (std::size_t i = 0; i < kMembers; ++i) {
    members.push_back(std::make_unique<Client>(server.port(), Client::Options{.receive_buffer = 4096}));
    ASSERT_EQ(members.back()->upgrade("/room", bearer(token())).status, 101);
  }
  const std::string block(64 * 1024, 'x');
  EXPECT_TRUE(eventually([&] {
    server.app.publish("slow", block);
    return closes == kMembers;
  }, 60s));
  expect_quiet(*open());
}

TEST_F(PublishTest, IsNothingBeforeTheServerRunsAndAfterwards) {
  server.app.publish("room", "to nobody");
  std::atomic<bool> done = false;
  std::thread early([&] {
    while (!done) server.app.publish("room", "at any time");
  });
  start();
  {
    const auto c = member("room");
    EXPECT_EQ(c->hear_text(), "at any time");
  }
  EXPECT_EQ(server.stop(), 0);
  done = true;
  early.join();
  server.app.publish("room", "to nobody");
}

// ---- Hub routes: the same by the channel protocol

TEST_F(PublishTest, ServesChannelsByPermit) {
  server.app.hub("/hub/:room", {.auth = {.verifier = secret_verifier(), .from = header},
                                .permit = {{.subscribe = true, .publish = true, .channel = "room/{param.room}"},
                                           {.subscribe = true, .channel = "user/{sub}"}}});
  start();
  const auto enter = [&](const std::string& subject) {
    auto c = std::make_unique<Client>(server.port());
    EXPECT_EQ(c->upgrade("/hub/blue", bearer(token({.subject = subject}))).status, 101);
    c->send(R"({"type":"subscribe","channel":"room/blue","id":1})");
    EXPECT_EQ(c->hear_text(), R"({"type":"subscribed","channel":"room/blue","id":1})");
    return c;
  };
  const auto ada = enter("ada");
  const auto bob = enter("bob");
  ada->send(R"({"type":"publish","channel":"room/blue","data":{"n":1},"id":2})");
  EXPECT_EQ(bob->hear_text(), R"({"type":"message","channel":"room/blue","subject":"ada","data":{"n":1}})");
  for (const char* refused : {R"({"type":"publish","channel":"user/ada","data":1,"id":3})",
                              R"({"type":"subscribe","channel":"user/ada","id":3})",
                              R"({"type":"subscribe","channel":"room/red","id":3})"}) {
    bob->send(refused);
    EXPECT_EQ(bob->hear_text(), R"({"type":"error","reason":"forbidden","id":3})");
  }
}

}  // namespace
}  // namespace sallyport
