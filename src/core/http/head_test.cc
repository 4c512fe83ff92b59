#include "core/http/head.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/http/head_test_support.h"
#include "core/http/subprotocol.h"

namespace sallyport::http {
namespace {

Head with(std::string_view target, std::string_view fields = {}) {
  return head_of(request(target, fields));
}

// After an erase the head must read like one that never had the erased part.
void expect_same(const Head& head, const std::string& text) {
  EXPECT_EQ(head.text(), text);
  const Head fresh = head_of(text);
  EXPECT_EQ(head.method(), fresh.method());
  EXPECT_EQ(head.target(), fresh.target());
  EXPECT_EQ(head.raw_path(), fresh.raw_path());
  EXPECT_EQ(head.query(), fresh.query());
  ASSERT_EQ(head.field_count(), fresh.field_count());
  for (std::size_t i = 0; i < fresh.field_count(); ++i) {
    EXPECT_EQ(head.field(i).name, fresh.field(i).name);
    EXPECT_EQ(head.field(i).value, fresh.field(i).value);
  }
}

TEST(Head, FindsFieldsInOrderWithoutCase) {
  const Head head = with("/", "A: 1\r\nb: 2\r\na: 3\r\n");
  EXPECT_EQ(head.find("a"), "1");
  EXPECT_EQ(head.find_all("A"), (std::vector<std::string_view>{"1", "3"}));
  EXPECT_EQ(head.count("B"), 1U);
  EXPECT_EQ(head.count("C"), 0U);
}

TEST(Head, CostsTwoAllocationsOfAboutItsOwnSize) {
  const Head head = head_of(browser_upgrade());
  EXPECT_LE(head.memory_bytes(), browser_upgrade().size() + 14 * 16U);
}

TEST(Head, ErasesAField) {
  Head head = with("/a?b", "Authorization: Bearer secret\r\nX: y\r\nauthorization:  again \r\n");
  EXPECT_EQ(head.erase_field("AUTHORIZATION"), 2U);
  expect_same(head, request("/a?b", "X: y\r\n"));
  EXPECT_EQ(head.erase_field("Authorization"), 0U);
}

TEST(Head, ErasesListItems) {
  const struct {
    std::string_view before, after;
    std::size_t erased;
  } cases[] = {
      {"P: chat, bearer.T\r\n", "P: chat\r\n", 1},
      {"P: bearer.T, chat\r\n", "P: chat\r\n", 1},
      {"P: chat, bearer.T, v1\r\n", "P: chat, v1\r\n", 1},
      {"P: chat,bearer.T,v1\r\n", "P: chat, v1\r\n", 1},
      {"P: bearer.T,chat\r\nX: y\r\n", "P: chat\r\nX: y\r\n", 1},
      {"P: bearer.T\r\nX: y\r\n", "X: y\r\n", 1},
      {"P: a , b\r\n", "P: a , b\r\n", 0},
      {"P: bearer.T, a, bearer.U\r\nX: y\r\nP: bearer.V\r\n", "P: a\r\nX: y\r\n", 3},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.before);
    Head head = with("/", c.before);
    EXPECT_EQ(head.erase_list_items("p", is_credential_item), c.erased);
    expect_same(head, request("/", c.after));
  }
}

TEST(Head, ErasesACookie) {
  Head head = with("/", "Cookie: a=1; sid=secret; b=2\r\nX: y\r\nCookie: sid=other\r\n");
  EXPECT_EQ(head.erase_cookie("sid"), 2U);
  expect_same(head, request("/", "Cookie: a=1; b=2\r\nX: y\r\n"));
  EXPECT_EQ(head.erase_cookie("SID"), 0U);
  EXPECT_EQ(head.erase_cookie("a"), 1U);
  expect_same(head, request("/", "Cookie: b=2\r\nX: y\r\n"));
}

TEST(Head, ErasesAQueryParameterInEverySpelling) {
  const struct {
    std::string_view before, after;
    std::size_t erased;
  } cases[] = {
      {"/a?ticket=T", "/a", 1},
      {"/a?ticket=T&x=1", "/a?x=1", 1},
      {"/a?x=1&ticket=T", "/a?x=1", 1},
      {"/a?x=1&ticket=T&y=2", "/a?x=1&y=2", 1},
      {"/a?t%69cket=T&ticket=U&x", "/a?x", 2},
      {"/a?ticket=T&ticket=U", "/a", 2},
      {"/a?ticket", "/a", 1},
      {"/a?ticket=T&", "/a?", 1},
      {"/a?&ticket=T", "/a?", 1},
      {"/a?tickets=T&xticket=U", "/a?tickets=T&xticket=U", 0},
      {"/a?", "/a?", 0},
      {"/a", "/a", 0},
      {"http://chat.example.com?ticket=T", "http://chat.example.com", 1},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.before);
    Head head = with(c.before, "X: y\r\n");
    EXPECT_EQ(head.erase_query_parameter("ticket"), c.erased);
    expect_same(head, request(c.after, "X: y\r\n"));
  }
}

// What lies behind the text, up to the string's capacity, is where a plain erase leaves its
// remains.
TEST(Head, WipesWhatItErases) {
  Head head =
      with("/a?ticket=SECRET1&x=1",
           "Authorization: Bearer SECRET2\r\nSec-WebSocket-Protocol: a, bearer.SECRET3, b\r\n"
           "Cookie: a=1; sid=SECRET4; b=2\r\n");
  const std::size_t size = head.text().size();
  const char* const data = head.text().data();
  ASSERT_NE(std::string_view(data, size).find("SECRET"), std::string_view::npos);
  head.erase_query_parameter("ticket");
  head.erase_field("Authorization");
  head.erase_list_items("Sec-WebSocket-Protocol", is_credential_item);
  head.erase_cookie("sid");
  ASSERT_EQ(head.text().data(), data) << "the text must stay where it is";
  expect_same(head, request("/a?x=1", "Sec-WebSocket-Protocol: a, b\r\nCookie: a=1; b=2\r\n"));
  EXPECT_EQ(head.text().find("SECRET"), std::string_view::npos);
  // The bytes behind the end still belong to the string's buffer.
  EXPECT_EQ(std::string_view(data, size).find("SECRET"), std::string_view::npos);
  EXPECT_EQ(std::string_view(data, size).find("ECRET"), std::string_view::npos);
}

TEST(Head, MovesWithoutLeavingACopy) {
  Head first = head_of(browser_upgrade());
  Head second = std::move(first);
  EXPECT_EQ(second.field_count(), 14U);
  Head third = head_of(request("/other"));
  third = std::move(second);
  EXPECT_EQ(third.path(), "/chat/blue");
  EXPECT_EQ(third.host(), "chat.example.com");
  EXPECT_TRUE(second.text().empty());
  const Head copy = third.copy();
  third.erase_field("Cookie");
  EXPECT_EQ(copy.count("Cookie"), 1U);
  EXPECT_EQ(copy.query(), "ticket=abc");
}

}  // namespace
}  // namespace sallyport::http
