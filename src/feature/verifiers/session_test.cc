// Express sessions in a real Redis: the verifier alone, and on a route of an app.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/base/digest.h"
#include "core/base/random.h"
#include "io/context.h"
#include "io/test_redis.h"
#include "sallyport/verifiers.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;
using Clock = std::chrono::steady_clock;
using io::test::RedisServer;

constexpr const char* kSecretText = "keyboard cat";
constexpr const char* kAda = R"({"cookie":{"originalMaxAge":null,"expires":null,"path":"/"},"passport":{"user":"ada"}})";

std::string cookie_of(std::string_view id, std::string_view secret = kSecretText) {
  const base::Sha256 mac = base::hmac_sha256(secret, id);
  std::string signature = base::base64({reinterpret_cast<const char*>(mac.data()), mac.size()});
  signature.pop_back();
  return "s%3A" + std::string(id) + "." + signature;
}

// A folder with the files of secrets.
class Secrets {
 public:
  Secrets() : folder_(::testing::TempDir() + "session_" + base::random_id(8)) {
    std::filesystem::create_directory(folder_);
    std::ofstream(file("secret")) << kSecretText << "\n";
    std::ofstream(file("new")) << "a newer one";
    std::ofstream(file("empty")) << "\n";
  }
  ~Secrets() { std::filesystem::remove_all(folder_); }
  Secrets(const Secrets&) = delete;
  Secrets& operator=(const Secrets&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return folder_ + "/" + name; }

 private:
  const std::string folder_;
};

class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(RedisServer::installed()) << "script/bootstrap test installs redis-server"; }

  [[nodiscard]] SessionOptions options() const {
    return {.secret_files = {secrets.file("secret")}, .store = redis.url(), .name = "express"};
  }
  void sign_in(const std::string& id, const std::string& json = kAda) const {
    ASSERT_EQ(redis.ask({"SET", "sess:" + id, json}), "OK");
  }
  // How often Redis has been asked for a session.
  [[nodiscard]] int gets() const {
    const std::string stats = redis.ask({"INFO", "commandstats"});
    const std::size_t at = stats.find("cmdstat_get:calls=");
    return at == std::string::npos ? 0 : std::stoi(stats.substr(at + 18));
  }

  Secrets secrets;
  RedisServer redis;
};

// ---- The verifier alone

