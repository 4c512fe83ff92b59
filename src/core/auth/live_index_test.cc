#include "core/auth/live_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/auth/revocation.h"

namespace sallyport::auth {
namespace {

using Slots = std::vector<std::uint32_t>;

Principal person(std::string_view subject, std::string_view session = {}, std::string_view token_id = {}) {
  return {.issuer = "https://id.example", .subject = subject, .session = session, .token_id = token_id};
}

Slots candidates(const LiveIndex& index, const Selector& selector) {
  Slots found;
  index.candidates(selector, [&](std::uint32_t slot) { found.push_back(slot); });
  std::sort(found.begin(), found.end());
  return found;
}

Slots named(const LiveIndex& index, std::uint64_t name) {
  Slots found;
  index.named(name, [&](std::uint32_t slot) { found.push_back(slot); });
  return found;
}

TEST(LiveIndexTest, FindsASlotUnderEverythingThatItsPrincipalHas) {
  LiveIndex index(1);
  index.enter(7, person("alice", "s-1", "t-1"), 0x1111'2222'3333'4444);
  index.enter(3, person("bob", "s-2", "t-2"), 0x5555'6666'7777'8888);
  EXPECT_EQ(candidates(index, {.subject = "alice"}), Slots{7});
  EXPECT_EQ(candidates(index, {.session = "s-1"}), Slots{7});
  EXPECT_EQ(candidates(index, {.token_id = "t-1"}), Slots{7});
  EXPECT_EQ(named(index, 0x1111'2222'3333'4444), Slots{7});
  EXPECT_EQ(candidates(index, {.subject = "bob"}), Slots{3});
  EXPECT_EQ(candidates(index, {.subject = "carol"}), Slots{});
  EXPECT_EQ(index.size(), 2U);
}

TEST(LiveIndexTest, LooksUnderTheNarrowestKeyOfASelector) {
  LiveIndex index(1);
  index.enter(1, person("alice", "s-1", "t-1"), 1);
  index.enter(2, person("alice", "s-1", "t-2"), 2);
  index.enter(3, person("alice", "s-2", "t-3"), 3);
  EXPECT_EQ(candidates(index, {.subject = "alice"}), (Slots{1, 2, 3}));
  EXPECT_EQ(candidates(index, {.subject = "alice", .session = "s-1"}), (Slots{1, 2}));
  EXPECT_EQ(candidates(index, {.subject = "alice", .session = "s-1", .token_id = "t-2"}), Slots{2});
}

TEST(LiveIndexTest, FindsNobodyForASelectorThatNamesNone) {
  LiveIndex index(1);
  index.enter(1, person("alice", "s-1", "t-1"), 1);
  EXPECT_EQ(candidates(index, {}), Slots{});
  EXPECT_EQ(candidates(index, {.issuer = "https://id.example"}), Slots{});
  EXPECT_EQ(candidates(index, {.issued_before = WallTime(std::chrono::hours(1))}), Slots{});
}

TEST(LiveIndexTest, DoesNotEnterWhatAPrincipalDoesNotHave) {
  LiveIndex index(1);
  index.enter(1, person("alice"), 1);
  index.enter(2, person("bob", "", "t-2"), 2);
  EXPECT_EQ(candidates(index, {.session = ""}), Slots{});
  EXPECT_EQ(candidates(index, {.token_id = ""}), Slots{});
  EXPECT_EQ(candidates(index, {.subject = ""}), Slots{});
  EXPECT_EQ(candidates(index, {.token_id = "t-2"}), Slots{2});
}

TEST(LiveIndexTest, KeepsTheKindsOfKeysApart) {
  LiveIndex index(1);
  index.enter(1, person("x", "y", "z"), 1);
  EXPECT_EQ(candidates(index, {.session = "x"}), Slots{});
  EXPECT_EQ(candidates(index, {.token_id = "x"}), Slots{});
  EXPECT_EQ(candidates(index, {.subject = "y"}), Slots{});
  EXPECT_EQ(candidates(index, {.subject = "z"}), Slots{});
}

TEST(LiveIndexTest, ForgetsWhatASlotWasWhenItIsEnteredAgain) {
  LiveIndex index(1);
  index.enter(1, person("alice", "s-1", "t-1"), 1);
  index.enter(1, person("alice", "", "t-2"), 1);
  EXPECT_EQ(index.size(), 1U);
  EXPECT_EQ(candidates(index, {.token_id = "t-1"}), Slots{});
  EXPECT_EQ(candidates(index, {.session = "s-1"}), Slots{});
  EXPECT_EQ(candidates(index, {.token_id = "t-2"}), Slots{1});
  EXPECT_EQ(candidates(index, {.subject = "alice"}), Slots{1}) << "once";
}

TEST(LiveIndexTest, GivesASlotToSomeoneElse) {
  LiveIndex index(1);
  index.enter(1, person("alice", "s-1"), 1);
  index.leave(1);
  EXPECT_EQ(index.size(), 0U);
  EXPECT_EQ(candidates(index, {.subject = "alice"}), Slots{});
  EXPECT_EQ(named(index, 1), Slots{});
  index.enter(1, person("bob"), 2);
  EXPECT_EQ(candidates(index, {.subject = "alice"}), Slots{});
  EXPECT_EQ(candidates(index, {.session = "s-1"}), Slots{});
  EXPECT_EQ(candidates(index, {.subject = "bob"}), Slots{1});
}

TEST(LiveIndexTest, DoesNotMindThatASlotLeavesThatIsNotThere) {
  LiveIndex index(1);
  index.leave(0);
  index.leave(4'000'000'000U);
  index.enter(1, person("alice"), 1);
  index.leave(2);
  index.leave(1);
  index.leave(1);
  EXPECT_EQ(index.size(), 0U);
  EXPECT_EQ(candidates(index, {.subject = "alice"}), Slots{});
}

TEST(LiveIndexTest, FindsManyOfOneSubjectAmongOthers) {
  LiveIndex index(42);
  Slots expected;
  for (std::uint32_t slot = 0; slot < 20'000; ++slot) {
    const bool meant = slot % 100 == 3;
    index.enter(slot, person(meant ? "mallory" : "user-" + std::to_string(slot)), slot);
    if (meant) expected.push_back(slot);
  }
  EXPECT_EQ(candidates(index, {.subject = "mallory"}), expected);
  EXPECT_EQ(candidates(index, {.subject = "user-19999"}), Slots{19'999});
}

// Whole strings and every length of rest count; the seed decides where they fall, not what is found.
TEST(LiveIndexTest, TellsTextsApartThatDifferInOneCharacter) {
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
    LiveIndex index(seed);
    std::vector<std::string> subjects;
    for (std::size_t length = 1; length <= 40; ++length) {
      subjects.emplace_back(length, 'a');
      subjects.push_back(std::string(length - 1, 'a') + "b");
      subjects.push_back("b" + std::string(length, 'a'));
      subjects.push_back(std::string(length, 'a') + std::string(1, '\0'));
    }
    for (std::uint32_t slot = 0; slot < subjects.size(); ++slot) {
      index.enter(slot, person(subjects[slot]), slot);
    }
    for (std::uint32_t slot = 0; slot < subjects.size(); ++slot) {
      EXPECT_EQ(candidates(index, {.subject = subjects[slot]}), Slots{slot}) << "seed " << seed;
    }
  }
}

// Against a list that is gone through from one end to the other.
TEST(LiveIndexTest, AgreesWithAListAfterAnyOperations) {
  std::mt19937 random(20'261'124);
  const auto below = [&](std::uint32_t limit) { return static_cast<std::uint32_t>(random() % limit); };
  const auto some = [&](const char* what, std::uint32_t limit) {
    const std::uint32_t number = below(limit + 1);
    return number == limit ? std::string() : what + std::to_string(number);
  };
  for (int round = 0; round < 20; ++round) {
    LiveIndex index(random());
    std::map<std::uint32_t, std::pair<Principal, std::uint64_t>> model;
    const auto model_of = [&](const auto& meant) {
      Slots found;
      for (const auto& [slot, entry] : model) {
        if (meant(entry)) found.push_back(slot);
      }
      return found;
    };
    for (int i = 0; i < 2'000; ++i) {
      const std::uint32_t slot = below(300);
      if (below(3) != 0) {
        const std::uint64_t name = below(500);
        Principal who = person("u" + std::to_string(below(40)), some("s", 60), some("t", 400));
        index.enter(slot, who, name);
        model[slot] = {std::move(who), name};
      } else {
        index.leave(slot);
        model.erase(slot);
      }
      ASSERT_EQ(index.size(), model.size());
      const std::string subject = "u" + std::to_string(below(40));
      const std::string session = "s" + std::to_string(below(60));
      const std::string token_id = "t" + std::to_string(below(400));
      const std::uint64_t name = below(500);
      ASSERT_EQ(candidates(index, {.subject = subject}),
                model_of([&](const auto& entry) { return entry.first.subject == subject; }));
      ASSERT_EQ(candidates(index, {.session = session}),
                model_of([&](const auto& entry) { return entry.first.session == session; }));
      ASSERT_EQ(candidates(index, {.token_id = token_id}),
                model_of([&](const auto& entry) { return entry.first.token_id == token_id; }));
      Slots by_name = named(index, name);
      std::sort(by_name.begin(), by_name.end());
      ASSERT_EQ(by_name, model_of([&](const auto& entry) { return entry.second == name; }));
    }
  }
}

}  // namespace
}  // namespace sallyport::auth
