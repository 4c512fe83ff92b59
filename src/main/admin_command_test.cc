#include "main/admin_command.h"

#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "io/test_certificate.h"
#include "io/test_http_server.h"
#include "main/admin_client.h"
#include "main/status.h"

namespace sallyport::main {
namespace {

using io::test::http_answer;
using io::test::HttpAnswer;
using io::test::HttpQuestion;
using io::test::HttpServer;

constexpr std::string_view kToken = "0123456789abcdef0123";

std::string problem(unsigned status, std::string_view reason, std::string_view detail) {
  return R"({"type":"about:blank","title":"T","status":)" + std::to_string(status) + R"(,"reason":")" +
         std::string(reason) + R"(","detail":")" + std::string(detail) + R"("})";
}

/// An admin API that answers what it is told to, in order, and keeps what it was asked.
class AdminCommands : public testing::Test {
 protected:
  void answers(std::vector<HttpAnswer> list) {
    const std::lock_guard lock(mutex_);
    answers_ = std::move(list);
  }
  std::vector<HttpQuestion> questions() {
    const std::lock_guard lock(mutex_);
    return questions_;
  }
  HttpQuestion only_question() {
    const auto all = questions();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? HttpQuestion{} : all.front();
  }
  AdminAccess access() { return {.url = server_.url(), .token_file = token_file_}; }

  std::mutex mutex_;
  std::vector<HttpAnswer> answers_;
  std::vector<HttpQuestion> questions_;
  io::test::TempFolder folder_;
  std::string token_file_ = folder_.write("admin.token", std::string(kToken) + "\n");
  HttpServer server_{[this](const HttpQuestion& question) {
    const std::lock_guard lock(mutex_);
    const std::size_t index = questions_.size();
    questions_.push_back(question);
    return index < answers_.size() ? answers_[index] : http_answer(404, problem(404, "not_found", ""));
  }};
};

std::string connection_json(std::string_view subject) {
  return R"({"id":"c1","subject":")" + std::string(subject) +
         R"(","issuer":"https://id.example.com/","session":null,"route":"/chat/:room","address":"192.0.2.7",)"
         R"("opened_at":1700000000.5,"expires_at":null,"verifier":"main","credential":"header","node":"n"})";
}

TEST_F(AdminCommands, ConnectionsShowsATableOverAllPages) {
  answers({http_answer(200, R"({"connections":[)" + connection_json("ada") + R"(],"cursor":"1.7"})"),
           http_answer(200, R"({"connections":[)" + connection_json("bob") + R"(],"cursor":null})")});
  const Said said = list_connections({.admin = access(), .route = "/chat/:room"});
  EXPECT_EQ(said.status, kDone) << said.complaint;
  EXPECT_EQ(said.text,
            "SUBJECT  ROUTE        ADDRESS    OPENED               EXPIRES  CREDENTIAL  VERIFIER  ID\n"
            "ada      /chat/:room  192.0.2.7  2023-11-14 22:13:20  never    header      main      c1\n"
            "bob      /chat/:room  192.0.2.7  2023-11-14 22:13:20  never    header      main      c1\n");
  const auto asked = questions();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0].method, "GET");
  EXPECT_EQ(asked[0].target, "/v1/connections?route=/chat/%3Aroom&limit=500");
  EXPECT_EQ(asked[1].target, "/v1/connections?route=/chat/%3Aroom&limit=500&cursor=1.7");
  EXPECT_EQ(asked[0].field("Authorization"), "Bearer " + std::string(kToken));
}

TEST_F(AdminCommands, ConnectionsAsJsonAreTheServersOwnObjectsALineEach) {
  answers({http_answer(200, R"({"connections":[{"id":"a"},{"id":"b"}],"cursor":""})")});
  EXPECT_EQ(list_connections({.admin = access(), .json = true}).text, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
}

TEST_F(AdminCommands, ConnectionsSaysSoIfThereAreNone) {
  answers({http_answer(200, R"({"connections":[],"cursor":null})")});
  EXPECT_EQ(list_connections({.admin = access(), .subject = "eve & co"}).text, "nobody is connected\n");
  EXPECT_EQ(only_question().target, "/v1/connections?subject=eve%20%26%20co&limit=500");
}

TEST_F(AdminCommands, RevokeSendsWhatIsGivenAndNothingElse) {
  answers({http_answer(200, R"({"id":17,"closed":3,"nodes":[{"node":"n1","applied_ms":2}]})")});
  const Said said = do_revoke({.admin = access(),
                               .subject = "a\"da",
                               .session = "s1",
                               .token_id = "t1",
                               .issuer = "https://id.example.com/",
                               .issued_before = "1700000000.25",
                               .keep = "30d",
                               .reason = "logged_out"});
  EXPECT_EQ(said.status, kDone) << said.complaint;
  EXPECT_EQ(said.text, "revocation 17 holds; it closed 3 connections, n1 within 2 ms\n");
  const HttpQuestion asked = only_question();
  EXPECT_EQ(asked.method + " " + asked.target, "POST /v1/revocations");
  EXPECT_EQ(asked.body,
            R"({"subject":"a\"da","session":"s1","token_id":"t1","issuer":"https://id.example.com/",)"
            R"("issued_before":1700000000.25,"keep":"30d","reason":"logged_out"})");
}

