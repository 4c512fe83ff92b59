// What holds while a connection lives: permission, refresh, limits, compression.

#include <gtest/gtest.h>

#include <atomic>

#include "core/ws/deflate.h"
#include "core/ws/encoder.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

// An app with the route "/:room", whose settings the test chooses. It echoes.
class SessionTest : public ::testing::Test {
 protected:
  SessionTest() : route{.auth = {.verifier = secret_verifier(), .from = header | first_message}} {
    route.on_open = [this](Connection&) { events.add("open"); };
    route.on_message = [](Connection& c, Message m) { c.send(m); };
    route.on_close = [this](Connection&, const Close& why) { events.add("close " + std::to_string(why.code)); };
  }
  void serve() {
    server.app.ws("/:room", std::move(route));
    server.start();
  }
  // A connection that has authenticated as `spec` says.
  std::unique_ptr<Client> open(const TokenSpec& spec = {}) {
    auto c = std::make_unique<Client>(server.port());
    EXPECT_EQ(c->upgrade("/blue", bearer(token(spec))).status, 101);
    return c;
  }
  int status_of(const TokenSpec& spec) {
    Client c(server.port());
    return c.upgrade("/blue", bearer(token(spec))).status;
  }
  static std::string refresh(const TokenSpec& spec) {
    return R"({"type":"refresh","token":")" + token(spec) + "\"}";
  }

  Record events;
  Route route;
  Log log;
  Server server{AppOptions{.log = log.sink()}};
};

// ---- authorize

TEST_F(SessionTest, AuthorizeDecidesWithThePrincipalAndTheRequest) {
  route.authorize = [](const Principal& who, Request& request) {
    return who.subject == request.header("x-subject") && request.param("room") == "blue" &&
           !request.header("authorization");
  };
  serve();
  for (const auto& [subject, status] : {std::pair{"ada", 101}, std::pair{"bob", 403}}) {
    Client c(server.port());
    Fields fields = bearer(token({.subject = subject}));
    fields.emplace_back("X-Subject", "ada");
    EXPECT_EQ(c.upgrade("/blue", fields).status, status);
  }
  EXPECT_TRUE(server.empties());
  EXPECT_EQ(events.all()[0], "open");
  EXPECT_LE(events.size(), 2U);
}

TEST_F(SessionTest, AuthorizeDecidesForAFirstMessageToo) {
  route.authorize = [](const Principal& who, Request&) { return who.has_scope("chat"); };
  serve();
  Client c(server.port());
  ASSERT_EQ(c.upgrade("/blue").status, 101);
  c.send(R"({"type":"auth","token":")" + token({.scope = "other"}) + "\"}");
  EXPECT_EQ(c.hear_close(), 3003);
  EXPECT_EQ(events.size(), 0U);
}

TEST_F(SessionTest, AuthorizeRefusesWhenItThrows) {
  route.authorize = [](const Principal& who, Request&) -> bool {
    if (who.subject == "odd") throw 42;
    throw std::runtime_error("no database");
  };
  serve();
  EXPECT_EQ(status_of({.subject = "ada"}), 500);
  EXPECT_EQ(status_of({.subject = "odd"}), 500);
  EXPECT_EQ(events.size(), 0U);
  EXPECT_EQ(log.count("ws.handler_threw", "what=no database"), 1U);
  EXPECT_EQ(log.count("ws.handler_threw", "what=an exception of unknown type"), 1U);
}

TEST_F(SessionTest, AuthorizeIsAskedAgainOnEveryRefresh) {
  std::atomic<int> asked = 0;
  route.authorize = [&](const Principal& who, Request& request) {
    ++asked;
    EXPECT_EQ(request.param("room"), "blue");
    return who.has_scope("chat");
  };
  serve();
  const auto c = open({.scope = "chat"});
  c->send(refresh({.scope = "chat more"}));
  EXPECT_TRUE(c->hear_text().starts_with(R"({"type":"refreshed")"));
  c->send("still here");
  EXPECT_EQ(c->hear_text(), "still here");
  c->send(refresh({.scope = "none"}));
  EXPECT_EQ(c->hear_close(), 3003);
  EXPECT_EQ(asked, 3);
  EXPECT_TRUE(events.wait_for(2));
  EXPECT_EQ(events.all(), (std::vector<std::string>{"open", "close 3003"}));
}

