// How a connection may end so that another one can go on from it, and how one asks for that.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <utility>
#include <vector>

#include "sallyport/sallyport.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport::server::test {
namespace {

// The value of a member that is a string without escapes.
std::string text_of(const std::string& json, const std::string& name) {
  const std::string key = "\"" + name + "\":\"";
  const std::size_t begin = json.find(key);
  if (begin == std::string::npos) return {};
  const std::size_t from = begin + key.size();
  return json.substr(from, json.find('"', from) - from);
}

// A member of a hub route whose handshake carries the credential.
struct Member {
  explicit Member(std::uint16_t port, const std::string& path = "/hub") : client(port) {
    Fields fields = bearer(token());
    fields.emplace_back("Sec-WebSocket-Protocol", "sallyport.v1");
    EXPECT_EQ(client.upgrade(path, fields).status, 101);
    resume_token = text_of(client.hear_text(), "resume");
    EXPECT_EQ(resume_token.size(), 43U);
  }
  std::string ask(const std::string& message) {
    client.send(message);
    return client.hear_text();
  }
  std::string join(const std::string& channel) {
    return ask(R"({"type":"subscribe","channel":")" + channel + "\"}");
  }
  std::string resume(const std::string& with, int received) {
    return ask(R"({"type":"resume","resume":")" + with + R"(","received":)" + std::to_string(received) + "}");
  }
  // Nothing is on its way to it.
  [[nodiscard]] bool quiet() { return ask(R"({"type":"none","id":"q"})").ends_with(R"("id":"q"})"); }

  Client client;
  std::string resume_token;
};

const std::string kRefused = R"({"type":"error","reason":"resume_refused"})";
const std::string kBadRequest = R"({"type":"error","reason":"bad_request"})";
std::string resumed(const std::string& channels) {
  return R"({"type":"resumed","channels":[)" + channels + R"(],"gap":false})";
}

class ResumeWaysTest : public ::testing::Test {
 protected:
  static Route route() {
    return {.auth = {.verifier = secret_verifier()},
            .limits = {.ping_interval = 500ms, .idle_timeout = 1000ms, .connections_per_subject = 0},
            .subprotocols = {"sallyport.v1"},
            .permit = {{.subscribe = true, .channel = "*"}}};
  }
  void start() {
    server.app.hub("/hub", route());
    server.start();
  }
  // Somebody heard "1" in channel a, has gone in some way, and "2" has been said.
  std::string gone(const std::function<void(Client&)>& way) {
    Member member(server.port());
    EXPECT_EQ(member.join("a"), R"({"type":"subscribed","channel":"a"})");
    server.app.publish("a", "1");
    EXPECT_EQ(member.client.hear_text(), "1");
    way(member.client);
    EXPECT_TRUE(server.empties());
    server.app.publish("a", "2");
    return member.resume_token;
  }
  void expect_resumable(const std::string& resume_token) {
    Member member(server.port());
    EXPECT_EQ(member.resume(resume_token, 1), resumed(R"("a")"));
    EXPECT_EQ(member.client.hear_text(), "2");
    EXPECT_TRUE(member.quiet());
    member.client.reset();
    EXPECT_TRUE(server.empties());
  }

  Server server;
};

TEST_F(ResumeWaysTest, GoesOnAfterAReset) {
  start();
  expect_resumable(gone([](Client& client) { client.reset(); }));
}

TEST_F(ResumeWaysTest, GoesOnAfterTheEndOfTcp) {
  start();
  expect_resumable(gone([](Client& client) { client.close(); }));
}

TEST_F(ResumeWaysTest, GoesOnAfterThePeersCloseFrame) {
  start();
  expect_resumable(gone([](Client& client) {
    client.send_close(1001);
    EXPECT_EQ(client.hear_close(), 1001);
  }));
}

TEST_F(ResumeWaysTest, GoesOnAfterPingsThatNobodyAnswered) {
  start();
  expect_resumable(gone([](Client&) {}));
}

TEST_F(ResumeWaysTest, DoesNotGoOnAfterTheApplicationsClose) {
  server.app.hub("/kicks", [] {
    Route kicks = route();
    kicks.on_open = [](sallyport::Connection& c) { c.close(4000, "go away"); };
    return kicks;
  }());
  start();
  Member member(server.port(), "/kicks");
  EXPECT_EQ(member.client.hear_close(), 4000);
  EXPECT_TRUE(server.empties());
  Client next(server.port());
  ASSERT_EQ(next.upgrade("/kicks").status, 101);
  next.send(R"({"type":"auth","token":")" + token() + R"(","resume":")" + member.resume_token + "\"}");
  EXPECT_EQ(text_of(next.hear_text(), "type"), "ready");
  EXPECT_EQ(next.hear_text(), kRefused);
}

TEST_F(ResumeWaysTest, RefusesAConnectionsOwnToken) {
  start();
  Member member(server.port());
  EXPECT_EQ(member.resume(member.resume_token, 0), kRefused);
  // It stays what it was.
  EXPECT_EQ(member.join("a"), R"({"type":"subscribed","channel":"a"})");
  member.client.reset();
  EXPECT_TRUE(server.empties());
  Member next(server.port());
  EXPECT_EQ(next.resume(member.resume_token, 0), resumed(R"("a")"));
}

TEST_F(ResumeWaysTest, RefusesATokenOfAnotherRoute) {
  server.app.hub("/other", route());
  start();
  const std::string resume_token = gone([](Client& client) { client.reset(); });
  Member other(server.port(), "/other");
  EXPECT_EQ(other.resume(resume_token, 1), kRefused);
  EXPECT_TRUE(other.quiet());
  other.client.reset();
  EXPECT_TRUE(server.empties());
  expect_resumable(resume_token);
}

