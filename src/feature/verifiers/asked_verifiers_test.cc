// Verifiers that ask someone else by HTTP: introspection (RFC 7662) and the application itself.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/digest.h"
#include "io/test_http_server.h"
#include "sallyport/verifiers.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;
using io::test::http_answer;
using io::test::HttpAnswer;
using io::test::HttpQuestion;

std::string in_seconds(int from_now) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count() +
                        from_now);
}

// A provider or application that answers what the test says, and what it was asked.
class AskedTest : public ::testing::Test {
 protected:
  AskedTest()
      : asked([this](const HttpQuestion& question) {
          const std::lock_guard lock(mutex);
          questions.push_back(question);
          return answer(question);
        }) {
    std::ofstream(secret_file) << "s3cret:/ \n";
  }
  ~AskedTest() override { ::unlink(secret_file.c_str()); }

  void says(std::function<HttpAnswer(const HttpQuestion&)> say) {
    const std::lock_guard lock(mutex);
    answer = std::move(say);
  }
  void says(unsigned status, std::string body) {
    says([=](const HttpQuestion&) { return http_answer(status, body); });
  }
  HttpQuestion last() {
    const std::lock_guard lock(mutex);
    return questions.back();
  }

  IntrospectionOptions introspect() {
    return {.endpoint = asked.url("/introspect"), .client_id = "sallyport client",
            .client_secret_file = secret_file, .timeout = std::chrono::milliseconds(500)};
  }
  void serve(Verifier verifier, CredentialSet from = header) {
    server.app.ws("/", {.auth = {.verifier = std::move(verifier), .from = std::move(from)},
                        .origins = insecure_any_origin,
                        .on_message = [](Connection& c, Message) {
                          c.send(std::string(c.principal().issuer) + " " + std::string(c.principal().subject) +
                                 (c.principal().has_scope("chat") ? " chat" : ""));
                        }});
    server.start();
  }
  int open(const Fields& fields) { return Client(server.port()).upgrade("/", fields).status; }
  std::string who(const Fields& fields) {
    Client c(server.port());
    const Reply reply = c.upgrade("/", fields);
    if (reply.status != 101) return std::to_string(reply.status);
    c.send("?");
    return c.hear_text();
  }

  std::mutex mutex;
  std::function<HttpAnswer(const HttpQuestion&)> answer = [](const HttpQuestion&) {
    return http_answer(500, "");
  };
  std::vector<HttpQuestion> questions;
  const std::string secret_file = ::testing::TempDir() + "client_secret_" + std::to_string(::getpid());
  io::test::HttpServer asked;
  Log log;
  Server server{AppOptions{.log = log.sink()}};
};
using IntrospectionTest = AskedTest;
using HttpVerifierTest = AskedTest;

TEST_F(IntrospectionTest, AcceptsAnActiveTokenAsItsSubject) {
  says(200, R"({"active":true,"sub":"ada","scope":"chat read","exp":)" + in_seconds(600) + "}");
  IntrospectionOptions options = introspect();
  options.issuer = "https://id.example.com";
  serve(introspection(options));
  EXPECT_EQ(who(bearer("opaque token+1")), "https://id.example.com ada chat");
  const HttpQuestion question = last();
  EXPECT_EQ(question.method, "POST");
  EXPECT_EQ(question.body, "token=opaque%20token%2B1&token_type_hint=access_token");
  EXPECT_EQ(question.field("Authorization"), "Basic " + base::base64("sallyport%20client:s3cret%3A%2F%20"));
  for (const std::string& line : log.all()) EXPECT_EQ(line.find("opaque"), std::string::npos) << line;
}

TEST_F(IntrospectionTest, TakesTheClientWhereAMachineActsForItself) {
  says(200, R"({"active":true,"client_id":"reporter"})");
  serve(introspection(introspect()));
  EXPECT_EQ(who(bearer("machine")), asked.url() + " reporter");
}