TEST_F(AdminCommands, RevokeTakesNowForAMoment) {
  answers({http_answer(200, R"({"id":1,"closed":1,"nodes":[]})")});
  const auto before = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  EXPECT_EQ(do_revoke({.admin = access(), .issued_before = "now"}).text,
            "revocation 1 holds; it closed 1 connection\n");
  const std::string body = only_question().body;
  ASSERT_TRUE(body.starts_with("{\"issued_before\":")) << body;
  EXPECT_GE(std::stoll(body.substr(17)), before.time_since_epoch().count());
}

TEST_F(AdminCommands, RevokeRefusesWhatWouldMeanMoreThanWasMeant) {
  const auto refused = [&](RevokeCommand command) {
    command.admin = access();
    const Said said = do_revoke(command);
    EXPECT_EQ(said.status, kUsage);
    EXPECT_EQ(said.text, "");
    return said.complaint;
  };
  EXPECT_TRUE(refused({}).starts_with("say whose logins are to end: --subject"));
  EXPECT_TRUE(refused({.keep = "30d"}).starts_with("say whose logins are to end"));
  // A variable that was never set, beside something that means everybody.
  EXPECT_EQ(refused({.subject = "", .issued_before = "now"}), "--subject is empty");
  EXPECT_EQ(refused({.session = "\xff"}), "--session is not UTF-8");
  for (const char* const moment : {"", "yesterday", "-1", "1e9", "01", "1.", ".5", "1.2.3", "0x1", " 1"}) {
    EXPECT_TRUE(refused({.issued_before = moment}).starts_with("--issued-before is \"now\" or")) << moment;
  }
  EXPECT_EQ(refused({.lift = "seven"}), "--lift is the number of a revocation; --list shows them");
  EXPECT_TRUE(questions().empty());
}

TEST_F(AdminCommands, RevokeListsWhatIsInForce) {
  answers({http_answer(
      200,
      R"({"revocations":[)"
      R"({"id":1,"subject":"ada","issuer":"i","reason":"token_revoked","created":1700000000,"until":null},)"
      R"({"id":2,"issued_before":1700000000,"reason":"logged_out","created":1700000000,"until":1700000060}]})")});
  EXPECT_EQ(
      do_revoke({.admin = access(), .list = true}).text,
      "ID  CREATED              UNTIL                REASON         WHO\n"
      "1   2023-11-14 22:13:20  lifted               token_revoked  subject ada, issuer i\n"
      "2   2023-11-14 22:13:20  2023-11-14 22:14:20  logged_out     issued before 2023-11-14 22:13:20\n");
  EXPECT_EQ(only_question().method + " " + only_question().target, "GET /v1/revocations");
}

TEST_F(AdminCommands, RevokeLiftsByNumber) {
  answers({http_answer(200, R"({"lifted":1})"),
           http_answer(404, problem(404, "not_found", "there is no revocation 8"))});
  EXPECT_EQ(do_revoke({.admin = access(), .lift = "7"}).text, "revocation 7 is lifted\n");
  EXPECT_EQ(only_question().method + " " + only_question().target, "DELETE /v1/revocations/7");
  const Said again = do_revoke({.admin = access(), .lift = "8"});
  EXPECT_EQ(again.status, kFailed);
  EXPECT_EQ(again.complaint, "there is no revocation 8");
}

TEST_F(AdminCommands, PublishSendsTheDataAsItWasGiven) {
  answers({http_answer(200, R"({"subscribers":1})")});
  const Said said = do_publish({.admin = access(), .channel = "room/\"b\"", .data = R"({"a": [1.0, null]})"});
  EXPECT_EQ(said.text, "published to 1 subscriber\n") << said.complaint;
  EXPECT_EQ(only_question().body, R"({"channel":"room/\"b\"","data":{"a": [1.0, null]}})");
  for (const char* const data : {"", "hello", "{", "1,\"channel\":2", "{\"a\":1,\"a\":2}"}) {
    const Said refused = do_publish({.admin = access(), .channel = "c", .data = data});
    EXPECT_EQ(refused.status, kUsage) << data;
    EXPECT_TRUE(refused.complaint.starts_with("DATA is not JSON")) << refused.complaint;
  }
  EXPECT_EQ(do_publish({.admin = access(), .channel = "", .data = "1"}).complaint, "CHANNEL is empty");
  EXPECT_EQ(questions().size(), 1U);
}

