#include "feature/store/sqlite_store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "feature/store/test_child.h"

namespace sallyport::store {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr WallTime kNow{std::chrono::milliseconds(1'700'000'000'000)};

Store::TokenDigest digest(std::uint8_t first) {
  Store::TokenDigest digest{};
  digest.fill(0xab);
  digest[0] = first;
  return digest;
}

Revocation revocation(std::uint64_t id, std::string subject, std::optional<WallTime> until = {}) {
  return {.id = id, .selector = {.subject = std::move(subject)}, .created = kNow, .until = until};
}

class SqliteStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::shared_ptr<Store> opened(SqliteOptions options = {}) {
    auto store = make_sqlite_store(path_, std::move(options));
    const auto contents = store->open(kNow);
    EXPECT_TRUE(contents) << contents.error();
    return store;
  }
  Store::Contents contents(WallTime now = kNow) { return contents_of(path_, now); }
  static Store::Contents contents_of(const std::string& path, WallTime now = kNow) {
    const auto store = sqlite_store(path);
    auto contents = store->open(now);
    EXPECT_TRUE(contents) << contents.error();
    return contents.value_or(Store::Contents{});
  }
  // Why it cannot be opened; nothing if it can.
  static std::string fault(const std::string& path) {
    const auto store = sqlite_store(path);
    const auto contents = store->open(kNow);
    return contents ? "" : contents.error();
  }
  std::string fault() const { return fault(path_); }
  // Another program's work on the file.
  void execute(const std::string& sql) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
    std::filesystem::permissions(path_, std::filesystem::perms(0600));
  }
  static mode_t mode_of(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  }

  const std::string folder_ = ::testing::TempDir() + "sqlite_store_" + std::to_string(::getpid());
  const std::string path_ = folder_ + "/sallyport.db";
};

void expect_says(const std::string& text, std::string_view words, const ::testing::Message& where = {}) {
  EXPECT_NE(text.find(words), std::string::npos) << text << ' ' << where;
}

TEST_F(SqliteStoreTest, BeginsWithNothing) {
  const Store::Contents found = contents();
  EXPECT_TRUE(found.revocations.empty());
  EXPECT_TRUE(found.seen.empty());
  EXPECT_EQ(found.last_id, 0U);
}

TEST_F(SqliteStoreTest, KeepsEverythingThatARevocationSays) {
  const std::vector<Revocation> given{
      {.id = 1, .selector = {.issuer = "https://id.example/"}, .created = kNow},
      {.id = 2,
       .selector =
           {.issuer = "i", .subject = "s", .session = "n", .token_id = "t", .issued_before = kNow - 1ms},
       .reason = Failure::kLoggedOut,
       .created = kNow + 7ms,
       .until = kNow + 1h},
      {.id = 3, .selector = {.issued_before = WallTime(std::chrono::milliseconds(-1))}, .created = kNow},
      {.id = 40, .selector = {.subject = std::string("a\0b", 3)}, .created = kNow},
      {.id = 41, .selector = {.session = "'); DROP TABLE revocation; --"}, .created = kNow},
      {.id = 42, .selector = {.token_id = "\xff\xfe not UTF-8 \xc3"}, .created = kNow},
      {.id = 43,
       .selector = {.subject = std::string(100'000, 'x')},
       .created = kNow,
       .until = WallTime::max()}};
  ASSERT_TRUE(opened()->write({.put = given}));
  const Store::Contents found = contents();
  EXPECT_EQ(found.revocations, given);
  EXPECT_EQ(found.last_id, 43U);
}

TEST_F(SqliteStoreTest, KeepsTheLogoutTokensThatWereUsed) {
  const std::vector<Store::SeenToken> given{{digest(1), kNow + 2min}, {digest(2), kNow + 3min}};
  ASSERT_TRUE(opened()->write({.put = {revocation(1, "alice")}, .seen = given}));
  ASSERT_TRUE(opened()->write({.seen = {{digest(1), kNow + 4min}}}));
  std::vector<Store::SeenToken> found = contents().seen;
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.digest < b.digest; });
  EXPECT_EQ(found, (std::vector<Store::SeenToken>{{digest(1), kNow + 4min}, {digest(2), kNow + 3min}}));
}

TEST_F(SqliteStoreTest, ReplacesTheOneWithTheSameNumberAndForgetsWhatIsLifted) {
  const auto store = opened();
  ASSERT_TRUE(store->write({.put = {revocation(1, "alice", kNow + 1h), revocation(2, "bob")}}));
  ASSERT_TRUE(store->write({.put = {revocation(1, "alice", kNow + 2h)}}));
  ASSERT_TRUE(store->write({.put = {revocation(3, "carol")}, .erase = {2, 3, 99, ~std::uint64_t{0}}}));
  store->close();
  EXPECT_EQ(contents().revocations, std::vector<Revocation>{revocation(1, "alice", kNow + 2h)});
}

