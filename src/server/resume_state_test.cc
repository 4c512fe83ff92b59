#include "server/resume_state.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::server {
namespace {

// A connection in the channels a and b since 10, which has seen everything up to 20.
class ReplayTest : public ::testing::Test {
 protected:
  ReplayTest() {
    state.channels = {{"a", 10}, {"b", 10}};
    state.end = 20;
    state.arrived = 20;
    state.delivered = 6;
    found.forgotten = {0, 0};
    for (const std::uint64_t number : {12, 14, 15, 16, 18, 19, 22, 23}) add(number, number % 2 == 0 ? 0 : 1);
  }
  void add(std::uint64_t number, std::uint32_t channel) {
    found.entries.push_back({number, std::make_shared<const std::string>(std::to_string(number)), channel});
  }
  std::string replay(std::optional<std::uint64_t> received = {}) {
    const Replay replay = replay_of(state, received, found);
    std::string text = std::to_string(replay.after) + (replay.gap ? " gap:" : ":");
    for (const History::Entry& entry : replay.entries) text += " " + *entry.frame;
    return text;
  }
  ResumeState state;
  History::Found found;
};

TEST_F(ReplayTest, GivesWhatCameAfterTheEnd) { EXPECT_EQ(replay(), "20: 22 23"); }

TEST_F(ReplayTest, GivesWhatIsNotKnownToHaveArrived) {
  state.arrived = 15;
  EXPECT_EQ(replay(), "15: 16 18 19 22 23");
}

TEST_F(ReplayTest, BelievesTheCountOfThePeerMoreThanTheKernel) {
  EXPECT_EQ(replay(6), "20: 22 23");
  EXPECT_EQ(replay(5), "18: 19 22 23");
  EXPECT_EQ(replay(4), "17: 18 19 22 23");
  EXPECT_EQ(replay(0), "11: 12 14 15 16 18 19 22 23");
  state.arrived = 12;
  EXPECT_EQ(replay(6), "20: 22 23");
}

TEST_F(ReplayTest, BelievesNoCountBeyondWhatWasHandedOver) { EXPECT_EQ(replay(7), "20: 22 23"); }

TEST_F(ReplayTest, TellsOfAGapWhereSomethingWasForgottenSince) {
  found.forgotten = {0, 21};
  EXPECT_EQ(replay(), "20 gap: 22 23");
  found.forgotten = {0, 20};
  EXPECT_EQ(replay(), "20: 22 23");
  state.channels[1].since = 21;
  found.forgotten = {0, 21};
  EXPECT_EQ(replay(), "20: 22 23");  // that was before it joined
}

TEST_F(ReplayTest, CountsBackOnlyAsFarAsEverythingIsRemembered) {
  found.forgotten = {0, 15};
  found.entries.erase(found.entries.begin() + 2);
  EXPECT_EQ(replay(3), "15: 16 18 19 22 23");
  EXPECT_EQ(replay(2), "15 gap: 16 18 19 22 23");  // the fourth from the end may be 15 or another one
}

TEST_F(ReplayTest, CountsBackOnlyToTheLastChannelThatItLeft) {
  state.countable_after = 17;
  state.delivered = 9;
  EXPECT_EQ(replay(7), "17: 18 19 22 23");
  EXPECT_EQ(replay(6), "17 gap: 18 19 22 23");
}

TEST_F(ReplayTest, CountsNothingWhereSomethingWasDropped) {
  state.lossy = true;
  state.arrived = 18;
  EXPECT_EQ(replay(2), "18 gap: 19 22 23");
}

TEST_F(ReplayTest, GivesNothingWhereNothingCame) {
  found.entries.clear();
  state.delivered = 0;
  EXPECT_EQ(replay(), "20:");
  EXPECT_EQ(replay(0), "20:");
  state.channels.clear();
  found.forgotten.clear();
  EXPECT_EQ(replay(0), "20:");
}

TEST(Belonging, IsOfOneLoginOfOneSubjectOnOneRoute) {
  ResumeState state;
  state.route = "/chat";
  Principal who;
  who.issuer = "i";
  who.subject = "s";
  who.session = "1";
  who.claims = "{}";
  who.token_id = "t";
  state.principal = identity_of(who);
  EXPECT_TRUE(state.principal.claims.empty());
  EXPECT_EQ(state.principal.token_id, "t");
  EXPECT_TRUE(belongs(state, who, "/chat"));
  EXPECT_FALSE(belongs(state, who, "/other"));
  Principal other = who;
  other.token_id = "another";
  EXPECT_TRUE(belongs(state, other, "/chat"));
  (other = who).issuer = "j";
  EXPECT_FALSE(belongs(state, other, "/chat"));
  (other = who).subject = "t";
  EXPECT_FALSE(belongs(state, other, "/chat"));
  (other = who).session = "2";
  EXPECT_FALSE(belongs(state, other, "/chat"));
  other.session = {};
  EXPECT_FALSE(belongs(state, other, "/chat"));
}

}  // namespace
}  // namespace sallyport::server