TEST_F(IntrospectionTest, RefusesWhatIsNotActiveOrCannotBeTaken) {
  serve(introspection(introspect()));
  const std::pair<std::string, int> cases[] = {
      {R"({"active":false})", 401},
      {R"({"active":true})", 401},  // nobody
      {R"({"active":true,"sub":""})", 401},
      {R"({"active":true,"sub":"ada","exp":)" + in_seconds(-5) + "}", 401},
      {R"({"active":true,"sub":"ada","nbf":)" + in_seconds(60) + "}", 401},
      {R"({"active":true,"sub":"ada","cnf":{"jkt":"x"}})", 401},
      {R"({"active":true,"sub":"ada","cnf":{"x5t#S256":"x"}})", 401},
      {R"({"active":"true","sub":"ada"})", 503},
      {R"({"sub":"ada"})", 503},
      {R"({"active":true,"sub":"ada","active":true})", 503},
      {R"({"active":true,"sub":"ada","exp":"soon"})", 503},
      {"[]", 503},
      {"", 503},
      {"<html>", 503},
      {R"({"active":true,"sub":"ada"})", 101},
  };
  int i = 0;
  for (const auto& [body, status] : cases) {
    says(200, body);
    EXPECT_EQ(open(bearer("token" + std::to_string(++i))), status) << body;
  }
}

TEST_F(IntrospectionTest, IsUnavailableWhereTheEndpointIs) {
  serve(introspection(introspect()));
  for (const unsigned status : {301U, 400U, 401U, 403U, 404U, 429U, 500U, 503U}) {
    says(status, R"({"active":true,"sub":"ada"})");
    EXPECT_EQ(open(bearer("t" + std::to_string(status))), 503) << status;
  }
  says([](const HttpQuestion&) { return HttpAnswer{.bytes = "", .delay = std::chrono::milliseconds(3000)}; });
  EXPECT_EQ(open(bearer("slow")), 503);
  EXPECT_EQ(log.count("verifier.unavailable"), 1U) << "once in a while, not for each";
}

TEST_F(IntrospectionTest, AsksOnceForManyConnectionsWithOneToken) {
  says([](const HttpQuestion&) {
    HttpAnswer slow = http_answer(200, R"({"active":true,"sub":"ada"})");
    slow.delay = std::chrono::milliseconds(200);
    return slow;
  });
  serve(introspection(introspect()));
  std::atomic<int> opened = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10; ++j) opened += open(bearer("one")) == 101 ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened, 160);
  EXPECT_EQ(asked.questions(), 1U);
}

TEST_F(IntrospectionTest, AsksAgainWhenTheCacheHasEnded) {
  says(200, R"({"active":true,"sub":"ada"})");
  IntrospectionOptions options = introspect();
  options.cache = std::chrono::milliseconds(100);
  serve(introspection(options));
  EXPECT_EQ(open(bearer("one")), 101);
  std::this_thread::sleep_for(150ms);
  says(200, R"({"active":false})");
  EXPECT_EQ(open(bearer("one")), 401);
  EXPECT_EQ(asked.questions(), 2U);
}

TEST_F(IntrospectionTest, ClosesALiveConnectionWhoseTokenIsNoLongerActive) {
  says(200, R"({"active":true,"sub":"ada"})");
  IntrospectionOptions options = introspect();
  options.cache = std::chrono::milliseconds(0);
  options.recheck = std::chrono::milliseconds(150);
  serve(introspection(options));
  Client c(server.port());
  ASSERT_EQ(c.upgrade("/", bearer("one")).status, 101);
  std::this_thread::sleep_for(400ms);
  c.send("?");
  EXPECT_EQ(c.hear_text().substr(0, 4), "http") << "still there";
  says(200, R"({"active":false})");
  const Heard heard = c.hear();
  EXPECT_EQ(heard.code, 3000);
  EXPECT_EQ(heard.text, "token_revoked");
}

TEST_F(IntrospectionTest, EndsAConnectionThatNobodyCouldBeAskedAboutForTooLong) {
  says(200, R"({"active":true,"sub":"ada"})");
  IntrospectionOptions options = introspect();
  options.cache = std::chrono::milliseconds(0);
  options.recheck = std::chrono::milliseconds(200);
  serve(introspection(options));
  Client c(server.port());
  ASSERT_EQ(c.upgrade("/", bearer("one")).status, 101);
  says(500, "");
  const Heard heard = c.hear();
  EXPECT_EQ(heard.code, 3000);
  EXPECT_EQ(heard.text, "token_expired");
}

TEST_F(HttpVerifierTest, AsksWithTheNamedFieldsAndNothingElse) {
  says(200, R"({"sub":"ada","scope":["chat"],"exp":)" + in_seconds(600) + "}");
  serve(http_verifier({.url = asked.url("/who?x=1"), .forward = {"Cookie", "X-Tenant"}}), cookie("sid"));
  EXPECT_EQ(who({{"Cookie", "a=1; sid=canary; b=2"}, {"X-Tenant", "acme"}, {"X-Other", "no"}, {"Origin", "http://x"}}),
            asked.url() + " ada chat");
  const HttpQuestion question = last();
  EXPECT_EQ(question.target, "/who?x=1");
  EXPECT_EQ(question.field("cookie"), "a=1; sid=canary; b=2");
  EXPECT_EQ(question.field("x-tenant"), "acme");
  EXPECT_EQ(question.field("x-other"), "");
  EXPECT_EQ(question.field("origin"), "");
}

