// Starting, stopping, and what a server survives.

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <future>
#include <stdexcept>

#include "io/listener.h"
#include "io/test_cpu_time.h"
#include "io/test_descriptors.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;
using io::test::DescriptorShortage;
using io::test::open_descriptors;

RunOptions quick() {
  return {.workers = 2, .drain = std::chrono::milliseconds(0), .handle_signals = false};
}

void add_echo(App& app) {
  app.ws("/", {.auth = {.verifier = secret_verifier(), .from = header},
               .on_message = [](Connection& c, Message m) { c.send(m); }});
}

// ---- Starting

TEST(Run, ReturnsOneAndSaysWhyWhenAPortIsTaken) {
  const auto taken = io::ListeningSocket::open(*io::parse_endpoint("127.0.0.1:0"));
  ASSERT_TRUE(taken.has_value());
  Log log;
  App app({.log = log.sink()});
  add_echo(app);
  RunOptions options = quick();
  options.listen = {"127.0.0.1:0", taken->endpoint().text()};
  options.on_listening = [](const std::string&) { ADD_FAILURE() << "it does not listen"; };
  EXPECT_EQ(app.run(options), 1);
  EXPECT_EQ(log.count("server.listen_failed", taken->endpoint().text()), 1U);
}

TEST(Run, SaysOnStderrThatAPortIsTakenWhereThereIsNoLog) {
  const auto taken = io::ListeningSocket::open(*io::parse_endpoint("127.0.0.1:0"));
  ASSERT_TRUE(taken.has_value());
  RunOptions options = quick();
  options.listen = {taken->endpoint().text()};
  const auto said = [&](AppOptions with) {
    App app(std::move(with));
    add_echo(app);
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(app.run(options), 1);
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(said({}), "sallyport: " + taken->endpoint().text() + ": cannot listen there: Address already in use\n");
  Log log;
  EXPECT_EQ(said({.log = log.sink()}), "");
}

TEST(Run, CannotBeCalledTwice) {
  Server server;
  add_echo(server.app);
  server.start();
  EXPECT_THROW(server.app.run(quick()), std::logic_error);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THROW(server.app.run(quick()), std::logic_error);
}

TEST(Run, RefusesPlainTextOffLoopbackUnlessItIsSpelledOut) {
  for (const char* address : {"0.0.0.0:0", "[::]:0", "192.0.2.1:0"}) {
    App app;
    RunOptions options = quick();
    options.listen = {address};
    EXPECT_THROW(app.run(options), std::invalid_argument) << address;
  }
  App app({.insecure_plaintext = true});
  RunOptions options = quick();
  options.listen = {"0.0.0.0:0"};
  options.on_listening = [&](const std::string& url) {
    EXPECT_TRUE(url.starts_with("ws://0.0.0.0:")) << url;
    app.stop();
  };
  EXPECT_EQ(app.run(options), 0);
}

TEST(Run, RefusesAddressesThatAreNone) {
  for (const std::vector<std::string>& listen :
       {std::vector<std::string>{}, {"8080"}, {"localhost"}, {"example.com:80"}, {"127.0.0.1:99999"}}) {
    App app;
    RunOptions options = quick();
    options.listen = listen;
    EXPECT_THROW(app.run(options), std::invalid_argument);
  }
}

TEST(Run, RefusesACertificateThatCannotBeUsed) {
  EXPECT_THROW(App({.tls = pem("/no/such.crt", "/no/such.key")}), std::runtime_error);
  EXPECT_THROW(App({.tls = pem(localhost_tls().key_file, localhost_tls().key_file)}), std::runtime_error);
}

TEST(Run, RefusesRoutesThatCannotBeMeant) {
  const auto route = [] { return Route{.auth = {.verifier = secret_verifier()}}; };
  const auto refused = [](const std::string& path, Route bad) {
    App app;
    EXPECT_THROW(app.ws(path, std::move(bad)), std::invalid_argument) << path;
  };
  refused("no-slash", route());
  refused("/a/*/b", route());
  Route bad = route();
  bad.auth.from = {};
  refused("/", std::move(bad));
  bad = route();
  bad.limits.message_bytes = 0;
  refused("/", std::move(bad));
  bad = route();
  bad.auth.max_session = 0ms;
  refused("/", std::move(bad));
  bad = route();
  bad.limits.idle_timeout = 999ms;
  refused("/", std::move(bad));
  bad = route();
  bad.origins = origins({"not an origin"});
  refused("/", std::move(bad));
  bad = route();
  bad.allow_addresses = {"10.0.0.0/33"};
  refused("/", std::move(bad));
  bad = route();
  bad.permit = {{.subscribe = true, .channel = "x"}};
  refused("/", std::move(bad));
  App app;
  app.ws("/a/:x", route());
  EXPECT_THROW(app.ws("/a/:y", route()), std::invalid_argument);
  EXPECT_THROW(app.get("bad", [](Request&) { return Response{}; }), std::invalid_argument);
  EXPECT_THROW(app.use("bad", [](Request&, Next next) -> awaitable<void> { co_await next(); }),
               std::invalid_argument);
}

TEST(Run, ListensOnEveryAddressAndTellsEachOnce) {
  for (const bool tls : {false, true}) {
    App app(tls ? AppOptions{.tls = localhost_tls()} : AppOptions{});
    add_echo(app);
    RunOptions options = quick();
    options.listen = {"127.0.0.1:0", "[::1]:0", "127.0.0.1:0"};
    std::vector<std::string> urls;
    options.on_listening = [&](const std::string& url) {
      urls.push_back(url);
      if (urls.size() == 3) app.stop();
    };
    EXPECT_EQ(app.run(options), 0);
    ASSERT_EQ(urls.size(), 3U);
    const std::string scheme = tls ? "wss" : "ws";
    EXPECT_TRUE(urls[0].starts_with(scheme + "://127.0.0.1:")) << urls[0];
    EXPECT_TRUE(urls[1].starts_with(scheme + "://[::1]:")) << urls[1];
    EXPECT_NE(urls[0], urls[2]);
  }
}

// ---- Stopping

TEST(Run, EndsAtOnceIfItWasStoppedBefore) {
  App app;
  app.stop();
  RunOptions options = quick();
  options.listen = {"127.0.0.1:0"};
  EXPECT_EQ(app.run(options), 0);
  app.stop();
}

TEST(Run, EndsOnASignalIfItHandlesThem) {
  for (const int signal : {SIGTERM, SIGINT}) {
    App app;
    RunOptions options = quick();
    options.listen = {"127.0.0.1:0"};
    options.handle_signals = true;
    options.on_listening = [&](const std::string&) { ::raise(signal); };
    EXPECT_EQ(app.run(options), 0);
  }
}

// Who asks a second time does not wait for the drain; even then `on_close` is owed to whoever was open.
TEST(Run, EndsAtOnceOnASecondSignalAndStillCallsOnClose) {
  Record closes;
  App app;
  app.ws("/", {.auth = {.verifier = secret_verifier(), .from = header},
               .on_close = [&](Connection&, const Close& why) { closes.add(std::to_string(why.code)); }});
  RunOptions options = quick();
  options.listen = {"127.0.0.1:0"};
  options.handle_signals = true;
  options.drain = 60s;
  std::promise<std::uint16_t> port;
  options.on_listening = [&](const std::string& url) {
    port.set_value(static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
  };
  std::thread thread([&] { EXPECT_EQ(app.run(options), 0); });
  Client c(port.get_future().get());
  EXPECT_EQ(c.upgrade("/", bearer(token())).status, 101);
  EXPECT_TRUE(eventually([&] { return app.connections() == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  ::raise(SIGTERM);
  std::this_thread::sleep_for(100ms);
  ::raise(SIGTERM);
  thread.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  EXPECT_EQ(closes.size(), 1U);
  EXPECT_EQ(app.connections(), 0U);
}

TEST(Run, StopsFromWithinACallback) {
  Server server;
  server.app.ws("/", {.auth = {.verifier = secret_verifier(), .from = header},
                      .on_message = [&](Connection&, Message) { server.app.stop(); }});
  server.start();
  Client c(server.port());
  ASSERT_EQ(c.upgrade("/", bearer(token())).status, 101);
  c.send("stop");
  EXPECT_EQ(c.hear_close(), 1012);
  EXPECT_EQ(server.stop(), 0);
}

TEST(Run, SpreadsItsClosesOverTheDrainWindowAndAcceptsNobodyMeanwhile) {
  constexpr std::size_t kClients = 30;
  constexpr auto kWindow = 900ms;
  Server server;
  add_echo(server.app);
  server.start({.workers = 2, .drain = kWindow});
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<Client>(server.port()));
    ASSERT_EQ(clients.back()->upgrade("/", bearer(token())).status, 101);
  }
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::chrono::milliseconds> after(kClients);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kClients; ++i) {
    threads.emplace_back([&, i] {
      EXPECT_EQ(clients[i]->hear_close(), 1012);
      after[i] = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    });
  }
  server.app.stop();
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(Client(server.port()).upgrade("/", bearer(token())).status, 503);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server.stop(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kWindow + 2s);
  std::sort(after.begin(), after.end());
  EXPECT_GT(after[kClients - 2], kWindow / 2);                              // some late,
  EXPECT_GT(after[kClients - 2] - after[kClients / 4], kWindow / 4);  // others well before them
  EXPECT_EQ(server.app.connections(), 0U);
}

TEST(Run, RefusesHandshakesThatAreUnderWayWhenItStops) {
  Server server;
  std::atomic<bool> asked = false;
  server.app.ws("/", {.auth = {.verifier = verifier([&](Presented) -> awaitable<Verdict> {
                                 asked = true;
                                 co_await pause_for(1h);
                                 co_return Verdict::refuse();
                               },
                                                    {.deadline = 30s}),
                               .from = header}});
  server.start();
  Client c(server.port());
  c.send_upgrade("/", bearer("t"));
  ASSERT_TRUE(eventually([&] { return asked.load(); }));
  std::thread peer([&] {
    EXPECT_EQ(c.read_reply().status, 503);
    c.close();
  });
  EXPECT_EQ(server.stop(), 0);
  peer.join();
}

TEST(Run, DoesNotWaitForSocketsThatNeverSaidAnything) {
  Server server;
  add_echo(server.app);
  server.start();
  Client silent(server.port());
  std::this_thread::sleep_for(50ms);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(server.stop(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  EXPECT_EQ(silent.hear().kind, Heard::Kind::kEnd);
}

TEST(Run, LeavesNoDescriptorBehind) {
  {
    Server warm;  // what libraries open once and keep
    warm.start();
  }
  const std::size_t before = open_descriptors();
  for (const bool tls : {false, true}) {
    Server server(tls ? AppOptions{.tls = localhost_tls()} : AppOptions{});
    add_echo(server.app);
    server.start();
    Client c(server.port(), {.tls = tls});
    EXPECT_EQ(c.upgrade("/", bearer(token())).status, 101);
    Client silent(server.port());
    EXPECT_EQ(server.stop(), 0);
  }
  EXPECT_EQ(open_descriptors(), before);
}

// ---- Before authentication

TEST(Admission, GivesTheLongestWaitingSocketOfAnAddressUpForANewOne) {
  Server server({.limits = {.pending_per_address = 2}});
  add_echo(server.app);
  server.start({.workers = 1, .drain = std::chrono::milliseconds(0)});
  Client first(server.port());
  Client second(server.port());
  std::this_thread::sleep_for(50ms);
  Client third(server.port());
  EXPECT_EQ(first.read_reply().status, 429);
  EXPECT_EQ(third.upgrade("/", bearer(token())).status, 101);
  EXPECT_EQ(second.upgrade("/", bearer(token())).status, 101);
}

TEST(Admission, DropsWhoeverDoesNotCompleteARequestInTime) {
  Server server({.limits = {.handshake_timeout = 200ms}});
  add_echo(server.app);
  server.start();
  Client silent(server.port());
  Client slow(server.port());
  slow.send_raw("GET / HTTP/1.1\r\n");
  EXPECT_EQ(silent.hear(2s).kind, Heard::Kind::kEnd);
  EXPECT_EQ(slow.read_reply().status, 408);
}

TEST(Admission, RefusesARequestHeadThatIsTooLarge) {
  Server server({.limits = {.header_bytes = 1024}});
  add_echo(server.app);
  server.start();
  Client c(server.port());
  EXPECT_EQ(c.upgrade("/", {{"X-Large", std::string(2000, 'x')}}).status, 431);
}

TEST(Admission, RefusesAnAddressThatFailsTooOftenUntilTheTimeIsOver) {
  Server server({.limits = {.failures_per_address = {3, std::chrono::milliseconds(700)}}});
  add_echo(server.app);
  // One worker: each remembers on its own what it refused a moment ago.
  server.start({.workers = 1, .drain = std::chrono::milliseconds(0)});
  const auto status = [&](const std::string& presented) {
    Client c(server.port());
    return c.upgrade("/", bearer(presented)).status;
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status("rubbish" + std::to_string(i)), 401);
  EXPECT_EQ(status("rubbish0"), 429) << "refused a moment ago already";
  EXPECT_EQ(status("other rubbish"), 429);
  EXPECT_EQ(status("more rubbish"), 429);
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(status(token()), 101) << "one in a while is looked at, for a neighbour's sake";
  EXPECT_EQ(status("rubbish again"), 429);
  std::this_thread::sleep_for(800ms);
  EXPECT_EQ(status("rubbish later"), 401);
}

TEST(Admission, SurvivesAShortageOfDescriptorsWithoutSpinning) {
  Log log;
  Server server({.log = log.sink()});
  add_echo(server.app);
  server.start({.workers = 1, .drain = std::chrono::milliseconds(0)});
  Client open(server.port());
  ASSERT_EQ(open.upgrade("/", bearer(token())).status, 101);
  ASSERT_TRUE(eventually([&] { return server.app.connections() == 1; }));
  std::chrono::nanoseconds used{};
  std::unique_ptr<Client> waiting;
  {
    // The client's descriptor is the last; accepting it fails.
    const DescriptorShortage shortage(1);
    waiting = std::make_unique<Client>(server.port());
    ASSERT_TRUE(waiting->connected());
    const auto before = io::test::process_cpu_time();
    std::this_thread::sleep_for(500ms);
    used = io::test::process_cpu_time() - before;
    open.send("still served");
    EXPECT_EQ(open.hear_text(), "still served");
  }
  EXPECT_LT(used, 150ms);
  EXPECT_GE(log.count("server.descriptors_exhausted"), 1U);
  EXPECT_EQ(waiting->upgrade("/", bearer(token())).status, 101);
}

}  // namespace
}  // namespace sallyport