TEST_F(SessionTest, ScopesAndClaimsOfTheRouteAreAllRequired) {
  route.scopes = {"chat", "write"};
  route.claims = {{"role", {"admin", "staff"}}};
  serve();
  EXPECT_EQ(status_of({.scope = "write chat", .more = R"(,"role":"staff")"}), 101);
  EXPECT_EQ(status_of({.scope = "write chat", .more = R"(,"role":["guest","admin"])"}), 101);
  EXPECT_EQ(status_of({.scope = "chat", .more = R"(,"role":"staff")"}), 403);
  EXPECT_EQ(status_of({.scope = "write chat", .more = R"(,"role":"guest")"}), 403);
  EXPECT_EQ(status_of({.scope = "write chat"}), 403);
}

// ---- Refresh

TEST_F(SessionTest, RefreshReplacesThePrincipalAndItsEnd) {
  route.on_message = [](Connection& c, Message) { c.send(c.principal().claim("room").value_or("none")); };
  serve();
  const auto c = open({.life = std::chrono::seconds(2), .more = R"(,"room":"one")"});
  c->send("?");
  EXPECT_EQ(c->hear_text(), "one");
  c->send(refresh({.life = std::chrono::seconds(600), .more = R"(,"room":"two")"}));
  EXPECT_TRUE(c->hear_text().starts_with(R"({"type":"refreshed")"));
  std::this_thread::sleep_for(2500ms);
  c->send("?");
  EXPECT_EQ(c->hear_text(), "two");
}

TEST_F(SessionTest, RefreshNeverChangesTheSubject) {
  serve();
  const auto c = open({.subject = "ada"});
  c->send(refresh({.subject = "bob"}));
  EXPECT_EQ(c->hear_close(), 3000);
}

TEST_F(SessionTest, WarnsBeforeTheEnd) {
  route.auth.refresh_lead = 10s;  // of which at most a fifth of the life is used
  serve();
  const auto c = open({.life = std::chrono::seconds(4)});
  EXPECT_TRUE(c->hear_text().starts_with(R"({"type":"expiring")"));
  EXPECT_EQ(c->hear_close(), 3000);
}

// ---- Limits

TEST_F(SessionTest, EndsAtItsMaximumHoweverLongTheTokenLives) {
  route.auth.max_session = 300ms;
  serve();
  const auto begin = std::chrono::steady_clock::now();
  const auto c = open();
  const Heard heard = c->hear();
  EXPECT_EQ(heard.code, 1001);
  EXPECT_EQ(heard.text, "session_ended");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 295ms);  // clocks are read in milliseconds
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
}

TEST_F(SessionTest, ClosesWhoeverSendsMoreMessagesThanAllowed) {
  route.limits.messages_per_second = 5;
  serve();
  const auto c = open();
  for (int i = 0; i < 20; ++i) c->send(std::to_string(i));
  int echoed = 0;
  Heard heard = c->hear();
  for (; heard.kind == Heard::Kind::kMessage; heard = c->hear()) ++echoed;
  EXPECT_EQ(heard.code, 1008);
  EXPECT_EQ(heard.text, "rate_limited");
  EXPECT_GE(echoed, 5);
  EXPECT_LE(echoed, 10);  // a second may have begun meanwhile

  const auto patient = open();
  for (int i = 0; i < 8; ++i) {
    std::this_thread::sleep_for(250ms);
    patient->send("x");
    EXPECT_EQ(patient->hear_text(), "x");
  }
}