TEST_F(HttpVerifierTest, SendsATokenThatCameAnotherWayAsIfInTheHeader) {
  says(200, R"({"sub":"ada"})");
  serve(http_verifier({.url = asked.url("/who")}), subprotocol | first_message);
  EXPECT_EQ(open({{"Sec-WebSocket-Protocol", "chat, bearer.abc"}}), 101);
  EXPECT_EQ(last().field("authorization"), "Bearer abc");
  Client c(server.port());
  ASSERT_EQ(c.upgrade("/").status, 101);
  c.send(R"({"type":"auth","token":"first"})");
  EXPECT_NE(c.hear_text().find("ready"), std::string::npos);
  EXPECT_EQ(last().field("authorization"), "Bearer first");
  Client evil(server.port());
  ASSERT_EQ(evil.upgrade("/").status, 101);
  evil.send(R"({"type":"auth","token":"a\r\nX-Admin: 1"})");
  EXPECT_EQ(evil.hear_close(), 3000);
  EXPECT_EQ(last().field("authorization"), "Bearer first") << "it was never asked about";
}

TEST_F(HttpVerifierTest, TakesTheApplicationsWord) {
  serve(http_verifier({.url = asked.url("/who"), .timeout = std::chrono::milliseconds(300)}));
  const std::tuple<unsigned, std::string, int> cases[] = {
      {401, "", 401},
      {403, "", 403},
      {200, R"({"sub":"ada"})", 101},
      {200, R"({"sub":"ada","exp":)" + in_seconds(-5) + "}", 401},
      {200, R"({"sub":""})", 503},
      {200, "{}", 503},
      {200, "ada", 503},
      {204, "", 503},
      {302, "", 503},
      {500, "", 503},
  };
  int i = 0;
  for (const auto& [status, body, expected] : cases) {
    says(status, body);
    EXPECT_EQ(open(bearer("t" + std::to_string(++i))), expected) << status << ' ' << body;
  }
}

TEST_F(HttpVerifierTest, GivesAnAnswerWithoutAnEndTheRecheckIntervalAndAsksAgain) {
  says(200, R"({"sub":"ada"})");
  serve(http_verifier({.url = asked.url("/who"), .recheck = std::chrono::milliseconds(200)}));
  Client c(server.port());
  ASSERT_EQ(c.upgrade("/", bearer("t")).status, 101);
  EXPECT_TRUE(eventually([&] { return asked.questions() >= 4; }));
  says(401, "");
  const Heard heard = c.hear();
  EXPECT_EQ(heard.code, 3000);
  EXPECT_EQ(heard.text, "token_revoked");
}

TEST_F(HttpVerifierTest, ClosesWhatTheApplicationForbidsLater) {
  says(200, R"({"sub":"ada"})");
  serve(http_verifier({.url = asked.url("/who"), .recheck = std::chrono::milliseconds(150)}));
  Client c(server.port());
  ASSERT_EQ(c.upgrade("/", bearer("t")).status, 101);
  says(403, "");
  EXPECT_EQ(c.hear_close(), 3003);
}

TEST(AskedVerifiers, SayWhatIsWrongWithTheirOptions) {
  EXPECT_THROW((void)http_verifier({.url = "http://example.com/who"}), std::invalid_argument) << "plain text";
  EXPECT_THROW((void)http_verifier({.url = "ftp://127.0.0.1/"}), std::invalid_argument);
  EXPECT_THROW((void)http_verifier({.url = "http://127.0.0.1/", .forward = {}}), std::invalid_argument);
  EXPECT_THROW((void)http_verifier({.url = "http://127.0.0.1/", .forward = {"Host"}}), std::invalid_argument);
  EXPECT_THROW((void)introspection({.endpoint = "https://id.example.com/i", .client_id = "c",
                                    .client_secret_file = "/nonexistent"}),
               std::runtime_error);
  EXPECT_THROW((void)introspection({.endpoint = "https://id.example.com/i", .client_secret_file = "x"}),
               std::invalid_argument);
}

}  // namespace
}  // namespace sallyport
