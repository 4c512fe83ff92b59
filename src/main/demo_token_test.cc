#include "main/demo_token.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <chrono>
#include <string>

namespace sallyport::main {
namespace {

using namespace std::chrono_literals;

const WallTime kNow{std::chrono::milliseconds(1'800'000'000'000)};

class DemoToken : public testing::Test {
 protected:
  Response ask(std::optional<std::string> kind = {}, std::optional<std::string> name = {}) const {
    return issuer_.answer(
        {.host = "127.0.0.1:8080", .kind = std::move(kind), .name = std::move(name)}, kNow);
  }
  static boost::json::object body(const Response& response) {
    EXPECT_EQ(response.status, 200);
    return boost::json::parse(response.body).as_object();
  }
  // The verifier's word on a token: the subject, or the reason against it.
  std::string verdict(const Response& response, WallTime now = kNow) const {
    const std::string token(body(response).at("token").as_string());
    const auto verdict = verifier_.backends().front()->verify_now(
        {.kind = CredentialKind::kHeader, .token = token}, now);
    if (!verdict) return "later";
    if (!verdict->accepted()) return std::string(reason(verdict->failure()));
    return std::string(std::string_view(verdict->principal()->subject));
  }

  const DemoIssuer issuer_ = DemoIssuer::make().value();
  const Verifier verifier_ = issuer_.verifier();
};

TEST_F(DemoToken, IsAcceptedByTheDemosVerifier) {
  EXPECT_EQ(verdict(ask("valid", "ada")), "ada");
  EXPECT_EQ(verdict(ask({}, "ada")), "ada");
  EXPECT_EQ(body(ask("valid", "ada")).at("expires_at").as_int64(), 1'800'000'600);
}

TEST_F(DemoToken, EndsWhenItsKindSays) {
  EXPECT_EQ(body(ask("short", "ada")).at("expires_at").as_int64(), 1'800'000'020);
  EXPECT_EQ(verdict(ask("short", "ada"), kNow + 21s), "ada");
  EXPECT_EQ(verdict(ask("short", "ada"), kNow + 22s), "token_expired");
  EXPECT_EQ(verdict(ask("expired", "ada")), "token_expired");
  EXPECT_EQ(body(ask("expired", "ada")).at("expires_at").as_int64(), 1'799'996'400);
}

TEST_F(DemoToken, IsRefusedIfItIsForged) {
  EXPECT_EQ(verdict(ask("forged", "ada")), "invalid_token");
}

TEST_F(DemoToken, NamesAnotherUserOnDemand) {
  EXPECT_EQ(verdict(ask("other_user", "ada")), "other-ada");
}

TEST_F(DemoToken, NamesAGuestByDefault) {
  EXPECT_TRUE(verdict(ask()).starts_with("guest-")) << verdict(ask());
}

TEST_F(DemoToken, IsNotGivenForOtherNamesAndKinds) {
  for (const char* name : {"", "a b", "a/b", "ż", "\"", "abcdefghijklmnopqrstuvwxyz0123456"}) {
    EXPECT_EQ(ask("valid", name).status, 400) << name;
  }
  EXPECT_EQ(ask("valid", "abcdefghijklmnopqrstuvwxyz012345").status, 200);
  EXPECT_EQ(ask("Valid", "ada").status, 400);
  EXPECT_EQ(ask("", "ada").status, 400);
}

TEST_F(DemoToken, IsNotGivenToOtherPagesOrMachines) {
  const auto status = [&](std::string_view host, std::optional<std::string_view> site) {
    return issuer_.answer({.host = host, .sec_fetch_site = site}, kNow).status;
  };
  EXPECT_EQ(status("localhost:8080", {}), 200);
  EXPECT_EQ(status("[::1]:8080", "same-origin"), 200);
  EXPECT_EQ(status("localhost:8080", "none"), 200);
  EXPECT_EQ(status("localhost:8080", "cross-site"), 403);
  EXPECT_EQ(status("localhost:8080", "same-site"), 403);
  EXPECT_EQ(status("localhost:8080", ""), 403);
  EXPECT_EQ(status("demo.example.com", {}), 403);
  EXPECT_EQ(status("127.0.0.1.example.com", {}), 403);
  EXPECT_EQ(status("", {}), 403);
}

TEST_F(DemoToken, IsSignedByKeysThatNoOtherDemoHas) {
  const DemoIssuer other = DemoIssuer::make().value();
  const auto response = other.answer({.host = "localhost"}, kNow);
  EXPECT_EQ(verdict(response), "invalid_token");
}

}  // namespace
}  // namespace sallyport::main
