// Connections that go on where others stopped: hub routes, from outside.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <thread>

#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

// The text of a member of one of the server's messages, without quotation marks.
std::string member(const std::string& message, const std::string& name) {
  const std::string key = "\"" + name + "\":\"";
  const std::size_t at = message.find(key);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + key.size();
  return message.substr(begin, message.find('"', begin) - begin);
}

struct Wish {
  std::string resume = {};
  std::optional<int> received = {};
  [[nodiscard]] std::string members() const {
    if (resume.empty()) return {};
    return ",\"resume\":\"" + resume + "\"" +
           (received ? ",\"received\":" + std::to_string(*received) : std::string());
  }
};

// A client that has authenticated with a first message.
class Session {
 public:
  Session(std::uint16_t port, const std::string& path, const TokenSpec& spec = {}, const Wish& wish = {},
          Client::Options options = {})
      : client(port, options) {
    EXPECT_EQ(client.upgrade(path).status, 101);
    client.send(R"({"type":"auth","token":")" + token(spec) + "\"" + wish.members() + "}");
    ready = client.hear_text();
    EXPECT_TRUE(ready.starts_with(R"({"type":"ready")")) << ready;
  }
  [[nodiscard]] std::string resume_token() const { return member(ready, "resume"); }
  std::string hear() { return client.hear_text(); }
  void subscribe(const std::string& channel) {
    client.send(R"({"type":"subscribe","channel":")" + channel + "\"}");
    EXPECT_EQ(hear(), R"({"type":"subscribed","channel":")" + channel + "\"}");
  }
  // Everything that was said before has been heard.
  void expect_quiet() {
    client.send(R"({"type":"unsubscribe","channel":"nothing","id":"?"})");
    EXPECT_EQ(hear(), R"({"type":"unsubscribed","channel":"nothing","id":"?"})");
  }
  Client client;
  std::string ready;
};

const std::string kRefused = R"({"type":"error","reason":"resume_refused"})";

std::string resumed(const std::string& channels, bool gap = false) {
  return "{\"type\":\"resumed\",\"channels\":[" + channels + "],\"gap\":" + (gap ? "true}" : "false}");
}

class ResumeTest : public ::testing::Test {
 protected:
  static Route route() {
    return {.auth = {.verifier = secret_verifier(), .from = header | subprotocol | first_message},
            .limits = {.connections_per_subject = 0},
            .permit = {{.subscribe = true, .publish = true, .channel = "room/*"},
                       {.subscribe = true, .channel = "staff/*", .scopes = {"staff"}}}};
  }
  void start(unsigned workers = 2) {
    server.app.hub("/", route());
    server.start({.workers = workers, .drain = std::chrono::milliseconds(0)});
  }
  std::unique_ptr<Session> open(const TokenSpec& spec = {}, const Wish& wish = {}, const std::string& path = "/") {
    return std::make_unique<Session>(server.port(), path, spec, wish);
  }
  // One in room/a that is gone; its token.
  std::string left(const TokenSpec& spec = {}) {
    auto session = open(spec);
    session->subscribe("room/a");
    session->client.reset();
    EXPECT_TRUE(server.empties());
    return session->resume_token();
  }
  void publish(int from, int to, const std::string& channel = "room/a") {
    for (int i = from; i <= to; ++i) EXPECT_TRUE(server.app.publish(channel, std::to_string(i)));
  }
  static void expect_numbers(Session& session, int from, int to) {
    for (int i = from; i <= to; ++i) ASSERT_EQ(session.hear(), std::to_string(i));
  }
  Log log;
  Server server{AppOptions{.log = log.sink()}};
};

TEST_F(ResumeTest, GivesWhatWasMissedOnceAndInOrderAndThenWhatFollows) {
  start();
  auto first = open();
  first->subscribe("room/a");
  first->subscribe("room/b");
  publish(1, 3);
  expect_numbers(*first, 1, 3);
  first->client.reset();
  ASSERT_TRUE(server.empties());
  publish(4, 5);
  publish(6, 6, "room/b");
  publish(99, 99, "room/c");
  publish(7, 7);
  const auto second = open({}, {.resume = first->resume_token()});
  EXPECT_EQ(second->hear(), resumed(R"("room/a","room/b")"));
  expect_numbers(*second, 4, 7);
  publish(8, 8, "room/b");
  expect_numbers(*second, 8, 8);
  second->expect_quiet();
}

