// POST /.sallyport/ticket and GET /.sallyport/preflight.

#include "server/endpoints.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

constexpr const char* kPage = "https://app.example.com";

// What stands between the quotes behind "ticket":".
std::string ticket_in(const Reply& reply) {
  const std::size_t start = reply.body.find("\"ticket\":\"");
  if (start == std::string::npos) return {};
  const std::size_t begin = start + 10;
  return reply.body.substr(begin, reply.body.find('"', begin) - begin);
}

class EndpointsTest : public ::testing::Test {
 protected:
  EndpointsTest() {
    server.app.ws("/chat/:room", {.auth = {.verifier = secret_verifier(),
                                           .from = header | ticket | cookie("sid")},
                                  .origins = origins({kPage}),
                                  .authorize = [](const Principal& who, Request& request) {
                                    return request.param("room") != "staff" || who.has_scope("staff");
                                  },
                                  .on_message = [](Connection& c, Message m) {
                                    c.send(std::string(c.principal().subject) + ": " + std::string(m.data));
                                  }});
    server.app.ws("/plain", {.auth = {.verifier = secret_verifier(), .from = header}});
    server.app.ws("/first", {.auth = {.verifier = secret_verifier(), .from = header | first_message}});
  }

  Reply post(const std::string& body, Fields fields = {}) {
    Client c(server.port());
    fields.emplace_back("Content-Length", std::to_string(body.size()));
    std::string request = "POST /.sallyport/ticket HTTP/1.1\r\nHost: localhost\r\n";
    for (const auto& [name, value] : fields) request += name + ": " + value + "\r\n";
    // In two parts, since a body rarely comes with its head.
    c.send_raw(request + "\r\n");
    std::this_thread::sleep_for(5ms);
    c.send_raw(body);
    return c.read_reply();
  }
  Reply ticket_for(const std::string& path, Fields fields = bearer(token())) {
    return post("{\"path\":\"" + path + "\"}", std::move(fields));
  }
  Reply preflight(const std::string& query, const Fields& fields = {}) {
    return Client(server.port()).request("GET", "/.sallyport/preflight" + query, fields);
  }
  int open(const std::string& target, const Fields& fields = {}) {
    return Client(server.port()).upgrade(target, fields).status;
  }
  static Fields with(Fields fields, const std::string& name, const std::string& value) {
    fields.emplace_back(name, value);
    return fields;
  }

  Log log;
  Server server{AppOptions{.log = log.sink()}};
};

TEST_F(EndpointsTest, OpenASocketWithATicketAsWhoeverItWasIssuedFor) {
  server.start();
  const Reply reply = ticket_for("/chat/blue");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.field("Cache-Control"), "no-store");
  EXPECT_NE(reply.body.find("\"expires_in\":30"), std::string::npos);
  Client c(server.port());
  ASSERT_EQ(c.upgrade("/chat/blue?ticket=" + ticket_in(reply)).status, 101);
  c.send("hello");
  EXPECT_EQ(c.hear_text(), "ada: hello");
  for (const std::string& line : log.all()) EXPECT_EQ(line.find(ticket_in(reply)), std::string::npos) << line;
}

