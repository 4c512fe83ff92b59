#include "feature/admin/token_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "feature/admin/wrong_tokens.h"

namespace sallyport::admin {
namespace {

constexpr const char* kToken = "0123456789abcdef";

class TokenFileTest : public testing::Test {
 protected:
  TokenFileTest() {
    char name[] = "/tmp/sallyport-token-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ + "/admin.token";
  }
  ~TokenFileTest() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& text) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << text;
  }

  std::string folder_;
  std::string path_;
};

TEST_F(TokenFileTest, AcceptsItsContentWithoutTheLineEndAndNothingElse) {
  write(std::string(kToken) + "\r\n");
  TokenFile file(path_);
  EXPECT_FALSE(file.accepts(kToken));  // nothing has been read yet
  ASSERT_EQ(file.refresh(), "");
  EXPECT_TRUE(file.accepts(kToken));
  EXPECT_FALSE(file.accepts(""));
  EXPECT_FALSE(file.accepts("0123456789abcde"));
  EXPECT_FALSE(file.accepts("0123456789abcdef\n"));
  EXPECT_FALSE(file.accepts("0123456789abcdeF"));
}

TEST_F(TokenFileTest, TakesANewContentAtOnceAndForgetsTheOld) {
  write(kToken);
  TokenFile file(path_);
  ASSERT_EQ(file.refresh(), "");
  write("fedcba9876543210");
  ASSERT_EQ(file.refresh(), "");
  EXPECT_FALSE(file.accepts(kToken));
  EXPECT_TRUE(file.accepts("fedcba9876543210"));
}

TEST_F(TokenFileTest, LetsNobodyInWhileTheFileIsGoneAndComesBackWithIt) {
  write(kToken);
  TokenFile file(path_);
  ASSERT_EQ(file.refresh(), "");
  std::filesystem::remove(path_);
  EXPECT_NE(file.refresh().find("admin.token: cannot be opened"), std::string::npos);
  EXPECT_FALSE(file.accepts(kToken));
  write(kToken);
  EXPECT_EQ(file.refresh(), "");
  EXPECT_TRUE(file.accepts(kToken));
}

TEST_F(TokenFileTest, RefusesWhatIsNoTokenAndNeverSaysWhatItIs) {
  const std::string fifteen(15, 'q');
  const std::vector<std::string> texts{"",
                                       fifteen,
                                       fifteen + "\n\n",
                                       "two words qqqqqqqqqqqqqq",
                                       fifteen + "q\n" + fifteen,
                                       fifteen + "\xc3\xa9",
                                       std::string(17, '\0'),
                                       std::string(5000, 'q')};
  for (const std::string& text : texts) {
    write(text);
    TokenFile file(path_);
    const std::string fault = file.refresh();
    EXPECT_TRUE(fault.starts_with(path_ + ": ")) << text;
    EXPECT_EQ(fault.find("qqq"), std::string::npos) << fault;
    EXPECT_FALSE(file.accepts(text));
  }
}

TEST_F(TokenFileTest, RefusesAPipeAndAFolderWithoutWaiting) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_NE(TokenFile(path_).refresh(), "");
  EXPECT_NE(TokenFile(folder_).refresh(), "");
}

TEST_F(TokenFileTest, KnowsWhetherEverybodyMayReadIt) {
  write(kToken);
  ASSERT_EQ(::chmod(path_.c_str(), 0600), 0);
  TokenFile file(path_);
  ASSERT_EQ(file.refresh(), "");
  EXPECT_FALSE(file.exposed());
  ASSERT_EQ(::chmod(path_.c_str(), 0644), 0);
  ASSERT_EQ(file.refresh(), "");
  EXPECT_TRUE(file.exposed());
}

TEST(WrongTokens, AreAllowedInABurstAndThenOneByOne) {
  base::MonoTime now{std::chrono::hours(5)};
  WrongTokens wrong;
  for (unsigned i = 0; i < WrongTokens::kMost; ++i) EXPECT_TRUE(wrong.allow(now));
  EXPECT_FALSE(wrong.allow(now));
  now += WrongTokens::kEvery - base::Milliseconds(1);
  EXPECT_FALSE(wrong.allow(now));
  now += base::Milliseconds(1);
  EXPECT_TRUE(wrong.allow(now));
  EXPECT_FALSE(wrong.allow(now));
  now += std::chrono::hours(1);
  for (unsigned i = 0; i < WrongTokens::kMost; ++i) EXPECT_TRUE(wrong.allow(now));
  EXPECT_FALSE(wrong.allow(now));
}

}  // namespace
}  // namespace sallyport::admin
