// What one connection may cost the others: bursts of publications, members that are slower than who publishes,
// queued data whose authority has ended, and answers that wait for slow peers.

#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "server/inbox.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;
using namespace literals;
using Clock = std::chrono::steady_clock;

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

std::size_t memory_in_use() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Messages are commands: "+C" joins channel C, "-C" leaves it, "C:text" publishes, "nap" stops the worker until
// the test wakes it, and "?" answers.
class BurstTest : public ::testing::Test {
 protected:
  struct Worker {
    int number;
  };
  BurstTest() : server(AppOptions{.log = log.sink()}) {}
  ~BurstTest() override { awake = true; }

  void start(unsigned workers) {
    server.app.per_worker<Worker>([this] { return Worker{made++}; });
    server.app.ws("/", {.auth = {.verifier = secret_verifier(), .from = header},
                        .limits = {.message_bytes = 256 * 1024, .send_queue_bytes = 256 * 1024 * 1024,
                                   .connections_per_subject = 0},
                        .on_open = [](Connection& c) { c.send(std::to_string(worker_state<Worker>().number)); },
                        .on_message = [this](Connection& c, Message m) { obey(c, m); },
                        .on_close =
                            [this](Connection&, const Close& why) {
                              ended_at = std::chrono::system_clock::now();
                              closes.add(why.failure ? std::string(reason(*why.failure)) : "none");
                            }});
    server.start({.workers = workers, .drain = std::chrono::milliseconds(0)});
  }
  void obey(Connection& c, Message m) {
    const std::string_view text = m.data;
    if (text == "nap") {
      napping = true;
      while (!awake) std::this_thread::sleep_for(1ms);
    } else if (text.starts_with('+')) {
      c.send(c.subscribe(text.substr(1)) ? "joined" : "already");
    } else if (text.starts_with('-')) {
      c.send(c.unsubscribe(text.substr(1)) ? "left" : "not in");
    } else if (const std::size_t colon = text.find(':'); colon != text.npos) {
      c.publish(text.substr(0, colon), {text.substr(colon + 1)});
      ++published;
    } else {
      c.send("!");
    }
  }

  // A connection, on the worker with that number if one is given.
  std::unique_ptr<Client> open(std::optional<int> worker = {}, const TokenSpec& spec = {}, int receive_buffer = 0) {
    for (int i = 0; i < 200; ++i) {
      auto c = std::make_unique<Client>(server.port(), Client::Options{.receive_buffer = receive_buffer});
      EXPECT_EQ(c->upgrade("/", bearer(token(spec))).status, 101);
      const std::string on = c->hear_text();
      if (!worker || on == std::to_string(*worker)) return c;
    }
    ADD_FAILURE() << "no connection came to worker " << *worker;
    return nullptr;
  }
  std::unique_ptr<Client> member(std::optional<int> worker = {}, const TokenSpec& spec = {}) {
    auto c = open(worker, spec);
    c->send("+room");
    EXPECT_EQ(c->hear_text(), "joined");
    return c;
  }
  static std::string repeated(std::string_view message, int count) {
    const std::string frame = Client::frame(message);
    std::string all;
    all.reserve(frame.size() * static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) all += frame;
    return all;
  }

  std::atomic<int> made = 0;
  std::atomic<int> published = 0;
  std::atomic<bool> napping = false;
  std::atomic<bool> awake = false;
  std::atomic<std::chrono::system_clock::time_point> ended_at{};
  Record closes;
  Log log;
  Server server;
};

