#include "core/auth/revocation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport::auth {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr base::WallTime kNow{base::Milliseconds(1'700'000'000'000)};

Principal alice() {
  return {.issuer = "https://id.example",
          .subject = "alice",
          .session = "s-1",
          .token_id = "t-1",
          .issued_at = kNow};
}

RevocationRef revocation(std::uint64_t id, Selector selector, std::optional<base::WallTime> until = {}) {
  return std::make_shared<const Revocation>(
      Revocation{.id = id, .selector = std::move(selector), .created = kNow, .until = until});
}

std::uint64_t found(const RevocationIndex& index, const Principal& who, base::WallTime now = kNow) {
  const RevocationRef met = index.find(who, now);
  return met == nullptr ? 0 : met->id;
}

TEST(SelectorTest, MustSaySomething) {
  EXPECT_FALSE(valid({}));
  EXPECT_TRUE(valid({.issuer = "i"}));
  EXPECT_TRUE(valid({.subject = "s"}));
  EXPECT_TRUE(valid({.session = "s"}));
  EXPECT_TRUE(valid({.token_id = "t"}));
  EXPECT_TRUE(valid({.issued_before = kNow}));
}

TEST(SelectorTest, MayNotSayAnythingEmpty) {
  EXPECT_FALSE(valid({.issuer = ""}));
  EXPECT_FALSE(valid({.subject = ""}));
  EXPECT_FALSE(valid({.session = ""}));
  EXPECT_FALSE(valid({.token_id = ""}));
  EXPECT_FALSE(valid({.subject = "alice", .session = ""})) << "beside something that is not";
  EXPECT_FALSE(valid({.issuer = "", .subject = "alice", .issued_before = kNow}));
}

TEST(SelectorTest, MatchesWhereAllOfItIsSo) {
  EXPECT_TRUE(matches({.issuer = "https://id.example"}, alice()));
  EXPECT_TRUE(matches({.subject = "alice"}, alice()));
  EXPECT_TRUE(matches({.session = "s-1"}, alice()));
  EXPECT_TRUE(matches({.token_id = "t-1"}, alice()));
  EXPECT_TRUE(matches({.issuer = "https://id.example",
                       .subject = "alice",
                       .session = "s-1",
                       .token_id = "t-1",
                       .issued_before = kNow + 1ms},
                      alice()));
}

TEST(SelectorTest, DoesNotMatchWhereOneThingIsOtherwise) {
  const Selector all{.issuer = "https://id.example", .subject = "alice", .session = "s-1", .token_id = "t-1"};
  for (std::optional<std::string> Selector::* const each :
       {&Selector::issuer, &Selector::subject, &Selector::session, &Selector::token_id}) {
    Selector selector = all;
    selector.*each = "other";
    EXPECT_FALSE(matches(selector, alice()));
    selector.*each = *(all.*each) + "x";
    EXPECT_FALSE(matches(selector, alice())) << "a longer text that begins alike";
    selector.*each = (all.*each)->substr(1);
    EXPECT_FALSE(matches(selector, alice()));
  }
}

TEST(SelectorTest, DoesNotMatchWhoDoesNotHaveWhatItNames) {
  const Principal plain{.issuer = "https://id.example", .subject = "alice"};
  EXPECT_FALSE(matches({.subject = "alice", .session = "s-1"}, plain));
  EXPECT_FALSE(matches({.token_id = "t-1"}, plain));
}

TEST(SelectorTest, MeansCredentialsIssuedBeforeAMomentAndNotAtIt) {
  EXPECT_TRUE(matches({.issued_before = kNow + 1ms}, alice()));
  EXPECT_FALSE(matches({.issued_before = kNow}, alice()));
  EXPECT_FALSE(matches({.issued_before = kNow - 1ms}, alice()));
  EXPECT_FALSE(matches({.subject = "bob", .issued_before = kNow + 1h}, alice()));
}