TEST_F(SessionTest, ClosesAnIdlePeerAndKeepsOneThatAnswersPings) {
  route.limits.ping_interval = 100ms;
  route.limits.idle_timeout = 1s;
  serve();
  const auto silent = open();
  const auto alive = open();
  std::thread listener([&] { EXPECT_EQ(alive->hear(2500ms).kind, Heard::Kind::kNothing); });
  EXPECT_TRUE(events.wait_for(3));
  EXPECT_EQ(server.app.connections(), 1U);
  listener.join();
  alive->send("here");
  EXPECT_EQ(alive->hear_text(), "here");
}

TEST_F(SessionTest, ClosesWhoeverSendsNoFirstMessageInTimeOrTooLargeAOne) {
  route.auth.timeout = 300ms;
  route.auth.pre_auth_bytes = 4096;
  serve();
  Client late(server.port());
  ASSERT_EQ(late.upgrade("/blue").status, 101);
  EXPECT_EQ(late.hear_close(), 3008);
  Client large(server.port());
  ASSERT_EQ(large.upgrade("/blue").status, 101);
  large.send(std::string(5000, 'x'));
  EXPECT_EQ(large.hear_close(), 1008);
  Client other(server.port());
  ASSERT_EQ(other.upgrade("/blue").status, 101);
  other.send("hello?");
  EXPECT_EQ(other.hear_close(), 1008);
  EXPECT_EQ(events.size(), 0U);
}

TEST_F(SessionTest, ClosesOnAMessageOverTheLimit) {
  route.limits.message_bytes = 1000;
  serve();
  const auto c = open();
  c->send(std::string(1000, 'x'));
  EXPECT_EQ(c->hear_text(), std::string(1000, 'x'));
  c->send(std::string(1001, 'x'));
  EXPECT_EQ(c->hear_close(), 1009);
}

// ---- Compression

TEST_F(SessionTest, CompressesBothWaysWhereItWasNegotiated) {
  route.compression = true;
  serve();
  Client c(server.port());
  Fields fields = bearer(token());
  fields.emplace_back("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits");
  const Reply reply = c.upgrade("/blue", fields);
  ASSERT_EQ(reply.status, 101);
  EXPECT_TRUE(reply.field("Sec-WebSocket-Extensions").starts_with("permessage-deflate"));

  const std::string text(20'000, 'a');
  ws::Deflater deflater;
  const auto compressed = deflater.deflate(text);
  ASSERT_TRUE(compressed.has_value());
  std::string frame;
  ws::append_frame(frame, {.opcode = ws::Opcode::kText, .rsv1 = true, .mask = ws::MaskKey{1, 2, 3, 4}}, *compressed);
  c.send_raw(frame);
  Heard heard = c.hear();
  EXPECT_EQ(heard.text, text);
  EXPECT_TRUE(heard.compressed);
  c.send("tiny");
  heard = c.hear();
  EXPECT_EQ(heard.text, "tiny");
  EXPECT_FALSE(heard.compressed);
}

TEST_F(SessionTest, RefusesACompressedMessageThatGrowsOverTheLimit) {
  route.compression = true;
  route.limits.message_bytes = 10'000;
  serve();
  Client c(server.port());
  Fields fields = bearer(token());
  fields.emplace_back("Sec-WebSocket-Extensions", "permessage-deflate");
  ASSERT_EQ(c.upgrade("/blue", fields).status, 101);
  ws::Deflater deflater;
  std::string frame;
  ws::append_frame(frame, {.opcode = ws::Opcode::kText, .rsv1 = true, .mask = ws::MaskKey{1, 2, 3, 4}},
                   *deflater.deflate(std::string(1'000'000, 'a')));
  c.send_raw(frame);
  EXPECT_EQ(c.hear_close(), 1009);
}

TEST_F(SessionTest, DoesNotCompressUnlessTheRouteSaysSo) {
  serve();
  Client c(server.port());
  Fields fields = bearer(token());
  fields.emplace_back("Sec-WebSocket-Extensions", "permessage-deflate");
  EXPECT_EQ(c.upgrade("/blue", fields).field("Sec-WebSocket-Extensions"), "");
  c.send(std::string(1000, 'a'));
  EXPECT_FALSE(c.hear().compressed);
}

}  // namespace
}  // namespace sallyport
