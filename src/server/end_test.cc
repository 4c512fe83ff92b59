// How a run ends, and that nothing of the user's is left behind when it has.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>
#include <csignal>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <system_error>

#include "io/listener.h"
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

// ---- Coroutines that are still under way

// A worker's state, which counts who holds some of it.
struct Pool {
  std::thread::id thread = std::this_thread::get_id();
  int leases = 0;
};

// What a coroutine holds of it. It must be able to give it back, on the worker's thread, whenever it ends.
class Lease {
 public:
  explicit Lease(std::atomic<int>& returned) : pool_(worker_state<Pool>()), returned_(returned) { ++pool_.leases; }
  ~Lease() {
    EXPECT_EQ(pool_.thread, std::this_thread::get_id());
    EXPECT_EQ(&worker_state<Pool>(), &pool_);
    --pool_.leases;
    ++returned_;
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

 private:
  Pool& pool_;
  std::atomic<int>& returned_;
};

class EndTest : public ::testing::Test {
 protected:
  EndTest() {
    server.app.per_worker<Pool>([] { return Pool{}; });
  }
  // Stops while a client waits for the coroutine that began with a Lease. The time that took.
  std::chrono::milliseconds stop_while_it_waits() {
    EXPECT_TRUE(eventually([&] { return began.load(); }));
    const auto begin = std::chrono::steady_clock::now();
    client.reset();
    EXPECT_EQ(server.stop(), 0);
    EXPECT_EQ(returned, 1);
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  }
  void ask(const std::string& target, const Fields& fields = {}) {
    server.start();
    client = std::make_unique<Client>(server.port());
    client->send_upgrade(target, fields);
  }

