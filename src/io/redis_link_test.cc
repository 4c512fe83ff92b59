#include "io/redis_link.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <optional>
#include <thread>

#include "io/test_redis.h"

namespace sallyport::io {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::ip::tcp;
using test::RedisServer;
using Clock = std::chrono::steady_clock;
using Kind = RedisReply::Kind;

// ---- The URL

std::string fault_of(std::string_view text) {
  const auto url = RedisUrl::parse(text);
  return url ? "no fault" : url.error();
}

TEST(RedisUrl, HasDefaultsForWhatMayBeLeftOut) {
  const auto url = RedisUrl::parse("redis://cache.example.com");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "cache.example.com");
  EXPECT_EQ(url->port, 6379);
  EXPECT_EQ(url->user, "");
  EXPECT_TRUE(url->password.empty());
  EXPECT_EQ(url->database, 0U);
  EXPECT_EQ(url->address(), "cache.example.com:6379");
  EXPECT_TRUE(RedisUrl::parse("redis://127.0.0.1/"));
}

TEST(RedisUrl, TakesUserPasswordPortAndDatabase) {
  const auto url = RedisUrl::parse("redis://ada:p%40ss%2Fword@[::1]:6380/15");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->address(), "[::1]:6380");
  EXPECT_EQ(url->user, "ada");
  EXPECT_EQ(url->password.reveal(), "p@ss/word");
  EXPECT_EQ(url->port, 6380);
  EXPECT_EQ(url->database, 15U);
  EXPECT_EQ(RedisUrl::parse("redis://:secret@localhost")->user, "");
}

TEST(RedisUrl, RefusesWhatItDoesNotUnderstandWithoutQuotingThePassword) {
  for (const char* const text :
       {"", "redis", "redis://", "redis:///1", "http://host", "rediss://host", "redis://host:0", "redis://host:70000",
        "redis://host:06379", "redis://host/x", "redis://host/1/2", "redis://host/01", "redis://host/-1",
        "redis://host/99999", "redis://host?db=1", "redis://host#1", "redis://ada@host", "redis://ada:@host",
        "redis://ho st", "redis://ho%20st", "redis://[1.2.3.4]", "redis://u:p#word@host", "unix:///tmp/redis.sock"}) {
    EXPECT_NE(fault_of(text), "no fault") << text;
  }
  for (const char* const text : {"redis://u:hunter2@host:0", "redis://u:hunter2@host/x", "redis://u:hunter2@host?x",
                                 "redis://u:hunter2@", "redis://u:hunter2 @host"}) {
    const std::string fault = fault_of(text);
    EXPECT_NE(fault, "no fault") << text;
    EXPECT_EQ(fault.find("hunter2"), std::string::npos) << fault;
  }
}

// ---- The link

// Runs the context in the test's thread, as long as the test says.
class RedisLinkTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(RedisServer::installed()) << "script/bootstrap test installs redis-server"; }

  RedisLink& link_to(const std::string& url, RedisLinkOptions options = {}) {
    options.on_change = [this](bool connected, const std::string& detail) {
      changes.push_back((connected ? "up " : "down ") + detail);
    };
    link.emplace(context, std::move(*RedisUrl::parse(url)), std::move(options));
    return *link;
  }
  template <typename Condition>
  bool run_until(Condition condition, std::chrono::milliseconds patience = 10s) {
    const auto end = Clock::now() + patience;
    while (!condition()) {
      if (Clock::now() > end) return false;
      context.restart();
      context.run_one_for(5ms);
    }
    return true;
  }
  bool comes_up() {
    return run_until([this] { return link->connected(); });
  }
  bool goes_down() {
    return run_until([this] { return !link->connected(); });
  }

  // An answer as text: "one", "(nil)", "7", "[a b]", or "unavailable: why".
  static std::string show(const RedisReply& reply) {
    switch (reply.kind) {
      case Kind::kNil: return "(nil)";
      case Kind::kText: return reply.text;
      case Kind::kInteger: return std::to_string(reply.integer);
      case Kind::kArray: break;
    }
    std::string text = "[";
    for (const RedisReply& item : reply.items) text += (text.size() > 1 ? " " : "") + show(item);
    return text + "]";
  }
  static std::string show(const RedisFailure& failure) {
    switch (failure.code) {
      case RedisError::kUnavailable: return "unavailable: " + failure.detail;
      case RedisError::kRefused: return "refused: " + failure.detail;
      case RedisError::kBusy: return "busy: " + failure.detail;
    }
    return "?";
  }
  using Answer = std::shared_ptr<std::string>;  // empty until there is one

  Answer begin(RedisCommand command) {
    auto answer = std::make_shared<std::string>();
    asio::co_spawn(context, link->command(std::move(command)),
                   [answer](const std::exception_ptr& thrown, RedisLink::Result result) {
                     *answer = thrown ? "thrown" : result ? show(*result) : show(result.error());
                   });
    return answer;
  }
  Answer begin(std::initializer_list<std::string_view> words) { return begin(redis_command(words)); }
  std::string end(const Answer& answer) {
    return run_until([&] { return !answer->empty(); }) ? *answer : "no answer";
  }
  std::string ask(std::initializer_list<std::string_view> words) { return end(begin(words)); }

  asio::io_context context{1};
  std::optional<RedisLink> link;
  std::vector<std::string> changes;
};

