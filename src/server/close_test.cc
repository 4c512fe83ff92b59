// `on_close` runs exactly once if `on_open` ran, with the right code, in every way a connection can end.

#include <gtest/gtest.h>

#include <mutex>
#include <optional>
#include <stdexcept>

#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

class CloseTest : public ::testing::TestWithParam<bool> {
 protected:
  CloseTest()
      : server(GetParam() ? AppOptions{.tls = localhost_tls()} : AppOptions{}),
        route{.auth = {.verifier = secret_verifier(), .from = header}} {
    route.on_open = [this](Connection& c) {
      const std::lock_guard lock(mutex);
      handle = c.handle();
    };
    route.on_message = [](Connection& c, Message m) {
      if (m.data == "close") return c.close(4002, "mine");
      if (m.data == "throw") throw std::runtime_error("boom");
      if (m.data == "flood") {
        const std::string block(64 * 1024, 'x');
        while (c.send(block) != SendResult::kDropped) {
        }
        return;
      }
      c.send(m);
    };
    route.on_close = [this](Connection& c, const Close& why) {
      EXPECT_EQ(c.principal().subject, "ada");
      EXPECT_EQ(c.send("too late"), SendResult::kDropped);
      closes.add(std::to_string(why.code) + " " + std::string(why.reason) + " " +
                 (why.failure ? std::string(reason(*why.failure)) : "none"));
    };
  }
  void start(RunOptions options = {.workers = 2, .drain = std::chrono::milliseconds(0)}) {
    server.app.ws("/", std::move(route));
    server.start(std::move(options));
  }
  std::unique_ptr<Client> open(std::chrono::seconds life = std::chrono::seconds(600)) {
    auto c = std::make_unique<Client>(server.port(), Client::Options{.tls = GetParam(), .receive_buffer = 4096});
    EXPECT_EQ(c->upgrade("/", bearer(token({.life = life}))).status, 101);
    EXPECT_TRUE(eventually([&] { return server.app.connections() == 1; }));
    return c;
  }
  // Exactly one call with these words, also after everything has ended.
  void expect_one(const std::string& words) {
    EXPECT_TRUE(closes.wait_for(1));
    EXPECT_TRUE(server.empties());
    server.stop();
    EXPECT_EQ(closes.all(), (std::vector<std::string>{words}));
  }

  Record closes;
  Server server;
  Route route;
  std::mutex mutex;
  Handle handle;
};

