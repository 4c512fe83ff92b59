// Peers that read more slowly than a server writes.

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;
using namespace literals;

// An app with one client that has a small receive buffer, and a handle to its connection.
class FlowTest : public ::testing::TestWithParam<bool> {
 protected:
  FlowTest()
      : server(GetParam() ? AppOptions{.tls = localhost_tls()} : AppOptions{}),
        route{.auth = {.verifier = secret_verifier(), .from = header}} {
    route.on_open = [this](Connection& c) {
      const std::lock_guard lock(mutex);
      handle = c.handle();
      opened = true;
    };
    route.on_drain = [this](Connection& c) {
      EXPECT_EQ(c.queued_bytes(), 0U);
      ++drains;
    };
    route.on_close = [this](Connection&, const Close& why) {
      closes.add(why.failure ? std::string(reason(*why.failure)) : std::to_string(why.code));
    };
  }
  void start() {
    server.app.ws("/", std::move(route));
    server.start({.workers = 1, .drain = std::chrono::milliseconds(0)});
    client = std::make_unique<Client>(server.port(), Client::Options{.tls = GetParam(), .receive_buffer = 4096});
    ASSERT_EQ(client->upgrade("/", bearer(token())).status, 101);
    ASSERT_TRUE(eventually([&] { return opened.load(); }));
  }

  std::mutex mutex;
  Handle handle;
  std::atomic<bool> opened = false;
  std::atomic<int> drains = 0;
  Record closes;
  Server server;
  Route route;
  std::unique_ptr<Client> client;
};

