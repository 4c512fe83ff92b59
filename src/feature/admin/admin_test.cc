// The admin API from outside, in front of an app that only remembers what it was asked.

#include "sallyport/admin.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "feature/admin/console.h"
#include "feature/admin/http_server.h"
#include "feature/admin/test_browser.h"
#include "feature/admin/test_control.h"
#include "feature/admin/wrong_tokens.h"
#include "io/context.h"

namespace sallyport::admin {
namespace {

using namespace test;

constexpr const char* kToken = "0123456789abcdef";

class AdminTest : public testing::Test {
 protected:
  AdminTest() {
    char name[] = "/tmp/sallyport-admin-XXXXXX";
    folder_ = ::mkdtemp(name);
    token_file_ = folder_ + "/admin.token";
    write_token(std::string(kToken) + "\n");
  }
  ~AdminTest() override {
    end();
    std::filesystem::remove_all(folder_);
  }

  void write_token(const std::string& text) const {
    std::ofstream(token_file_, std::ios::trunc) << text;
    std::filesystem::permissions(token_file_, std::filesystem::perms(0600));
  }

  std::expected<std::vector<std::string>, std::string> start(AdminOptions options) {
    service_ = admin_api(std::move(options));
    return service_->start({context_, [this](const LogEvent& event) { take(event); }, control_});
  }

  void serve(std::vector<std::string> hosts = {}) {
    const auto urls =
        start({.listen = {"127.0.0.1:0"}, .token_file = token_file_, .hosts = std::move(hosts)});
    ASSERT_TRUE(urls.has_value()) << urls.error();
    ASSERT_TRUE(urls->front().starts_with("http://127.0.0.1:"));
    port_ = static_cast<std::uint16_t>(std::stoi(urls->front().substr(17)));
    thread_ = std::thread([this] { context_.run(); });
  }

  void end() {
    work_.reset();
    context_.stop();
    if (thread_.joinable()) thread_.join();
    context_.destroy_waiting();
    if (service_) service_->stop();
    service_.reset();
  }

  // A request with the token and the usual fields.
  [[nodiscard]] std::string request(std::string_view method, std::string_view target,
                                    std::string_view body = {}, std::string_view fields = {}) const {
    std::string text = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: " + host() +
                       "\r\nAuthorization: Bearer " + kToken + "\r\n" + std::string(fields);
    if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return text + "\r\n" + std::string(body);
  }
  [[nodiscard]] std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  Reply ask(std::string_view method, std::string_view target, std::string_view body = {},
            std::string_view fields = {}) const {
    return Browser(port_).ask(request(method, target, body, fields));
  }
  // Without a token.
  Reply ask_plain(std::string_view target, const std::string& fields) const {
    return Browser(port_).ask("GET " + std::string(target) + " HTTP/1.1\r\n" + fields + "\r\n");
  }
  Reply ask_with(const std::string& authorization) const {
    return ask_plain("/v1/channels", "Host: " + host() + "\r\nAuthorization: " + authorization + "\r\n");
  }

  [[nodiscard]] std::string log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }

  io::Context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
  FakeControl control_;
  std::shared_ptr<Service> service_;
  std::uint16_t port_ = 0;
  std::string folder_;
  std::string token_file_;

 private:
  void take(const LogEvent& event) {
    const std::lock_guard lock(mutex_);
    log_ += std::string(event.name);
    for (const auto& [key, value] : event.fields) {
      log_ += " " + std::string(key) + "=";
      if (const auto* const text = std::get_if<std::string>(&value)) log_ += *text;
      if (const auto* const number = std::get_if<std::int64_t>(&value)) log_ += std::to_string(*number);
    }
    log_ += "\n";
  }