TEST_F(BurstTest, DoesNotKeepOthersWaiting) {
  constexpr int kMembers = 200;
  const int burst = kSanitized ? 2000 : 10'000;
  start(1);
  std::vector<std::unique_ptr<Client>> members;
  for (int i = 0; i < kMembers; ++i) members.push_back(member());
  const auto bystander = open();
  const auto publisher = open();
  std::atomic<bool> delivered = false;
  const auto began = Clock::now();
  Clock::time_point ended;
  std::thread last([&] {
    for (int i = 0; i < burst; ++i) ASSERT_EQ(members.back()->hear_text(60s), "x");
    ended = Clock::now();
    delivered = true;
  });
  ASSERT_TRUE(publisher->send_raw(repeated("room:x", burst)));
  Clock::duration worst{};
  int answers = 0;
  while (!delivered) {
    const auto asked = Clock::now();
    bystander->send("?");
    ASSERT_EQ(bystander->hear_text(60s), "!");
    worst = std::max(worst, Clock::now() - asked);
    ++answers;
  }
  last.join();
  EXPECT_GT(answers, 20);
  EXPECT_LT(worst, (ended - began) / 4) << "of " << (ended - began) / 1ms << " ms";
  for (int i = 0; i + 1 < kMembers; ++i) {
    for (int n = 0; n < 10; ++n) ASSERT_EQ(members[static_cast<std::size_t>(i)]->hear_text(), "x");
  }
}

TEST_F(BurstTest, EndsAnAuthorityInTimeAndDeliversNothingAfterIt) {
  constexpr int kMembers = 300;
  start(1);
  std::vector<std::unique_ptr<Client>> members;
  for (int i = 0; i < kMembers; ++i) members.push_back(member());
  const auto publisher = open();
  const auto second = [] { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); };
  std::unique_ptr<Client> canary;
  auto expires = second();
  while (canary == nullptr || second() + 3s != expires) {
    if (canary != nullptr) canary->send("-room");  // the second turned meanwhile
    expires = second() + 3s;
    canary = member({}, {.life = 3s});
  }
  std::this_thread::sleep_until(expires - 300ms);
  std::atomic<bool> done = false;
  std::thread crowd([&] {  // they read, so that it is the worker that is busy
    for (std::size_t i = 0; !done; i = (i + 1) % members.size()) (void)members[i]->hear(0ms);
  });
  std::thread burst([&] {
    const std::string block = repeated("room:x", 2000);
    while (!done && publisher->send_raw(block)) {
    }
  });
  EXPECT_EQ(canary->hear_close(), 3000);
  const auto heard_end = std::chrono::system_clock::now();
  const int published_then = published;
  EXPECT_TRUE(closes.wait_for(1));
  EXPECT_EQ(closes.all().front(), "token_expired");
  const auto late = ended_at.load() - expires;
  EXPECT_GE(late, -1ms);  // the server's clock counts whole ones
  EXPECT_LT(late, 1s);
  EXPECT_LT(heard_end - expires, 2s);
  EXPECT_TRUE(eventually([&] { return published > published_then; }));  // the burst was not over
  done = true;
  publisher->end();
  awake = true;
  burst.join();
  crowd.join();
}

TEST_F(BurstTest, WaitsForAWorkerThatIsSlowerAndLosesNothing) {
  constexpr int kMessages = 4000;
  constexpr std::size_t kSize = 16'000;
  start(2);
  const auto listener = member(1);
  const auto sleeper = open(1);
  const auto publisher = open(0);
  const auto bystander = open(0);
  sleeper->send("nap");
  ASSERT_TRUE(eventually([&] { return napping.load(); }));
  std::thread speaker([&] {
    for (int i = 0; i < kMessages; ++i) {
      std::string text = "room:" + std::to_string(i) + " ";
      text.resize(kSize, 'x');
      if (!publisher->send(text)) return;
    }
  });
  const int full = static_cast<int>(server::Inbox::kBytes / kSize);
  EXPECT_TRUE(eventually([&] { return published >= full - 20; }));
  std::this_thread::sleep_for(100ms);
  EXPECT_LE(published, full + 1);  // however much more it has to say
  bystander->send("?");
  EXPECT_EQ(bystander->hear_text(), "!");  // who does not publish is served
  awake = true;
  for (int i = 0; i < kMessages; ++i) ASSERT_EQ(std::stoi(listener->hear_text()), i);
  speaker.join();
  EXPECT_TRUE(eventually([&] { return published == kMessages; }));
  EXPECT_EQ(log.count("server.publications_dropped"), 0U);
}

