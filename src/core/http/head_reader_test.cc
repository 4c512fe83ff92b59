#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>

#include "core/http/head.h"
#include "core/http/head_test_support.h"

namespace sallyport::http {
namespace {

TEST(HeadReader, ReadsABrowsersUpgrade) {
  const Head head = head_of(browser_upgrade());
  EXPECT_EQ(head.method(), "GET");
  EXPECT_EQ(head.target(), "/chat/blue?ticket=abc");
  EXPECT_EQ(head.raw_path(), "/chat/blue");
  EXPECT_EQ(head.path(), "/chat/blue");
  EXPECT_EQ(head.query(), "ticket=abc");
  EXPECT_EQ(head.version(), 11);
  EXPECT_EQ(head.host(), "chat.example.com");
  EXPECT_EQ(head.field_count(), 14U);
  EXPECT_EQ(head.find("sec-websocket-KEY"), "dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_EQ(head.find("X-Absent"), std::nullopt);
  EXPECT_EQ(head.field(1).name, "Connection");
  EXPECT_FALSE(head.has_body());
  EXPECT_EQ(head.text(), browser_upgrade());
}

TEST(HeadReader, GivesTheSameHeadWhereverTheBytesAreCut) {
  const std::string text = browser_upgrade();
  const std::string with_rest = text + "pipelined";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    HeadReader reader;
    const auto first = reader.feed(with_rest.substr(0, cut));
    ASSERT_TRUE(first.has_value()) << cut;
    if (cut == text.size()) {
      EXPECT_EQ(*first, text.size());
    } else {
      ASSERT_EQ(*first, std::nullopt) << cut;
      const auto second = reader.feed(with_rest.substr(cut));
      ASSERT_TRUE(second.has_value()) << cut;
      ASSERT_EQ(*second, text.size() - cut) << cut;
    }
    const Head head = reader.take();
    ASSERT_EQ(head.text(), text) << cut;
    ASSERT_EQ(head.field_count(), 14U) << cut;
    ASSERT_EQ(head.find("Origin"), "https://chat.example.com") << cut;
  }
}

TEST(HeadReader, ReadsAHeadByteByByte) {
  const std::string text = browser_upgrade();
  HeadReader reader;
  EXPECT_FALSE(reader.started());
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const auto used = reader.feed(text.substr(i, 1));
    ASSERT_TRUE(used.has_value() && !*used) << i;
    EXPECT_TRUE(reader.started());
  }
  const auto used = reader.feed("\nrest");
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(*used, std::size_t{1});
  EXPECT_EQ(reader.take().field_count(), 14U);
}

TEST(HeadReader, LeavesPipelinedBytesToTheCaller) {
  HeadReader reader;
  const std::string text = request("/");
  const auto used = reader.feed(text + "GET /internal HTTP/1.1\r\n");
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(*used, text.size());
  const auto again = reader.feed("more");
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, std::size_t{0});
}

struct Refusal {
  std::string_view what;
  std::string text;
  HeadError error;
};

// The head in question, complete, cut at each byte, and byte by byte: always the same refusal.
void expect_refused(const Refusal& refusal) {
  SCOPED_TRACE(refusal.what);
  EXPECT_EQ(error_of(refusal.text), refusal.error);
  for (std::size_t cut = 1; cut < refusal.text.size(); ++cut) {
    HeadReader reader;
    const auto first = reader.feed(std::string_view(refusal.text).substr(0, cut));
    const auto second = reader.feed(std::string_view(refusal.text).substr(cut));
    ASSERT_FALSE(second.has_value()) << cut;
    ASSERT_EQ(second.error(), refusal.error) << cut;
    EXPECT_TRUE(first.has_value() || first.error() == refusal.error) << cut;
  }
}

std::string with_fields(std::string_view fields) {
  return request("/", fields);
}

