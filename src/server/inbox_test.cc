#include "server/inbox.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace sallyport::server {
namespace {

Frame frame(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

TEST(Inbox, WakesOnceAndGivesWhatWasPutInOrder) {
  std::atomic<int> full = 0;
  Inbox inbox(full);
  EXPECT_FALSE(inbox.waits());
  EXPECT_FALSE(inbox.take());
  EXPECT_EQ(inbox.put("a", frame("1")), Inbox::Put::kFirst);
  EXPECT_EQ(inbox.put("b", frame("2")), Inbox::Put::kTaken);
  EXPECT_TRUE(inbox.waits());
  const auto first = inbox.take();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->channel, "a");
  EXPECT_EQ(*first->frame, "1");
  EXPECT_FALSE(inbox.settle());
  EXPECT_TRUE(inbox.waits());  // the second is still there
  EXPECT_EQ(*inbox.take()->frame, "2");
  EXPECT_FALSE(inbox.take());
  EXPECT_FALSE(inbox.settle());
  EXPECT_FALSE(inbox.waits());
  EXPECT_EQ(inbox.put("a", frame("3")), Inbox::Put::kFirst);
}

TEST(Inbox, IsFullUntilHalfOfItIsDelivered) {
  std::atomic<int> full = 0;
  Inbox inbox(full);
  const Frame mebibyte = frame(std::string(1024 * 1024, 'x'));
  for (int i = 0; i < 7; ++i) EXPECT_NE(inbox.put("a", mebibyte), Inbox::Put::kDropped);
  EXPECT_EQ(full, 0);
  EXPECT_EQ(inbox.put("a", mebibyte), Inbox::Put::kTaken);
  EXPECT_EQ(full, 1);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(inbox.take());
    EXPECT_EQ(full, 1);
    const bool half = i == 4;  // each counts for a little more than its frame
    EXPECT_EQ(inbox.settle(), half);
    EXPECT_EQ(full, half ? 0 : 1);
  }
}

TEST(Inbox, TellsThatAllMayGoOnOnlyWhenNoneIsFull) {
  std::atomic<int> full = 0;
  Inbox first(full);
  Inbox second(full);
  const Frame block = frame(std::string(Inbox::kBytes, 'x'));
  EXPECT_EQ(first.put("a", block), Inbox::Put::kFirst);
  EXPECT_EQ(second.put("a", block), Inbox::Put::kFirst);
  EXPECT_EQ(full, 2);
  EXPECT_TRUE(first.take());
  EXPECT_FALSE(first.settle());
  EXPECT_TRUE(second.take());
  EXPECT_TRUE(second.settle());
}

TEST(Inbox, DropsWhatItHasNoRoomFor) {
  std::atomic<int> full = 0;
  Inbox inbox(full);
  const Frame block = frame(std::string(Inbox::kBytes, 'x'));
  std::size_t taken = 0;
  while (inbox.put("a", block) != Inbox::Put::kDropped) ++taken;
  EXPECT_EQ(taken, Inbox::kBytesMax / Inbox::kBytes);
  EXPECT_EQ(inbox.put("a", frame("1")), Inbox::Put::kDropped);
  EXPECT_TRUE(inbox.take());
  EXPECT_FALSE(inbox.settle());
  EXPECT_EQ(inbox.put("a", frame("1")), Inbox::Put::kTaken);
}

TEST(Inbox, KeepsTheOrderOfEveryThread) {
  constexpr int kThreads = 3;
  constexpr int kEach = 5000;
  std::atomic<int> full = 0;
  std::atomic<int> wakes = 0;
  Inbox inbox(full);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        if (inbox.put(std::to_string(t), frame(std::to_string(i))) == Inbox::Put::kFirst) ++wakes;
      }
    });
  }
  std::vector<int> next(kThreads);
  int rounds = 0;
  for (int received = 0; received < kThreads * kEach;) {
    if (!inbox.waits()) continue;
    ++rounds;
    while (const auto publication = inbox.take()) {
      const auto t = static_cast<std::size_t>(std::stoi(publication->channel));
      ASSERT_EQ(std::stoi(*publication->frame), next.at(t)++);
      ++received;
    }
    EXPECT_FALSE(inbox.settle());
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(wakes, 1);
  EXPECT_LE(wakes, rounds);
  EXPECT_FALSE(inbox.take());
}

}  // namespace
}  // namespace sallyport::server