TEST_F(BurstTest, DropsWhatTheProgramPublishesFasterThanAWorkerDelivers) {
  start(1);
  const auto listener = member();
  const auto sleeper = open();
  sleeper->send("nap");
  ASSERT_TRUE(eventually([&] { return napping.load(); }));
  const std::size_t before = kSanitized ? 0 : memory_in_use();
  int taken = 0;
  while (server.app.publish("room", std::to_string(taken) + std::string(1'000'000, ' '))) {
    ASSERT_LT(++taken, 100);
  }
  EXPECT_GE(taken, 30);
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(server.app.publish("room", std::string(1'000'000, ' ')));
  if (!kSanitized) {
    EXPECT_LT(memory_in_use() - before, 40_MiB);
  }
  EXPECT_EQ(log.count("server.publications_dropped"), 1U);
  awake = true;
  for (int i = 0; i < taken; ++i) ASSERT_EQ(std::stoi(listener->hear_text()), i);
  EXPECT_TRUE(eventually([&] { return server.app.publish("room", "again"); }));
  EXPECT_EQ(listener->hear_text(), "again");
}

// A burst is delivered in parts; who comes and goes between them changes nothing for the others.
TEST_F(BurstTest, ReachesEveryoneOnceWhileOthersComeAndGo) {
  constexpr int kMembers = 60;
  constexpr int kMessages = 1500;
  start(1);
  std::vector<std::unique_ptr<Client>> leavers;
  std::vector<std::unique_ptr<Client>> churners;
  std::vector<std::unique_ptr<Client>> members;
  for (int i = 0; i < kMembers; ++i) {
    leavers.push_back(member());  // before the others, who then take their places
    members.push_back(member());
    if (i % 4 == 0) churners.push_back(open());
  }
  const auto publisher = open();
  std::atomic<bool> done = false;
  std::thread churn([&] {
    for (std::size_t i = 0; !done; ++i) {
      if (i < leavers.size()) leavers[i]->send("-room");
      for (const auto& c : churners) c->send("+room");
      std::this_thread::sleep_for(1ms);
      for (const auto& c : churners) c->send("-room");
    }
  });
  std::string burst;
  for (int i = 0; i < kMessages; ++i) burst += Client::frame("room:" + std::to_string(i));
  ASSERT_TRUE(publisher->send_raw(burst));
  for (const auto& c : members) {
    for (int i = 0; i < kMessages; ++i) ASSERT_EQ(c->hear_text(), std::to_string(i));
  }
  done = true;
  churn.join();
  // After "left" a leaver hears nothing any more.
  for (const auto& c : churners) c->send("?");
  ASSERT_TRUE(publisher->send_raw(burst));
  for (const auto& c : churners) {
    while (c->hear_text() != "!") {
    }
    EXPECT_EQ(c->hear(0ms).kind, Heard::Kind::kNothing);
  }
}

// ---- What is queued when the authority ends

class QueueTest : public ::testing::TestWithParam<bool> {
 protected:
  QueueTest() : server(GetParam() ? AppOptions{.tls = localhost_tls()} : AppOptions{}) {}
  Server server;
};