TEST_F(ResumeTest, GivesANewTokenEachTimeThatIsGoodOnce) {
  start();
  const std::string first = left();
  EXPECT_EQ(first.size(), 43U);
  auto session = open({}, {.resume = first});
  EXPECT_EQ(session->hear(), resumed(R"("room/a")"));
  const std::string second = session->resume_token();
  EXPECT_NE(second, first);
  const auto again = open({}, {.resume = first});
  EXPECT_EQ(again->hear(), kRefused);
  again->subscribe("room/a");  // it stays, and begins anew
  session->client.reset();
  ASSERT_TRUE(eventually([&] { return server.app.connections() == 1; }));
  publish(1, 1);
  const auto third = open({}, {.resume = second});
  EXPECT_EQ(third->hear(), resumed(R"("room/a")"));
  expect_numbers(*third, 1, 1);
}

TEST_F(ResumeTest, IsWorthNothingToAnyoneElse) {
  start();
  const TokenSpec owner{.more = R"(,"sid":"login 1")"};
  const std::string token = left(owner);
  publish(1, 1);
  for (const TokenSpec& stranger :
       {TokenSpec{.subject = "eve", .more = owner.more}, TokenSpec{.more = R"(,"sid":"login 2")"}, TokenSpec{}}) {
    const auto session = open(stranger, {.resume = token});
    EXPECT_EQ(session->hear(), kRefused);
    session->expect_quiet();
  }
  const auto rightful = open(owner, {.resume = token});
  EXPECT_EQ(rightful->hear(), resumed(R"("room/a")"));
  expect_numbers(*rightful, 1, 1);
}

