#include "server/resume_store.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::server {
namespace {

using std::chrono::milliseconds;

constexpr base::MonoTime kStart{milliseconds(1'000'000)};
constexpr base::MonoTime kEnd = kStart + milliseconds(1000);

class ResumeStoreTest : public ::testing::Test {
 protected:
  static ResumeStore::Token token(const std::string& text) { return base::sha256(text); }
  static Principal who(const std::string& subject, const std::string& session = {}) {
    Principal one;
    one.issuer = "issuer";
    one.subject = subject;
    one.session = session;
    one.token_id = "token of " + subject;
    return one;
  }
  static ResumeState state(const Principal& of, std::uint64_t end = 1) {
    return {.route = "/", .principal = of, .end = end};
  }
  void keep(const std::string& text, const Principal& of, base::MonoTime until = kEnd, std::uint64_t end = 1) {
    store.keep(token(text), state(of, end), until, kStart);
  }
  std::string take(const std::string& text, const Principal& by, base::MonoTime now = kStart,
                   std::string_view route = "/") {
    const auto taken = store.take(token(text), by, route, now);
    if (std::holds_alternative<Place>(taken)) return "open";
    return std::holds_alternative<ResumeState>(taken) ? "state" : "nothing";
  }
  ResumeStore store;
};

TEST_F(ResumeStoreTest, GivesAStateOnce) {
  EXPECT_EQ(take("R", who("ada")), "nothing");
  store.open(token("R"), {1, 2, 3});
  EXPECT_EQ(take("R", who("ada")), "open");
  EXPECT_EQ(take("R", who("ada")), "open");
  keep("R", who("ada"));
  EXPECT_EQ(take("R", who("ada")), "state");
  EXPECT_EQ(take("R", who("ada")), "nothing");
  EXPECT_EQ(store.tokens(), 0U);
  EXPECT_EQ(store.states(), 0U);
}

TEST_F(ResumeStoreTest, KeepsItForWhomItBelongsToWhoeverElseTries) {
  keep("R", who("ada", "1"));
  EXPECT_EQ(take("R", who("eve", "1")), "nothing");
  EXPECT_EQ(take("R", who("ada", "2")), "nothing");
  EXPECT_EQ(take("R", who("ada", "1"), kStart, "/other"), "nothing");
  EXPECT_EQ(take("R", who("ada", "1")), "state");
}

TEST_F(ResumeStoreTest, ForgetsInTime) {
  keep("R", who("ada"));
  EXPECT_EQ(take("R", who("ada"), kEnd), "nothing");
  keep("S", who("ada"));
  EXPECT_EQ(take("S", who("ada"), kEnd - milliseconds(1)), "state");
  keep("T", who("ada"));
  keep("U", who("bob"), kEnd + milliseconds(1));
  store.expire(kEnd);
  EXPECT_EQ(store.states(), 1U);
  EXPECT_EQ(store.tokens(), 1U);
  EXPECT_EQ(take("U", who("bob"), kEnd), "state");
}

TEST_F(ResumeStoreTest, ForgetsWhatNobodyMayResume) {
  store.open(token("R"), {1, 2, 3});
  store.forget(token("R"));
  EXPECT_EQ(take("R", who("ada")), "nothing");
  keep("S", who("ada"));
  store.forget(token("S"));
  EXPECT_EQ(take("S", who("ada")), "nothing");
  store.forget(token("never"));
  EXPECT_EQ(store.tokens(), 0U);
}

TEST_F(ResumeStoreTest, DropsWhatARevocationMeans) {
  const auto fill = [&] {
    keep("1", who("ada", "s1"));
    keep("2", who("ada", "s2"));
    keep("3", who("bob", "s3"));
  };
  fill();
  EXPECT_EQ(store.drop_matching({.subject = "ada"}), 2U);
  EXPECT_EQ(take("1", who("ada", "s1")), "nothing");
  EXPECT_EQ(take("3", who("bob", "s3")), "state");
  fill();
  EXPECT_EQ(store.drop_matching({.session = "s2"}), 1U);
  EXPECT_EQ(take("1", who("ada", "s1")), "state");
  EXPECT_EQ(take("2", who("ada", "s2")), "nothing");
  fill();
  EXPECT_EQ(store.drop_matching({.issuer = "another", .subject = "ada"}), 0U);
  EXPECT_EQ(store.drop_matching({.token_id = "token of bob"}), 1U);
  EXPECT_EQ(store.drop_matching({.issuer = "issuer"}), 2U);
  EXPECT_EQ(store.states(), 0U);
  EXPECT_EQ(store.tokens(), 0U);
}

TEST_F(ResumeStoreTest, LimitsTheStatesOfOneSubject) {
  for (std::size_t i = 0; i < ResumeStore::kPerSubject + 2; ++i) {
    keep(std::to_string(i), who("ada"), kEnd + milliseconds(i));
  }
  keep("bob's", who("bob"));
  EXPECT_EQ(store.states(), ResumeStore::kPerSubject + 1);
  EXPECT_EQ(take("1", who("ada")), "nothing");
  EXPECT_EQ(take("2", who("ada")), "state");
  EXPECT_EQ(take("bob's", who("bob")), "state");
}

TEST_F(ResumeStoreTest, LimitsTheStatesOfAll) {
  for (std::size_t i = 0; i < ResumeStore::kStatesMost + 5; ++i) {
    keep(std::to_string(i), who(std::to_string(i)), kEnd + milliseconds(i));
  }
  EXPECT_EQ(store.states(), ResumeStore::kStatesMost);
  EXPECT_EQ(store.tokens(), ResumeStore::kStatesMost);
  EXPECT_EQ(take("4", who("4")), "nothing");
  EXPECT_EQ(take("5", who("5")), "state");
}

}  // namespace
}  // namespace sallyport::server
