#include "feature/config/tree.h"

#include <gtest/gtest.h>

#include <string>

#include "core/http/grammar.h"

namespace sallyport::config {
namespace {

// The error as "LINE: text", or "" if there is none.
std::string error_of(std::string_view text) {
  const auto table = parse_toml(text);
  return table ? "" : std::to_string(table.error().line) + ": " + table.error().text;
}

constexpr std::string_view kHint =
    "; the line has characters outside ASCII: quotation marks must be \" or '";

TEST(Tree, HasTheLinesOfKeysAndValues) {
  const auto table =
      parse_toml("a = 1\n\n[b]\nc = [\n  \"x\",\n  \"y\" ]\n[[d]]\n[[d]]\ne = true\n");
  ASSERT_TRUE(table);
  EXPECT_EQ(table->find("a")->line, 1);
  const auto& b = std::get<Table>(table->find("b")->node.value);
  EXPECT_EQ(b.find("c")->line, 4);
  EXPECT_EQ(std::get<List>(b.find("c")->node.value).items.at(1).line, 6);
  const auto& d = std::get<List>(table->find("d")->node.value);
  ASSERT_EQ(d.items.size(), 2U);
  EXPECT_EQ(d.items[0].line, 7);
  EXPECT_EQ(d.items[1].line, 8);
  EXPECT_EQ(table->find("z"), nullptr);
}

TEST(Tree, KeepsTheKindsOfValues) {
  const auto table =
      parse_toml("a=\"\"\nb=1\nc=1.5\nd=true\ne=1979-05-27\nf=[]\ng={}\nh=07:32:00\n");
  ASSERT_TRUE(table);
  std::string kinds;
  for (const Entry& entry : table->entries) kinds += std::string(kind_of(entry.node)) + ", ";
  EXPECT_EQ(
      kinds,
      "a string, an integer, a number with a fraction, a boolean, a date or time, a list, a table, "
      "a date or time, ");
}

TEST(Tree, TakesAnyCharacterInsideStringsAndComments) {
  EXPECT_EQ(error_of("a = \"ż\" # ż ' \"\nb = 'ż'\n\"ż\" = \"\"\"ż\"\nż \\\" ż\"\"\"\nc = "
                     "'''ż'ż''''' # ''' ż\n"),
            "");
  EXPECT_EQ(error_of("a = \"\\\"ż\"\n"), "");
  EXPECT_EQ(error_of("a = '\\' # ż\n"), "");
  EXPECT_EQ(error_of("\xEF\xBB\xBF"
                     "a = \"\"\n"),
            "");
}

TEST(Tree, SaysThatAStringIsNotClosed) {
  constexpr const char* kUnclosed = "2: TOML syntax: the string is not closed on its line";
  EXPECT_EQ(error_of("[a]\nx = \"abc\ny = 1\n"), kUnclosed);
  EXPECT_EQ(error_of("[a]\nx = [\"a\", \"abc]\r\ny = 1\r\n"), kUnclosed);
  EXPECT_EQ(error_of("[a]\nx = 'abc\ny = 1\n"), kUnclosed);
  EXPECT_EQ(error_of("[a]\nx = \"abc"), kUnclosed);
  EXPECT_EQ(error_of("x = \"\"\"abc\n\n"), "2: TOML syntax: a string of several lines is not closed");
  EXPECT_EQ(error_of("x = \"a\x01"
                     "b\"\n")
                .find("not closed"),
            std::string::npos);
}

TEST(Tree, GivesBackCharactersOutsideAsciiAsTheyAre) {
  const auto table = parse_toml("\"ż🙂\" = \"a\\u017cżé\\U0001F642🙂\u025d\"\nb = 'ż\\'\n");
  ASSERT_TRUE(table);
  ASSERT_NE(table->find("ż🙂"), nullptr);
  EXPECT_EQ(std::get<std::string>(table->find("ż🙂")->node.value), "ażżé🙂🙂\u025d");
  EXPECT_EQ(std::get<std::string>(table->find("b")->node.value), "ż\\");
}

TEST(Tree, RefusesCharactersOutsideAsciiOutsideStrings) {
  // U+025D is one for which the parser's own classification of characters is undefined.
  for (const char* text :
       {"ɝ = 2\n", "a = ɝ\n", "a = 1ɝ\n", "a = 1\"ɝ\"\n", "a = \"\"ɝ\n", "a = “json”\n", "[ɝ]\n",
        "a = { ɝ = 1 }\n", "a = [ɝ]\n", "a\u00a0= 1\n"}) {
    const std::string error = error_of(text);
    EXPECT_TRUE(error.starts_with("1: TOML syntax: ")) << text << error;
    EXPECT_TRUE(error.ends_with(kHint)) << text << error;
    EXPECT_TRUE(http::is_utf8(error)) << text;
  }
}

TEST(Tree, RefusesEscapesThatSpellHalfACharacter) {
  EXPECT_EQ(error_of("\na = \"\\U00100080\"\n"),
            "2: an escape names a character that cannot be taken");
  EXPECT_EQ(error_of("a = \"\\U00100000\"\n"), "");
}

TEST(Tree, RefusesInvalidUtf8InStrings) {
  EXPECT_NE(error_of("a = \"\xFF\"\n"), "");
}

TEST(Tree, RefusesStringsThatDoNotEnd) {
  for (const char* text :
       {"a = \"x\n", "a = 'x\nb = ż'\n", "a = \"\"\"x\n", "a = \"x\\", "a = '''x''"}) {
    EXPECT_TRUE(error_of(text).starts_with("1: TOML syntax: ") ||
                error_of(text).starts_with("2: TOML syntax: "))
        << text << error_of(text);
  }
}

TEST(Tree, RefusesWhatIsNestedTooDeeply) {
  EXPECT_EQ(error_of("a = [[[[[[[[[[[[]]]]]]]]]]]]\n"), "");
  EXPECT_EQ(error_of("x = 1\na = [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]\n"),
            "2: tables or lists are nested too deeply");
  EXPECT_EQ(error_of("[a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r]\n"),
            "1: tables or lists are nested too deeply");
}

TEST(Tree, RefusesFilesAndLinesThatAreTooLong) {
  EXPECT_EQ(error_of("a = 1\n#" + std::string(kConfigLineBytesMax - 1, 'x') + "\n"), "");
  EXPECT_EQ(error_of("a = 1\n#" + std::string(kConfigLineBytesMax, 'x') + "\n"),
            "2: the line is longer than 16384 bytes; write a list over several lines");
  EXPECT_EQ(error_of(std::string(kConfigBytesMax, '\n')), "");
  EXPECT_EQ(error_of(std::string(kConfigBytesMax + 1, '\n')),
            "1: the file is larger than 1048576 bytes");
}

TEST(Tree, SurvivesALineOfDottedKeys) {
  std::string line = "[a";
  while (line.size() + 3 < kConfigLineBytesMax) line += ".a";
  EXPECT_EQ(error_of(line + "]\n"), "1: tables or lists are nested too deeply");
}

}  // namespace
}  // namespace sallyport::config
