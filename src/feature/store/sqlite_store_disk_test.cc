#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sallyport/store.h"

// A disk that fails when the test says so, under SQLite's own file layer.

namespace sallyport::store {
namespace {

constexpr WallTime kNow{std::chrono::milliseconds(1'700'000'000'000)};
constexpr int kNeverFails = std::numeric_limits<int>::max();

// SQLite's file system is a table of functions: this one's files are the usual ones, with `write` and `sync`
// seen to first. SQLite hands no context to them, hence the statics.
class FailingDisk {
 public:
  static inline int syncs = 0;
  static inline int until_failure = kNeverFails;  // so many writes and syncs still succeed
  static inline bool stays_broken = false;

  FailingDisk() {
    syncs = 0;
    until_failure = kNeverFails;
    stays_broken = false;
    real_ = sqlite3_vfs_find(nullptr);
    layer_ = *real_;
    layer_.zName = "failing";
    layer_.xOpen = &FailingDisk::open;
    sqlite3_vfs_register(&layer_, 1);
  }
  FailingDisk(const FailingDisk&) = delete;
  FailingDisk& operator=(const FailingDisk&) = delete;
  ~FailingDisk() { sqlite3_vfs_unregister(&layer_); }

 private:
  static int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* opened) {
    const int code = real_->xOpen(real_, name, file, flags, opened);
    if (file->pMethods == nullptr) return code;
    // Locked and unlocked files have tables of their own.
    const sqlite3_io_methods* const usual = file->pMethods;
    auto [entry, added] = methods_.try_emplace(usual, *usual);
    entry->second.xWrite = &FailingDisk::write;
    entry->second.xSync = &FailingDisk::sync;
    usual_ = usual;
    file->pMethods = &entry->second;
    return code;
  }
  static bool fails() {
    if (until_failure == kNeverFails) return false;
    if (until_failure > 0) {
      --until_failure;
      return false;
    }
    if (!stays_broken) until_failure = kNeverFails;
    return true;
  }
  static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    return fails() ? SQLITE_IOERR_WRITE : usual_->xWrite(file, data, size, offset);
  }
  // The test asks whether it is called; the disk of the machine need not be bothered.
  static int sync(sqlite3_file*, int) {
    ++syncs;
    return fails() ? SQLITE_IOERR_FSYNC : SQLITE_OK;
  }

  static inline sqlite3_vfs* real_ = nullptr;
  static inline const sqlite3_io_methods* usual_ = nullptr;  // `xWrite` is the same in all tables
  static inline std::map<const sqlite3_io_methods*, sqlite3_io_methods> methods_;
  sqlite3_vfs layer_{};
};

class SqliteStoreDiskTest : public ::testing::Test {
 protected:
  void SetUp() override { begin_anew(); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void begin_anew() const {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  static Store::Changes changes(std::uint64_t first) {
    Store::Changes changes;
    for (std::uint64_t id = first; id < first + 3; ++id) {
      changes.put.push_back({.id = id, .selector = {.subject = "u" + std::to_string(id)}, .created = kNow});
    }
    return changes;
  }
  // How many of the three are there.
  static std::size_t count(const Store::Contents& contents, std::uint64_t first) {
    std::size_t found = 0;
    for (const Revocation& each : contents.revocations) {
      found += each.id >= first && each.id < first + 3 ? 1 : 0;
    }
    return found;
  }

  FailingDisk disk_;
  const std::string folder_ = ::testing::TempDir() + "sqlite_store_disk_" + std::to_string(::getpid());
  const std::string path_ = folder_ + "/sallyport.db";
};

TEST_F(SqliteStoreDiskTest, HasSyncedWhatItAcknowledges) {
  const auto store = sqlite_store(path_);
  ASSERT_TRUE(store->open(kNow));
  for (std::uint64_t id = 1; id < 100; id += 3) {
    const int before = FailingDisk::syncs;
    ASSERT_TRUE(store->write(changes(id)));
    EXPECT_GT(FailingDisk::syncs, before);
  }
}

TEST_F(SqliteStoreDiskTest, DoesNotAcknowledgeWhatTheDiskDidNotTake) {
  const auto store = sqlite_store(path_);
  ASSERT_TRUE(store->open(kNow));
  ASSERT_TRUE(store->write(changes(1)));
  FailingDisk::until_failure = 0;
  FailingDisk::stays_broken = true;
  for (int i = 0; i < 3; ++i) {
    const auto written = store->write(changes(4));
    ASSERT_FALSE(written);
    EXPECT_NE(written.error().find("disk I/O error"), std::string::npos) << written.error();
    EXPECT_EQ(written.error().find("u4"), std::string::npos) << "it may be in a log";
  }
  FailingDisk::until_failure = kNeverFails;
  EXPECT_TRUE(store->write(changes(7))) << "and goes on when it can";
  store->close();
  const auto contents = store->open(kNow);
  ASSERT_TRUE(contents) << contents.error();
  EXPECT_EQ(count(*contents, 1), 3U);
  EXPECT_EQ(count(*contents, 4), 0U);
  EXPECT_EQ(count(*contents, 7), 3U);
}

// Whichever of a store's first writes and syncs fails, from the file's creation on: what it acknowledged is
// there, what it refused is there whole or not at all, and the file can be opened.
TEST_F(SqliteStoreDiskTest, SurvivesTheFailureOfAnyOneOperation) {
  int failed_opens = 0;
  int failed_writes = 0;
  for (const bool stays_broken : {false, true}) {
    for (int operation = 0;; ++operation) {
      begin_anew();
      FailingDisk::until_failure = operation;
      FailingDisk::stays_broken = stays_broken;
      bool acknowledged[3]{};
      {
        const auto store = sqlite_store(path_);
        const auto opened = store->open(kNow);
        if (!opened) ++failed_opens;
        for (std::uint64_t i = 0; opened && i < 3; ++i) {
          acknowledged[i] = store->write(changes(1 + 3 * i)).has_value();
          if (!acknowledged[i]) ++failed_writes;
        }
      }
      const bool all_done = FailingDisk::until_failure != kNeverFails && FailingDisk::until_failure > 0;
      FailingDisk::until_failure = kNeverFails;
      const auto store = sqlite_store(path_);
      const auto contents = store->open(kNow);
      ASSERT_TRUE(contents) << "after failure " << operation << ": " << contents.error();
      for (std::uint64_t i = 0; i < 3; ++i) {
        const std::size_t found = count(*contents, 1 + 3 * i);
        ASSERT_TRUE(found == 3 || (found == 0 && !acknowledged[i])) << "after failure " << operation;
      }
      ASSERT_TRUE(store->write(changes(10)));
      if (all_done) break;
    }
  }
  EXPECT_GT(failed_opens, 5);
  EXPECT_GT(failed_writes, 5);
}

}  // namespace
}  // namespace sallyport::store
