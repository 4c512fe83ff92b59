#include "io/file_watch.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "io/test_certificate.h"

namespace sallyport::io {
namespace {

using namespace std::chrono_literals;

class FileWatchTest : public ::testing::Test {
 protected:
  void watch(std::vector<std::string> paths) {
    std::vector<FileWatch::File> files;
    for (const std::string& path : paths) files.push_back({path, stamp_of(path)});
    watch_ = std::make_unique<FileWatch>(context_, std::move(files), [this] { ++told_; });
  }
  // False if it has not been told so often after a patient while.
  bool hears(int times) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (told_ < times && std::chrono::steady_clock::now() < end) context_.run_for(20ms);
    return told_ == times;
  }
  // Lets some looks pass.
  void wait() { context_.run_for(3 * FileWatch::kEvery); }
  void replace(const std::string& path, const std::string& text) {
    std::filesystem::rename(folder_.write("next", text), path);
  }

  test::TempFolder folder_;
  boost::asio::io_context context_;
  std::unique_ptr<FileWatch> watch_;
  int told_ = 0;
};

TEST_F(FileWatchTest, SaysNothingWhereNothingChanges) {
  watch({folder_.write("a", "1"), folder_.path() + "/none"});
  wait();
  EXPECT_EQ(told_, 0);
}

TEST_F(FileWatchTest, TellsOnceOfAFileThatWasReplaced) {
  const std::string path = folder_.write("a", "1");
  watch({path});
  replace(path, "2");
  EXPECT_TRUE(hears(1));
  wait();
  EXPECT_EQ(told_, 1);
  replace(path, "3");
  EXPECT_TRUE(hears(2));
}

TEST_F(FileWatchTest, TellsOfAFileThatWasWrittenInPlace) {
  const std::string path = folder_.write("a", "1");
  watch({path});
  std::ofstream(path) << "22";
  EXPECT_TRUE(hears(1));
}

TEST_F(FileWatchTest, TellsOfTheSameSizeAndTimeInPlace) {
  const std::string path = folder_.write("a", "1");
  const auto time = std::filesystem::last_write_time(path);
  watch({path});
  // Longer than the clock of file times ticks.
  context_.run_for(50ms);
  std::ofstream(path) << "2";
  std::filesystem::last_write_time(path, time);
  EXPECT_TRUE(hears(1));
}

TEST_F(FileWatchTest, TellsOfAChangeSinceTheStampAndNotOnlySinceItLooks) {
  const std::string path = folder_.write("a", "1");
  const FileStamp before = stamp_of(path);
  replace(path, "2");
  watch_ = std::make_unique<FileWatch>(context_, std::vector<FileWatch::File>{{path, before}}, [this] { ++told_; });
  EXPECT_TRUE(hears(1));
}

TEST_F(FileWatchTest, TellsThatAFileHasGoneAndThatItIsBack) {
  const std::string path = folder_.write("a", "1");
  watch({path});
  std::filesystem::remove(path);
  EXPECT_TRUE(hears(1));
  folder_.write("a", "1");
  EXPECT_TRUE(hears(2));
}

// As orchestrators hand out secrets: the folder behind the link changes, the link's name does not.
TEST_F(FileWatchTest, FollowsLinks) {
  folder_.write("old/a", "1");
  folder_.write("new/a", "1");
  const std::string link = folder_.path() + "/current";
  std::filesystem::create_directory_symlink(folder_.path() + "/old", link);
  watch({link + "/a"});
  std::filesystem::create_directory_symlink(folder_.path() + "/new", link + ".next");
  std::filesystem::rename(link + ".next", link);
  EXPECT_TRUE(hears(1));
}

TEST_F(FileWatchTest, WaitsUntilTheWriterHasFinished) {
  const std::string path = folder_.write("a", "1");
  watch({path});
  std::ofstream file(path);
  const auto end = std::chrono::steady_clock::now() + 1500ms;
  while (std::chrono::steady_clock::now() < end) {
    const auto begin = std::chrono::steady_clock::now();
    file << "more" << std::flush;
    context_.run_for(5ms);
    const auto took = std::chrono::steady_clock::now() - begin;
    if (took > FileWatch::kSettle / 2) GTEST_SKIP() << "on a machine this busy the writer looks as if it had finished";
    ASSERT_EQ(told_, 0);
  }
  EXPECT_TRUE(hears(1));
}

TEST_F(FileWatchTest, OfSeveralFilesTellsOfAny) {
  const std::string a = folder_.write("a", "1");
  const std::string b = folder_.write("b", "1");
  watch({a, b});
  replace(b, "2");
  EXPECT_TRUE(hears(1));
  replace(a, "2");
  EXPECT_TRUE(hears(2));
}

TEST_F(FileWatchTest, MayBeEndedByWhoIsTold) {
  const std::string path = folder_.write("a", "1");
  watch_ = std::make_unique<FileWatch>(context_, std::vector<FileWatch::File>{{path, stamp_of(path)}}, [this] {
    ++told_;
    watch_.reset();
  });
  replace(path, "2");
  EXPECT_TRUE(hears(1));
  replace(path, "3");
  wait();
  EXPECT_EQ(told_, 1);
}

TEST(FileStamp, TellsFilesFromWhatIsNone) {
  const test::TempFolder folder;
  EXPECT_EQ(stamp_of(folder.path() + "/none").kind, FileStamp::Kind::kAbsent);
  EXPECT_EQ(stamp_of(folder.path()).kind, FileStamp::Kind::kOther);
  EXPECT_EQ(stamp_of(folder.write("a", "1")).kind, FileStamp::Kind::kRegular);
  ASSERT_EQ(::mkfifo((folder.path() + "/pipe").c_str(), 0600), 0);
  EXPECT_EQ(stamp_of(folder.path() + "/pipe").kind, FileStamp::Kind::kOther);
}

}  // namespace
}  // namespace sallyport::io