INSTANTIATE_TEST_SUITE_P(Transports, FlowTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

TEST_P(FlowTest, TellsWhatBecameOfEveryMessage) {
  Record results;
  route.on_message = [&](Connection& c, Message) {
    const std::string block(100'000, 'x');
    EXPECT_EQ(c.queued_bytes(), 0U);
    results.add(c.send("small") == SendResult::kSent ? "sent" : "other");
    SendResult result = SendResult::kSent;
    bool queued = false;
    while ((result = c.send(block)) != SendResult::kDropped) {
      if (result == SendResult::kQueued) queued = true;
      EXPECT_TRUE(!queued || result == SendResult::kQueued);  // order is kept: what follows queues too
    }
    results.add(queued ? "queued" : "other");
    results.add("dropped");
    results.add(c.send("small") == SendResult::kDropped ? "dropped" : "other");
  };
  start();
  client->send("go");
  EXPECT_TRUE(results.wait_for(4));
  EXPECT_EQ(results.all(), (std::vector<std::string>{"sent", "queued", "dropped", "dropped"}));
  EXPECT_TRUE(closes.wait_for(1));
  EXPECT_EQ(closes.all(), (std::vector<std::string>{"slow_consumer"}));
  EXPECT_EQ(drains, 0);
}

TEST_P(FlowTest, LosesNothingBelowTheLimitAndSaysOnceThatTheQueueIsEmpty) {
  constexpr int kMessages = 400;
  constexpr std::size_t kSize = 50'000;
  route.limits.send_queue_bytes = 64_MiB;
  route.on_message = [](Connection& c, Message) {
    for (int i = 0; i < kMessages; ++i) {
      std::string text = std::to_string(i) + " ";
      text.resize(kSize, static_cast<char>('a' + i % 26));
      EXPECT_NE(c.send(text), SendResult::kDropped);
    }
    EXPECT_GT(c.queued_bytes(), 0U);
  };
  start();
  client->send("go");
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(drains, 0);
  for (int i = 0; i < kMessages; ++i) {
    const std::string text = client->hear_text();
    ASSERT_EQ(text.size(), kSize);
    ASSERT_EQ(std::stoi(text), i);
  }
  EXPECT_TRUE(eventually([&] { return drains == 1; }));
  client->send("go");  // and again
  for (int i = 0; i < kMessages; ++i) ASSERT_EQ(std::stoi(client->hear_text()), i);
  EXPECT_TRUE(eventually([&] { return drains == 2; }));
  EXPECT_EQ(closes.size(), 0U);
}

TEST_P(FlowTest, LetsAHandlerSendMoreWhenTheQueueIsEmpty) {
  constexpr int kMessages = 60;
  route.limits.send_queue_bytes = 1_MiB;
  int next = 0;  // the worker's
  const auto pump = [&next](Connection& c) {
    while (next < kMessages) {
      const std::string text = std::to_string(next) + std::string(200'000, ' ');
      if (next != 0 && c.queued_bytes() + text.size() > 1_MiB) return;
      if (c.send(text) == SendResult::kDropped) return;
      ++next;
    }
  };
  route.on_message = [pump](Connection& c, Message) { pump(c); };
  route.on_drain = pump;
  start();
  client->send("go");
  for (int i = 0; i < kMessages; ++i) ASSERT_EQ(std::stoi(client->hear_text()), i);
}

TEST_P(FlowTest, ClosesASlowConsumerAndKeepsServing) {
  route.limits.send_queue_bytes = 256_KiB;
  start();
  const std::string block(64 * 1024, 'x');
  while (closes.size() == 0) {
    handle.send(block);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  EXPECT_EQ(closes.all(), (std::vector<std::string>{"slow_consumer"}));
  EXPECT_TRUE(server.empties());
  Client other(server.port(), {.tls = GetParam()});
  EXPECT_EQ(other.upgrade("/", bearer(token())).status, 101);
}

// What arrives is whole messages in order, with gaps, and the newest is among them. The peer reads now and
// then, so that the queue is blocked at ever new places; and a tenth of what is sent, so that, on a machine of any
// speed, most of it waits for room that there is not.
TEST_P(FlowTest, DropsTheOldestMessagesWhereTheRouteSaysSo) {
  constexpr int kMessages = 40'000;
  const auto size_of = [](int i) { return static_cast<std::size_t>(500 + i * 37 % 1000); };
  route.limits.send_queue_bytes = 64_KiB;
  route.limits.slow_consumer = SlowConsumer::kDropOldest;
  start();
  int last = -1;
  int received = 0;
  const auto hear = [&] {
    const std::string text = client->hear_text(60s);
    const int number = std::atoi(text.c_str());
    EXPECT_GT(number, last) << text;
    EXPECT_EQ(text.size(), size_of(number));
    EXPECT_EQ(text.back(), 'a' + number % 26);
    last = number;
    ++received;
  };
  for (int i = 0; i < kMessages && !HasFailure(); ++i) {
    std::string text = std::to_string(i) + " ";
    text.resize(size_of(i), static_cast<char>('a' + i % 26));
    handle.send(std::move(text));
    if (i % 50 == 0) std::this_thread::sleep_for(1ms);  // so that they go in many turns
    if (i % 10 == 9) hear();
  }
  while (last < kMessages - 1 && !HasFailure()) hear();
  EXPECT_LT(received, kMessages);
  EXPECT_EQ(closes.size(), 0U);
  EXPECT_EQ(server.app.connections(), 1U);
}

TEST_P(FlowTest, DropsAMessageThatCouldNeverFitTheQueue) {
  route.limits.send_queue_bytes = 64_KiB;
  route.limits.slow_consumer = SlowConsumer::kDropOldest;
  Record results;
  route.on_message = [&](Connection& c, Message) {
    while (c.send(std::string(32 * 1024, 'x')) == SendResult::kSent) {
    }
    EXPECT_GT(c.queued_bytes(), 0U);
    results.add(c.send(std::string(100 * 1024, 'y')) == SendResult::kDropped ? "dropped" : "other");
  };
  start();
  client->send("go");
  EXPECT_TRUE(results.wait_for(1));
  EXPECT_EQ(results.all(), (std::vector<std::string>{"dropped"}));
  EXPECT_EQ(closes.size(), 0U);
}

}  // namespace
}  // namespace sallyport
