#include "main/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace sallyport::main {
namespace {

class NewFile : public testing::Test {
 protected:
  NewFile() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "sallyport-file-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    path_ = (folder_ / "f").string();
  }
  ~NewFile() override { std::filesystem::remove_all(folder_); }

  std::string content() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  mode_t mode() const {
    struct stat status{};
    EXPECT_EQ(::stat(path_.c_str(), &status), 0);
    return status.st_mode & 07777;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  std::filesystem::path folder_;
  std::string path_;
};

TEST_F(NewFile, HasItsBytesAndMode) {
  ASSERT_TRUE(write_file(path_, "secret", 0600, Existing::kKeep));
  EXPECT_EQ(content(), "secret");
  EXPECT_EQ(mode(), 0600U);
  EXPECT_EQ(files(), 1U);
  EXPECT_TRUE(file_exists(path_));
}

TEST_F(NewFile, DoesNotReplaceAnother) {
  ASSERT_TRUE(write_file(path_, "old", 0644, Existing::kKeep));
  const auto again = write_file(path_, "new", 0600, Existing::kKeep);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error(), path_ + " exists already; --force replaces it");
  EXPECT_EQ(content(), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(NewFile, ReplacesAnotherIfAskedAndTakesNotItsMode) {
  ASSERT_TRUE(write_file(path_, "old", 0644, Existing::kKeep));
  ASSERT_TRUE(write_file(path_, "new", 0600, Existing::kReplace));
  EXPECT_EQ(content(), "new");
  EXPECT_EQ(mode(), 0600U);
  EXPECT_EQ(files(), 1U);
}

TEST_F(NewFile, DoesNotFollowALinkThatExists) {
  std::filesystem::create_symlink(folder_ / "elsewhere", path_);
  EXPECT_FALSE(write_file(path_, "x", 0600, Existing::kKeep));
  EXPECT_FALSE(file_exists((folder_ / "elsewhere").string()));
  EXPECT_TRUE(file_exists(path_));
}

TEST_F(NewFile, IsReportedIfItCannotBeWritten) {
  const std::string path = (folder_ / "none" / "f").string();
  const auto written = write_file(path, "x", 0600, Existing::kKeep);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), path + ": cannot be written: No such file or directory");
}

}  // namespace
}  // namespace sallyport::main