TEST_F(RedisLinkTest, AnswersWithTextsNumbersNilAndArrays) {
  const RedisServer server;
  link_to(server.url());
  EXPECT_EQ(ask({"SET", "key", "va\r\nlue"}), "OK");
  EXPECT_EQ(ask({"GET", "key"}), "va\r\nlue");
  EXPECT_EQ(ask({"GET", "none"}), "(nil)");
  EXPECT_EQ(ask({"SET", "empty", ""}), "OK");
  EXPECT_EQ(ask({"STRLEN", "empty"}), "0");
  EXPECT_EQ(ask({"PTTL", "key"}), "-1");
  EXPECT_EQ(ask({"EVAL", "return {1,{'a',{'b'}},false}", "0"}), "[1 [a [b]] (nil)]");
  EXPECT_EQ(server.ask({"GET", "key"}), "va\r\nlue");
  EXPECT_EQ(changes, (std::vector<std::string>{"up 127.0.0.1:" + std::to_string(server.port())}));
}

TEST_F(RedisLinkTest, WaitsForTheFirstConnection) {
  const RedisServer server;
  link_to(server.url());
  EXPECT_FALSE(link->connected());
  const Answer first = begin({"SET", "key", "1"});
  const Answer second = begin({"INCR", "key"});
  EXPECT_EQ(end(second), "2");
  EXPECT_EQ(end(first), "OK");
  EXPECT_TRUE(link->connected());
}