TEST(SelectorTest, MeansCredentialsThatDoNotSayWhenTheyWereIssued) {
  Principal who = alice();
  who.issued_at.reset();
  EXPECT_TRUE(matches({.issued_before = base::WallTime()}, who));
  EXPECT_TRUE(matches({.subject = "alice", .issued_before = kNow}, who));
}

TEST(RevocationIndexTest, FindsByEverythingThatASelectorCanName) {
  const std::vector<Selector> selectors{{.token_id = "t-1"},
                                        {.session = "s-1"},
                                        {.subject = "alice"},
                                        {.issuer = "https://id.example"},
                                        {.issued_before = kNow + 1s},
                                        {.subject = "alice", .token_id = "t-1"},
                                        {.issuer = "https://id.example", .session = "s-1"},
                                        {.subject = "alice", .issued_before = kNow + 1s}};
  for (const Selector& selector : selectors) {
    RevocationIndex index;
    ASSERT_TRUE(index.add(revocation(5, selector)));
    EXPECT_EQ(found(index, alice()), 5U);
    EXPECT_EQ(index.size(), 1U);
    EXPECT_EQ(index.get(5)->selector, selector);
    EXPECT_TRUE(index.remove(5));
    EXPECT_EQ(found(index, alice()), 0U);
    EXPECT_EQ(index.size(), 0U);
  }
}

TEST(RevocationIndexTest, LeavesThoseAloneWhoAreNotMeant) {
  RevocationIndex index;
  ASSERT_TRUE(index.add(revocation(1, {.subject = "bob"})));
  ASSERT_TRUE(index.add(revocation(2, {.issuer = "https://other.example", .subject = "alice"})));
  ASSERT_TRUE(index.add(revocation(3, {.session = "alice"})));
  ASSERT_TRUE(index.add(revocation(4, {.subject = "s-1"})));
  ASSERT_TRUE(index.add(revocation(5, {.subject = "alice", .issued_before = kNow})));
  ASSERT_TRUE(index.add(revocation(6, {.issuer = "https://other.example"})));
  EXPECT_EQ(found(index, alice()), 0U);
}

TEST(RevocationIndexTest, NamesTheLowestNumberOfThoseThatMeanSomeone) {
  RevocationIndex index;
  ASSERT_TRUE(index.add(revocation(9, {.token_id = "t-1"})));
  EXPECT_EQ(found(index, alice()), 9U);
  ASSERT_TRUE(index.add(revocation(7, {.subject = "alice"})));
  EXPECT_EQ(found(index, alice()), 7U);
  ASSERT_TRUE(index.add(revocation(8, {.subject = "alice"})));
  EXPECT_EQ(found(index, alice()), 7U);
  ASSERT_TRUE(index.add(revocation(3, {.issuer = "https://id.example"})));
  EXPECT_EQ(found(index, alice()), 3U);
  ASSERT_TRUE(index.add(revocation(5, {.session = "s-1"})));
  EXPECT_EQ(found(index, alice()), 3U);
  EXPECT_TRUE(index.remove(3));
  EXPECT_EQ(found(index, alice()), 5U);
}

TEST(RevocationIndexTest, ReplacesTheOneWithTheSameNumber) {
  RevocationIndex index;
  ASSERT_TRUE(index.add(revocation(1, {.subject = "alice"}, kNow + 1s)));
  ASSERT_TRUE(index.add(revocation(1, {.subject = "alice"}, kNow + 1h)));
  EXPECT_EQ(index.size(), 1U);
  EXPECT_EQ(index.expire(kNow + 1s, 10), 0U) << "the shorter end is forgotten";
  EXPECT_EQ(found(index, alice(), kNow + 1s), 1U);
  ASSERT_TRUE(index.add(revocation(1, {.session = "other"})));
  EXPECT_EQ(found(index, alice()), 0U) << "also where it named something else";
  EXPECT_EQ(index.expire(kNow + 24h, 10), 0U);
}