TEST_F(AdminCommands, RefusalsSayWhatToDo) {
  const std::string origin = server_.url();
  struct Case {
    HttpAnswer answer;
    int status;
    std::string complaint;
  };
  const std::vector<Case> cases{
      {http_answer(401, problem(401, "invalid_token", "x")), kFailed,
       origin + " does not accept the token in " + token_file_ +
           "; it must be the one that [admin] token_file of the server names"},
      {http_answer(429, problem(429, "too_many_requests", "x"), "Retry-After: 9\r\n"), kFailed,
       origin + " has been shown too many wrong tokens; try again in 9 s, with the one that [admin] "
                "token_file of the "
                "server names"},
      {http_answer(421, problem(421, "misdirected", "add the name to [admin] hosts")), kFailed,
       "add the name to [admin] hosts"},
      {http_answer(400, problem(400, "bad_request", "keep must be a duration")), kUsage,
       "keep must be a duration"},
      {http_answer(503, problem(503, "not_durable", "it holds here")), kFailed, "it holds here"},
      {http_answer(503, problem(503, "unavailable", "")), kFailed, origin + " answers 503 unavailable"},
      {http_answer(404, "<h1>Not found</h1>"), kFailed,
       origin + " answers 404; is --admin the address of [admin] listen?"},
      {http_answer(200, "<h1>Hello</h1>"), kFailed,
       origin + " does not answer like the admin API; is --admin the address of [admin] listen?"},
      {http_answer(302, "", "Location: /elsewhere\r\n"), kFailed,
       origin + " answers 302; is --admin the address of [admin] listen?"},
  };
  std::vector<HttpAnswer> list;
  for (const Case& one : cases) list.push_back(one.answer);
  answers(list);
  for (const Case& one : cases) {
    const Said said = do_revoke({.admin = access(), .subject = "ada"});
    EXPECT_EQ(said.status, one.status) << one.complaint;
    EXPECT_EQ(said.complaint, one.complaint);
    EXPECT_EQ(said.complaint.find(kToken), std::string::npos);
  }
}

TEST_F(AdminCommands, AServerThatIsNotThereIsNamedWithAHint) {
  const std::string url = "http://127.0.0.1:" + std::to_string(io::test::free_port());
  const Said said = list_connections({.admin = {.url = url, .token_file = token_file_}});
  EXPECT_EQ(said.status, kFailed);
  EXPECT_TRUE(said.complaint.starts_with(url + " does not take connections")) << said.complaint;
  EXPECT_TRUE(
      said.complaint.ends_with("; does the server run, and is this the address of its [admin] listen?"))
      << said.complaint;
}

TEST_F(AdminCommands, WhatCannotBeAskedIsAUsageError) {
  const auto refused = [&](const std::string& url, const std::string& file) {
    const Said said = list_connections({.admin = {.url = url, .token_file = file}});
    EXPECT_EQ(said.status, kUsage) << said.complaint;
    return said.complaint;
  };
  EXPECT_TRUE(refused("127.0.0.1:9090", token_file_).starts_with("--admin: a URL begins with"));
  EXPECT_TRUE(
      refused("http://admin.example.com", token_file_).starts_with("--admin: plain http is for loopback"));
  EXPECT_TRUE(refused(server_.url("/?a=b"), token_file_).starts_with("--admin: the URL has a query"));
  EXPECT_TRUE(refused(server_.url(), folder_.path() + "/none").starts_with("--admin-token-file: "));
  const std::string two_lines = folder_.write("two", "secret-of-one-line\nand another");
  const std::string complaint = refused(server_.url(), two_lines);
  EXPECT_EQ(complaint, "--admin-token-file: " + two_lines +
                           ": is not an admin token, one line of visible ASCII characters");
  EXPECT_EQ(refused(server_.url(), folder_.write("empty", "\n")).find("--admin-token-file: "), 0U);
  EXPECT_EQ(list_connections({.admin = access(), .subject = ""}).complaint, "--subject is empty");
  EXPECT_TRUE(questions().empty());
}

TEST_F(AdminCommands, TheUrlMayHaveAPathInFrontOfTheApi) {
  answers({http_answer(200, R"({"subscribers":0})")});
  const AdminAccess behind_a_proxy{.url = server_.url("/sallyport/"), .token_file = token_file_};
  EXPECT_EQ(do_publish({.admin = behind_a_proxy, .channel = "c", .data = "1"}).text,
            "published to 0 subscribers\n");
  EXPECT_EQ(only_question().target, "/sallyport/v1/publish");
}

TEST(AdminTable, ShowsNothingThatATerminalActsOn) {
  EXPECT_EQ(table_of({{"A", "B"},
                      {"x\x1b[2Jy", "\xc2\x9b"},
                      {"\xe2\x80\xae"
                       "z",
                       "\xff"}}),
            "A       B\n"
            "x?[2Jy  ?\n"
            "?z      ?\n");
}

TEST(AdminTable, CountsCharactersAndNotBytes) {
  EXPECT_EQ(table_of({{"N\xc3\xa4he", "1"}, {"abcdef", "2"}}), "N\xc3\xa4he    1\nabcdef  2\n");
}

}  // namespace
}  // namespace sallyport::main