TEST_F(RedisLinkTest, SendsAPipelineInOneGoAndKeepsItsOrder) {
  const RedisServer server;
  link_to(server.url());
  ASSERT_EQ(ask({"SET", "key", "7", "PX", "60000"}), "OK");
  std::vector<RedisCommand> commands;
  commands.push_back(redis_command({"GET", "key"}));
  commands.push_back(redis_command({"PTTL", "key"}));
  std::string text;
  asio::co_spawn(context, link->pipeline(std::move(commands)),
                 [&](const std::exception_ptr&, RedisLink::Results results) {
                   text = results ? show((*results)[0]) + "," + std::to_string((*results)[1].integer > 50'000)
                                  : show(results.error());
                 });
  const Answer after = begin({"GET", "none"});
  EXPECT_EQ(end(after), "(nil)");
  EXPECT_EQ(text, "7,1");
}

TEST_F(RedisLinkTest, FailsAPipelineOfWhichOnePartFailsAndStaysInStep) {
  const RedisServer server;
  link_to(server.url());
  std::vector<RedisCommand> commands;
  commands.push_back(redis_command({"LPUSH", "list", "1"}));
  commands.push_back(redis_command({"GET", "list"}));
  commands.push_back(redis_command({"GET", "none"}));
  std::string text;
  asio::co_spawn(context, link->pipeline(std::move(commands)),
                 [&](const std::exception_ptr&, RedisLink::Results results) {
                   text = results ? "accepted" : show(results.error());
                 });
  const Answer after = begin({"LRANGE", "list", "0", "-1"});
  EXPECT_EQ(end(after), "[1]");
  EXPECT_EQ(text, "refused: the server answered with WRONGTYPE");
}

TEST_F(RedisLinkTest, DoesNotQuoteArgumentsThatTheServerQuotes) {
  const RedisServer server;
  link_to(server.url());
  EXPECT_EQ(ask({"NONSENSE", "hunter2"}), "refused: the server answered with ERR");
  EXPECT_EQ(ask({"GET"}), "refused: the server answered with ERR");
  EXPECT_EQ(ask({"PING"}), "PONG");
}

TEST_F(RedisLinkTest, MatchesThousandsOfAnswersToTheirQuestions) {
  const RedisServer server;
  link_to(server.url());
  ASSERT_TRUE(comes_up());
  std::vector<Answer> answers;
  for (int i = 0; i < 4000; ++i) answers.push_back(begin({"ECHO", "number " + std::to_string(i)}));
  for (int i = 0; i < 4000; ++i) ASSERT_EQ(end(answers[static_cast<std::size_t>(i)]), "number " + std::to_string(i));
}

TEST_F(RedisLinkTest, RefusesMoreThanItsBoundAndServesAgainAfterwards) {
  const RedisServer server;
  link_to(server.url(), {.timeout = 5s, .pending = 4});
  ASSERT_TRUE(comes_up());
  ASSERT_EQ(server.ask({"CLIENT", "PAUSE", "600", "ALL"}), "OK");
  std::vector<Answer> answers;
  for (int i = 0; i < 6; ++i) answers.push_back(begin({"ECHO", std::to_string(i)}));
  EXPECT_EQ(end(answers[4]), "busy: too many commands wait for replies");
  EXPECT_EQ(end(answers[5]), "busy: too many commands wait for replies");
  EXPECT_EQ(*answers[0], "");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(end(answers[static_cast<std::size_t>(i)]), std::to_string(i));
  EXPECT_EQ(ask({"ECHO", "again"}), "again");
}

// ---- Who is let in

TEST_F(RedisLinkTest, LogsInWithAPasswordAndSelectsTheDatabase) {
  const RedisServer server({"--requirepass", "p@ss word"});
  link_to("redis://:p%40ss%20word@127.0.0.1:" + std::to_string(server.port()) + "/3");
  ASSERT_EQ(ask({"SET", "key", "third"}), "OK");
  EXPECT_EQ(server.ask({"GET", "key"}, "p@ss word"), "(nil)");
  EXPECT_NE(ask({"CLIENT", "INFO"}).find(" db=3 "), std::string::npos);
}

TEST_F(RedisLinkTest, LogsInAsAUserWhoMayDoHardlyAnything) {
  const RedisServer server;
  ASSERT_EQ(server.ask({"ACL", "SETUSER", "reader", "on", ">secret", "~sess:*", "+get"}), "OK");
  ASSERT_EQ(server.ask({"SET", "sess:1", "one"}), "OK");
  link_to("redis://reader:secret@127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(ask({"GET", "sess:1"}), "one");
  EXPECT_EQ(ask({"GET", "other"}), "refused: the server answered with NOPERM");
  EXPECT_EQ(ask({"SET", "sess:1", "two"}), "refused: the server answered with NOPERM");
}

TEST_F(RedisLinkTest, IsUnavailableWithAWrongOrMissingPasswordAndSaysWhy) {
  const RedisServer server({"--requirepass", "right"});
  const std::string address = "127.0.0.1:" + std::to_string(server.port());
  link_to("redis://:hunter2@" + address);
  EXPECT_EQ(ask({"GET", "key"}), "unavailable: " + address + ": AUTH was refused: WRONGPASS");
  EXPECT_FALSE(link->connected());
  link_to("redis://nobody:hunter2@" + address);
  EXPECT_EQ(ask({"GET", "key"}), "unavailable: " + address + ": AUTH was refused: WRONGPASS");
  link_to("redis://" + address);
  EXPECT_EQ(ask({"GET", "key"}), "unavailable: " + address + ": PING was refused: NOAUTH");
  link_to("redis://:right@" + address + "/9999");
  EXPECT_EQ(ask({"GET", "key"}), "unavailable: " + address + ": SELECT was refused: ERR");
}

TEST_F(RedisLinkTest, ComesUpWhenThePasswordIsPutRight) {
  const RedisServer server({"--requirepass", "old"});
  link_to("redis://:new@127.0.0.1:" + std::to_string(server.port()));
  ASSERT_TRUE(ask({"GET", "key"}).starts_with("unavailable"));
  ASSERT_EQ(server.ask({"CONFIG", "SET", "requirepass", "new"}, "old"), "OK");
  EXPECT_TRUE(comes_up());
  EXPECT_EQ(ask({"GET", "key"}), "(nil)");
}

// ---- Loss and return

TEST_F(RedisLinkTest, IsUnavailableAtOnceWhereNobodyListensAndConnectsWhenSomebodyDoes) {
  RedisServer server;
  server.kill();
  link_to(server.url(), {.timeout = 30s});
  EXPECT_TRUE(ask({"GET", "key"}).ends_with("cannot connect: Connection refused"));
  const auto before = Clock::now();
  EXPECT_TRUE(ask({"GET", "key"}).starts_with("unavailable"));
  EXPECT_LT(Clock::now() - before, 10s);
  ASSERT_TRUE(server.start());
  EXPECT_TRUE(comes_up());
  EXPECT_EQ(ask({"GET", "key"}), "(nil)");
}

TEST_F(RedisLinkTest, FailsWhatIsOnItsWayWhenTheServerIsKilledAndServesTheNextOne) {
  RedisServer server;
  link_to(server.url(), {.timeout = 30s});
  ASSERT_EQ(ask({"SET", "key", "1"}), "OK");
  ASSERT_EQ(server.ask({"CLIENT", "PAUSE", "60000", "ALL"}), "OK");
  const Answer one = begin({"GET", "key"});
  const Answer two = begin({"GET", "key"});
  run_until([] { return false; }, 50ms);
  EXPECT_EQ(*one + *two, "");
  server.kill();
  EXPECT_TRUE(end(one).starts_with("unavailable: 127.0.0.1:")) << *one;
  EXPECT_TRUE(end(two).starts_with("unavailable: 127.0.0.1:")) << *two;
  EXPECT_FALSE(link->connected());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(server.start());
    ASSERT_TRUE(comes_up());
    EXPECT_EQ(ask({"GET", "key"}), "(nil)") << "a new server is empty";
    server.kill();
    ASSERT_TRUE(goes_down());
  }
  EXPECT_GE(changes.size(), 8U);
}

TEST_F(RedisLinkTest, NoticesAServerThatStandsStillAndUsesItAgainWhenItGoesOn) {
  const RedisServer server;
  link_to(server.url(), {.timeout = 300ms});
  ASSERT_EQ(ask({"SET", "key", "1"}), "OK");
  server.pause();
  const auto before = Clock::now();
  EXPECT_EQ(ask({"GET", "key"}), "unavailable: no reply came in time");
  EXPECT_GE(Clock::now() - before, 300ms);
  EXPECT_FALSE(link->connected()) << "a silent connection must be given up";
  // The kernel still accepts connections in its name; that is not enough.
  run_until([] { return false; }, 700ms);
  EXPECT_FALSE(link->connected());
  EXPECT_TRUE(ask({"GET", "key"}).ends_with("the server did not answer in time"));
  server.go_on();
  EXPECT_TRUE(comes_up());
  EXPECT_EQ(ask({"GET", "key"}), "1");
}

TEST_F(RedisLinkTest, OutlivesAServerThatSleepsLongerThanACommandMayTake) {
  const RedisServer server;
  link_to(server.url(), {.timeout = 200ms});
  ASSERT_TRUE(comes_up());
  EXPECT_EQ(ask({"DEBUG", "SLEEP", "0.6"}), "unavailable: no reply came in time");
  EXPECT_TRUE(comes_up());
  EXPECT_EQ(ask({"ECHO", "awake"}), "awake");
}

TEST_F(RedisLinkTest, KeepsItsConnectionWhenOneAnswerIsLateAndDropsThatAnswer) {
  const RedisServer server;
  link_to(server.url(), {.timeout = 1s});
  ASSERT_TRUE(comes_up());
  const std::string id = ask({"CLIENT", "ID"});
  const Answer late = begin({"BLPOP", "list", "2"});  // answered after its time
  run_until([] { return false; }, 50ms);
  const Answer behind = begin({"ECHO", "behind"});
  EXPECT_EQ(end(late), "unavailable: no reply came in time");
  EXPECT_TRUE(end(behind).starts_with("unavailable"));
  ASSERT_TRUE(comes_up());
  EXPECT_NE(ask({"CLIENT", "ID"}), id) << "nothing at all came within the time: the connection is a new one";

  // Something comes while the late one is awaited: others are served, so the connection is fine.
  const std::string second = ask({"CLIENT", "ID"});
  ASSERT_EQ(server.ask({"CLIENT", "PAUSE", "700", "ALL"}), "OK");
  const Answer early = begin({"ECHO", "early"});
  run_until([] { return false; }, 300ms);
  const Answer slow = begin({"BLPOP", "list", "1.5"});
  EXPECT_EQ(end(early), "early");
  EXPECT_EQ(end(slow), "unavailable: no reply came in time");
  EXPECT_TRUE(link->connected());
  run_until([] { return false; }, 1s);
  EXPECT_EQ(ask({"ECHO", "in step"}), "in step");
  EXPECT_EQ(ask({"CLIENT", "ID"}), second);
}

TEST_F(RedisLinkTest, GivesAnswersToOthersAfterACallerHasLeft) {
  const RedisServer server;
  link_to(server.url());
  ASSERT_TRUE(comes_up());
  ASSERT_EQ(server.ask({"CLIENT", "PAUSE", "600", "ALL"}), "OK");
  asio::cancellation_signal leave;
  std::string text;
  asio::co_spawn(context, link->command(redis_command({"ECHO", "left"})),
                 asio::bind_cancellation_slot(leave.slot(), [&](const std::exception_ptr&, RedisLink::Result result) {
                   text = result ? show(*result) : show(result.error());
                 }));
  const Answer stayed = begin({"ECHO", "stayed"});
  run_until([] { return false; }, 50ms);
  leave.emit(asio::cancellation_type::terminal);
  EXPECT_EQ(end(stayed), "stayed");
  EXPECT_EQ(text, "unavailable: not waited for");
}

TEST_F(RedisLinkTest, FailsWhatIsOnItsWayWhenItIsDestroyed) {
  const RedisServer server;
  link_to(server.url());
  ASSERT_TRUE(comes_up());
  ASSERT_EQ(server.ask({"CLIENT", "PAUSE", "60000", "ALL"}), "OK");
  const Answer answer = begin({"GET", "key"});
  run_until([] { return false; }, 20ms);
  auto unstarted = link->command(redis_command({"GET", "key"}));
  link.reset();
  EXPECT_TRUE(end(answer).ends_with("the link has been closed"));
  std::string text;
  asio::co_spawn(context, std::move(unstarted), [&](const std::exception_ptr&, RedisLink::Result result) {
    text = show(result.error());
  });
  EXPECT_TRUE(run_until([&] { return !text.empty(); }));
  EXPECT_TRUE(text.ends_with("the link has been closed"));
  context.restart();
  context.run_for(100ms);
  EXPECT_TRUE(context.stopped()) << "nothing of the link is left";
}

TEST_F(RedisLinkTest, CanBeDestroyedAtAnyMomentAlsoAfterTheContextHasStopped) {
  const RedisServer server;
  for (int turns = 0; turns < 12; ++turns) {
    asio::io_context own{1};
    std::optional<RedisLink> mine;
    mine.emplace(own, *RedisUrl::parse(turns % 2 == 0 ? server.url() : "redis://localhost:1"));
    asio::co_spawn(own, mine->command(redis_command({"GET", "key"})), asio::detached);
    for (int i = 0; i < turns; ++i) own.run_one_for(20ms);
    own.stop();
    mine.reset();
  }
}

TEST_F(RedisLinkTest, FindsLocalhostByName) {
  const RedisServer server;
  link_to("redis://localhost:" + std::to_string(server.port()));
  EXPECT_EQ(ask({"PING"}), "PONG");
}

// ---- Servers that are no Redis

// Accepts connections one after the other and says the same to each: `greeting` after the first bytes have come, then
// `more`. Keeps the connection open.
class Stranger {
 public:
  Stranger(asio::io_context& context, std::string greeting, std::string more = {})
      : acceptor_(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)), greeting_(std::move(greeting)),
        more_(std::move(more)) {
    accept();
  }
  [[nodiscard]] std::string url() const { return "redis://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }
  int accepted = 0;

 private:
  struct Peer {
    explicit Peer(tcp::socket s) : socket(std::move(s)) {}
    tcp::socket socket;
    std::array<char, 4096> input{};
  };
  void accept() {
    acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
      if (error) return;
      ++accepted;
      const auto peer = std::make_shared<Peer>(std::move(socket));
      peer->socket.async_read_some(asio::buffer(peer->input), [this, peer](const boost::system::error_code& lost, std::size_t) {
        if (lost) return;
        asio::async_write(peer->socket, asio::buffer(greeting_), [this, peer](const boost::system::error_code&, std::size_t) {
          asio::async_write(peer->socket, asio::buffer(more_), [this, peer](const boost::system::error_code&, std::size_t) {
            drain(peer);
          });
        });
      });
      accept();
    });
  }
  void drain(const std::shared_ptr<Peer>& peer) {
    peer->socket.async_read_some(asio::buffer(peer->input), [this, peer](const boost::system::error_code& lost, std::size_t) {
      if (!lost) drain(peer);
    });
  }
  tcp::acceptor acceptor_;
  const std::string greeting_;
  const std::string more_;
};

