#include "server/ticket_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace sallyport::server {
namespace {

using std::chrono_literals::operator""ms;

constexpr base::MonoTime kStart{base::Milliseconds(1'000'000)};

Ticket ticket_of(const std::string& subject, const std::string& origin = "") {
  return {.path = "/chat",
          .origin = origin,
          .principal = std::make_shared<const Principal>(Principal{.issuer = "i", .subject = subject})};
}

std::string issued(TicketStore& store, Ticket ticket, base::MonoTime now = kStart) {
  auto text = store.issue(std::move(ticket), now);
  return text ? std::string(text->reveal()) : "denied";
}

TEST(TicketStore, GivesATicketsWorthOnce) {
  TicketStore store;
  const std::string text = issued(store, ticket_of("ada"));
  EXPECT_EQ(text.size(), 43U) << "256 bits as base64url";
  const auto taken = store.take(text, "/chat", "", kStart + 29'999ms);
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->principal->subject, "ada");
  EXPECT_EQ(store.take(text, "/chat", "", kStart).error(), TicketStore::Bad::kUnknown);
  EXPECT_EQ(store.size(), 0U);
}

TEST(TicketStore, EndsATicketAfterHalfAMinute) {
  TicketStore store;
  const std::string text = issued(store, ticket_of("ada"));
  EXPECT_EQ(store.take(text, "/chat", "", kStart + 30'000ms).error(), TicketStore::Bad::kExpired);
}

TEST(TicketStore, UsesATicketUpThatIsTriedElsewhere) {
  TicketStore store;
  const std::string path = issued(store, ticket_of("ada"));
  EXPECT_EQ(store.take(path, "/other", "", kStart).error(), TicketStore::Bad::kWrongPath);
  EXPECT_EQ(store.take(path, "/chat", "", kStart).error(), TicketStore::Bad::kUnknown);
  const std::string origin = issued(store, ticket_of("ada", "https://a.example"));
  EXPECT_EQ(store.take(origin, "/chat", "https://b.example", kStart).error(), TicketStore::Bad::kWrongOrigin);
  const std::string none = issued(store, ticket_of("ada", "https://a.example"));
  EXPECT_EQ(store.take(none, "/chat", "", kStart).error(), TicketStore::Bad::kWrongOrigin);
}

TEST(TicketStore, KnowsNothingOfWhatItDidNotIssue) {
  TicketStore store;
  EXPECT_EQ(store.take("", "/chat", "", kStart).error(), TicketStore::Bad::kUnknown);
  EXPECT_EQ(store.take("guess", "/chat", "", kStart).error(), TicketStore::Bad::kUnknown);
}

TEST(TicketStore, HoldsASubjectUpThatAsksInALoopAndNobodyElse) {
  TicketStore store;
  for (std::uint32_t i = 0; i < TicketStore::kPerSubject; ++i) {
    EXPECT_NE(issued(store, ticket_of("ada")), "denied") << i;
  }
  EXPECT_EQ(store.issue(ticket_of("ada"), kStart).error(), TicketStore::Denied::kSubjectRate);
  EXPECT_NE(issued(store, ticket_of("bob")), "denied");
  EXPECT_NE(issued(store, ticket_of("ada"), kStart + TicketStore::kLife), "denied");
}

TEST(TicketStore, IsBounded) {
  TicketStore store;
  for (std::size_t i = 0; i < TicketStore::kTicketsMax; ++i) {
    ASSERT_TRUE(store.issue(ticket_of(std::to_string(i)), kStart).has_value());
  }
  EXPECT_EQ(store.issue(ticket_of("one more"), kStart).error(), TicketStore::Denied::kFull);
  EXPECT_TRUE(store.issue(ticket_of("later"), kStart + TicketStore::kLife).has_value());
  EXPECT_EQ(store.size(), 1U) << "those that have ended are forgotten";
}

TEST(TicketStore, GivesOneTicketToOneOfManyAtTheSameTime) {
  TicketStore store;
  for (int round = 0; round < 20; ++round) {
    const std::string text = issued(store, ticket_of("ada"), kStart + round * TicketStore::kLife);
    std::atomic<int> got = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        if (store.take(text, "/chat", "", kStart + round * TicketStore::kLife)) ++got;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(got, 1);
  }
}

}  // namespace
}  // namespace sallyport::server