TEST(HeadReader, RefusesWhatIsNotARequestLine) {
  const Refusal refusals[] = {
      {"TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9), HeadError::kTls},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HeadError::kBadTarget},
      {"empty line first", "\r\n" + request("/"), HeadError::kNotHttp},
      {"no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::kNotHttp},
      {"long method", std::string(33, 'A') + " / HTTP/1.1\r\n", HeadError::kNotHttp},
      {"bad method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::kNotHttp},
      {"tab", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::kNotHttp},
      {"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::kBadTarget},
      {"HTTP/0.9", "GET /\r\n\r\n", HeadError::kBadTarget},
      {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", HeadError::kUnsupportedVersion},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", HeadError::kUnsupportedVersion},
      {"HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", HeadError::kUnsupportedVersion},
      {"http/1.1", "GET / http/1.1\r\nHost: a\r\n\r\n", HeadError::kNotHttp},
      {"space behind version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
       HeadError::kUnsupportedVersion},
      {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", HeadError::kUnsupportedVersion},
      {"CR without LF", "GET / HTTP/1.1\rHost: a\r\n\r\n", HeadError::kNotHttp},
  };
  for (const Refusal& refusal : refusals) expect_refused(refusal);
}

TEST(HeadReader, RefusesGarbageAtTheByteThatShowsIt) {
  for (const std::string_view start : {"\x16", "\x80", "{", "GET x", "GET /\x01", "GET / I"}) {
    EXPECT_TRUE(error_of(start).has_value()) << start;
  }
  EXPECT_EQ(error_of("GET / HTT"), std::nullopt);
}

TEST(HeadReader, RefusesBadTargets) {
  for (const std::string_view target : {"*",
                                        "chat",
                                        "example.com:443",
                                        "//evil",
                                        "//evil.example/x",
                                        "/a//b",
                                        "/a//",
                                        "/.",
                                        "/..",
                                        "/a/../b",
                                        "/a/./b",
                                        "/a/..",
                                        "/%2e%2e/b",
                                        "/a/%2E%2E/b",
                                        "/a/.%2e",
                                        "/%2e",
                                        "/..;x/b",
                                        "/a\\b",
                                        "/a%5cb",
                                        "/a%2fb",
                                        "/a%2Fb",
                                        "/a%00b",
                                        "/a%0d%0ab",
                                        "/a%7f",
                                        "/a%",
                                        "/a%2",
                                        "/a%zz",
                                        "/a%e4",
                                        "/a%c0%af",
                                        "/a#b",
                                        "/a?b#c",
                                        "/a?b%",
                                        "/a?b%00",
                                        "/a?b\\c",
                                        "/a<b",
                                        "/\xc3\xa4",
                                        "ftp://chat.example.com/",
                                        "http:///x",
                                        "http://a@chat.example.com/",
                                        "http://chat.example.com//x",
                                        "http://chat.example.com:99999/",
                                        "file:///etc/passwd"}) {
    expect_refused({target, request(target), HeadError::kBadTarget});
  }
}

TEST(HeadReader, DecodesPathsAndLeavesQueriesAlone) {
  const struct {
    std::string_view target, raw_path, path;
    std::optional<std::string_view> query;
  } cases[] = {
      {"/", "/", "/", std::nullopt},
      {"/?", "/", "/", ""},
      {"/a/", "/a/", "/a/", std::nullopt},
      {"/a%20b/c%C3%A4", "/a%20b/c%C3%A4", "/a b/cä", std::nullopt},
      {"/a..b/...", "/a..b/...", "/a..b/...", std::nullopt},
      {"/%7Euser?x=%20&y=1", "/%7Euser", "/~user", "x=%20&y=1"},
      {"/a?u=http://x/../y", "/a", "/a", "u=http://x/../y"},
      {"/a?filter[room]=1", "/a", "/a", "filter[room]=1"},
      {"/a+b:c@d", "/a+b:c@d", "/a+b:c@d", std::nullopt},
      {"http://chat.example.com/a?b", "/a", "/a", "b"},
      {"WSS://CHAT.example.com", "/", "/", std::nullopt},
      {"http://chat.example.com?b", "/", "/", "b"},
  };
  for (const auto& c : cases) {
    const Head head = head_of(request(c.target));
    EXPECT_EQ(head.target(), c.target);
    EXPECT_EQ(head.raw_path(), c.raw_path) << c.target;
    EXPECT_EQ(head.path(), c.path) << c.target;
    EXPECT_EQ(head.query(), c.query) << c.target;
  }
}

TEST(HeadReader, RefusesBadFields) {
  const std::string nul("X: a\0b\r\n", 8);
  const Refusal refusals[] = {
      {"space before colon", with_fields("X : a\r\n"), HeadError::kBadField},
      {"tab before colon", with_fields("X\t: a\r\n"), HeadError::kBadField},
      {"no colon", with_fields("Xa\r\n"), HeadError::kBadField},
      {"empty name", with_fields(": a\r\n"), HeadError::kBadField},
      {"bad name", with_fields("X(y): a\r\n"), HeadError::kBadField},
      {"non-ASCII name", with_fields("X\xc3\xa4: a\r\n"), HeadError::kBadField},
      {"fold by space", with_fields("X: a\r\n b\r\n"), HeadError::kBadField},
      {"fold by tab", with_fields("X: a\r\n\tb\r\n"), HeadError::kBadField},
      {"fold of nothing", with_fields("X:\r\n \r\n"), HeadError::kBadField},
      {"space before the first", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", HeadError::kBadField},
      {"bare LF", with_fields("X: a\nY: b\r\n"), HeadError::kBadField},
      {"bare CR", with_fields("X: a\rY: b\r\n"), HeadError::kBadField},
      {"CR CR LF", with_fields("X: a\r\r\n"), HeadError::kBadField},
      {"LF at line start", with_fields("X: a\r\n\n"), HeadError::kBadField},
      {"NUL", with_fields(nul), HeadError::kBadField},
      {"escape", with_fields("X: \x1b[31m\r\n"), HeadError::kBadField},
      {"DEL", with_fields("X: a\x7f\r\n"), HeadError::kBadField},
  };
  for (const Refusal& refusal : refusals) expect_refused(refusal);
}

TEST(HeadReader, TrimsValuesAndKeepsObsText) {
  const Head head = head_of(with_fields("A: \t x y \t\r\nB:\r\nC:\xc3\xa4\r\n"));
  EXPECT_EQ(head.find("A"), "x y");
  EXPECT_EQ(head.find("B"), "");
  EXPECT_EQ(head.find("C"), "\xc3\xa4");
}

TEST(HeadReader, DemandsExactlyOneMatchingHost) {
  const auto get = [](std::string_view target, std::string_view version, std::string_view fields) {
    return "GET " + std::string(target) + " HTTP/" + std::string(version) + "\r\n" +
           std::string(fields) + "\r\n";
  };
  for (const std::string_view fields :
       {"", "Host: a\r\nHost: a\r\n", "Host: a\r\nhost: b\r\n", "Host:\r\n", "Host: a b\r\n",
        "Host: u@a\r\n", "Host: a/b\r\n", "Host: a:x\r\n", "Host: a:\r\n", "Host: a:70000\r\n",
        "Host: a,b\r\nHost: a\r\n", "Host: [::1\r\n", "Host: [x]\r\n", "Host: ::1\r\n",
        "Host: a%2eb\r\n", "Host: \xc3\xa4\r\n"}) {
    EXPECT_EQ(error_of(get("/", "1.1", fields)), HeadError::kBadHost) << fields;
  }
  for (const std::string_view fields :
       {"Host: a\r\n", "Host: a:80\r\n", "Host: 127.0.0.1:1\r\n", "hOST: [::1]:8080\r\n"}) {
    EXPECT_EQ(error_of(get("/", "1.1", fields)), std::nullopt) << fields;
  }
  EXPECT_EQ(error_of(get("/", "1.0", "")), std::nullopt);
  EXPECT_EQ(error_of(get("/", "1.0", "Host: a\r\nHost: a\r\n")), HeadError::kBadHost);
  EXPECT_EQ(error_of(get("http://A:80/", "1.1", "Host: a:80\r\n")), std::nullopt);
  EXPECT_EQ(error_of(get("http://b/", "1.1", "Host: a\r\n")), HeadError::kBadHost);
  EXPECT_EQ(error_of(get("http://a:81/", "1.1", "Host: a:80\r\n")), HeadError::kBadHost);
}

TEST(HeadReader, ReportsBodiesAndRefusesAmbiguousOnes) {
  const Head sized = head_of(with_fields("Content-Length: 1234567890123\r\n"));
  EXPECT_EQ(sized.body_bytes(), 1'234'567'890'123U);
  EXPECT_TRUE(sized.has_body());
  const Head none = head_of(with_fields("Content-Length: 0\r\n"));
  EXPECT_EQ(none.body_bytes(), 0U);
  EXPECT_FALSE(none.has_body());
  const Head chunked = head_of(with_fields("Transfer-Encoding: Chunked\r\n"));
  EXPECT_TRUE(chunked.chunked());
  EXPECT_TRUE(chunked.has_body());
  EXPECT_EQ(chunked.body_bytes(), std::nullopt);

  for (const std::string_view fields :
       {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n", "Content-Length: -5\r\n", "Content-Length: 0x5\r\n",
        "Content-Length:\r\n", "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding:\r\n"}) {
    EXPECT_EQ(error_of(with_fields(fields)), HeadError::kBadLength) << fields;
  }
  EXPECT_EQ(error_of("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            HeadError::kBadLength);
}

std::string head_of_size(std::size_t size) {
  const std::string frame = request("/", "X: \r\n");
  return request("/", "X: " + std::string(size - frame.size(), 'x') + "\r\n");
}

TEST(HeadReader, AcceptsAHeadExactlyAtTheLimit) {
  for (const std::size_t limit : {4096U, 8192U, 16384U, 32768U, 65536U}) {
    for (const std::size_t size : {4095U, 4096U, 4097U, 8191U, 8192U, 8193U, 16383U, 16384U, 16385U,
                                   32767U, 32768U, 32769U, 65535U, 65536U, 65537U}) {
      const std::string text = head_of_size(size);
      ASSERT_EQ(text.size(), size);
      const auto expected = size <= limit ? std::nullopt : std::optional(HeadError::kTooLarge);
      EXPECT_EQ(error_of(text, {.header_bytes = limit}), expected) << size << " of " << limit;
      EXPECT_EQ(error_of(text + "rest", {.header_bytes = limit}), expected)
          << size << " of " << limit;
      HeadReader reader({.header_bytes = limit});
      std::optional<HeadError> error;
      for (std::size_t i = 0; i < size && !error; i += 1000) {
        const auto used = reader.feed(std::string_view(text).substr(i, 1000));
        if (!used) error = used.error();
      }
      EXPECT_EQ(error, expected) << size << " of " << limit;
    }
  }
  EXPECT_EQ(error_of(head_of_size(16384)), std::nullopt);
  EXPECT_EQ(error_of(head_of_size(16385)), HeadError::kTooLarge);
}

TEST(HeadReader, RefusesALineWithoutEndAtTheLimit) {
  EXPECT_EQ(error_of("GET /" + std::string(20'000, 'a')), HeadError::kTooLarge);
  EXPECT_TRUE(is_too_large(HeadError::kTooLarge));
  EXPECT_TRUE(is_too_large(HeadError::kTooManyFields));
  EXPECT_FALSE(is_too_large(HeadError::kBadField));
}

TEST(HeadReader, NamesTheFieldThatMadeItTooLarge) {
  HeadReader reader({.header_bytes = 1000});
  const auto used =
      reader.feed(request("/", "Small: x\r\nCookie: " + std::string(2000, 'c') + "\r\nZ: z\r\n"));
  ASSERT_FALSE(used.has_value());
  EXPECT_EQ(used.error(), HeadError::kTooLarge);
  EXPECT_EQ(reader.largest_field(), "Cookie");
}

TEST(HeadReader, AcceptsAHundredFieldsAndNoMore) {
  std::string fields;
  for (int i = 0; i < 99; ++i) fields += "X: y\r\n";
  EXPECT_EQ(head_of(with_fields(fields)).field_count(), 100U);
  expect_refused({"101 fields", with_fields(fields + "X: y\r\n"), HeadError::kTooManyFields});
}

TEST(HeadReader, StaysRefusedAfterAnError) {
  HeadReader reader;
  EXPECT_FALSE(reader.feed("\x16").has_value());
  const auto again = reader.feed(request("/"));
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error(), HeadError::kTls);
}

}  // namespace
}  // namespace sallyport::http