TEST_F(RedisLinkTest, IsUnavailableWhereSomethingElseAnswers) {
  for (const char* const greeting :
       {"HTTP/1.1 400 Bad Request\r\n\r\n", "\r\n", "$-7\r\n", "*2147483647\r\n", "*-2\r\n", "$99999999999999999999\r\n",
        ":12x\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n+PONG\r\n", "\x16\x03\x01"}) {
    Stranger stranger(context, greeting);
    link_to(stranger.url());
    const std::string answer = ask({"GET", "key"});
    EXPECT_TRUE(answer.starts_with("unavailable: 127.0.0.1:")) << greeting << answer;
    EXPECT_NE(answer.find("does not speak the protocol of Redis"), std::string::npos) << greeting << answer;
    EXPECT_FALSE(link->connected());
    link.reset();
  }
}

TEST_F(RedisLinkTest, GivesUpAServerThatAcceptsAndSaysNothing) {
  Stranger stranger(context, "");
  link_to(stranger.url(), {.timeout = 200ms});
  const auto before = Clock::now();
  EXPECT_TRUE(ask({"GET", "key"}).starts_with("unavailable"));
  EXPECT_GE(Clock::now() - before, 190ms);
  EXPECT_TRUE(run_until([&] { return !changes.empty(); }));
  EXPECT_TRUE(changes.front().ends_with("the server did not answer in time")) << changes.front();
  EXPECT_TRUE(run_until([&] { return stranger.accepted >= 2; })) << "it tries again";
}

