// Verifiers that are asked again while a connection lives, and credentials that keep being refused.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>

#include "sallyport/verifier.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

// Answers as the test says at the moment, at once or after a pause, and counts the questions.
class Directory final : public VerifierBackend {
 public:
  enum class Says { kActive, kGone, kUnavailable, kSomeoneElse };

  std::optional<Verdict> verify_now(const Presented&, WallTime) const override {
    if (later) return std::nullopt;
    return answer();
  }
  awaitable<Verdict> verify_later(Presented) const override {
    co_await pause_for(20ms);
    co_return answer();
  }
  std::string_view name() const noexcept override { return "directory"; }

  Verdict answer() const {
    ++asked;
    switch (says.load()) {
      case Says::kGone: return Verdict::refuse(Failure::kInvalidToken, "it is gone");
      case Says::kUnavailable: return Verdict::unavailable("nobody home");
      case Says::kActive:
      case Says::kSomeoneElse: break;
    }
    return Verdict::accept(Principal{.issuer = "directory",
                                     .subject = says == Says::kSomeoneElse ? "mallory" : "ada",
                                     .recheck_every = 150ms});
  }

  mutable std::atomic<int> asked = 0;
  std::atomic<Says> says = Says::kActive;
  std::atomic<bool> later = false;
};

class RecheckTest : public ::testing::Test {
 protected:
  void serve() {
    server.app.ws("/", {.auth = {.verifier = Verifier(directory), .from = header | first_message},
                        .on_message = [](Connection& c, Message m) { c.send(m); }});
    server.start({.workers = 1, .drain = std::chrono::milliseconds(0)});
  }
  void open(Client& client) {
    ASSERT_EQ(client.upgrade("/", {{"Authorization", "Bearer t"}}).status, 101);
  }

  std::shared_ptr<Directory> directory = std::make_shared<Directory>();
  Log log;
  Server server{AppOptions{.log = log.sink()}};
};

TEST_F(RecheckTest, GoesOnAsLongAsTheConnectionLives) {
  serve();
  Client c(server.port());
  open(c);
  EXPECT_TRUE(eventually([&] { return directory->asked >= 4; }));
  c.send("still here");
  EXPECT_EQ(c.hear_text(), "still here");
  c.reset();
  EXPECT_TRUE(server.empties());
  const int asked = directory->asked;
  std::this_thread::sleep_for(500ms);
  EXPECT_EQ(directory->asked, asked);
}

TEST_F(RecheckTest, ClosesWhatIsNoLongerActive) {
  serve();
  for (const bool later : {false, true}) {
    directory->says = Directory::Says::kActive;
    Client c(server.port());
    open(c);
    directory->later = later;
    directory->says = Directory::Says::kGone;
    const Heard heard = c.hear();
    EXPECT_EQ(heard.code, 3000);
    EXPECT_EQ(heard.text, "token_revoked");
    directory->later = false;
    std::this_thread::sleep_for(2100ms);  // what was refused a moment ago is refused from memory
  }
  EXPECT_EQ(log.count("ws.close", "reason=token_revoked"), 2U);
}

TEST_F(RecheckTest, NeitherEndsNorForgetsAnyoneWhileNobodyCanBeAsked) {
  serve();
  Client c(server.port());
  open(c);
  directory->says = Directory::Says::kUnavailable;
  const int before = directory->asked;
  EXPECT_TRUE(eventually([&] { return directory->asked >= before + 1; }));
  c.send("still here");
  EXPECT_EQ(c.hear_text(), "still here");
  directory->says = Directory::Says::kGone;
  EXPECT_EQ(c.hear_close(), 3000);
}

TEST_F(RecheckTest, ClosesAConnectionWhoseCredentialNowNamesSomeoneElse) {
  serve();
  Client c(server.port());
  open(c);
  directory->says = Directory::Says::kSomeoneElse;
  const Heard heard = c.hear();
  EXPECT_EQ(heard.code, 3000);
  EXPECT_EQ(heard.text, "subject_changed");
}

TEST_F(RecheckTest, AsksAboutTheNewCredentialAfterARefresh) {
  serve();
  Client c(server.port());
  ASSERT_EQ(c.upgrade("/").status, 101);
  c.send(R"({"type":"auth","token":"a"})");
  EXPECT_EQ(c.hear_text().substr(0, 15), R"({"type":"ready")");
  c.send(R"({"type":"refresh","token":"b"})");
  EXPECT_EQ(c.hear_text().substr(0, 19), R"({"type":"refreshed")");
  const int before = directory->asked;
  EXPECT_TRUE(eventually([&] { return directory->asked >= before + 3; }));
  directory->says = Directory::Says::kGone;
  EXPECT_EQ(c.hear_close(), 3000);
}

TEST_F(RecheckTest, EndsCleanlyWhenTheServerStopsWhileOneIsUnderWay) {
  serve();
  Client c(server.port());
  open(c);
  directory->later = true;
  const int before = directory->asked;
  EXPECT_TRUE(eventually([&] { return directory->asked > before; }));
  server.stop();
}

TEST_F(RecheckTest, DoesNotAskAgainAboutACredentialThatWasRefusedAMomentAgo) {
  directory->says = Directory::Says::kGone;
  serve();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Client(server.port()).upgrade("/", {{"Authorization", "Bearer t"}}).status, 401);
  }
  EXPECT_LE(directory->asked, 5) << "twenty attempts within a few seconds";
  EXPECT_EQ(Client(server.port()).upgrade("/", {{"Authorization", "Bearer u"}}).status, 401);
}

TEST(AnyOf, AcceptsWhoeverOneOfThemKnowsAlsoWhileAnotherCannotBeAsked) {
  const auto down = std::make_shared<Directory>();
  const auto up = std::make_shared<Directory>();
  down->says = Directory::Says::kUnavailable;
  for (const bool later : {false, true}) {
    down->later = later;
    Server server;
    server.app.ws("/", {.auth = {.verifier = any_of({Verifier(down), Verifier(up)}), .from = header}});
    server.start();
    EXPECT_EQ(Client(server.port()).upgrade("/", {{"Authorization", "Bearer t"}}).status, 101);
  }
}

TEST(AnyOf, IsUnavailableWhereWhoeverMightKnowCannotBeAsked) {
  const auto down = std::make_shared<Directory>();
  down->says = Directory::Says::kUnavailable;
  const Verifier stranger = verifier([](Presented) -> awaitable<Verdict> { co_return Verdict::not_mine(); });
  for (const auto& both : {any_of({Verifier(down), stranger}), any_of({stranger, Verifier(down)})}) {
    Server server;
    server.app.ws("/", {.auth = {.verifier = both, .from = header}});
    server.start();
    EXPECT_EQ(Client(server.port()).upgrade("/", {{"Authorization", "Bearer t"}}).status, 503);
  }
}

}  // namespace
}  // namespace sallyport
