#include "feature/admin/answers.h"

#include <gtest/gtest.h>

#include <chrono>

namespace sallyport::admin {
namespace {

WallTime at_ms(std::int64_t ms) {
  return WallTime(std::chrono::milliseconds(ms));
}

TEST(Answers, ListConnectionsWithNullForWhatIsNot) {
  server::ConnectionPage page;
  page.connections.push_back({.id = "c1",
                              .subject = "al\"ice",
                              .issuer = "https://id/",
                              .session = "s",
                              .route = "/chat/:room",
                              .address = "192.0.2.1",
                              .opened_at = at_ms(1'700'000'000'250),
                              .expires_at = at_ms(1'700'000'060'000),
                              .verifier = "main",
                              .credential = "header",
                              .node = "n1"});
  page.cursor = "0.5";
  EXPECT_EQ(
      connections_json(page),
      R"({"connections":[{"id":"c1","subject":"al\"ice","issuer":"https://id/","session":"s",)"
      R"("route":"/chat/:room","address":"192.0.2.1","opened_at":1700000000.25,"expires_at":1700000060,)"
      R"("verifier":"main","credential":"header","node":"n1"}],"cursor":"0.5"})");
  EXPECT_EQ(connections_json({}), R"({"connections":[],"cursor":null})");
  page.connections.front().session.clear();
  page.connections.front().expires_at.reset();
  page.connections.push_back(page.connections.front());
  const std::string text = connections_json(page);
  EXPECT_NE(text.find(R"("session":null,)"), std::string::npos);
  EXPECT_NE(text.find(R"("expires_at":null,)"), std::string::npos);
  EXPECT_NE(text.find(R"("node":"n1"},{"id":"c1")"), std::string::npos);
}

TEST(Answers, StayJsonWhateverASubjectIs) {
  server::ConnectionPage page;
  page.connections.push_back({.subject = "\xff\xfe", .opened_at = at_ms(1)});
  const std::string text = connections_json(page);
  EXPECT_NE(text.find(R"("subject":"?")"), std::string::npos);
  EXPECT_NE(text.find(R"("opened_at":0.001,)"), std::string::npos);
}

TEST(Answers, ListRevocationsWithWhatTheySetAlone) {
  const std::vector<Revocation> list{
      {.id = 1, .selector = {.subject = "alice"}, .created = at_ms(1000)},
      {.id = 2,
       .selector = {.issuer = "i", .session = "s", .token_id = "t", .issued_before = at_ms(1500)},
       .reason = Failure::kLoggedOut,
       .created = at_ms(2000),
       .until = at_ms(3000)}};
  EXPECT_EQ(revocations_json(list),
            R"({"revocations":[{"id":1,"subject":"alice","reason":"token_revoked","created":1,"until":null},)"
            R"({"id":2,"session":"s","token_id":"t","issuer":"i","issued_before":1.5,"reason":"logged_out",)"
            R"("created":2,"until":3}]})");
}

TEST(Answers, TellWhatARevocationHasDone) {
  RevokeResult result{.id = 9, .closed = 12};
  result.nodes.push_back({.node = "n1", .applied = std::chrono::milliseconds(4)});
  EXPECT_EQ(revoked_json(result), R"({"id":9,"closed":12,"nodes":[{"node":"n1","applied_ms":4}]})");
}

TEST(Answers, ListChannelsAndCounts) {
  EXPECT_EQ(channels_json({{.channel = "a", .subscribers = 1}, {.channel = "b", .subscribers = 0}}),
            R"({"channels":[{"channel":"a","subscribers":1},{"channel":"b","subscribers":0}]})");
  EXPECT_EQ(count_json("closed", 1), R"({"closed":1})");
}

}  // namespace
}  // namespace sallyport::admin