INSTANTIATE_TEST_SUITE_P(Transports, CloseTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

TEST_P(CloseTest, ReportsThePeersCode) {
  start();
  const auto c = open();
  c->send_close(4001, "theirs");
  EXPECT_EQ(c->hear_close(), 4001);
  expect_one("4001  none");
}

TEST_P(CloseTest, ReportsThatThePeerGaveNoCode) {
  start();
  const auto c = open();
  c->send("", ws::Opcode::kClose);
  EXPECT_EQ(c->hear_close(), 1000);
  expect_one("1005  none");
}

TEST_P(CloseTest, ReportsTheApplicationsOwnCode) {
  start();
  const auto c = open();
  c->send("close");
  EXPECT_EQ(c->hear_close(), 4002);
  expect_one("4002  none");
}

TEST_P(CloseTest, ReportsTheCodeOfAHandle) {
  start();
  const auto c = open();
  {
    const std::lock_guard lock(mutex);
    handle.close(4003, "outside");
  }
  EXPECT_EQ(c->hear_close(), 4003);
  expect_one("4003  none");
}

TEST_P(CloseTest, ReportsAnEndWithoutAClose) {
  start();
  const auto c = open();
  c->end();
  expect_one("1006  none");
}

TEST_P(CloseTest, ReportsAReset) {
  start();
  const auto c = open();
  c->reset();
  expect_one("1006  none");
}

TEST_P(CloseTest, ReportsAResetDuringTheClosingHandshake) {
  start();
  const auto c = open();
  c->send("close");
  EXPECT_EQ(c->hear().code, 4002);
  c->reset();
  expect_one("4002  none");
}

TEST_P(CloseTest, DoesNotWaitForEverForAPeerThatNeverAnswersTheClose) {
  start();
  const auto c = open();
  const auto begin = std::chrono::steady_clock::now();
  c->send("close");
  EXPECT_EQ(c->hear().code, 4002);
  EXPECT_NE(c->hear().kind, Heard::Kind::kNothing);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  expect_one("4002  none");
}

TEST_P(CloseTest, ReportsFramingThatIsWrong) {
  start();
  const auto c = open();
  c->send_raw(std::string("\x83\x80\x00\x00\x00\x00", 6));  // a reserved opcode
  EXPECT_EQ(c->hear_close(), 1002);
  expect_one("1002 protocol_error protocol_error");
}

TEST_P(CloseTest, ReportsTextThatIsNotUtf8) {
  start();
  const auto c = open();
  c->send("\xC3\x28");
  EXPECT_EQ(c->hear_close(), 1007);
  expect_one("1007 invalid_payload invalid_payload");
}

TEST_P(CloseTest, ReportsAMessageThatIsTooBig) {
  start();
  const auto c = open();
  c->send(std::string(70'000, 'x'));
  EXPECT_EQ(c->hear_close(), 1009);
  expect_one("1009 message_too_big message_too_big");
}

TEST_P(CloseTest, ReportsAHandlerThatThrew) {
  start();
  const auto c = open();
  c->send("throw");
  EXPECT_EQ(c->hear_close(), 1011);
  expect_one("1011 internal internal");
}

TEST_P(CloseTest, ReportsThatTheTokenHasEnded) {
  start();
  const auto c = open(std::chrono::seconds(2));
  EXPECT_EQ(c->hear_close(), 3000);
  expect_one("3000 token_expired token_expired");
}

TEST_P(CloseTest, ReportsThatTheSessionHasEnded) {
  route.auth.max_session = 200ms;
  start();
  EXPECT_EQ(open()->hear_close(), 1001);
  expect_one("1001 session_ended session_ended");
}

TEST_P(CloseTest, ReportsTooManyMessages) {
  route.limits.messages_per_second = 1;
  start();
  const auto c = open();
  for (int i = 0; i < 5; ++i) c->send("x");
  EXPECT_EQ(c->hear_close(), 1008);
  expect_one("1008 rate_limited rate_limited");
}

TEST_P(CloseTest, ReportsAPeerThatIsTooSlow) {
  start();
  const auto c = open();
  c->send("flood");
  expect_one("1006 slow_consumer slow_consumer");
}

TEST_P(CloseTest, ReportsAPeerThatFellSilent) {
  route.limits.ping_interval = 50ms;
  route.limits.idle_timeout = 1s;
  start();
  const auto c = open();
  expect_one("1006 idle_timeout idle_timeout");
}

TEST_P(CloseTest, ReportsThatTheServerStops) {
  start();
  const auto c = open();
  std::thread peer([&] { EXPECT_EQ(c->hear_close(), 1012); });
  server.stop();
  peer.join();
  expect_one("1012 restart restart");
}

TEST_P(CloseTest, ReportsTheStopAlsoForAPeerThatAnswersNothing) {
  start();
  const auto c = open();
  server.stop();
  expect_one("1012 restart restart");
}

TEST_P(CloseTest, IsNotCalledForWhoeverWasNeverOpen) {
  start();
  for (int i = 0; i < 3; ++i) {
    Client refused(server.port(), {.tls = GetParam()});
    EXPECT_EQ(refused.upgrade("/", bearer("rubbish")).status, 401);
    Client gone(server.port(), {.tls = GetParam()});
    gone.send_upgrade("/", bearer("rubbish"));
    gone.reset();
    Client silent(server.port(), {.tls = GetParam()});
  }
  server.stop();
  EXPECT_EQ(closes.size(), 0U);
}

}  // namespace
}  // namespace sallyport
