#include "feature/config/spelling.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::config {
namespace {

TEST(Spelling, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("listen", "listen"), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("lissten", "listen"), 1U);
  EXPECT_EQ(edit_distance("listn", "listen"), 1U);
  EXPECT_EQ(edit_distance("lizten", "listen"), 1U);
  EXPECT_EQ(edit_distance("lisetn", "listen"), 1U);
  EXPECT_EQ(edit_distance("listen_on", "listen"), 3U);
}

TEST(Spelling, SuggestsTheNearestWithinTwoEdits) {
  const std::vector<std::string> words{"origins", "issuer", "handler", "do"};
  EXPECT_EQ(did_you_mean("origin", words), "; did you mean \"origins\"?");
  EXPECT_EQ(did_you_mean("isuer", words), "; did you mean \"issuer\"?");
  EXPECT_EQ(did_you_mean("orig", words), "");
  EXPECT_EQ(did_you_mean("completely_different", words), "");
}

TEST(Spelling, PrefersTheWordThatDiffersInCaseOnly) {
  const std::vector<std::string> words{"HS256", "ES256"};
  EXPECT_EQ(did_you_mean("es256", words), "; did you mean \"ES256\"?");
}

TEST(Spelling, SuggestsNoShortWordOfWhichNothingIsLeft) {
  const std::vector<std::string> words{"do"};
  EXPECT_EQ(did_you_mean("ab", words), "");
  EXPECT_EQ(did_you_mean("to", words), "; did you mean \"do\"?");
}

TEST(Spelling, DoesNotCompareWordsOfAnyLength) {
  EXPECT_EQ(did_you_mean(std::string(1 << 20, 'a'), std::vector<std::string>{"a"}), "");
}

}  // namespace
}  // namespace sallyport::config