TEST_F(SqliteStoreTest, NeverGivesTheHighestNumberAgain) {
  const auto store = opened();
  ASSERT_TRUE(store->write({.put = {revocation(7, "alice"), revocation(5, "bob")}}));
  ASSERT_TRUE(store->write({.erase = {7}}));
  store->close();
  EXPECT_EQ(contents().last_id, 7U);
}

TEST_F(SqliteStoreTest, CanBeOpenedAgainAfterItWasClosed) {
  const auto store = opened();
  ASSERT_TRUE(store->write({.put = {revocation(1, "alice")}}));
  store->close();
  store->close();
  EXPECT_FALSE(store->write({.put = {revocation(2, "bob")}}));
  const auto again = store->open(kNow);
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(again->revocations.size(), 1U);
  EXPECT_TRUE(store->write({.put = {revocation(2, "bob")}}));
  EXPECT_FALSE(store->open(kNow)) << "it is open";
  EXPECT_TRUE(store->write({.put = {revocation(3, "carol")}})) << "and stays so";
}

TEST_F(SqliteStoreTest, LeavesOutWhatHasEnded) {
  ASSERT_TRUE(
      opened()->write({.put = {revocation(1, "alice", kNow + 1s), revocation(2, "bob", kNow + 1s + 1ms)},
                       .seen = {{digest(1), kNow + 1s}, {digest(2), kNow + 1s + 1ms}}}));
  const Store::Contents found = contents(kNow + 1s);
  ASSERT_EQ(found.revocations.size(), 1U);
  EXPECT_EQ(found.revocations[0].id, 2U);
  ASSERT_EQ(found.seen.size(), 1U);
  EXPECT_EQ(found.seen[0].digest, digest(2));
  EXPECT_EQ(contents(kNow).revocations.size(), 2U) << "the clock was wrong and has been set back";
  EXPECT_EQ(contents(kNow + 24h).revocations.size(), 0U);
  EXPECT_EQ(contents(kNow).revocations.size(), 0U) << "what ended long ago is deleted";
  EXPECT_EQ(contents(kNow).last_id, 2U);
}

TEST_F(SqliteStoreTest, DeletesWhatHasEndedWhileItIsOpen) {
  WallTime now = kNow;
  const auto store = opened({.clock = [&] { return now; }});
  ASSERT_TRUE(store->write({.put = {revocation(1, "alice", kNow + 1s), revocation(2, "bob", kNow + 24h)},
                            .seen = {{digest(1), kNow + 1s}, {digest(2), kNow + 24h}}}));
  now += 2h;
  ASSERT_TRUE(store->write({.put = {revocation(3, "carol")}}));
  store->close();
  const Store::Contents found = contents(kNow);
  ASSERT_EQ(found.revocations.size(), 2U);
  EXPECT_EQ(found.revocations[0].id, 2U);
  ASSERT_EQ(found.seen.size(), 1U);
  EXPECT_EQ(found.seen[0].digest, digest(2));
}

TEST_F(SqliteStoreTest, WritesAllOrNothing) {
  const auto store = opened();
  const auto refused =
      store->write({.put = {revocation(1, "alice"), revocation(2, "")}, .seen = {{digest(1), kNow + 1h}}});
  ASSERT_FALSE(refused);
  EXPECT_FALSE(store->write({.put = {revocation(1, "alice"), {.id = 2, .selector = {}, .created = kNow}}}));
  EXPECT_FALSE(store->write({.put = {revocation(1, "alice"), revocation(0, "bob")}}));
  EXPECT_FALSE(store->write({.put = {revocation(1, "alice"), revocation(~std::uint64_t{0}, "bob")}}));
  Revocation strange = revocation(2, "bob");
  strange.reason = Failure::kInternal;
  EXPECT_FALSE(store->write({.put = {revocation(1, "alice"), strange}}));
  ASSERT_TRUE(store->write({.put = {revocation(9, "later")}})) << "a refused write does not stand in the way";
  store->close();
  EXPECT_EQ(contents().revocations, std::vector<Revocation>{revocation(9, "later")});
  EXPECT_TRUE(contents().seen.empty());
}

TEST_F(SqliteStoreTest, MakesFilesThatItsOwnerAloneCanRead) {
  const mode_t before = ::umask(0);
  const auto store = opened();
  ASSERT_TRUE(store->write({.put = {revocation(1, "alice")}}));
  ::umask(before);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    EXPECT_EQ(mode_of(entry.path()), 0600U) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 2) << "the file and its log";
}