INSTANTIATE_TEST_SUITE_P(Transports, QueueTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

TEST_P(QueueTest, IsDroppedWhenTheAuthorityEnds) {
  constexpr int kMessages = 4000;
  constexpr std::size_t kSize = 8000;
  std::atomic<int> dropped = 0;
  Record closes;
  server.app.ws("/", {.auth = {.verifier = secret_verifier(), .from = header},
                      .limits = {.send_queue_bytes = 64_MiB},
                      .on_message =
                          [&](Connection& c, Message) {
                            for (int i = 0; i < kMessages; ++i) {
                              std::string text = std::to_string(i) + " ";
                              text.resize(kSize, 'x');
                              if (c.send(text) == SendResult::kDropped) ++dropped;
                            }
                          },
                      .on_close =
                          [&](Connection&, const Close& why) {
                            closes.add(why.failure ? std::string(reason(*why.failure)) : "none");
                          }});
  server.start({.workers = 1, .drain = std::chrono::milliseconds(0)});
  Client c(server.port(), {.tls = GetParam(), .receive_buffer = 4096});
  ASSERT_EQ(c.upgrade("/", bearer(token({.life = 2s}))).status, 101);
  c.send("go");
  EXPECT_TRUE(closes.wait_for(1));
  EXPECT_EQ(closes.all(), (std::vector<std::string>{"token_expired"}));
  EXPECT_EQ(dropped, 0);
  int next = 0;
  Heard heard = c.hear();
  for (; heard.kind == Heard::Kind::kMessage; heard = c.hear()) {
    ASSERT_EQ(heard.text.size(), kSize);
    ASSERT_EQ(std::stoi(heard.text), next++);
  }
  EXPECT_EQ(heard.kind, Heard::Kind::kClose) << heard.text;
  EXPECT_EQ(heard.code, 3000);
  EXPECT_LT(next, kMessages * 3 / 4);  // only what the kernel had already, which holds less than 16 MB
}

// ---- Answers that wait for slow peers

class SlowPageTest : public ::testing::Test {
 protected:
  SlowPageTest() {
    std::string name = std::filesystem::temp_directory_path() / "sallyport-pages-XXXXXX";
    folder = ::mkdtemp(name.data());
  }
  ~SlowPageTest() override { std::filesystem::remove_all(folder); }
  // Written so long ago that it may be remembered.
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder + "/" + name) << text;
  }
  std::unique_ptr<Client> ask(const std::string& path) const {
    auto c = std::make_unique<Client>(server.port(), Client::Options{.receive_buffer = 4096});
    c->send_raw("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return c;
  }
  std::string folder;
  Server server;
};

TEST_F(SlowPageTest, HoldsAFileOnceHoweverManyReadIt) {
  constexpr std::size_t kSize = 12'000'000;
  write("big.bin", std::string(kSize, 'x'));
  server.app.files("/f", folder);
  server.start();
  std::this_thread::sleep_for(2100ms);
  EXPECT_EQ(ask("/f/big.bin")->read_reply().body.size(), kSize);
  const std::size_t before = kSanitized ? 0 : memory_in_use();
  std::vector<std::unique_ptr<Client>> readers;
  for (int i = 0; i < 40; ++i) readers.push_back(ask("/f/big.bin"));
  EXPECT_EQ(ask("/f/none")->read_reply().status, 404);
  std::this_thread::sleep_for(100ms);
  if (!kSanitized) {
    EXPECT_LT(memory_in_use() - before, kSize);
  }
  for (const auto& c : readers) {
    const Reply reply = c->read_reply();
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body.size(), kSize);
  }
}

TEST_F(SlowPageTest, ServesWhatAFileHoldsNow) {
  server.app.files("/f", folder);
  server.start();
  for (int i = 0; i < 10; ++i) {  // as fast as it goes, and of one size
    write("page.html", std::to_string(i));
    EXPECT_EQ(ask("/f/page.html")->read_reply().body, std::to_string(i));
  }
  std::filesystem::remove(folder + "/page.html");
  EXPECT_EQ(ask("/f/page.html")->read_reply().status, 404);
}

TEST_F(SlowPageTest, AnswersThatTheyCannotWaitTogetherBeyondALimit) {
  constexpr std::size_t kSize = 12'000'000;
  server.app.get("/big", [](Request&) { return Response{.body = std::string(kSize, 'x')}; });
  server.app.get("/small", [](Request&) { return Response{.body = "small"}; });
  server.start();
  std::vector<std::unique_ptr<Client>> readers;
  for (int i = 0; i < 12; ++i) readers.push_back(ask("/big"));
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(ask("/small")->read_reply().body, "small");
  int refused = 0;
  for (const auto& c : readers) {
    const Reply reply = c->read_reply();
    if (reply.status == 503) {
      ++refused;
    } else {
      EXPECT_EQ(reply.status, 200);
      EXPECT_EQ(reply.body.size(), kSize);
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_LE(refused, 7);
  EXPECT_EQ(ask("/big")->read_reply().status, 200);  // they have gone
}

}  // namespace
}  // namespace sallyport