// Lends a control thread to a verifier and asks it as a worker would.
class Host {
 public:
  explicit Host(const Verifier& verifier) : backend_(*verifier.backends().front()) {
    backend_.start({control_, log.sink()});
    backend_.start({control_, log.sink()});  // a second route
    thread_ = std::thread([this] {
      const auto guard = boost::asio::make_work_guard(control_);
      control_.run();
    });
  }
  ~Host() {
    control_.stop();
    thread_.join();
    control_.destroy_waiting();
    backend_.stop();
    backend_.stop();
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  Verdict ask(const std::string& cookie, CredentialKind kind = CredentialKind::kCookie) {
    return ask_many(cookie, 1, kind).front();
  }
  // `asked` is called when all questions are on their way.
  std::vector<Verdict> ask_many(const std::string& cookie, std::size_t count,
                                CredentialKind kind = CredentialKind::kCookie,
                                const std::function<void()>& asked = [] {}) {
    const Presented presented{.kind = kind, .token = cookie};
    std::vector<Verdict> verdicts;
    boost::asio::io_context worker{1};
    for (std::size_t i = 0; i < count; ++i) {
      if (auto now = backend_.verify_now(presented, WallTime{})) {
        verdicts.push_back(std::move(*now));
        continue;
      }
      boost::asio::co_spawn(
          worker,
          [](const VerifierBackend& backend, Presented what, std::vector<Verdict>& out) -> awaitable<void> {
            Verdict verdict = co_await backend.verify_later(what);
            out.push_back(std::move(verdict));
          }(backend_, presented, verdicts),
          boost::asio::detached);
    }
    const auto guard = boost::asio::make_work_guard(worker);
    worker.poll();
    asked();
    while (verdicts.size() < count) worker.run_one_for(std::chrono::seconds(10));
    return verdicts;
  }
  [[nodiscard]] bool ready() const { return backend_.ready(); }

  Log log;

 private:
  const VerifierBackend& backend_;
  io::Context control_{1};
  std::thread thread_;
};

// Who it is, or why not.
std::string show(const Verdict& verdict) {
  if (verdict.accepted()) return verdict.principal()->subject.str();
  if (verdict.is_not_mine()) return "not mine";
  return verdict.failure() == Failure::kUnavailable ? "unavailable" : verdict.detail();
}

TEST_F(SessionTest, SaysWhoHasSignedIn) {
  sign_in("one", R"({"cookie":{"expires":null},"passport":{"user":"ada"},"scopes":["chat"],"tenant":"acme"})");
  ASSERT_EQ(redis.ask({"PEXPIRE", "sess:one", "60000"}), "1");
  SessionOptions with = options();
  with.scopes = "/scopes";
  const Verifier verifier = express_session(with);
  Host host(verifier);
  const Verdict verdict = host.ask(cookie_of("one"));
  ASSERT_TRUE(verdict.accepted()) << verdict.detail();
  const Principal& who = *verdict.principal();
  EXPECT_EQ(who.issuer, "express");
  EXPECT_EQ(who.subject, "ada");
  EXPECT_EQ(who.scopes, std::vector<std::string>{"chat"});
  EXPECT_EQ(who.claims, R"({"scopes":["chat"],"tenant":"acme"})");
  EXPECT_EQ(who.session, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed") << "SHA-256 of the id";
  const auto now = std::chrono::system_clock::now();
  ASSERT_TRUE(who.expires_at);
  EXPECT_GT(*who.expires_at, now + 50s);
  EXPECT_LE(*who.expires_at, now + 61s);
  EXPECT_EQ(who.valid_until, who.expires_at);
  EXPECT_EQ(who.recheck_every, 29s);
}

TEST_F(SessionTest, RefusesWhatNobodyHasSignedWithoutAskingTheStore) {
  sign_in("one");
  const Verifier verifier = express_session(options());
  Host host(verifier);
  ASSERT_EQ(show(host.ask(cookie_of("one"))), "ada");
  const int before = gets();
  std::string tampered = cookie_of("two");
  tampered.replace(4, 3, "one");
  EXPECT_EQ(show(host.ask(tampered)), "express: the cookie's signature fits none of the secrets");
  EXPECT_EQ(show(host.ask(cookie_of("one", "another secret"))), "express: the cookie's signature fits none of the secrets");
  EXPECT_EQ(show(host.ask("s%3Aone")), "express: the cookie is malformed");
  EXPECT_EQ(show(host.ask("one")), "not mine");
  EXPECT_EQ(show(host.ask("")), "not mine");
  EXPECT_EQ(gets(), before);
}

TEST_F(SessionTest, GoesByASecretThatWasReplacedWhileItRuns) {
  sign_in("one");
  const Verifier verifier = express_session(options());
  Host host(verifier);
  const std::uint32_t epoch = verifier.backends().front()->epoch();
  ASSERT_EQ(show(host.ask(cookie_of("one"))), "ada");
  ASSERT_EQ(show(host.ask(cookie_of("one", "a newer one"))), "express: the cookie's signature fits none of the secrets");
  std::filesystem::rename(secrets.file("empty"), secrets.file("secret"));
  ASSERT_TRUE(eventually([&] { return host.log.count("keys.reload_failed", "is empty") == 1; }));
  EXPECT_EQ(show(host.ask(cookie_of("one"))), "ada") << "what is no good changes nothing";
  EXPECT_EQ(verifier.backends().front()->epoch(), epoch);
  std::filesystem::rename(secrets.file("new"), secrets.file("secret"));
  ASSERT_TRUE(eventually([&] { return show(host.ask(cookie_of("one", "a newer one"))) == "ada"; }));
  EXPECT_EQ(show(host.ask(cookie_of("one"))), "express: the cookie's signature fits none of the secrets");
  EXPECT_GT(verifier.backends().front()->epoch(), epoch);
}

TEST_F(SessionTest, IsNothingButACookiesVerifier) {
  sign_in("one");
  const Verifier verifier = express_session(options());
  Host host(verifier);
  for (const CredentialKind kind : {CredentialKind::kHeader, CredentialKind::kSubprotocol, CredentialKind::kFirstMessage,
                                    CredentialKind::kTicket, CredentialKind::kInsecureQuery, CredentialKind::kCertificate}) {
    EXPECT_EQ(show(host.ask(cookie_of("one"), kind)), "not mine") << name(kind);
  }
}

TEST_F(SessionTest, RefusesSessionsThatAreNoLogin) {
  const Verifier verifier = express_session(options());
  Host host(verifier);
  EXPECT_EQ(show(host.ask(cookie_of("none"))), "express: there is no such session in the store");
  sign_in("anonymous", R"({"cookie":{}})");
  EXPECT_EQ(show(host.ask(cookie_of("anonymous"))), "express: nobody has signed in in this session");
  sign_in("object", R"({"passport":{"user":{"id":1}}})");
  EXPECT_EQ(show(host.ask(cookie_of("object"))), "express: the session's subject is neither a text nor an integer");
  sign_in("garbage", "hunter2");
  EXPECT_EQ(show(host.ask(cookie_of("garbage"))), "express: what is stored is not a JSON object");
  sign_in("over", R"({"cookie":{"expires":"2020-01-01T00:00:00.000Z"},"passport":{"user":"ada"}})");
  const Verdict over = host.ask(cookie_of("over"));
  EXPECT_EQ(over.failure(), Failure::kTokenExpired);
  ASSERT_EQ(redis.ask({"SET", "other:one", kAda}), "OK");
  EXPECT_EQ(show(host.ask(cookie_of("one"))), "express: there is no such session in the store");
  for (const std::string& line : host.log.all()) EXPECT_EQ(line.find("hunter2"), std::string::npos) << line;
}

TEST_F(SessionTest, UsesItsPrefixAndTheDatabaseOfTheUrl) {
  SessionOptions with = options();
  with.prefix = "shop:";
  with.store += "/2";
  const Verifier verifier = express_session(with);
  Host host(verifier);
  sign_in("one");
  EXPECT_EQ(host.ask(cookie_of("one")).failure(), Failure::kInvalidToken);
  ASSERT_EQ(redis.ask({"EVAL", "redis.call('select','2') return redis.call('set','shop:one',ARGV[1])", "0", kAda}), "OK");
  EXPECT_EQ(show(host.ask(cookie_of("one"))), "ada");
}

TEST_F(SessionTest, AcceptsWhatAnOlderSecretHasSigned) {
  sign_in("one");
  sign_in("two");
  SessionOptions with = options();
  with.secret_files = {secrets.file("new"), secrets.file("secret")};
  const Verifier verifier = express_session(with);
  Host host(verifier);
  EXPECT_EQ(show(host.ask(cookie_of("one", kSecretText))), "ada");
  EXPECT_EQ(show(host.ask(cookie_of("two", "a newer one"))), "ada");
  EXPECT_FALSE(host.ask(cookie_of("two", "a newer one\n")).accepted());
}

TEST_F(SessionTest, AsksOnceForAThousandTabs) {
  sign_in("one");
  SessionOptions with = options();
  with.timeout = 10s;
  const Verifier verifier = express_session(with);
  Host host(verifier);
  ASSERT_TRUE(eventually([&] { return host.ready(); }));
  const auto thousand = [&](const std::string& cookie) {
    redis.pause();
    return host.ask_many(cookie, 1000, CredentialKind::kCookie, [&] { redis.go_on(); });
  };
  for (const Verdict& verdict : thousand(cookie_of("one"))) EXPECT_EQ(show(verdict), "ada");
  const auto answered_at = Clock::now();
  EXPECT_EQ(show(host.ask(cookie_of("one"))), "ada");
  const bool at_once = Clock::now() - answered_at < 500ms;  // a machine may be busy with other things
  EXPECT_LE(gets(), at_once ? 1 : 2);
  const int before = gets();
  for (const Verdict& verdict : thousand(cookie_of("none"))) EXPECT_FALSE(verdict.accepted());
  EXPECT_EQ(gets(), before + 1) << "a refusal too is shared by those who ask at the same time";
}

TEST_F(SessionTest, RemembersAnAcceptanceForAMomentAndARefusalNotAtAll) {
  const Verifier verifier = express_session(options());
  Host host(verifier);
  ASSERT_FALSE(host.ask(cookie_of("one")).accepted());
  sign_in("one");
  ASSERT_EQ(show(host.ask(cookie_of("one"))), "ada") << "signed in since";
  const auto accepted_at = Clock::now();
  ASSERT_EQ(redis.ask({"DEL", "sess:one"}), "1");
  ASSERT_TRUE(eventually([&] { return !host.ask(cookie_of("one")).accepted(); }, 10s));
  EXPECT_LT(Clock::now() - accepted_at, 5s);
}

TEST_F(SessionTest, ChecksAgainSoOftenThatEvenASharedAnswerIsFoundOutInTime) {
  sign_in("one");
  for (const auto& [asked, expected] : std::vector<std::pair<std::chrono::milliseconds, std::chrono::milliseconds>>{
           {30s, 29s}, {2s, 1s}, {1s, 500ms}, {200ms, 100ms}}) {
    SessionOptions with = options();
    with.recheck = asked;
    const Verifier verifier = express_session(with);
    Host host(verifier);
    EXPECT_EQ(host.ask(cookie_of("one")).principal()->recheck_every, expected);
  }
}

TEST_F(SessionTest, IsUnavailableWithoutTheStoreAndComesBackWithIt) {
  sign_in("one");
  const Verifier verifier = express_session(options());
  Host host(verifier);
  ASSERT_EQ(show(host.ask(cookie_of("one"))), "ada");
  EXPECT_TRUE(host.ready());
  redis.kill();
  ASSERT_TRUE(eventually([&] { return !host.ready(); }));
  std::this_thread::sleep_for(1100ms);
  EXPECT_EQ(show(host.ask(cookie_of("one"))), "unavailable");
  EXPECT_EQ(show(host.ask("s%3Aone")), "express: the cookie is malformed") << "that much is known without the store";
  const std::size_t told = host.log.count("verifier.unavailable", "verifier=express");
  EXPECT_GE(told, 1U);
  EXPECT_LE(told, 2U) << "that it was lost, and that nobody listens any more";
  ASSERT_TRUE(redis.start());
  sign_in("one");
  ASSERT_TRUE(eventually([&] { return host.ready(); }));
  EXPECT_EQ(show(host.ask(cookie_of("one"))), "ada");
  EXPECT_EQ(host.log.count("verifier.available", "verifier=express"), 2U);
}

TEST_F(SessionTest, IsUnavailableWhenTheStoreHoldsSomethingElseOrForbids) {
  ASSERT_EQ(redis.ask({"LPUSH", "sess:list", "1"}), "1");
  {
    const Verifier verifier = express_session(options());
    Host host(verifier);
    EXPECT_EQ(show(host.ask(cookie_of("list"))), "unavailable");
    EXPECT_EQ(show(host.ask(cookie_of("list"))), "unavailable");
    EXPECT_EQ(host.log.count("verifier.unavailable", "WRONGTYPE"), 1U) << "said once in a while";
  }
  ASSERT_EQ(redis.ask({"ACL", "SETUSER", "limited", "on", ">secret", "~*", "+get"}), "OK");
  SessionOptions with = options();
  with.store = "redis://limited:secret@127.0.0.1:" + std::to_string(redis.port());
  const Verifier verifier = express_session(with);
  Host host(verifier);
  sign_in("one");
  EXPECT_EQ(show(host.ask(cookie_of("one"))), "unavailable") << "without PTTL its end is not known";
}

TEST_F(SessionTest, AnswersWithinItsTimeWhenTheStoreStandsStill) {
  sign_in("one");
  SessionOptions with = options();
  with.timeout = 200ms;
  const Verifier verifier = express_session(with);
  Host host(verifier);
  ASSERT_TRUE(eventually([&] { return host.ready(); }));
  redis.pause();
  const auto before = Clock::now();
  EXPECT_EQ(show(host.ask(cookie_of("one"))), "unavailable");
  EXPECT_LT(Clock::now() - before, 2s);
  redis.go_on();
}

TEST_F(SessionTest, CanServeOneAppAfterTheOther) {
  sign_in("one");
  const Verifier verifier = express_session(options());
  EXPECT_FALSE(verifier.backends().front()->ready());
  for (int i = 0; i < 2; ++i) {
    Host host(verifier);
    EXPECT_EQ(show(host.ask(cookie_of("one"))), "ada");
  }
  const auto now = verifier.backends().front()->verify_now({.kind = CredentialKind::kCookie, .token = cookie_of("one")}, {});
  ASSERT_TRUE(now);
  EXPECT_EQ(show(*now), "unavailable");
}

TEST_F(SessionTest, RefusesOptionsThatCannotBeMeant) {
  const auto fault = [&](const std::function<void(SessionOptions&)>& change) -> std::string {
    SessionOptions with = options();
    change(with);
    try {
      (void)express_session(with);
    } catch (const std::invalid_argument& error) {
      return error.what();
    } catch (const std::runtime_error& error) {
      return std::string("file: ") + error.what();
    }
    return "no fault";
  };
  EXPECT_EQ(fault([](SessionOptions&) {}), "no fault");
  const auto starts = [](const std::string& text, const char* with) { EXPECT_TRUE(text.starts_with(with)) << text; };
  starts(fault([](SessionOptions& o) { o.secret_files.clear(); }), "verifier express: secret_files:");
  starts(fault([](SessionOptions& o) { o.secret_files.resize(17); }), "verifier express: secret_files:");
  starts(fault([&](SessionOptions& o) { o.secret_files = {secrets.file("empty")}; }), "file: ");
  starts(fault([&](SessionOptions& o) { o.secret_files.push_back(secrets.file("missing")); }), "file: ");
  starts(fault([](SessionOptions& o) { o.store = ""; }), "verifier express: store:");
  starts(fault([](SessionOptions& o) { o.subject = "passport.user"; }), "verifier express: subject:");
  starts(fault([](SessionOptions& o) { o.subject = ""; }), "verifier express: subject:");
  starts(fault([](SessionOptions& o) { o.scopes = "scopes"; }), "verifier express: scopes:");
  starts(fault([](SessionOptions& o) { o.prefix = std::string(257, 'x'); }), "verifier express: prefix:");
  starts(fault([](SessionOptions& o) { o.cookie = ""; }), "verifier express: cookie:");
  starts(fault([](SessionOptions& o) { o.name = ""; }), "verifier : it has no name");
  starts(fault([](SessionOptions& o) { o.timeout = 0ms; }), "verifier express: timeout");
  starts(fault([](SessionOptions& o) { o.recheck = 0ms; }), "verifier express: recheck");
  EXPECT_EQ(fault([](SessionOptions& o) { o.store = "redis://:hunter2@host:0"; }).find("hunter2"), std::string::npos);
}

// ---- On a route

class SessionRouteTest : public SessionTest {
 protected:
  SessionRouteTest() : server({.log = log.sink()}) {}

  void serve(SessionOptions with, unsigned workers = 2) {
    Route echo{.auth = {.verifier = any_of({express_session(std::move(with)), secret_verifier()}),
                        .from = cookie("connect.sid") | header},
               .on_message = [](Connection& c, Message m) { c.send(m); }};
    server.app.ws("/echo", std::move(echo));
    server.start({.workers = workers, .drain = std::chrono::milliseconds(0)});
  }
  [[nodiscard]] Fields fields(const std::string& cookie_value, std::string origin = {}) const {
    if (origin.empty()) origin = "http://127.0.0.1:" + std::to_string(server.port());
    return {{"Origin", origin}, {"Cookie", "theme=dark; connect.sid=" + cookie_value}};
  }

  Log log;
  Server server;
};

TEST_F(SessionRouteTest, OpensASocketAndEndsItWhenTheSessionIsGone) {
  sign_in("one");
  SessionOptions with = options();
  with.recheck = 400ms;
  serve(with);
  Client in(server.port());
  ASSERT_EQ(in.upgrade("/echo", fields(cookie_of("one"))).status, 101);
  in.send("hello");
  EXPECT_EQ(in.hear_text(), "hello");
  EXPECT_EQ(in.hear(1500ms).kind, Heard::Kind::kNothing) << "checked several times, and still signed in";
  ASSERT_EQ(redis.ask({"DEL", "sess:one"}), "1");
  const auto before = Clock::now();
  const Heard end = in.hear(5s);
  EXPECT_EQ(end.code, 3000);
  EXPECT_EQ(end.text, "token_revoked");
  EXPECT_LT(Clock::now() - before, 1s);
  for (const std::string& line : log.all()) EXPECT_EQ(line.find(cookie_of("one").substr(8)), std::string::npos) << line;
}

TEST_F(SessionRouteTest, EndsItWhenSomebodyElseSignsInOrTheLoginIsTakenOutOfTheSession) {
  sign_in("one");
  sign_in("two");
  SessionOptions with = options();
  with.recheck = 400ms;
  serve(with);
  Client one(server.port());
  Client two(server.port());
  ASSERT_EQ(one.upgrade("/echo", fields(cookie_of("one"))).status, 101);
  ASSERT_EQ(two.upgrade("/echo", fields(cookie_of("two"))).status, 101);
  sign_in("one", R"({"cookie":{},"passport":{"user":"eve"}})");
  sign_in("two", R"({"cookie":{},"passport":{}})");
  const Heard changed = one.hear(5s);
  EXPECT_EQ(changed.code, 3000);
  EXPECT_EQ(changed.text, "subject_changed");
  const Heard gone = two.hear(5s);
  EXPECT_EQ(gone.code, 3000);
  EXPECT_EQ(gone.text, "token_revoked");
}

TEST_F(SessionRouteTest, LivesAsLongAsTheSessionIsTouchedAndNoLonger) {
  sign_in("one");
  ASSERT_EQ(redis.ask({"PEXPIRE", "sess:one", "1500"}), "1");
  SessionOptions with = options();
  with.recheck = 300ms;
  serve(with);
  Client in(server.port());
  ASSERT_EQ(in.upgrade("/echo", fields(cookie_of("one"))).status, 101);
  for (int i = 0; i < 6; ++i) {
    ASSERT_EQ(in.hear(400ms).kind, Heard::Kind::kNothing) << i;
    ASSERT_EQ(redis.ask({"PEXPIRE", "sess:one", "1500"}), "1");
  }
  const auto before = Clock::now();
  const Heard end = in.hear(5s);
  EXPECT_EQ(end.code, 3000);
  EXPECT_LT(Clock::now() - before, 2500ms);
  EXPECT_GT(Clock::now() - before, 1000ms);
}

TEST_F(SessionRouteTest, RefusesForeignOriginsStrangersAndForgeries) {
  sign_in("one");
  serve(options());
  EXPECT_EQ(Client(server.port()).upgrade("/echo", fields(cookie_of("one"), "https://evil.example")).status, 403);
  EXPECT_EQ(Client(server.port()).upgrade("/echo", {{"Cookie", "connect.sid=" + cookie_of("one")}}).status, 403);
  EXPECT_EQ(Client(server.port()).upgrade("/echo").status, 401);
  // With an allowed Origin a refusal is a Close frame, which the page's script can read.
  Client forged(server.port());
  ASSERT_EQ(forged.upgrade("/echo", fields(cookie_of("one", "guessed"))).status, 101);
  EXPECT_EQ(forged.hear_close(), 3000);
}

TEST_F(SessionRouteTest, TellsThePeerToComeBackWhileTheStoreIsDownAndKeepsTheOpenSockets) {
  sign_in("one");
  SessionOptions with = options();
  with.recheck = 300ms;
  serve(with);
  Client in(server.port());
  ASSERT_EQ(in.upgrade("/echo", fields(cookie_of("one"))).status, 101);
  redis.kill();
  EXPECT_EQ(in.hear(1s).kind, Heard::Kind::kNothing);
  Client out(server.port());
  ASSERT_EQ(out.upgrade("/echo", fields(cookie_of("one"))).status, 101);
  EXPECT_EQ(out.hear_close(), 1013);
  in.send("still here");
  EXPECT_EQ(in.hear_text(), "still here");
  ASSERT_TRUE(redis.start());
  const Heard end = in.hear(10s);
  EXPECT_EQ(end.text, "token_revoked") << "the new store does not know the session";
}

// One worker, one connection that echoes, and meanwhile a stream of handshakes each of which has to wait 200 ms and more
// for Redis.
TEST_F(SessionRouteTest, ASlowStoreDoesNotDelayTheOtherConnectionsOfAWorker) {
  constexpr int kSessions = 200;
  for (int i = 0; i < kSessions; ++i) sign_in("slow" + std::to_string(i));
  serve(options(), 1);
  Client echo(server.port());
  ASSERT_EQ(echo.upgrade("/echo", bearer(token())).status, 101);

  const auto measure = [&](Clock::duration how_long) {
    std::vector<double> times;
    const auto end = Clock::now() + how_long;
    while (Clock::now() < end) {
      const auto before = Clock::now();
      echo.send("ping");
      if (echo.hear_text() != "ping") break;
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
      std::this_thread::sleep_for(200us);
    }
    std::ranges::sort(times);
    return times;
  };
  const auto at = [](const std::vector<double>& times, double part) {
    return times.at(static_cast<std::size_t>(part * static_cast<double>(times.size() - 1)));
  };
  const std::vector<double> quiet = measure(500ms);

  ASSERT_EQ(redis.ask({"CLIENT", "PAUSE", "400", "ALL"}), "OK");
  std::atomic<int> opened = 0;
  std::atomic<bool> over = false;
  std::thread slow([&] {
    while (!over) {
      redis.ask({"CLIENT", "PAUSE", "200", "ALL"});
      std::this_thread::sleep_for(210ms);
    }
  });
  std::chrono::duration<double, std::milli> first{0};
  std::thread crowd([&] {
    std::vector<std::unique_ptr<Client>> clients;
    const auto asked_at = Clock::now();
    clients.push_back(std::make_unique<Client>(server.port()));
    opened += clients.back()->upgrade("/echo", fields(cookie_of("slow0"))).status == 101 ? 1 : 0;
    first = Clock::now() - asked_at;
    clients.clear();
    for (int i = 1; i < kSessions; ++i) {
      clients.push_back(std::make_unique<Client>(server.port()));
      clients.back()->send_upgrade("/echo", fields(cookie_of("slow" + std::to_string(i))));
      std::this_thread::sleep_for(5ms);
    }
    for (const auto& client : clients) opened += client->read_reply(true).status == 101 ? 1 : 0;
  });
  const std::vector<double> busy = measure(1s);
  crowd.join();
  over = true;
  slow.join();

  EXPECT_EQ(opened, kSessions);
  EXPECT_GT(first.count(), 50.0) << "Redis is slow indeed";
  ASSERT_GT(quiet.size(), 100U);
  ASSERT_GT(busy.size(), 100U);
  std::printf("echo beside a quiet Redis: p50 %.2f ms, p99 %.2f ms, longest %.2f ms of %zu\n", at(quiet, 0.5),
              at(quiet, 0.99), quiet.back(), quiet.size());
  std::printf("a handshake then takes %.0f ms\n", first.count());
  std::printf("echo while Redis takes 200 ms: p50 %.2f ms, p99 %.2f ms, longest %.2f ms of %zu\n", at(busy, 0.5),
              at(busy, 0.99), busy.back(), busy.size());
  EXPECT_LT(at(busy, 0.99), 100.0) << "a worker that waited for Redis would take 200 ms";
}

}  // namespace
}  // namespace sallyport