TEST(RevocationIndexTest, IsNotMetAnyMoreFromTheMomentOfItsEnd) {
  RevocationIndex index;
  ASSERT_TRUE(index.add(revocation(1, {.subject = "alice"}, kNow + 1s)));
  ASSERT_TRUE(index.add(revocation(2, {.session = "s-1"}, kNow + 2s)));
  EXPECT_EQ(found(index, alice(), kNow + 999ms), 1U);
  EXPECT_EQ(found(index, alice(), kNow + 1s), 2U);
  EXPECT_EQ(found(index, alice(), kNow + 2s), 0U);
}

TEST(RevocationIndexTest, ForgetsWhatHasEndedWithinItsBudget) {
  RevocationIndex index;
  for (std::uint64_t id = 1; id <= 10; ++id) {
    ASSERT_TRUE(index.add(revocation(id, {.subject = "alice"}, kNow + std::chrono::seconds(11 - id))));
  }
  ASSERT_TRUE(index.add(revocation(11, {.subject = "alice"})));
  EXPECT_EQ(index.expire(kNow, 100), 0U);
  EXPECT_EQ(index.expire(kNow + 5s, 3), 3U);
  EXPECT_EQ(index.get(10), nullptr);
  EXPECT_NE(index.get(7), nullptr);
  EXPECT_EQ(index.expire(kNow + 5s, 100), 2U);
  EXPECT_EQ(index.expire(kNow + 24h, 100), 5U);
  EXPECT_EQ(index.size(), 1U) << "what has no end stays";
  EXPECT_EQ(found(index, alice(), kNow + 24h), 11U);
}

TEST(RevocationIndexTest, ListsInOrderOfTheirNumbers) {
  RevocationIndex index;
  for (const std::uint64_t id : {5U, 1U, 9U, 3U}) {
    ASSERT_TRUE(index.add(revocation(id, {.subject = "u" + std::to_string(id)})));
  }
  std::vector<std::uint64_t> ids;
  for (const RevocationRef& each : index.all()) ids.push_back(each->id);
  EXPECT_EQ(ids, (std::vector<std::uint64_t>{1, 3, 5, 9}));
}

TEST(RevocationIndexTest, DoesNotKnowNumbersThatItWasNotGiven) {
  RevocationIndex index;
  ASSERT_TRUE(index.add(revocation(1, {.subject = "alice"})));
  EXPECT_EQ(index.get(2), nullptr);
  EXPECT_FALSE(index.remove(2));
  EXPECT_TRUE(index.remove(1));
  EXPECT_FALSE(index.remove(1));
}

TEST(RevocationIndexTest, DoesNotTakeMoreThanAThousandThatNameNobody) {
  RevocationIndex index;
  for (std::uint64_t id = 1; id <= RevocationIndex::kMostBroad; ++id) {
    ASSERT_TRUE(index.add(revocation(id, {.issuer = "i" + std::to_string(id)})));
  }
  const std::uint64_t next = RevocationIndex::kMostBroad + 1;
  EXPECT_FALSE(index.add(revocation(next, {.issuer = "https://id.example"})));
  EXPECT_EQ(index.get(next), nullptr);
  EXPECT_EQ(found(index, alice()), 0U);
  EXPECT_TRUE(index.add(revocation(1, {.issuer = "https://id.example"}))) << "in the place of another";
  EXPECT_EQ(found(index, alice()), 1U);
  EXPECT_TRUE(index.add(revocation(next, {.subject = "alice"})))
      << "of those that name someone there is room";
}