TEST_F(RedisLinkTest, LeavesAServerThatSaysWhatItWasNotAsked) {
  for (const char* const more : {"+SURPRISE\r\n", "-ERR go away\r\n", "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n"}) {
    Stranger stranger(context, "+PONG\r\n", more);
    link_to(stranger.url());
    EXPECT_TRUE(run_until([&] {
      return !changes.empty() && changes.back().ends_with("the server said something that it was not asked");
    })) << more;
    link.reset();
    changes.clear();
  }
}

TEST_F(RedisLinkTest, DoesNotHoldAReplyThatNeverEnds) {
  // A bulk text that is announced and never whole, an array of small ones, and a line without an end.
  for (const std::string& more : {"$500000000\r\n" + std::string(200'000, 'x'), "*60000\r\n" + [] {
         std::string items;
         for (int i = 0; i < 30'000; ++i) items += "$1\r\nx\r\n";
         return items;
       }(), "+" + std::string(200'000, 'x')}) {
    Stranger stranger(context, "+PONG\r\n", more);
    link_to(stranger.url(), {.reply_bytes = 100'000});
    ASSERT_TRUE(run_until([&] { return !changes.empty(); }));
    EXPECT_TRUE(run_until([&] { return changes.back().ends_with("or a reply is too long"); })) << more.substr(0, 12);
    link.reset();
    changes.clear();
  }
}

TEST_F(RedisLinkTest, PausesLongerAndLongerBetweenAttempts) {
  Stranger stranger(context, "nonsense\r\n");
  link_to(stranger.url());
  run_until([] { return false; }, 1500ms);
  // At 0, 50, 150, 350, 750, 1550 ms, each up to a quarter earlier; later where the machine is busy.
  EXPECT_GE(stranger.accepted, 2);
  EXPECT_LE(stranger.accepted, 7);
  EXPECT_EQ(changes.size(), 1U) << "the same fault is told once";
}

}  // namespace
}  // namespace sallyport::io
