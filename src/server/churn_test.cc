// Peers that vanish at every moment of a handshake, and a server that must not mind.

#include <gtest/gtest.h>

#include <atomic>
#include <random>

#include "io/test_descriptors.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

constexpr int kThreads = 4;
constexpr int kPeers = 120;  // of each thread

class ChurnTest : public ::testing::TestWithParam<bool> {
 protected:
  ChurnTest() : server(GetParam() ? AppOptions{.tls = localhost_tls(), .limits = kLimits}
                                  : AppOptions{.limits = kLimits}) {}

  static constexpr ServerLimits kLimits{.pending_per_address = 10'000,
                                        .failures_per_address = {1'000'000, std::chrono::seconds(60)}};

  // One peer's life: it begins a handshake whose verification takes 25 ms, and leaves, in one of several ways, when
  // it has been answered or at a random moment before, during or after that.
  void live(std::mt19937& random) const {
    Client c(server.port(), {.tls = GetParam()});
    const auto pick = [&](int count) { return static_cast<int>(random() % static_cast<unsigned>(count)); };
    const std::string presented = pick(4) == 0 ? "no" : pick(8) == 0 ? "throw" : "yes";
    const int kind = pick(5);
    switch (kind) {
      case 0: c.send_upgrade("/", bearer(presented), Client::frame("early")); break;
      case 1: c.send_upgrade("/", bearer(presented)); break;
      case 2: c.send_raw("GET / HTTP/1.1\r\nHost: loc"); break;
      case 3:
        c.send_upgrade("/");
        c.send(R"({"type":"auth","token":")" + presented + "\"}");
        break;
      case 4: break;
    }
    if ((kind == 0 || kind == 1 || kind == 3) && pick(2) == 0) {
      (void)c.read_reply();
      if (kind == 3) (void)c.hear();  // "ready", or a Close
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(pick(50'000)));
    }
    switch (pick(4)) {
      case 0: return c.reset();
      case 1:
        c.end();
        // A peer that has only ended its own direction may still be answered; in the end TCP ends.
        (void)c.read_reply();
        while (c.hear(5s).kind == Heard::Kind::kMessage) {
        }
        return;
      case 2:
        c.send("late");
        return c.reset();
      case 3: return c.close();
    }
  }

  void churn() {
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < kThreads; ++t) {
      threads.emplace_back([this, t] {
        std::mt19937 random(t);  // the same peers in every run; the moments are the machine's
        for (int i = 0; i < kPeers; ++i) live(random);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  std::atomic<int> opens = 0;
  std::atomic<int> closes = 0;
  std::atomic<int> early = 0;
  Server server;
};

INSTANTIATE_TEST_SUITE_P(Transports, ChurnTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

TEST_P(ChurnTest, LeavesNoConnectionAndNoDescriptorBehind) {
  const auto slow = verifier([](Presented presented) -> awaitable<Verdict> {
    const std::string token(presented.token);
    co_await pause_for(25ms);
    if (token == "throw") throw std::runtime_error("boom");
    if (token != "yes") co_return Verdict::refuse();
    co_return Verdict::accept(Principal{.issuer = "test", .subject = "ada"});
  });
  server.app.use([](Request&, Next next) -> awaitable<void> {
    co_await pause_for(2ms);
    co_await next();
  });
  server.app.ws("/", {.auth = {.verifier = slow, .from = header | first_message},
                      .on_open =
                          [&](Connection& c) {
                            ++opens;
                            c.subscribe("all");
                          },
                      .on_message =
                          [&](Connection& c, Message m) {
                            if (m.data == "early") ++early;
                            c.publish("all", m);
                          },
                      .on_close = [&](Connection&, const Close&) { ++closes; }});
  server.start();
  const std::size_t before = io::test::open_descriptors();  // nobody has come yet

  churn();

  EXPECT_TRUE(server.empties());
  EXPECT_TRUE(eventually([&] { return io::test::open_descriptors() == before; }))
      << io::test::open_descriptors() << " descriptors are open, " << before << " were";
  EXPECT_EQ(opens, closes);
  EXPECT_GT(opens, 50);
  EXPECT_GT(early, 5);
  Client after(server.port(), {.tls = GetParam()});
  EXPECT_EQ(after.upgrade("/", bearer("yes")).status, 101);
}

TEST_P(ChurnTest, StopsWhilePeersComeAndGo) {
  const auto slow = verifier([](Presented) -> awaitable<Verdict> {
    co_await pause_for(25ms);
    co_return Verdict::accept(Principal{.issuer = "test", .subject = "ada"});
  });
  server.app.ws("/", {.auth = {.verifier = slow, .from = header},
                      .on_open = [&](Connection&) { ++opens; },
                      .on_close = [&](Connection&, const Close&) { ++closes; }});
  server.start({.workers = 2, .drain = std::chrono::milliseconds(100)});
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      while (!done) {
        Client c(server.port(), {.tls = GetParam()});
        c.send_upgrade("/", bearer("t"));
        std::this_thread::sleep_for(10ms);
      }
    });
  }
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(server.stop(), 0);
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opens, closes);
  EXPECT_EQ(server.app.connections(), 0U);
}

}  // namespace
}  // namespace sallyport