  mutable std::mutex mutex_;
  std::string log_;
  std::thread thread_;
};

// ---- The beginning

TEST_F(AdminTest, DoesNotStartWithoutAGoodTokenFile) {
  EXPECT_EQ(start({.listen = {"127.0.0.1:0"}}).error(), "admin: a token_file is needed");
  end();
  EXPECT_NE(
      start({.listen = {"127.0.0.1:0"}, .token_file = folder_ + "/none"}).error().find("cannot be opened"),
      std::string::npos);
  end();
  write_token("short");
  EXPECT_NE(
      start({.listen = {"127.0.0.1:0"}, .token_file = token_file_}).error().find("at least 16 characters"),
      std::string::npos);
}

TEST_F(AdminTest, DoesNotListenOffLoopbackNorNowhereNorWhereOthersListen) {
  EXPECT_NE(
      start({.listen = {"0.0.0.0:0"}, .token_file = token_file_}).error().find("not a loopback address"),
      std::string::npos);
  end();
  EXPECT_NE(start({.listen = {"example.com:1"}, .token_file = token_file_}).error().find("admin: "),
            std::string::npos);
  end();
  EXPECT_EQ(start({.listen = {}, .token_file = token_file_}).error(), "admin: nothing to listen on");
  end();
  serve();
  const auto other = admin_api({.listen = {host()}, .token_file = token_file_});
  EXPECT_NE(other->start({context_, {}, control_}).error().find("cannot listen there"), std::string::npos);
  end();
  other->stop();
}

TEST_F(AdminTest, WarnsOfATokenThatEverybodyMayRead) {
  std::filesystem::permissions(token_file_, std::filesystem::perms(0644));
  serve();
  EXPECT_NE(log().find("admin.token_exposed"), std::string::npos);
}

// ---- The endpoints

TEST_F(AdminTest, ListsConnectionsByPage) {
  control_.page.connections.push_back({.id = "c1", .subject = "alice", .route = "/chat/:room"});
  control_.page.cursor = "0.7";
  serve();
  const Reply reply = ask("GET", "/v1/connections?subject=alice&route=%2Fchat%2F%3Aroom&limit=5&cursor=0.3");
  EXPECT_EQ(reply.status, 200);
  EXPECT_TRUE(reply.has("Content-Type: application/json"));
  EXPECT_NE(reply.body.find(R"("id":"c1","subject":"alice")"), std::string::npos);
  EXPECT_NE(reply.body.find(R"("cursor":"0.7")"), std::string::npos);
  EXPECT_EQ(control_.asked(), std::vector<std::string>{"connections alice /chat/:room 5 0.3"});
  EXPECT_EQ(ask("GET", "/v1/connections").status, 200);
  EXPECT_EQ(control_.asked().back(), "connections - - 100 ");
}

TEST_F(AdminTest, RefusesAQueryOrACursorThatCannotBeMeant) {
  serve();
  const Reply reply = ask("GET", "/v1/connections?limit=0");
  EXPECT_EQ(reply.status, 400);
  EXPECT_TRUE(reply.has("Content-Type: application/problem+json"));
  EXPECT_EQ(reply.body, R"({"type":"about:blank","title":"Bad Request","status":400,"reason":"bad_request",)"
                        R"("detail":"limit must be a number from 1 to 1000"})");
  EXPECT_EQ(control_.asked(), std::vector<std::string>{});
  EXPECT_EQ(ask("GET", "/v1/connections?cursor=none").status, 400);
}

TEST_F(AdminTest, ClosesOneConnection) {
  serve();
  EXPECT_EQ(ask("DELETE", "/v1/connections/c1").body, R"({"closed":1})");
  EXPECT_EQ(ask("DELETE", "/v1/connections/c%32").body, R"({"closed":0})");
  EXPECT_EQ(control_.asked(), (std::vector<std::string>{"close c1", "close c2"}));
  EXPECT_EQ(log(), "admin.closed connection=c1\n");
  EXPECT_EQ(ask("DELETE", "/v1/connections/" + std::string(200, 'a')).status, 404);
}

TEST_F(AdminTest, RevokesAndTellsWhatItDid) {
  serve();
  const Reply reply =
      ask("POST", "/v1/revocations", R"({"subject":"alice","reason":"logged_out","keep":"2h"})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, R"({"id":7,"closed":3,"nodes":[{"node":"n1","applied_ms":2}]})");
  EXPECT_EQ(control_.asked(), std::vector<std::string>{"revoke alice"});
  EXPECT_EQ(control_.last_request.reason, Failure::kLoggedOut);
  EXPECT_EQ(control_.last_request.keep, std::chrono::hours(2));
  EXPECT_EQ(log(), "admin.revoked subject=alice reason=logged_out revocation=7 closed=3\n");
}

TEST_F(AdminTest, RevokesNothingForABodyThatIsNotExactlyRight) {
  serve();
  for (const char* const body : {"{}", "[]", "{\"subject\":\"\"}", "{\"sub\":\"alice\"}", "nonsense"}) {
    EXPECT_EQ(ask("POST", "/v1/revocations", body).status, 400) << body;
  }
  EXPECT_EQ(ask("POST", "/v1/revocations").status, 400);
  EXPECT_EQ(control_.asked(), std::vector<std::string>{});
}

TEST_F(AdminTest, SaysWhenARevocationIsNotDurable) {
  control_.revoke_fault = RevokeFault::kNotDurable;
  serve();
  const Reply reply = ask("POST", "/v1/revocations", R"({"subject":"alice"})");
  EXPECT_EQ(reply.status, 503);
  EXPECT_NE(reply.body.find(R"("reason":"not_durable","detail":"it holds on this server but is not durable)"),
            std::string::npos);
  EXPECT_EQ(ask("DELETE", "/v1/revocations/7").status, 503);
}

TEST_F(AdminTest, SaysWhyNothingWasRevoked) {
  control_.revoke_fault = RevokeFault::kFull;
  serve();
  const Reply reply = ask("POST", "/v1/revocations", R"({"subject":"alice"})");
  EXPECT_EQ(reply.status, 503);
  EXPECT_NE(reply.body.find("nothing was done"), std::string::npos);
  EXPECT_NE(log().find("admin.revoked subject=alice reason=token_revoked fault="), std::string::npos);
}

TEST_F(AdminTest, AnswersASelectorThatTheAppRefusesWith400) {
  control_.revoke_fault = RevokeFault::kInvalid;
  serve();
  EXPECT_EQ(ask("POST", "/v1/revocations", R"({"subject":"alice"})").status, 400);
}

TEST_F(AdminTest, AnswersWith503WhileTheAppStops) {
  control_.revoke_fault = RevokeFault::kStopped;
  serve();
  EXPECT_EQ(ask("POST", "/v1/revocations", R"({"subject":"alice"})").status, 503);
}

TEST_F(AdminTest, ListsAndLiftsRevocations) {
  control_.in_force.push_back({.id = 7, .selector = {.subject = "alice"}});
  serve();
  EXPECT_EQ(
      ask("GET", "/v1/revocations").body,
      R"({"revocations":[{"id":7,"subject":"alice","reason":"token_revoked","created":0,"until":null}]})");
  EXPECT_EQ(ask("DELETE", "/v1/revocations/7").body, R"({"lifted":1})");
  EXPECT_EQ(ask("DELETE", "/v1/revocations/8").status, 404);
  for (const char* const id : {"x", "7x", "-7", "99999999999999999999999"}) {
    EXPECT_EQ(ask("DELETE", std::string("/v1/revocations/") + id).status, 404) << id;
  }
  EXPECT_EQ(control_.asked(), (std::vector<std::string>{"lift 7", "lift 8"}));
}

TEST_F(AdminTest, Publishes) {
  serve();
  EXPECT_EQ(ask("POST", "/v1/publish", R"({"channel":"room/blue","data":{"x":1.0}})").body,
            R"({"subscribers":5})");
  EXPECT_EQ(control_.asked(), std::vector<std::string>{R"(publish room/blue {"x":1.0})"});
  EXPECT_EQ(ask("POST", "/v1/publish", R"({"channel":"room/blue"})").status, 400);
}

TEST_F(AdminTest, ListsChannelsAndMetrics) {
  control_.snapshot.pending = 4;
  serve();
  EXPECT_EQ(ask("GET", "/v1/channels").body, R"({"channels":[{"channel":"room/blue","subscribers":2}]})");
  const Reply metrics = ask("GET", "/metrics");
  EXPECT_TRUE(metrics.has("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
  EXPECT_NE(metrics.body.find("\nsallyport_pending_connections 4\n"), std::string::npos);
}

TEST_F(AdminTest, KnowsNoOtherPathsAndNoOtherMethods) {
  serve();
  for (const char* const path : {"/v1", "/v1/", "/v1/connections/", "/v1/connections/a/b", "/v1/revocation",
                                 "/v2/channels", "/metrics/", "/v1/channels/x", "/index.html"}) {
    EXPECT_EQ(ask("GET", path).status, 404) << path;
  }
  EXPECT_TRUE(ask("PUT", "/v1/revocations", "{}").has("Allow: GET, HEAD, POST"));
  EXPECT_TRUE(ask("GET", "/v1/revocations/7").has("Allow: DELETE"));
  EXPECT_TRUE(ask("DELETE", "/metrics").has("Allow: GET, HEAD"));
  EXPECT_TRUE(ask("OPTIONS", "/v1/publish").has("Allow: POST"));
  EXPECT_EQ(ask("POST", "/v1/connections", "{}").status, 405);
  EXPECT_EQ(ask("POST", "/").status, 405);
  EXPECT_EQ(control_.asked(), std::vector<std::string>{});
}

TEST_F(AdminTest, AnswersAFaultOfTheAppsWith500AndGoesOn) {
  control_.throws = true;
  serve();
  Browser browser(port_);
  EXPECT_EQ(browser.ask(request("GET", "/v1/connections")).status, 500);
  EXPECT_EQ(log(), "admin.failed detail=a fault of ours\n");
  EXPECT_EQ(browser.ask(request("GET", "/v1/channels")).status, 200);
}

TEST_F(AdminTest, AnswersNothingThatABrowserMayKeepGuessOrFrame) {
  serve();
  for (const char* const path : {"/", "/metrics", "/v1/channels", "/none"}) {
    const Reply reply = ask("GET", path);
    EXPECT_TRUE(reply.has("Cache-Control: no-store")) << path;
    EXPECT_TRUE(reply.has("X-Content-Type-Options: nosniff")) << path;
    EXPECT_TRUE(reply.has("X-Frame-Options: DENY")) << path;
    EXPECT_TRUE(reply.has("Cross-Origin-Resource-Policy: same-origin")) << path;
    EXPECT_EQ(reply.head.find("Access-Control-"), std::string::npos) << path;
  }
}

// ---- Who is let in

TEST_F(AdminTest, AsksForTheTokenEverywhereButOnTheConsole) {
  serve();
  for (const char* const path :
       {"/v1/connections", "/v1/revocations", "/v1/channels", "/metrics", "/none", "/v1/publish"}) {
    const Reply reply = ask_plain(path, "Host: " + host() + "\r\n");
    EXPECT_EQ(reply.status, 401) << path;
    EXPECT_TRUE(reply.has("WWW-Authenticate: Bearer")) << path;
    EXPECT_NE(reply.body.find("missing_credentials"), std::string::npos);
  }
  for (const ConsoleFile& file : console_files()) {
    const bool page = file.name == "index.html";
    const Reply reply = ask_plain(page ? "/" : "/" + std::string(file.name), "Host: " + host() + "\r\n");
    EXPECT_EQ(reply.status, 200) << file.name;
    EXPECT_EQ(reply.body, file.bytes) << file.name;
    EXPECT_TRUE(reply.has("Content-Security-Policy: " + std::string(kConsolePolicy)));
    EXPECT_EQ(reply.has("Content-Type: text/html; charset=utf-8"), page) << reply.head;
  }
  EXPECT_EQ(control_.asked(), std::vector<std::string>{});
}

TEST_F(AdminTest, RefusesEveryOtherCredential) {
  serve();
  for (const std::string value : {"Bearer", "Bearer ", "Bearer wrong", "Bearer 0123456789abcdeF",
                                  "Basic 0123456789abcdef", "0123456789abcdef", "Bearer 0123456789abcdef0"}) {
    const Reply reply = ask_with(value);
    EXPECT_EQ(reply.status, 401) << value;
    EXPECT_EQ(reply.body.find("0123456789"), std::string::npos);
  }
  EXPECT_EQ(ask_with(std::string("Bearer ") + kToken + "\r\nAuthorization: Bearer " + kToken).status, 400);
  EXPECT_EQ(ask_with(std::string("bearer   ") + kToken).status, 200);
  EXPECT_EQ(control_.asked(), std::vector<std::string>{"channels"});
  EXPECT_EQ(log().find("0123456789"), std::string::npos) << log();
}

TEST_F(AdminTest, TellsWhoeverGuessesToWaitAndNotWhoeverKnows) {
  serve();
  int told_to_wait = 0;
  for (unsigned i = 0; i < 1000 && told_to_wait < 3; ++i) {
    const Reply reply = ask_with("Bearer wrong");
    if (reply.status == 429) {
      ++told_to_wait;
      EXPECT_TRUE(reply.has("Retry-After: 1"));
      EXPECT_EQ(ask("GET", "/v1/channels").status, 200);
    }
  }
  EXPECT_EQ(told_to_wait, 3);
}

TEST_F(AdminTest, FollowsTheTokenFile) {
  serve();
  Browser browser(port_);
  EXPECT_EQ(browser.ask(request("GET", "/v1/channels")).status, 200);
  write_token("fedcba9876543210");
  EXPECT_EQ(browser.ask(request("GET", "/v1/channels")).status, 401);
  EXPECT_EQ(ask_with("Bearer fedcba9876543210").status, 200);
  std::filesystem::remove(token_file_);
  const Reply reply = ask_with("Bearer fedcba9876543210");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body.find(folder_), std::string::npos);
  EXPECT_EQ(ask_with("Bearer fedcba9876543210").status, 503);
  const std::string text = log();
  const std::size_t first = text.find("admin.token_unusable");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(text.find("admin.token_unusable", first + 1), std::string::npos) << "told twice";
  write_token(kToken);
  EXPECT_EQ(ask("GET", "/v1/channels").status, 200);
}

TEST_F(AdminTest, AnswersUnderLoopbacksNamesAndThoseListed) {
  serve({"Admin.Example.com", "other.example.com:8443"});
  const auto status = [&](const std::string& name) {
    return ask_plain("/v1/channels", "Host: " + name + "\r\nAuthorization: Bearer " + kToken + "\r\n").status;
  };
  for (const std::string name : {"localhost", "127.0.0.1", "[::1]:9090", "admin.example.com",
                                 "ADMIN.example.com:9090", "other.example.com:8443"}) {
    EXPECT_EQ(status(name), 200) << name;
  }
  for (const std::string name :
       {"evil.example.com", "example.com", "xadmin.example.com", "admin.example.com.evil.com",
        "other.example.com", "other.example.com:9090", "192.0.2.1:9090"}) {
    EXPECT_EQ(status(name), 421) << name;
  }
  EXPECT_EQ(ask_plain("/", "Host: evil.example.com\r\n").status, 421);
  EXPECT_EQ(ask_plain("/v1/channels", "").status, 400);
}

TEST_F(AdminTest, RefusesPagesOfOtherSitesEvenWithTheToken) {
  serve({"admin.example.com"});
  const auto status = [&](const std::string& fields) {
    return ask("GET", "/v1/channels", {}, fields).status;
  };
  EXPECT_EQ(status("Origin: http://" + host() + "\r\n"), 200);
  EXPECT_EQ(status("Origin: http://" + host() + "\r\nSec-Fetch-Site: same-origin\r\n"), 200);
  EXPECT_EQ(status("Sec-Fetch-Site: none\r\n"), 200);
  for (const std::string fields : {"Origin: http://evil.example.com\r\n", "Origin: null\r\n", "Origin: \r\n",
                                   "Origin: http://localhost:1\r\n", "Sec-Fetch-Site: cross-site\r\n",
                                   "Sec-Fetch-Site: same-site\r\n"}) {
    EXPECT_EQ(status(fields), 403) << fields;
  }
  const std::string own = "Origin: http://" + host() + "\r\n";
  EXPECT_EQ(status(own + own), 403);
  // Behind a proxy that speaks TLS the page is at https.
  EXPECT_EQ(ask_plain("/v1/channels",
                      std::string("Host: admin.example.com\r\nOrigin: https://admin.example.com\r\n") +
                          "Authorization: Bearer " + kToken + "\r\n")
                .status,
            200);
}

// ---- HTTP

TEST_F(AdminTest, KeepsAConnectionForTheNextRequestAlsoWhenBothComeAtOnce) {
  serve();
  Browser browser(port_);
  browser.send(request("POST", "/v1/publish", R"({"channel":"a","data":1})") +
               request("POST", "/v1/publish", R"({"channel":"b","data":2})"));
  EXPECT_EQ(browser.hear().status, 200);
  EXPECT_EQ(browser.hear().status, 200);
  EXPECT_EQ(browser.ask(request("GET", "/none")).status, 404);
  EXPECT_EQ(browser.ask(request("GET", "/v1/channels")).status, 200);
  EXPECT_EQ(control_.asked(), (std::vector<std::string>{"publish a 1", "publish b 2", "channels"}));
  const Reply last = browser.ask(request("GET", "/v1/channels", {}, "Connection: close\r\n"));
  EXPECT_TRUE(last.has("Connection: close"));
  EXPECT_TRUE(browser.ended());
}

TEST_F(AdminTest, ReadsRequestsHoweverTheyAreCut) {
  serve();
  Browser browser(port_);
  for (const char c : request("POST", "/v1/publish", R"({"channel":"a","data":1})")) browser.send({&c, 1});
  EXPECT_EQ(browser.hear().status, 200);
}

TEST_F(AdminTest, AnswersHeadWithoutABody) {
  serve();
  Browser browser(port_);
  browser.send(request("HEAD", "/v1/channels"));
  const Reply reply = browser.hear(true);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.head.find("Content-Length: 0"), std::string::npos);
  browser.send(request("HEAD", "/"));
  EXPECT_EQ(browser.hear(true).status, 200);
  EXPECT_EQ(browser.ask(request("GET", "/v1/channels")).status, 200);
}

TEST_F(AdminTest, ReadsNoBodyOfWhoeverIsNotLetIn) {
  serve();
  Browser browser(port_);
  // The body never comes: the answer does not wait for it.
  const Reply reply =
      browser.ask("POST /v1/revocations HTTP/1.1\r\nHost: " + host() + "\r\nContent-Length: 60000\r\n\r\n");
  EXPECT_EQ(reply.status, 401);
  EXPECT_TRUE(reply.has("Connection: close"));
  EXPECT_TRUE(browser.ended());
}

TEST_F(AdminTest, TellsWhoeverWaitsForItToGoOn) {
  serve();
  Browser browser(port_);
  const std::string whole =
      request("POST", "/v1/publish", R"({"channel":"a","data":1})", "Expect: 100-continue\r\n");
  const std::size_t head = whole.find("\r\n\r\n") + 4;
  browser.send(whole.substr(0, head));
  EXPECT_EQ(browser.hear().status, 100);
  EXPECT_EQ(browser.ask(whole.substr(head)).status, 200);
}

TEST_F(AdminTest, RefusesWhatIsTooLargeOrHasNoLength) {
  serve();
  EXPECT_EQ(ask("POST", "/v1/publish", std::string(64 * 1024 + 1, ' ')).status, 413);
  EXPECT_EQ(Browser(port_).ask(request("POST", "/v1/publish", {}, "Transfer-Encoding: chunked\r\n")).status,
            411);
  EXPECT_EQ(ask("GET", "/v1/channels", {}, "X: " + std::string(17 * 1024, 'x') + "\r\n").status, 431);
  EXPECT_EQ(
      ask("POST", "/v1/publish", std::string(64 * 1024 - 24, ' ') + R"({"channel":"a","data":1})").status,
      200);
}

TEST_F(AdminTest, RefusesWhatIsNoRequest) {
  serve();
  for (const std::string& bytes : {std::string("\x16\x03\x01"), std::string("GET / HTTP/1.1\nHost: x\n\n"),
                                   request("GET", "http//x"), request("GET", "/v1/../v1/channels"),
                                   request("POST", "/v1/publish", "{}", "Content-Length: 3\r\n")}) {
    Browser browser(port_);
    EXPECT_EQ(browser.ask(bytes).status, 400) << bytes;
    EXPECT_TRUE(browser.ended());
  }
}

TEST_F(AdminTest, MakesRoomForANewcomerByClosingTheOldestThatAsksNothing) {
  serve();
  std::vector<std::unique_ptr<Browser>> silent;
  const std::size_t most = HttpLimits{}.connections;
  for (std::size_t i = 0; i < most; ++i) {
    silent.push_back(std::make_unique<Browser>(port_));
    silent.back()->send("GET / HT");  // and no more
  }
  EXPECT_EQ(ask("GET", "/v1/channels").status, 200);
  EXPECT_TRUE(silent.front()->ended());
}

TEST_F(AdminTest, EndsWhileRequestsAreUnderWay) {
  serve();
  Browser half(port_);
  half.send("POST /v1/publish HTTP/1.1\r\nHost: " + host() + "\r\nAuthorization: Bearer " + kToken +
            "\r\nContent-Length: 10\r\n\r\n{");
  EXPECT_EQ(ask("GET", "/v1/channels").status, 200);
  end();
  EXPECT_TRUE(half.ended());
}

}  // namespace
}  // namespace sallyport::admin
