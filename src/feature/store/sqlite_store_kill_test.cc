#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sallyport/store.h"

// What has been acknowledged is there after the process was killed, whatever it was doing.

namespace sallyport::store {
namespace {

constexpr WallTime kNow{std::chrono::milliseconds(1'700'000'000'000)};
constexpr std::uint64_t kKept = 40;  // the child lifts what is older than so many numbers

Revocation revocation(std::uint64_t id) {
  return {.id = id, .selector = {.session = "s-" + std::to_string(id)}, .created = kNow};
}

Store::SeenToken seen(std::uint64_t id) {
  Store::SeenToken token{.digest = {}, .until = kNow + std::chrono::hours(1)};
  for (std::size_t i = 0; i < 8; ++i) token.digest[i] = static_cast<std::uint8_t>(id >> (8 * i));
  return token;
}

// Writes until it is killed, and says each number once the store has acknowledged it. Never returns.
[[noreturn]] void write_for_ever(const std::string& path, int out) {
  const auto store = sqlite_store(path);
  const auto contents = store->open(kNow);
  if (!contents) ::_exit(2);
  for (std::uint64_t id = contents->last_id + 1;; ++id) {
    Store::Changes changes{.put = {revocation(id)}, .seen = {seen(id)}};
    if (id > kKept) changes.erase.push_back(id - kKept);
    if (!store->write(changes)) ::_exit(3);
    if (::write(out, &id, sizeof id) != sizeof id) ::_exit(4);
  }
}

// What the child acknowledged until it was killed, `life` after its first number.
std::vector<std::uint64_t> acknowledged(const std::string& path, std::chrono::microseconds life) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    write_for_ever(path, ends[1]);
  }
  ::close(ends[1]);
  std::vector<std::uint64_t> numbers;
  std::uint64_t id = 0;
  const auto next = [&] { return ::read(ends[0], &id, sizeof id) == sizeof id; };
  // A pipe takes eight bytes whole or not at all, so a number is never cut.
  if (next()) {
    numbers.push_back(id);
    std::this_thread::sleep_for(life);
    ::kill(child, SIGKILL);
    while (next()) numbers.push_back(id);
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
      << "it ended by itself: " << WEXITSTATUS(status);
  return numbers;
}

TEST(SqliteStoreKillTest, KeepsWhatItAcknowledgedWhenItsProcessIsKilled) {
  const std::string folder = ::testing::TempDir() + "sqlite_store_kill_" + std::to_string(::getpid());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string path = folder + "/sallyport.db";
  const int rounds = std::getenv("SALLYPORT_FULL") != nullptr ? 100 : 20;
  std::mt19937 random(std::random_device{}());
  std::uint64_t last = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto life = std::chrono::microseconds(random() % 40'000);
    const std::vector<std::uint64_t> numbers = acknowledged(path, life);
    ASSERT_FALSE(numbers.empty()) << "round " << round;
    ASSERT_GT(numbers.front(), last) << "a number was given twice";
    last = numbers.back();

    const auto store = sqlite_store(path);
    const auto contents = store->open(kNow);
    ASSERT_TRUE(contents) << contents.error();
    // One more may have been written than was said, and all of it or nothing.
    ASSERT_GE(contents->last_id, last);
    ASSERT_LE(contents->last_id, last + 1);
    last = contents->last_id;
    std::vector<Revocation> expected;
    for (std::uint64_t id = last < kKept ? 1 : last - kKept + 1; id <= last; ++id) {
      expected.push_back(revocation(id));
    }
    ASSERT_EQ(contents->revocations, expected) << "round " << round;
    ASSERT_EQ(contents->seen.size(), last);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace sallyport::store