TEST_F(ResumeTest, IsRefusedWithAnInventedToken) {
  start();
  const auto session = open({}, {.resume = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"});
  EXPECT_EQ(session->hear(), kRefused);
  const auto own = open();
  own->client.send(R"({"type":"resume","resume":")" + own->resume_token() + R"(","id":1})");
  EXPECT_EQ(own->hear(), R"({"type":"error","reason":"resume_refused","id":1})");
  own->expect_quiet();
}

TEST_F(ResumeTest, TakesOverAConnectionWhoseDeathNobodyHasNoticed) {
  constexpr int kRounds = 12;  // on one worker or across two
  start(2);
  auto session = open();
  session->subscribe("room/a");
  std::vector<std::unique_ptr<Session>> dead;
  for (int round = 1; round <= kRounds; ++round) {
    publish(3 * round, 3 * round + 1);
    expect_numbers(*session, 3 * round, 3 * round + 1);
    dead.push_back(std::move(session));
    session = open({}, {.resume = dead.back()->resume_token(), .received = 2});
    ASSERT_EQ(session->hear(), resumed(R"("room/a")"));
    publish(3 * round + 2, 3 * round + 2);
    expect_numbers(*session, 3 * round + 2, 3 * round + 2);
    const Heard heard = dead.back()->client.hear();
    EXPECT_EQ(heard.kind, Heard::Kind::kClose);
    EXPECT_EQ(heard.text, "evicted");
    dead.push_back(std::move(session));
    session = open({}, {.resume = dead.back()->resume_token(), .received = 1});
    ASSERT_EQ(session->hear(), resumed(R"("room/a")"));
  }
  session->expect_quiet();
}

TEST_F(ResumeTest, LeavesAnOpenConnectionAloneWhereAStrangerHasItsToken) {
  start(2);
  const auto owner = open();
  owner->subscribe("room/a");
  for (int i = 0; i < 6; ++i) {
    const auto stranger = open({.subject = "eve"}, {.resume = owner->resume_token()});
    EXPECT_EQ(stranger->hear(), kRefused);
  }
  publish(1, 1);
  expect_numbers(*owner, 1, 1);
}

// What the kernel of a proxy has taken has not reached the client behind it.
TEST_F(ResumeTest, GoesBackToWhereThePeerSaysItStopped) {
  start(1);
  auto first = open();
  first->subscribe("room/a");
  first->subscribe("room/b");
  publish(1, 4);
  publish(5, 6, "room/b");
  expect_numbers(*first, 1, 2);
  const auto second = open({}, {.resume = first->resume_token(), .received = 2});
  EXPECT_EQ(second->hear(), resumed(R"("room/a","room/b")"));
  expect_numbers(*second, 3, 6);
  const auto third = open({}, {.resume = second->resume_token(), .received = 1});
  EXPECT_EQ(third->hear(), resumed(R"("room/a","room/b")"));
  expect_numbers(*third, 4, 6);
  const auto fourth = open({}, {.resume = third->resume_token(), .received = 3});
  EXPECT_EQ(fourth->hear(), resumed(R"("room/a","room/b")"));
  fourth->expect_quiet();
}

TEST_F(ResumeTest, TellsOfAGapAndGivesWhatItRemembers) {
  start(1);
  const std::string token = left();
  publish(1, 130);
  const auto session = open({}, {.resume = token});
  EXPECT_EQ(session->hear(), resumed(R"("room/a")", true));
  expect_numbers(*session, 31, 130);
  session->expect_quiet();
}

TEST_F(ResumeTest, LeavesOutWhatIsNotPermittedAnyMore) {
  start(1);
  auto first = open({.scope = "staff"});
  first->subscribe("staff/1");
  first->subscribe("room/a");
  first->client.reset();
  ASSERT_TRUE(server.empties());
  publish(1, 1, "staff/1");
  publish(2, 2);
  const auto second = open({}, {.resume = first->resume_token()});
  EXPECT_EQ(second->hear(), resumed(R"("room/a")"));
  EXPECT_EQ(second->hear(), R"({"type":"unsubscribed","channel":"staff/1","reason":"forbidden"})");
  expect_numbers(*second, 2, 2);
  publish(3, 3, "staff/1");
  second->expect_quiet();
}

TEST_F(ResumeTest, IsAskedForInBandWhereTheHandshakeCarriedTheCredential) {
  start(1);
  const auto upgrade = [&](const std::string& offered) {
    auto client = std::make_unique<Client>(server.port());
    Fields fields = bearer(token());
    if (!offered.empty()) fields.emplace_back("Sec-WebSocket-Protocol", offered);
    EXPECT_EQ(client->upgrade("/", fields).status, 101);
    return client;
  };
  const std::string left_behind = left();
  publish(1, 2);
  const auto c = upgrade("sallyport.v1");
  const std::string ready = c->hear_text();
  EXPECT_EQ(member(ready, "resume").size(), 43U);
  const std::string ask = R"({"type":"resume","resume":")" + left_behind + R"(","id":"x"})";
  c->send(ask);
  EXPECT_EQ(c->hear_text(), R"({"type":"resumed","channels":["room/a"],"gap":false,"id":"x"})");
  EXPECT_EQ(c->hear_text(), "1");
  EXPECT_EQ(c->hear_text(), "2");
  c->send(ask);  // once
  EXPECT_EQ(c->hear_text(), R"({"type":"error","reason":"bad_request","id":"x"})");

  const auto late = upgrade("sallyport.v1");
  late->hear_text();
  late->send(R"({"type":"subscribe","channel":"room/b"})");
  late->hear_text();
  late->send(ask);  // before the first channel
  EXPECT_EQ(late->hear_text(), R"({"type":"error","reason":"bad_request","id":"x"})");

  const auto old = upgrade("");  // was not told a token and may not ask
  old->send(ask);
  EXPECT_EQ(old->hear_text(), R"({"type":"error","reason":"bad_request","id":"x"})");
}

TEST_F(ResumeTest, ComesBackAfterTheTokenHasExpired) {
  start(1);
  auto first = open({.life = 2s});
  first->subscribe("room/a");
  publish(1, 1);
  expect_numbers(*first, 1, 1);
  while (first->hear().starts_with("{\"type\":\"expiring\"")) {
  }
  ASSERT_TRUE(server.empties());
  publish(2, 3);
  const auto second = open({}, {.resume = first->resume_token()});
  EXPECT_EQ(second->hear(), resumed(R"("room/a")"));
  expect_numbers(*second, 2, 3);
  EXPECT_EQ(log.count("ws.close", "token_expired"), 1U);
}

TEST_F(ResumeTest, DoesNotComeBackFromARevocation) {
  start(2);
  const auto revoke = [&](const Selector& selector) {
    std::atomic<bool> done = false;
    server.app.revoke({.selector = selector}, [&](const auto& result) {
      EXPECT_TRUE(result.has_value());
      done = true;
    });
    EXPECT_TRUE(eventually([&] { return done.load(); }));
  };
  // What it left behind is gone,
  const TokenSpec old{.more = R"(,"jti":"old")"};
  const std::string gone = left(old);
  revoke({.token_id = "old"});
  EXPECT_EQ(open({.more = R"(,"jti":"new")"}, {.resume = gone})->hear(), kRefused);
  // and whoever it ended leaves nothing behind.
  const auto live = open({.more = R"(,"jti":"second")"});
  live->subscribe("room/a");
  revoke({.token_id = "second"});
  EXPECT_EQ(live->client.hear_close(), 3000);
  EXPECT_EQ(open({.more = R"(,"jti":"new")"}, {.resume = live->resume_token()})->hear(), kRefused);
}

TEST_F(ResumeTest, DoesNotComeBackFromBreakingTheRules) {
  Route strict = route();
  strict.limits.messages_per_second = 3;
  server.app.hub("/strict", strict);
  start(1);
  const auto session = open({}, {}, "/strict");
  session->subscribe("room/a");
  for (int i = 0; i < 5; ++i) session->client.send("{}");
  EXPECT_EQ(session->client.hear_close(), 1008);
  EXPECT_EQ(open({}, {.resume = session->resume_token()}, "/strict")->hear(), kRefused);
  // Nor does a token count on another route.
  const std::string token = left();
  EXPECT_EQ(open({}, {.resume = token}, "/strict")->hear(), kRefused);
  EXPECT_EQ(open({}, {.resume = token})->hear(), resumed(R"("room/a")"));
}

TEST_F(ResumeTest, IsNotOfferedWhereTheRouteHasNone) {
  Route never = route();
  never.resume = 0ms;
  server.app.hub("/never", never);
  server.app.ws("/plain", {.auth = {.verifier = secret_verifier(), .from = first_message}});
  start(1);
  const std::string token = left();
  const auto session = open({}, {.resume = token}, "/never");
  EXPECT_EQ(session->resume_token(), "");
  EXPECT_EQ(session->hear(), kRefused);
  EXPECT_EQ(open({}, {}, "/plain")->resume_token(), "");
}

TEST_F(ResumeTest, EndsInTime) {
  Route hurried = route();
  hurried.resume = 50ms;
  server.app.hub("/hurried", hurried);
  server.start({.workers = 1, .drain = std::chrono::milliseconds(0)});
  auto session = open({}, {}, "/hurried");
  session->client.reset();
  ASSERT_TRUE(server.empties());
  std::this_thread::sleep_for(60ms);
  EXPECT_EQ(open({}, {.resume = session->resume_token()}, "/hurried")->hear(), kRefused);
}

// A replay has the room that there is; the latest is worth most.
TEST_F(ResumeTest, GivesNoMoreThanTheSendQueueHolds) {
  Route small = route();
  small.limits.send_queue_bytes = 64 * 1024;
  server.app.hub("/small", small);
  start(1);
  auto first = open({}, {}, "/small");
  first->subscribe("room/a");
  first->client.reset();
  ASSERT_TRUE(server.empties());
  for (int i = 0; i < 20; ++i) server.app.publish("room/a", std::to_string(i) + std::string(9000, ' '));
  const auto second = open({}, {.resume = first->resume_token()}, "/small");
  EXPECT_EQ(second->hear(), resumed(R"("room/a")", true));
  for (int i = 17; i < 20; ++i) EXPECT_EQ(std::stoi(second->hear()), i);
  second->expect_quiet();
}

TEST_F(ResumeTest, TellsOfAGapWhereASlowPeerLostMessages) {
  constexpr std::size_t kSize = 64 * 1024;
  Route lossy = route();
  lossy.limits.send_queue_bytes = 256 * 1024;
  lossy.limits.slow_consumer = SlowConsumer::kDropOldest;
  server.app.hub("/lossy", lossy);
  start(1);
  Session slow(server.port(), "/lossy", {}, {}, {.receive_buffer = 4096});
  slow.subscribe("room/a");
  for (int i = 0; i < 400; ++i) {
    ASSERT_TRUE(eventually([&] { return server.app.publish("room/a", std::to_string(i) + std::string(kSize, ' ')); }));
  }
  open()->expect_quiet();
  slow.client.reset();
  ASSERT_TRUE(server.empties());
  const auto second = open({}, {.resume = slow.resume_token(), .received = 400}, "/lossy");
  EXPECT_EQ(second->hear(), resumed(R"("room/a")", true));
}

TEST_F(ResumeTest, RunsOnOpenAfterTheReplay) {
  Route greeting = route();
  greeting.on_open = [](Connection& c) {
    c.send("hello");
    c.subscribe("room/own");
  };
  server.app.hub("/greeting", greeting);
  start(2);
  auto session = open({}, {}, "/greeting");
  EXPECT_EQ(session->hear(), "hello");
  session->subscribe("room/a");
  std::vector<std::unique_ptr<Session>> dead;
  for (int i = 0; i < 10; ++i) {  // on this worker or on another one
    publish(2 * i, 2 * i);
    publish(2 * i + 1, 2 * i + 1, "room/own");
    dead.push_back(std::move(session));
    session = open({}, {.resume = dead.back()->resume_token(), .received = 0}, "/greeting");
    const std::string answer = session->hear();
    EXPECT_TRUE(answer.starts_with(R"({"type":"resumed")")) << answer;
    expect_numbers(*session, 0, 2 * i + 1);
    EXPECT_EQ(session->hear(), "hello");
  }
}

// Publishers that never stop, clients that vanish in every way: each number is seen once, in order. The publishers
// wait for the slowest client, so that none falls behind what is remembered.
TEST_F(ResumeTest, LosesNothingAndRepeatsNothingAtTheSeam) {
  constexpr int kClients = 6;
  constexpr int kChannels = 2;
  constexpr int kNumbers = 3000;
  constexpr int kAhead = 40;
  start(3);
  std::atomic<int> seen[kClients][kChannels] = {};
  std::atomic<int> ready = 0;
  std::atomic<bool> failed = false;
  std::atomic<int> resumes = 0;
  std::vector<std::thread> threads;
  for (int channel = 0; channel < kChannels; ++channel) {
    threads.emplace_back([&, channel] {
      while (ready < kClients && !failed) std::this_thread::yield();
      for (int i = 1; i <= kNumbers && !failed; ++i) {
        const auto behind = [&] {
          for (auto& one : seen) {
            if (one[channel] < i - kAhead) return true;
          }
          return false;
        };
        while (behind() && !failed) std::this_thread::yield();
        server.app.publish("room/" + std::to_string(channel), std::to_string(channel) + " " + std::to_string(i));
      }
    });
  }
  for (int number = 0; number < kClients; ++number) {
    threads.emplace_back([&, number] {
      std::mt19937 random(static_cast<unsigned>(number) + 1);
      const TokenSpec spec{.subject = "client " + std::to_string(number)};
      auto session = open(spec);
      for (int channel = 0; channel < kChannels; ++channel) session->subscribe("room/" + std::to_string(channel));
      ++ready;
      int received = 0;
      const auto take = [&](const std::string& text) {
        const int channel = text.empty() ? -1 : text[0] - '0';
        const bool publication = text.size() > 2 && channel >= 0 && channel < kChannels;
        const int value = publication ? std::stoi(text.substr(2)) : -1;
        if (!publication || value != seen[number][channel] + 1) {
          ADD_FAILURE() << "client " << number << " heard " << text << " after " << seen[number][0] << " and "
                        << seen[number][1];
          failed = true;
          return false;
        }
        seen[number][channel] = value;
        ++received;
        return true;
      };
      std::unique_ptr<Session> old;
      const auto done = [&] { return seen[number][0] == kNumbers && seen[number][1] == kNumbers; };
      while (!done() && !failed) {
        for (unsigned i = random() % 60; i > 0 && !done() && !failed; --i) {
          if (!take(session->hear())) return;
        }
        if (done()) break;
        switch (random() % 5) {
          case 0: session->client.reset(); break;
          case 1: session->client.close(); break;
          case 2: session->client.send_close(); break;  // and what follows is not listened to
          case 3: {
            session->client.end();
            for (Heard heard = session->client.hear(); heard.kind == Heard::Kind::kMessage && !failed;
                 heard = session->client.hear()) {
              if (!take(heard.text)) return;
            }
            break;
          }
          default: break;  // stays open and is silent
        }
        old = std::move(session);
        session = open(spec, {.resume = old->resume_token(), .received = received});
        received = 0;
        ++resumes;
        const std::string answer = session->hear();
        if (answer != resumed(R"("room/0","room/1")") && answer != resumed(R"("room/1","room/0")")) {
          ADD_FAILURE() << answer;
          failed = true;
        }
      }
      if (!failed) session->expect_quiet();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(resumes, 100);
}

}  // namespace
}  // namespace sallyport