TEST_F(SqliteStoreTest, RefusesAFileThatOthersMayReadOrChange) {
  ASSERT_TRUE(opened()->write({.put = {revocation(1, "alice")}}));
  for (const unsigned mode : {0640U, 0604U, 0620U, 0602U}) {
    std::filesystem::permissions(path_, std::filesystem::perms(mode));
    expect_says(fault(), "chmod 600");
  }
  std::filesystem::permissions(path_, std::filesystem::perms(0600));
  EXPECT_EQ(fault(), "");
}

TEST_F(SqliteStoreTest, TakesEveryPathForTheNameOfAFile) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  for (const char* const name : {":memory:", "file:x.db?mode=memory", "plain.db"}) {
    const auto store = sqlite_store(name);
    ASSERT_TRUE(store->open(kNow)) << name;
    ASSERT_TRUE(store->write({.put = {revocation(1, "alice")}}));
    store->close();
    EXPECT_TRUE(std::filesystem::exists(folder_ + "/" + name)) << name;
    EXPECT_EQ(contents_of(name).revocations.size(), 1U) << name;
  }
  std::filesystem::current_path(before);
  expect_says(fault(""), "file name");
}

TEST_F(SqliteStoreTest, RefusesWhatIsNotADatabase) {
  std::ofstream(path_) << std::string(10'000, 'x');
  std::filesystem::permissions(path_, std::filesystem::perms(0600));
  expect_says(fault(), "is not an SQLite database; name another file");
  EXPECT_EQ(std::filesystem::file_size(path_), 10'000U) << "nor touches it";
}

TEST_F(SqliteStoreTest, RefusesTheDatabaseOfAnotherProgram) {
  execute("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine')");
  expect_says(fault(), "another program");
  execute("INSERT INTO notes VALUES ('still')");
}

TEST_F(SqliteStoreTest, RefusesTheFileOfANewerVersion) {
  ASSERT_TRUE(opened()->write({.put = {revocation(1, "alice")}}));
  execute("PRAGMA user_version = 2");
  expect_says(fault(), "another version of sallyport");
  execute("PRAGMA user_version = 1");
  EXPECT_EQ(contents().revocations.size(), 1U);
}

TEST_F(SqliteStoreTest, BeginsAnewWhereItsCreationWasCutShort) {
  std::ofstream(path_).close();
  std::filesystem::permissions(path_, std::filesystem::perms(0600));
  ASSERT_TRUE(opened()->write({.put = {revocation(1, "alice")}}));
  EXPECT_EQ(contents().revocations.size(), 1U);
}

TEST_F(SqliteStoreTest, RefusesADamagedFileAndSaysWhatToDo) {
  {
    const auto store = opened();
    std::vector<Revocation> many;
    for (std::uint64_t id = 1; id <= 2'000; ++id) {
      many.push_back(revocation(id, "user-" + std::to_string(id)));
    }
    ASSERT_TRUE(store->write({.put = many}));
  }
  const std::string whole = [&] {
    std::ifstream file(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  ASSERT_GT(whole.size(), 20U * 4096);
  // Any page but the first, and a file that ends too early.
  for (std::size_t page = 1; page < whole.size() / 4096; page += 3) {
    std::string broken = whole;
    std::fill_n(broken.begin() + static_cast<std::ptrdiff_t>(page * 4096), 4096, '\x5a');
    std::ofstream(path_, std::ios::binary) << broken;
    const std::string said = fault();
    expect_says(said, "is damaged", ::testing::Message() << page);
    expect_says(said, "restore a copy, or move it away", ::testing::Message() << page);
  }
  std::ofstream(path_, std::ios::binary) << whole.substr(0, whole.size() / 2);
  expect_says(fault(), "is damaged");
  std::ofstream(path_, std::ios::binary) << whole;
  EXPECT_EQ(contents().revocations.size(), 2'000U);
}

TEST_F(SqliteStoreTest, RefusesRowsThatMakeNoSense) {
  ASSERT_TRUE(opened()->write({.put = {revocation(1, "alice")}, .seen = {{digest(1), kNow + 1h}}}));
  const std::vector<std::pair<std::string, std::string>> damage{
      {"UPDATE revocation SET subject = NULL", "UPDATE revocation SET subject = 'alice'"},
      {"UPDATE revocation SET subject = ''", "UPDATE revocation SET subject = 'alice'"},
      {"UPDATE revocation SET reason = 'unheard_of'", "UPDATE revocation SET reason = 'token_revoked'"},
      {"UPDATE revocation SET id = -1", "UPDATE revocation SET id = 1"},
      {"UPDATE numbering SET last_id = 0", "UPDATE numbering SET last_id = 1"},
      {"DELETE FROM numbering", "INSERT INTO numbering VALUES (1, 1)"},
      {"UPDATE seen_token SET digest = x'00'", "DELETE FROM seen_token"}};
  for (const auto& [breaks, mends] : damage) {
    execute(breaks);
    expect_says(fault(), "is damaged", ::testing::Message() << breaks);
    execute(mends);
    EXPECT_EQ(fault(), "") << breaks;
  }
}

TEST_F(SqliteStoreTest, SaysWhatIsWrongWithThePath) {
  expect_says(fault(folder_ + "/missing/sallyport.db"), "folder must exist");
  expect_says(fault(folder_), "is not a file");
}

TEST_F(SqliteStoreTest, RefusesAFolderThatCannotBeWritten) {
  std::filesystem::permissions(folder_, std::filesystem::perms(0555));
  expect_says(in_child([&] { return fault(); }, true), "writable by this user");
  std::filesystem::permissions(folder_, std::filesystem::perms(0777));
  ASSERT_EQ(in_child([&] { return fault(); }, true), "");
  // The file is there, but not the room for the log beside it.
  std::filesystem::permissions(folder_, std::filesystem::perms(0555));
  expect_says(in_child([&] { return fault(); }, true), "writable by this user");
  std::filesystem::permissions(folder_, std::filesystem::perms(0777));
}

TEST_F(SqliteStoreTest, RefusesAFileThatCannotBeWritten) {
  std::filesystem::permissions(folder_, std::filesystem::perms(0777));
  ASSERT_EQ(in_child([&] { return fault(); }, true), "");
  std::filesystem::permissions(path_, std::filesystem::perms(0400));
  expect_says(in_child([&] { return fault(); }, true), "may not be written");
}

TEST_F(SqliteStoreTest, SaysThatTheDiskIsFullAndLosesNothing) {
  std::uint64_t acknowledged = 0;
  std::string said;
  {
    const auto store = opened({.pages_max = 40});
    for (std::uint64_t id = 1; said.empty() && id < 10'000; ++id) {
      const std::string subject = "secret-subject-" + std::to_string(id) + std::string(1'000, 'x');
      const auto written = store->write({.put = {revocation(id, subject)}});
      if (written) {
        acknowledged = id;
      } else {
        said = written.error();
      }
    }
    EXPECT_TRUE(store->write({.erase = {1, 2, 3}})) << "there is still room for less";
  }
  expect_says(said, "full");
  EXPECT_EQ(said.find("secret-subject"), std::string::npos) << said;
  ASSERT_GT(acknowledged, 10U);
  const Store::Contents found = contents();
  EXPECT_EQ(found.last_id, acknowledged);
  ASSERT_EQ(found.revocations.size(), acknowledged - 3);
  EXPECT_EQ(found.revocations.back().id, acknowledged);
}

TEST_F(SqliteStoreTest, LetsOneProcessUseItAtATime) {
  // It begins first: it must not inherit what SQLite knows in this process.
  Child other([&] { return fault(); });
  const auto store = opened();
  expect_says(other.ask(), "another process uses this store");
  ASSERT_TRUE(store->write({.put = {revocation(1, "alice")}}));
  expect_says(other.ask(), "another process uses this store");
  // Neither a refused attempt in this process nor what it closes gives the file away.
  expect_says(fault(), "another process uses this store");
  expect_says(other.ask(), "another process uses this store");
  ASSERT_TRUE(store->write({.put = {revocation(2, "bob")}}));
  store->close();
  EXPECT_EQ(other.ask(), "");
  EXPECT_EQ(contents().revocations.size(), 2U);
}

TEST_F(SqliteStoreTest, IsFreeAgainWhenItsProcessHasDied) {
  EXPECT_EQ(in_child([&] {
              // Leaves without closing: the log stays.
              auto* const store = new std::shared_ptr<Store>(make_sqlite_store(path_, {}));
              if (!(*store)->open(kNow)) return "not opened";
              return (*store)->write({.put = {revocation(1, "alice")}}) ? "written" : "not written";
            }),
            "written");
  EXPECT_TRUE(std::filesystem::exists(path_ + "-wal"));
  EXPECT_EQ(contents().revocations, std::vector<Revocation>{revocation(1, "alice")});
}

TEST_F(SqliteStoreTest, HoldsManyAndDoesNotLetItsLogGrow) {
  const auto store = opened();
  for (std::uint64_t batch = 0; batch < 20; ++batch) {
    std::vector<Revocation> many;
    for (std::uint64_t i = 1; i <= 5'000; ++i) {
      many.push_back(revocation(batch * 5'000 + i, "user-" + std::to_string(i)));
    }
    ASSERT_TRUE(store->write({.put = many}));
  }
  EXPECT_LT(std::filesystem::file_size(path_ + "-wal"), 17U * 1024 * 1024);
  store->close();
  EXPECT_EQ(contents().revocations.size(), 100'000U);
}

}  // namespace
}  // namespace sallyport::store