  std::atomic<bool> began = false;
  std::atomic<bool> finished = false;
  std::atomic<int> returned = 0;
  Server server;
  std::unique_ptr<Client> client;
};

TEST_F(EndTest, UnwindsMiddlewareThatWaits) {
  server.app.use([this](Request&, Next next) -> awaitable<void> {
    const Lease lease(returned);
    began = true;
    co_await pause_for(1h);
    co_await next();
  });
  server.app.ws("/", {.auth = {.verifier = secret_verifier(), .from = header}});
  ask("/", bearer(token()));
  EXPECT_LT(stop_while_it_waits(), 10s);
}

TEST_F(EndTest, UnwindsAPlainHandlerThatWaits) {
  server.app.get_async("/page", [this](Request&) -> awaitable<Response> {
    const Lease lease(returned);
    began = true;
    co_await pause_for(1h);
    co_return Response{};
  });
  server.start();
  client = std::make_unique<Client>(server.port());
  client->send_raw("GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_LT(stop_while_it_waits(), 10s);
}

TEST_F(EndTest, LetsACancelledVerifierComeToItsOwnEnd) {
  const auto slow = verifier([this](Presented) -> awaitable<Verdict> {
    const Lease lease(returned);
    began = true;
    bool cancelled = false;
    try {
      co_await pause_for(1h);
    } catch (const std::exception&) {
      cancelled = true;
    }
    co_await boost::asio::this_coro::reset_cancellation_state();
    co_await pause_for(100ms);  // tells a database to forget it, say
    finished = cancelled;
    co_return Verdict::refuse();
  });
  server.app.ws("/", {.auth = {.verifier = slow, .from = header}});
  ask("/", bearer("t"));
  (void)stop_while_it_waits();
  EXPECT_TRUE(finished);
}

TEST_F(EndTest, DestroysAVerifierThatWillNotEndWhereItWaits) {
  const auto stubborn = verifier([this](Presented) -> awaitable<Verdict> {
    const Lease lease(returned);
    began = true;
    for (;;) {
      try {
        co_await pause_for(1h);
      } catch (const std::exception&) {
      }
      co_await boost::asio::this_coro::reset_cancellation_state();
      finished = true;
    }
  });
  server.app.ws("/", {.auth = {.verifier = stubborn, .from = header}});
  ask("/", bearer("t"));
  EXPECT_LT(stop_while_it_waits(), 15s);
  EXPECT_TRUE(finished) << "it was cancelled and waited again";
}

// Even where nobody waits for the closing handshakes.
TEST_F(EndTest, LeavesNothingOfTheUsersBehindAfterAForcedStop) {
  struct Data {
    std::shared_ptr<int> held;
  };
  const auto held = std::make_shared<int>();
  server.app.per_worker<Data>([held] { return Data{held}; });
  const auto slow = verifier([this](Presented presented) -> awaitable<Verdict> {
    const auto mine = worker_state<Data>().held;
    if (presented.token == "wait") {
      began = true;
      co_await pause_for(1h);
    }
    co_return Verdict::accept(Principal{.issuer = "test", .subject = "ada"});
  });
  server.app.ws<Data>("/", {.auth = {.verifier = slow, .from = header},
                            .on_open = [](ConnectionOf<Data>& c) { c.data().held = worker_state<Data>().held; }});
  server.start();
  Client open(server.port());
  ASSERT_EQ(open.upgrade("/", bearer("go")).status, 101);
  Client waiting(server.port());
  waiting.send_upgrade("/", bearer("wait"));
  ASSERT_TRUE(eventually([&] { return began && server.app.connections() == 1; }));
  EXPECT_GT(held.use_count(), 5);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_EQ(held.use_count(), 2) << "ours and the factory's";
}

// ---- A start that fails

RunOptions quick() {
  return {.listen = {"127.0.0.1:0"}, .workers = 2, .drain = std::chrono::milliseconds(0), .handle_signals = false};
}

bool can_listen_at(const std::string& url) {
  return io::ListeningSocket::probe(*io::parse_endpoint(url.substr(url.rfind('/') + 1))).has_value();
}

// What `run` throws, as text.
std::string thrown_by_run(App& app, const RunOptions& options) {
  try {
    app.run(options);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing";
}

TEST(End, ThrowsWhatOnListeningThrowsAndServesNoMore) {
  App app;
  RunOptions options = quick();
  std::string url;
  options.on_listening = [&](const std::string& told) {
    url = told;
    throw std::runtime_error("no room for the pid file");
  };
  EXPECT_EQ(thrown_by_run(app, options), "no room for the pid file");
  EXPECT_TRUE(can_listen_at(url));
  app.publish("room", "to nobody");
  app.stop();
  EXPECT_THROW(app.run(quick()), std::logic_error) << "it has served";
}

TEST(End, ThrowsWhatAWorkersFactoryThrowsBeforeItSaysThatItListens) {
  struct State {};
  std::atomic<int> made = 0;
  App app;
  app.per_worker<State>([&]() -> State {
    if (++made == 2) throw std::runtime_error("no database");
    return {};
  });
  RunOptions options = quick();
  options.workers = 3;
  options.on_listening = [](const std::string&) { ADD_FAILURE() << "not all of it serves"; };
  EXPECT_EQ(thrown_by_run(app, options), "no database");
}

TEST(End, ThrowsWhereThereAreNoThreadsToBeHad) {
  App app;
  RunOptions options = quick();
  options.on_listening = [](const std::string&) { ADD_FAILURE() << "nobody serves"; };
  pthread_attr_t before;
  ASSERT_EQ(pthread_getattr_default_np(&before), 0);
  pthread_attr_t huge = before;
  ASSERT_EQ(pthread_attr_setstacksize(&huge, std::size_t{1} << 50), 0);
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  EXPECT_THROW(app.run(options), std::system_error);
  EXPECT_EQ(pthread_setattr_default_np(&before), 0);
}

TEST(End, MayBeRunAgainWhereItHasNotServed) {
  App app;
  app.ws("/", {.auth = {.verifier = secret_verifier(), .from = header}});
  RunOptions bad = quick();
  bad.listen = {"nonsense"};
  EXPECT_THROW(app.run(bad), std::invalid_argument);
  const auto taken = io::ListeningSocket::open(*io::parse_endpoint("127.0.0.1:0"));
  ASSERT_TRUE(taken.has_value());
  bad.listen = {"127.0.0.1:0", taken->endpoint().text()};
  EXPECT_EQ(app.run(bad), 1);
  RunOptions good = quick();
  bool listened = false;
  good.on_listening = [&](const std::string& url) {
    listened = true;
    Client c(static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
    EXPECT_EQ(c.upgrade("/", bearer(token())).status, 101);
    app.stop();
  };
  EXPECT_EQ(app.run(good), 0);
  EXPECT_TRUE(listened);
}

TEST(End, SurvivesALogThatThrows) {
  std::atomic<int> events = 0;
  App app({.log = [&](const LogEvent&) {
    ++events;
    throw std::runtime_error("the disk is full");
  }});
  app.ws("/", {.auth = {.verifier = secret_verifier(), .from = header}});
  RunOptions options = quick();
  options.on_listening = [&](const std::string& url) {
    const auto port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
    EXPECT_EQ(Client(port).upgrade("/", bearer("rubbish")).status, 401);
    EXPECT_EQ(Client(port).upgrade("/", bearer(token())).status, 101);
    app.stop();
  };
  EXPECT_EQ(app.run(options), 0);
  EXPECT_GE(events, 2);
}

// ---- Afterwards

TEST(End, HandsSignalsBackHoweverItEnds) {
  for (const bool throws : {false, true}) {
    App app;
    RunOptions options = quick();
    options.handle_signals = true;
    options.on_listening = [&](const std::string&) {
      if (throws) throw std::runtime_error("x");
      app.stop();
    };
    EXPECT_EQ(thrown_by_run(app, options), throws ? "x" : "nothing");
    for (const int signal : {SIGTERM, SIGINT}) {
      struct sigaction now {};
      ASSERT_EQ(::sigaction(signal, nullptr, &now), 0);
      EXPECT_EQ(now.sa_handler, SIG_DFL) << signal;
    }
  }
}

TEST(End, KeepsNothingOfWhatIsSaidToNobodyAfterwards) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers' allocators do not tell what is in use";
  Server server;
  std::mutex mutex;
  Handle handle;
  server.app.ws("/", {.auth = {.verifier = secret_verifier(), .from = header}, .on_open = [&](Connection& c) {
                        const std::lock_guard lock(mutex);
                        handle = c.handle();
                      }});
  server.start();
  Client c(server.port());
  ASSERT_EQ(c.upgrade("/", bearer(token())).status, 101);
  ASSERT_TRUE(eventually([&] { return server.app.connections() == 1; }));
  c.reset();
  EXPECT_EQ(server.stop(), 0);
  const std::size_t before = ::mallinfo2().uordblks;
  for (int i = 0; i < 20'000; ++i) {
    server.app.publish("room", std::string(500, 'x'));
    handle.send(std::string(500, 'x'));
    server.app.stop();
  }
  EXPECT_LT(::mallinfo2().uordblks, before + 100'000);
}

TEST(End, LeavesNoDescriptorToProgramsThatAreStarted) {
  const auto inherited = [] {
    std::size_t count = 0;
    for (int fd = 0; fd < 1024; ++fd) {
      const int flags = ::fcntl(fd, F_GETFD);
      if (flags >= 0 && (flags & FD_CLOEXEC) == 0) ++count;
    }
    return count;
  };
  const std::size_t before = inherited();
  Server server;
  server.app.ws("/", {.auth = {.verifier = secret_verifier(), .from = header},
                      .on_message = [](Connection& c, Message m) { c.send(m); }});
  server.start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<Client>(server.port()));
    EXPECT_EQ(clients.back()->upgrade("/", bearer(token())).status, 101);
  }
  const std::size_t with_clients = inherited();
  clients.clear();
  EXPECT_LE(with_clients, before + 3) << "the clients' own may be";
}

}  // namespace
}  // namespace sallyport