TEST(RevocationIndexTest, DoesNotTakeMoreThanItHasRoomFor) {
  RevocationIndex index;
  for (std::uint64_t id = 1; id <= RevocationIndex::kMost; ++id) {
    if (!index.add(revocation(id, {.subject = "u" + std::to_string(id % 1'000)}))) FAIL() << id;
  }
  EXPECT_FALSE(index.add(revocation(RevocationIndex::kMost + 1, {.subject = "alice"})));
  EXPECT_EQ(found(index, alice()), 0U);
  EXPECT_TRUE(index.remove(1));
  EXPECT_TRUE(index.add(revocation(RevocationIndex::kMost + 1, {.subject = "alice"})));
  EXPECT_EQ(found(index, alice()), RevocationIndex::kMost + 1);
}

// Against a map that is gone through from one end to the other.
TEST(RevocationIndexTest, AgreesWithAListAfterAnyOperations) {
  std::mt19937 random(7);
  const auto below = [&](std::uint32_t limit) { return static_cast<std::uint32_t>(random() % limit); };
  const auto some = [&](const char* what, std::uint32_t limit) {
    return what + std::to_string(below(limit));
  };
  const auto some_selector = [&] {
    Selector selector;
    do {
      if (below(4) == 0) selector.issuer = some("i", 2);
      if (below(2) == 0) selector.subject = some("u", 5);
      if (below(4) == 0) selector.session = some("s", 8);
      if (below(4) == 0) selector.token_id = some("t", 12);
      if (below(6) == 0) selector.issued_before = kNow + std::chrono::seconds(below(100));
    } while (!valid(selector));
    return selector;
  };
  std::size_t met = 0;
  for (int round = 0; round < 20; ++round) {
    RevocationIndex index;
    std::map<std::uint64_t, RevocationRef> model;
    base::WallTime now = kNow;
    for (int i = 0; i < 1'000; ++i) {
      const std::uint64_t id = 1 + below(60);
      switch (below(6)) {
        case 0:
        case 1: {
          const auto until =
              below(3) == 0 ? std::nullopt : std::optional(now + std::chrono::seconds(below(60)));
          const RevocationRef added = revocation(id, some_selector(), until);
          ASSERT_TRUE(index.add(added));
          model[id] = added;
          break;
        }
        case 2:
          ASSERT_EQ(index.remove(id), model.erase(id) > 0);
          break;
        case 3: {
          now += std::chrono::seconds(below(4));
          const std::size_t ended = std::erase_if(
              model, [&](const auto& entry) { return entry.second->until && *entry.second->until <= now; });
          ASSERT_EQ(index.expire(now, 1'000), ended);
          break;
        }
        default:
          break;
      }
      Principal who{.issuer = some("i", 2), .subject = some("u", 5)};
      if (below(2) == 0) who.session = some("s", 8);
      if (below(2) == 0) who.token_id = some("t", 12);
      if (below(2) == 0) who.issued_at = kNow + std::chrono::seconds(below(100));
      // Also one that has ended and has not been forgotten yet.
      const base::WallTime asked = now + std::chrono::seconds(below(3));
      const auto expected = std::find_if(model.begin(), model.end(), [&](const auto& entry) {
        return matches(entry.second->selector, who) && (!entry.second->until || *entry.second->until > asked);
      });
      ASSERT_EQ(index.find(who, asked), expected == model.end() ? nullptr : expected->second);
      met += expected != model.end() ? 1 : 0;
      ASSERT_EQ(index.size(), model.size());
      const auto known = model.find(id);
      ASSERT_EQ(index.get(id), known == model.end() ? nullptr : known->second);
    }
  }
  EXPECT_GT(met, 2'000U) << "an index that never finds anything would agree as well";
}

TEST(RevokeFaultTest, EachHasWordsOfItsOwn) {
  std::set<std::string_view> words;
  for (const RevokeFault fault : {RevokeFault::kInvalid, RevokeFault::kFull, RevokeFault::kNotDurable,
                                  RevokeFault::kReplayed, RevokeFault::kStopped}) {
    EXPECT_FALSE(describe(fault).empty());
    EXPECT_TRUE(words.insert(describe(fault)).second) << describe(fault);
  }
}

}  // namespace
}  // namespace sallyport::auth
