#include "server/history.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "server/inbox.h"

namespace sallyport::server {
namespace {

using std::chrono::milliseconds;

constexpr base::MonoTime kStart{milliseconds(1'000'000)};

class HistoryTest : public ::testing::Test {
 protected:
  HistoryTest() { history.keep_for(milliseconds(60'000)); }
  std::uint64_t publish(std::string_view channel, std::string text, base::MonoTime now = kStart) {
    std::uint64_t number = 0;
    history.publish(channel, std::make_shared<const std::string>(std::move(text)), now,
                    [&](std::uint64_t given) { number = given; });
    return number;
  }
  History::Found find(const std::vector<History::Wanted>& wanted, std::uint64_t until = UINT64_MAX) {
    return history.find(wanted, until);
  }
  static std::string texts(const History::Found& found) {
    std::string all;
    for (const History::Entry& entry : found.entries) all += *entry.frame + " ";
    return all;
  }
  History history;
};

TEST_F(HistoryTest, NumbersAcrossChannelsAndFindsByChannelInTheOrderOfNumbers) {
  EXPECT_EQ(publish("a", "a1"), 1U);
  EXPECT_EQ(publish("b", "b2"), 2U);
  EXPECT_EQ(publish("a", "a3"), 3U);
  EXPECT_EQ(publish("c", "c4"), 4U);
  EXPECT_EQ(publish("b", "b5"), 5U);
  const auto found = find({{"b", 0}, {"a", 1}, {"none", 0}});
  EXPECT_EQ(texts(found), "b2 a3 b5 ");
  EXPECT_EQ(found.entries[0].wanted, 0U);
  EXPECT_EQ(found.entries[1].wanted, 1U);
  EXPECT_EQ(found.forgotten, (std::vector<std::uint64_t>{0, 0, 0}));
  EXPECT_EQ(texts(find({{"b", 0}, {"a", 0}}, 3)), "a1 b2 a3 ");
  EXPECT_EQ(texts(find({{"b", 5}})), "");
}

TEST_F(HistoryTest, RemembersTheLatestOfAChannelAndKnowsWhatItForgot) {
  const std::uint64_t first = publish("busy", "0");
  publish("quiet", "q");
  for (std::size_t i = 1; i < History::kPublicationsPerChannel; ++i) publish("busy", std::to_string(i));
  EXPECT_EQ(find({{"busy", 0}}).entries.size(), History::kPublicationsPerChannel);
  EXPECT_EQ(find({{"busy", 0}}).forgotten[0], 0U);
  publish("busy", "one more");
  const auto found = find({{"busy", 0}, {"quiet", 0}});
  EXPECT_EQ(found.entries.size(), History::kPublicationsPerChannel + 1);
  EXPECT_EQ(found.forgotten, (std::vector<std::uint64_t>{first, 0}));
  EXPECT_EQ(*found.entries.back().frame, "one more");
}

TEST_F(HistoryTest, LimitsTheBytesOfAChannel) {
  for (int i = 0; i < 6; ++i) publish("big", std::string(300'000, static_cast<char>('0' + i)));
  const auto found = find({{"big", 0}});
  EXPECT_EQ(found.entries.size(), 3U);
  EXPECT_EQ(found.entries[0].number, 4U);
  EXPECT_EQ(found.forgotten[0], 3U);
  EXPECT_LE(history.bytes(), History::kBytesPerChannel);
}

TEST_F(HistoryTest, TellsOfOneThatIsTooLargeAndKeepsTheOthers) {
  publish("big", "small");
  const std::uint64_t lost = publish("big", std::string(History::kBytesPerChannel + 1, 'x'));
  publish("big", "again");
  const auto found = find({{"big", 0}, {"other", 0}});
  EXPECT_EQ(texts(found), "small again ");
  EXPECT_EQ(found.forgotten, (std::vector<std::uint64_t>{lost, 0}));
}

TEST_F(HistoryTest, LimitsTheBytesOfAllChannels) {
  const std::string block(500'000, 'x');
  for (int i = 0; i < 300; ++i) {
    publish(std::to_string(i), block);
    ASSERT_LE(history.bytes(), History::kBytes + block.size());
  }
  EXPECT_LE(history.bytes(), History::kBytes);
  EXPECT_GT(history.bytes(), History::kBytes / 2);
  EXPECT_EQ(find({{"299", 0}}).entries.size(), 1U);
  const auto oldest = find({{"0", 0}});
  EXPECT_TRUE(oldest.entries.empty());
  EXPECT_GE(oldest.forgotten[0], 1U);
}

TEST_F(HistoryTest, LimitsTheNumberOfChannels) {
  for (std::size_t i = 0; i < History::kChannels + 10; ++i) publish("channel " + std::to_string(i), "x");
  EXPECT_EQ(history.channels(), History::kChannels);
  EXPECT_EQ(find({{"channel 3", 0}}).forgotten[0], 10U);
  EXPECT_EQ(find({{"channel 10", 0}}).entries.size(), 1U);
}

TEST_F(HistoryTest, ForgetsWithAge) {
  publish("a", "old");
  publish("a", "young", kStart + milliseconds(30'000));
  publish("b", "new", kStart + milliseconds(60'000));
  EXPECT_EQ(texts(find({{"a", 0}})), "old young ");
  publish("b", "newer", kStart + milliseconds(60'001));
  const auto found = find({{"a", 0}});
  EXPECT_EQ(texts(found), "young ");
  EXPECT_EQ(found.forgotten[0], 1U);
  history.expire(kStart + milliseconds(90'001));
  EXPECT_EQ(history.channels(), 1U);
  EXPECT_EQ(find({{"a", 0}}).forgotten[0], 2U);
  history.expire(kStart + milliseconds(600'000));
  EXPECT_EQ(history.channels(), 0U);
  EXPECT_EQ(history.bytes(), 0U);
}

TEST_F(HistoryTest, RemembersNothingWhereNobodyResumes) {
  publish("a", "before");
  history.keep_for(milliseconds(0));
  EXPECT_EQ(history.bytes(), 0U);
  const std::uint64_t lost = publish("a", "meanwhile");
  EXPECT_EQ(lost, 2U);  // but counts
  history.keep_for(milliseconds(1000));
  publish("a", "after");
  const auto found = find({{"a", 0}});
  EXPECT_EQ(texts(found), "after ");
  EXPECT_EQ(found.forgotten[0], lost);
}

// What the one mutex is for: two workers see the same order, whoever publishes.
TEST_F(HistoryTest, HandsEveryWorkerTheSameOrder) {
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  std::atomic<int> full = 0;
  Inbox first(full);
  Inbox second(full);
  std::vector<std::thread> threads;
  const auto began = std::chrono::steady_clock::now();
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const auto frame = std::make_shared<const std::string>(std::to_string(t));
      for (int i = 0; i < kEach; ++i) {
        history.publish("room", frame, kStart, [&](std::uint64_t number) {
          EXPECT_NE(first.put("room", frame, number), Inbox::Put::kDropped);
          EXPECT_NE(second.put("room", frame, number), Inbox::Put::kDropped);
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto took = std::chrono::steady_clock::now() - began;
  RecordProperty("ns_per_publication", static_cast<int>(took / std::chrono::nanoseconds(kThreads * kEach)));
  for (std::uint64_t number = 1; number <= kThreads * kEach; ++number) {
    const auto one = first.take();
    const auto other = second.take();
    ASSERT_TRUE(one && other);
    ASSERT_EQ(one->number, number);
    ASSERT_EQ(other->number, number);
    ASSERT_EQ(one->frame, other->frame);
  }
}

}  // namespace
}  // namespace sallyport::server