TEST_F(ResumeWaysTest, IsAskedForOnce) {
  start();
  const std::string resume_token = gone([](Client& client) { client.reset(); });
  Member member(server.port());
  EXPECT_EQ(member.resume("nonsense", 0), kRefused);
  EXPECT_EQ(member.resume(resume_token, 1), kBadRequest);
  member.client.reset();
  EXPECT_TRUE(server.empties());
  expect_resumable(resume_token);
}

TEST_F(ResumeWaysTest, IsNotAskedForOnceAChannelWasJoined) {
  start();
  const std::string resume_token = gone([](Client& client) { client.reset(); });
  Member member(server.port());
  EXPECT_EQ(member.join("b"), R"({"type":"subscribed","channel":"b"})");
  EXPECT_EQ(member.resume(resume_token, 1), kBadRequest);
  member.client.reset();
  EXPECT_TRUE(server.empties());
  expect_resumable(resume_token);
}

TEST_F(ResumeWaysTest, IsAskedForWithAStringAndANumber) {
  start();
  Member member(server.port());
  for (const char* bad :
       {R"({"type":"resume"})", R"({"type":"resume","resume":7})", R"({"type":"resume","resume":null})",
        R"({"type":"resume","resume":""})", R"({"type":"resume","resume":"x","received":-1})",
        R"({"type":"resume","resume":"x","received":1.5})", R"({"type":"resume","resume":"x","received":"2"})"}) {
    EXPECT_EQ(member.ask(bad), kBadRequest) << bad;
  }
  EXPECT_EQ(member.resume("x", 1), kRefused);
}

TEST_F(ResumeWaysTest, ForgetsAChannelThatWasLeft) {
  start();
  const std::string resume_token = gone([](Client& client) {
    client.send(R"({"type":"subscribe","channel":"b"})");
    EXPECT_EQ(client.hear_text(), R"({"type":"subscribed","channel":"b"})");
    client.send(R"({"type":"unsubscribe","channel":"b"})");
    EXPECT_EQ(client.hear_text(), R"({"type":"unsubscribed","channel":"b"})");
    client.reset();
  });
  server.app.publish("b", "3");
  expect_resumable(resume_token);
}

// The worker of the new connection has not yet delivered what the old connection got from its own.
TEST_F(ResumeWaysTest, RepeatsNothingOnAWorkerThatIsBehind) {
  struct PerWorker {
    int unused = 0;
  };
  std::mutex mutex;
  const void* latest = nullptr;  // the worker of the connection that was opened last
  const auto note_worker = [&](sallyport::Connection&) {
    const std::lock_guard lock(mutex);
    latest = &worker_state<PerWorker>();
  };
  std::binary_semaphore held_up(0);
  std::binary_semaphore go_on(0);
  Route noted = route();
  noted.limits = {.connections_per_subject = 0};
  noted.on_open = note_worker;
  server.app.per_worker<PerWorker>([] { return PerWorker{}; });
  server.app.hub("/noted", noted);
  server.app.ws("/halt", {.auth = {.verifier = secret_verifier(), .from = header},
                          .limits = {.connections_per_subject = 0},
                          .on_open = note_worker,
                          .on_message =
                              [&](sallyport::Connection&, Message) {
                                held_up.release();
                                go_on.acquire();
                              }});
  start();
  const auto worker_now = [&] {
    EXPECT_TRUE(eventually([&] {
      const std::lock_guard lock(mutex);
      return latest != nullptr;
    }));
    const std::lock_guard lock(mutex);
    return std::exchange(latest, nullptr);
  };

  Member old(server.port(), "/noted");
  const void* const ahead = worker_now();
  EXPECT_EQ(old.join("a"), R"({"type":"subscribed","channel":"a"})");
  std::vector<std::unique_ptr<Client>> halts;  // two on the other worker
  for (std::size_t found = 0; found < 2;) {
    halts.push_back(std::make_unique<Client>(server.port()));
    ASSERT_EQ(halts.back()->upgrade("/halt", bearer(token())).status, 101);
    worker_now() == ahead ? halts.pop_back() : static_cast<void>(++found);
  }
  std::vector<std::unique_ptr<Member>> others;  // the last one is on the other worker, too
  do {
    others.push_back(std::make_unique<Member>(server.port(), "/noted"));
  } while (worker_now() == ahead);
  Client& next = others.back()->client;
  const std::size_t all = server.app.connections();

  // It is to read the second halt and the wish to resume in one turn, so that it delivers nothing in between.
  halts[0]->send("x");
  held_up.acquire();
  halts[1]->send("x");
  next.send(R"({"type":"resume","resume":")" + old.resume_token + R"(","received":3})");
  go_on.release();
  held_up.acquire();
  for (const char* text : {"1", "2", "3"}) {
    server.app.publish("a", text);
    EXPECT_EQ(old.client.hear_text(), text);
  }
  old.client.reset();
  EXPECT_TRUE(eventually([&] { return server.app.connections() == all - 1; }));
  server.app.publish("a", "4");
  go_on.release();
  EXPECT_EQ(next.hear_text(), resumed(R"("a")"));
  EXPECT_EQ(next.hear_text(), "4");
  server.app.publish("a", "5");
  EXPECT_EQ(next.hear_text(), "5");
  EXPECT_TRUE(others.back()->quiet());
}

}  // namespace
}  // namespace sallyport::server::test
