#include "server/log_text.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::server {
namespace {

TEST(LogText, ShowsAPathWithoutItsQuery) {
  EXPECT_EQ(path_for_log("/"), "/");
  EXPECT_EQ(path_for_log("/chat/blue?token=secret"), "/chat/blue");
  EXPECT_EQ(path_for_log("/a%20b//c/"), "/a%20b//c/");
}

TEST(LogText, ShowsNothingOfAPathThatCouldBeACredential) {
  const std::string jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
  EXPECT_EQ(path_for_log("/chat/" + jwt), "/chat/...");
  EXPECT_EQ(path_for_log("/eyJ/x"), "/.../x");
  EXPECT_EQ(path_for_log("/" + std::string(32, 'f') + "/x"), "/.../x");
  EXPECT_EQ(path_for_log("/" + std::string(31, 'f')), "/" + std::string(31, 'f'));
}

TEST(LogText, CutsAPathAndReplacesWhatIsNotPrintable) {
  EXPECT_EQ(path_for_log("/a\x1b[2J\nb\xc3\xa4"), "/a?[2J?b??");
  std::string path;
  for (int i = 0; i < 2000; ++i) path += "/ab";
  EXPECT_EQ(path_for_log(path).size(), 203U);
  EXPECT_TRUE(path_for_log(path).ends_with("..."));
}

TEST(LogText, NamesAForeignOrigin) {
  EXPECT_EQ(foreign_origin_for_log("http://LOCALHOST:3000"),
            "the Origin http://localhost:3000 is not among the route's; if that page is yours, list it in origins");
}

TEST(LogText, DoesNotRepeatWhatIsNoOrigin) {
  for (const std::string value : {"null", "https://user:secret@a.example", "https://a.example/secret", "secret",
                                  "https://a.example\x1bsecret", ""}) {
    const std::string text = foreign_origin_for_log(value);
    EXPECT_TRUE(text.starts_with("the Origin is none of a page: ")) << text;
    EXPECT_EQ(text.find("secret"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace sallyport::server