TEST_F(EndpointsTest, TakeATicketOnce) {
  server.start();
  const std::string text = ticket_in(ticket_for("/chat/blue"));
  std::atomic<int> opened = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back([&] {
      const int status = open("/chat/blue?ticket=" + text);
      ++(status == 101 ? opened : refused);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened, 1);
  EXPECT_EQ(refused, 19);
}

TEST_F(EndpointsTest, BindATicketToItsPathAndOrigin) {
  server.start();
  EXPECT_EQ(open("/chat/red?ticket=" + ticket_in(ticket_for("/chat/blue"))), 401);
  const Fields page = with(bearer(token()), "Origin", kPage);
  EXPECT_EQ(open("/chat/blue?ticket=" + ticket_in(ticket_for("/chat/blue", page))), 401);
  EXPECT_EQ(open("/chat/blue?ticket=" + ticket_in(ticket_for("/chat/blue", page)), {{"Origin", kPage}}), 101);
}

TEST_F(EndpointsTest, GiveNoTicketWhereTheHandshakeWouldBeRefused) {
  server.start();
  EXPECT_EQ(ticket_for("/chat/blue", {}).status, 401);
  EXPECT_EQ(ticket_for("/chat/blue", bearer("rubbish")).status, 401);
  EXPECT_EQ(ticket_for("/chat/blue", bearer(token({.life = std::chrono::seconds(-600)}))).status, 401);
  EXPECT_EQ(ticket_for("/chat/staff").status, 403) << "authorize is asked";
  EXPECT_EQ(ticket_for("/chat/staff", bearer(token({.scope = "staff"}))).status, 200);
  EXPECT_EQ(ticket_for("/plain").status, 403) << "the route takes no tickets";
  EXPECT_EQ(ticket_for("/nowhere").status, 404);
  EXPECT_EQ(ticket_for("/chat/blue", with(bearer(token()), "Origin", "https://evil.example")).status, 403);
  EXPECT_EQ(ticket_for("/chat/blue", with(bearer(token()), "Cookie", "sid=x")).status, 400) << "two credentials";
}

TEST_F(EndpointsTest, DemandAnOriginBesideACookie) {
  server.start();
  const Fields cookie{{"Cookie", "other=1; sid=" + token()}};
  EXPECT_EQ(ticket_for("/chat/blue", cookie).status, 403);
  EXPECT_EQ(ticket_for("/chat/blue", with(cookie, "Origin", kPage)).status, 200);
  EXPECT_EQ(ticket_for("/chat/blue", with(cookie, "Origin", "https://evil.example")).status, 403);
}

TEST_F(EndpointsTest, AnswerBadRequestsClearly) {
  server.start();
  for (const std::string body : {"", "x", "[]", "{}", R"({"path":1})", R"({"path":"chat"})",
                                 R"({"path":"/chat/blue HTTP/1.1\r\nOrigin: https://app.example.com"})",
                                 R"({"path":"/chat/../blue"})"}) {
    EXPECT_EQ(post(body, bearer(token())).status, 400) << body;
  }
  EXPECT_EQ(post(std::string(5000, ' '), bearer(token())).status, 413);
  EXPECT_EQ(Client(server.port()).request("GET", "/.sallyport/ticket").status, 405);
  EXPECT_EQ(Client(server.port())
                .request("POST", "/.sallyport/ticket", {{"Transfer-Encoding", "chunked"}})
                .status,
            400);
}

TEST_F(EndpointsTest, LimitTheTicketsOfASubject) {
  server.start({.workers = 1, .drain = std::chrono::milliseconds(0)});
  int limited = 0;
  for (int i = 0; i < 35; ++i) {
    const Reply reply = ticket_for("/chat/blue");
    if (reply.status != 429) continue;
    ++limited;
    EXPECT_FALSE(reply.field("Retry-After").empty());
  }
  EXPECT_EQ(limited, 5);
  EXPECT_EQ(ticket_for("/chat/blue", bearer(token({.subject = "bob"}))).status, 200);
}

TEST_F(EndpointsTest, TellInAdvanceWhatAHandshakeWouldBeTold) {
  server.start();
  EXPECT_EQ(preflight("?path=/chat/blue", bearer(token())).status, 204);
  const Reply expired = preflight("?path=%2Fchat%2Fblue", bearer(token({.life = std::chrono::seconds(-600)})));
  EXPECT_EQ(expired.status, 401);
  EXPECT_EQ(expired.field("Content-Type"), "application/problem+json");
  EXPECT_NE(expired.body.find("token_expired"), std::string::npos);
  EXPECT_NE(expired.field("WWW-Authenticate").find("invalid_token"), std::string::npos);
  EXPECT_EQ(preflight("?path=/chat/blue").status, 401);
  EXPECT_EQ(preflight("?path=/chat/staff", bearer(token())).status, 403);
  EXPECT_EQ(preflight("?path=/nowhere").status, 404);
  EXPECT_EQ(preflight("").status, 400);
  EXPECT_EQ(preflight("?path=/chat/blue&path=/chat/red").status, 400);
  EXPECT_EQ(preflight("?path=/first").status, 204) << "its credential comes later";
  EXPECT_EQ(preflight("?path=/chat/blue", with(bearer(token()), "Origin", "https://evil.example")).status, 403);
}

TEST_F(EndpointsTest, DoNotUseATicketUpByAskingAboutIt) {
  server.start();
  const std::string text = ticket_in(ticket_for("/chat/blue"));
  EXPECT_EQ(preflight("?path=/chat/blue%3Fticket%3D" + text).status, 401);
  EXPECT_EQ(open("/chat/blue?ticket=" + text), 101);
}

TEST_F(EndpointsTest, LetAPageOfTheRoutesOriginsReadTheAnswerAndNobodyElse) {
  server.start();
  const Reply good = preflight("?path=/chat/blue", with(bearer("rubbish"), "Origin", kPage));
  EXPECT_EQ(good.field("Access-Control-Allow-Origin"), kPage);
  EXPECT_EQ(good.field("Access-Control-Allow-Credentials"), "true");
  EXPECT_EQ(good.field("Vary"), "Origin");
  const Reply evil = preflight("?path=/chat/blue", {{"Origin", "https://evil.example"}});
  EXPECT_EQ(evil.field("Access-Control-Allow-Origin"), "");

  const Fields ask{{"Origin", kPage}, {"Access-Control-Request-Method", "POST"}};
  const Reply options = Client(server.port()).request("OPTIONS", "/.sallyport/ticket", ask);
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.field("Access-Control-Allow-Origin"), kPage);
  EXPECT_NE(options.field("Access-Control-Allow-Headers").find("Authorization"), std::string::npos);
  EXPECT_EQ(Client(server.port())
                .request("OPTIONS", "/.sallyport/ticket", {{"Origin", "https://evil.example"}})
                .field("Access-Control-Allow-Origin"),
            "");
}

TEST_F(EndpointsTest, HideTheCredentialsFromMiddleware) {
  Record seen;
  server.app.use([&](Request& request, Next next) -> awaitable<void> {
    seen.add(std::string(request.target()) + " " + std::string(request.header("authorization").value_or("-")) + " " +
             std::string(request.header("cookie").value_or("-")));
    co_await next();
  });
  server.start();
  EXPECT_EQ(preflight("?path=/chat/blue%3Faccess_token%3Dx", bearer(token())).status, 204);
  for (const std::string& line : seen.all()) EXPECT_EQ(line.substr(line.size() - 4), " - -") << line;
  EXPECT_EQ(seen.size(), 2U) << "once for the request, once for the handshake that it asks about";
}

TEST_F(EndpointsTest, LeaveAPathToTheApplicationThatHasTakenIt) {
  server.app.get("/.sallyport/preflight", [](Request&) { return Response{.body = "mine"}; });
  server.start();
  EXPECT_EQ(preflight("?path=/chat/blue").body, "mine");
}

}  // namespace
}  // namespace sallyport
