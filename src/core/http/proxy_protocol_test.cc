#include "core/http/proxy_protocol.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::http {
namespace {

using Kind = ProxyHeader::Kind;

std::string bytes_of(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text.push_back(static_cast<char>(value));
  return text;
}

// A version 2 header. `claimed` overrides the length that it states.
std::string version2(int command, int family, std::string_view block, int claimed = -1) {
  const int size = claimed >= 0 ? claimed : static_cast<int>(block.size());
  std::string header("\r\n\r\n\0\r\nQUIT\n", 12);
  return header + bytes_of({command, family, size >> 8, size & 255}) + std::string(block);
}

const std::string kBlock4 = bytes_of({192, 0, 2, 1, 10, 0, 0, 1, 0xb7, 0xa3, 1, 0xbb});
const std::string kBlock6 = bytes_of({0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
                                      0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 3, 4});
const std::string kTlv = bytes_of({0x04, 0, 3, 'a', 'b', 'c'});

std::string source_of(std::string_view bytes) {
  const ProxyHeader header = parse_proxy_header(bytes);
  switch (header.kind) {
    case Kind::kNeedMore: return "need more";
    case Kind::kAbsent: return "absent";
    case Kind::kMalformed: return "malformed";
    case Kind::kPresent: return header.source ? header.source->text() : "none";
  }
  return {};
}

struct Case {
  std::string header;
  std::string source;
};
const std::vector<Case>& headers() {
  static const std::vector<Case> cases{
      {"PROXY TCP4 192.0.2.1 10.0.0.1 47011 443\r\n", "192.0.2.1"},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"},
      {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0"},
      {"PROXY TCP6 2001:db8::1 2001:DB8::2 47011 443\r\n", "2001:db8::1"},
      {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
      {"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:10.0.0.1 1 2\r\n", "192.0.2.1"},
      {"PROXY UNKNOWN\r\n", "none"},
      {"PROXY UNKNOWN ffff:ffff::1 whatever it  says 1\r\n", "none"},
      {version2(0x21, 0x11, kBlock4), "192.0.2.1"},
      {version2(0x21, 0x12, kBlock4), "192.0.2.1"},
      {version2(0x21, 0x21, kBlock6), "2001:db8::1"},
      {version2(0x21, 0x22, kBlock6), "2001:db8::1"},
      {version2(0x21, 0x11, kBlock4 + kTlv), "192.0.2.1"},
      {version2(0x21, 0x21, kBlock6 + kTlv + kTlv), "2001:db8::1"},
      {version2(0x21, 0x11, kBlock4 + "not even a TLV"), "192.0.2.1"},
      {version2(0x21, 0x31, std::string(216, 'p')), "none"},
      {version2(0x21, 0x32, std::string(216, 'p') + kTlv), "none"},
      {version2(0x21, 0x00, ""), "none"},
      {version2(0x21, 0x00, kTlv), "none"},
      {version2(0x20, 0x00, ""), "none"},
      {version2(0x20, 0x11, kBlock4), "none"},
      {version2(0x20, 0x11, ""), "none"},
      {version2(0x20, 0xff, kTlv), "none"},
      {version2(0x21, 0x11, kBlock4 + std::string(kProxyHeaderBytesMax - 28, 't')), "192.0.2.1"},
  };
  return cases;
}

TEST(ProxyProtocol, NamesTheSourceOfAWholeHeader) {
  for (const auto& [header, source] : headers()) {
    EXPECT_EQ(source_of(header), source) << header.substr(0, 60);
    EXPECT_EQ(parse_proxy_header(header).bytes, header.size()) << header.substr(0, 60);
  }
}

TEST(ProxyProtocol, TakesNothingOfWhatFollows) {
  for (const auto& [header, source] : headers()) {
    for (const std::string_view next : {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "\r\n"}) {
      const ProxyHeader got = parse_proxy_header(header + std::string(next));
      EXPECT_EQ(got, parse_proxy_header(header)) << header.substr(0, 60);
    }
  }
}

TEST(ProxyProtocol, WaitsAtEverySplitAndNeverBeyondTheHeader) {
  for (const auto& [header, source] : headers()) {
    for (std::size_t size = 0; size < header.size(); ++size) {
      const ProxyHeader got = parse_proxy_header(std::string_view(header).substr(0, size));
      ASSERT_EQ(got.kind, Kind::kNeedMore) << header.substr(0, 60) << " at " << size;
      ASSERT_GT(got.bytes, size);
      ASSERT_LE(got.bytes, header.size()) << header.substr(0, 60) << " at " << size;
    }
  }
}

TEST(ProxyProtocol, ComesToTheEndInFewStepsInVersion2) {
  const std::string header = version2(0x21, 0x21, kBlock6 + kTlv);
  std::size_t size = 12;
  for (const std::size_t next : {std::size_t{16}, header.size()}) {
    EXPECT_EQ(parse_proxy_header(std::string_view(header).substr(0, size)).bytes, next);
    size = next;
  }
}

TEST(ProxyProtocol, IsAbsentFromOtherBytes) {
  for (const std::string_view bytes :
       {"GET / HTTP/1.1\r\n", "PUT", "POST / HTTP/1.1", "PROXIMATE", "PROXY\t", "PROXYTCP4", "proxy ", "\x16\x03\x01\x02", "\n",
        "\rx", "\r\n\r\nx", " PROXY TCP4"}) {
    EXPECT_EQ(source_of(bytes), "absent") << bytes;
  }
  EXPECT_EQ(source_of(std::string_view("\r\n\r\n\0\r\nQUIT\r", 12)), "absent");
  EXPECT_EQ(source_of(std::string_view("\0", 1)), "absent");
}

TEST(ProxyProtocol, RefusesVersion1ThatBreaksItsRules) {
  for (const std::string_view bytes : {
           "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n", "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\rX", "PROXY \r\n",
           "PROXY TCP4\r\n", "PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n", "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
           "PROXY TCP4 192.0.2.1  10.0.0.1 1 2\r\n", "PROXY  TCP4 192.0.2.1 10.0.0.1 1 2\r\n",
           "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 \r\n", "PROXY tcp4 192.0.2.1 10.0.0.1 1 2\r\n",
           "PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n", "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
           "PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n", "PROXY TCP4 ::ffff:192.0.2.1 10.0.0.1 1 2\r\n",
           "PROXY TCP4 192.0.2.1 nonsense 1 2\r\n", "PROXY TCP4 192.0.2.01 10.0.0.1 1 2\r\n",
           "PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n", "PROXY TCP4 192.0.2.1 10.0.0.1 65536 2\r\n",
           "PROXY TCP4 192.0.2.1 10.0.0.1 1 -2\r\n", "PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n",
           "PROXY TCP4 192.0.2.1 10.0.0.1 1 100000\r\n", "PROXY TCP6 [2001:db8::1] [2001:db8::2] 1 2\r\n",
           "PROXY UNKNOWNX\r\n", "PROXY unknown\r\n",
       }) {
    EXPECT_EQ(source_of(bytes), "malformed") << bytes;
  }
  EXPECT_EQ(source_of(std::string_view("PROXY TCP4 192.0.2.1\0 10.0.0.1 1 2\r\n", 36)), "malformed");
}

TEST(ProxyProtocol, RefusesALineLongerThanTheProtocolAllows) {
  EXPECT_EQ(source_of("PROXY UNKNOWN " + std::string(91, 'x') + "\r\n"), "none");
  EXPECT_EQ(source_of("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n"), "malformed");
  EXPECT_EQ(source_of("PROXY UNKNOWN " + std::string(91, 'x')), "need more");
  EXPECT_EQ(source_of("PROXY UNKNOWN " + std::string(93, 'x')), "malformed");
}

TEST(ProxyProtocol, RefusesVersion2ThatBreaksItsRules) {
  for (const int command : {0x00, 0x01, 0x10, 0x11, 0x22, 0x2f, 0x31, 0xff}) {
    EXPECT_EQ(source_of(version2(command, 0x11, kBlock4)), "malformed") << command;
  }
  for (const int family : {0x01, 0x02, 0x10, 0x13, 0x20, 0x23, 0x30, 0x33, 0x41, 0xff}) {
    EXPECT_EQ(source_of(version2(0x21, family, std::string(216, 'x'))), "malformed") << family;
  }
  EXPECT_EQ(source_of(version2(0x21, 0x11, kBlock4.substr(0, 11))), "malformed");
  EXPECT_EQ(source_of(version2(0x21, 0x11, "")), "malformed");
  EXPECT_EQ(source_of(version2(0x21, 0x21, kBlock6.substr(0, 35))), "malformed");
  EXPECT_EQ(source_of(version2(0x21, 0x31, std::string(215, 'x'))), "malformed");
}

TEST(ProxyProtocol, RefusesALengthOverTheLimitBeforeReadingIt) {
  const int most = static_cast<int>(kProxyHeaderBytesMax) - 16;
  EXPECT_EQ(source_of(version2(0x21, 0x11, "", most)), "need more");
  EXPECT_EQ(source_of(version2(0x21, 0x11, "", most + 1)), "malformed");
  EXPECT_EQ(source_of(version2(0x20, 0x00, "", 0xffff)), "malformed");
}

}  // namespace
}  // namespace sallyport::http
