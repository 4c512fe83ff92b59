#include "core/http/address.h"

#include <gtest/gtest.h>

#include <string>
#include <unordered_set>
#include <vector>

namespace sallyport::http {
namespace {

IpAddress address_of(std::string_view text) {
  const auto address = IpAddress::parse(text);
  EXPECT_TRUE(address.has_value()) << text;
  return address.value_or(IpAddress());
}

std::vector<CidrBlock> blocks_of(const std::vector<std::string>& entries) {
  auto blocks = parse_cidr_list(entries);
  EXPECT_TRUE(blocks.has_value()) << (blocks ? "" : blocks.error());
  return std::move(blocks).value_or(std::vector<CidrBlock>());
}

TEST(IpAddress, ParsesAndWritesTheCanonicalForm) {
  EXPECT_EQ(address_of("192.0.2.7").text(), "192.0.2.7");
  EXPECT_EQ(address_of("2001:0DB8:0:0::0001").text(), "2001:db8::1");
  EXPECT_EQ(address_of("::").text(), "::");
  EXPECT_EQ(IpAddress().text(), "0.0.0.0");
  static_assert(sizeof(IpAddress) == 17);
}

TEST(IpAddress, RefusesOtherSpellings) {
  for (const std::string_view text :
       {"", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "0x7f.0.0.1", "127.1", " 1.2.3.4",
        "1.2.3.4 ", "[::1]", "::1%lo", ":::", "1::2::3", "12345::", "1.2.3.4:80", "localhost"}) {
    EXPECT_EQ(IpAddress::parse(text), std::nullopt) << text;
  }
  EXPECT_EQ(IpAddress::parse(std::string("1.2.3.4\0", 8)), std::nullopt);
  EXPECT_EQ(IpAddress::parse(std::string(100, '1')), std::nullopt);
}

TEST(IpAddress, TreatsAMappedAddressAsTheAddressItMaps) {
  EXPECT_EQ(address_of("::ffff:192.0.2.7"), address_of("192.0.2.7"));
  EXPECT_EQ(address_of("::ffff:c000:207").text(), "192.0.2.7");
  EXPECT_TRUE(address_of("::ffff:127.0.0.1").is_loopback());
  EXPECT_FALSE(address_of("::192.0.2.7").is_v4());
}

TEST(IpAddress, KnowsLoopback) {
  for (const std::string_view text : {"127.0.0.1", "127.255.0.1", "::1"}) {
    EXPECT_TRUE(address_of(text).is_loopback()) << text;
  }
  for (const std::string_view text : {"128.0.0.1", "126.0.0.1", "::", "::2", "1::1", "0.0.0.0"}) {
    EXPECT_FALSE(address_of(text).is_loopback()) << text;
  }
}

TEST(IpAddress, LimitsByWhatOneSubscriberIsGiven) {
  EXPECT_EQ(limit_key(address_of("192.0.2.7")), address_of("192.0.2.7"));
  EXPECT_NE(limit_key(address_of("192.0.2.7")), limit_key(address_of("192.0.2.8")));
  EXPECT_EQ(limit_key(address_of("2001:db8:1:2:3:4:5:6")).text(), "2001:db8:1:2::");
  EXPECT_EQ(limit_key(address_of("2001:db8:1:2::1")), limit_key(address_of("2001:db8:1:2:ffff::")));
  EXPECT_NE(limit_key(address_of("2001:db8:1:2::1")), limit_key(address_of("2001:db8:1:3::1")));
  std::unordered_set<IpAddress, IpAddressHash> seen;
  seen.insert(address_of("192.0.2.7"));
  EXPECT_TRUE(seen.contains(address_of("::ffff:192.0.2.7")));
}

TEST(CidrBlock, ContainsWhatItsPrefixSays) {
  const struct {
    std::string block, inside, outside;
  } cases[] = {
      {"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
      {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
      {"192.0.2.7", "192.0.2.7", "192.0.2.6"},
      {"192.0.2.7/32", "192.0.2.7", "192.0.2.6"},
      {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
      {"128.0.0.0/1", "255.0.0.1", "127.0.0.1"},
      {"0.0.0.0/0", "255.255.255.255", "::1"},
      {"::/0", "2001:db8::1", "192.0.2.7"},
      {"2001:db8::/32", "2001:db8:ffff::", "2001:db9::"},
      {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
      {"::1/128", "::1", "::"},
      {"::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.0"},
  };
  for (const auto& c : cases) {
    const auto block = CidrBlock::parse(c.block);
    ASSERT_TRUE(block.has_value()) << block.error();
    EXPECT_TRUE(block->contains(address_of(c.inside))) << c.block;
    EXPECT_FALSE(block->contains(address_of(c.outside))) << c.block;
  }
  EXPECT_TRUE(CidrBlock::parse("10.0.0.0/8")->contains(address_of("::ffff:10.1.2.3")));
}

TEST(CidrBlock, ExplainsWhatItDoesNotUnderstand) {
  for (const std::string text : {"", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08",
                                 "10.0.0.0/8/8", "::/129", "10/8", "example.com", "10.0.0.1/8",
                                 "2001:db8::1/64", "::ffff:10.0.0.0/8", "10.0.0.0 /8"}) {
    const auto block = CidrBlock::parse(text);
    ASSERT_FALSE(block.has_value()) << text;
    EXPECT_NE(block.error().find("\"" + text + "\""), std::string::npos) << block.error();
  }
  EXPECT_NE(CidrBlock::parse("10.0.0.1/8").error().find("10.0.0.0/8"), std::string::npos);
  EXPECT_FALSE(parse_cidr_list(std::vector<std::string>{"10.0.0.0/8", "x"}).has_value());
}

TEST(AddressRules, DenyBeforeAllow) {
  AddressRules rules;
  EXPECT_TRUE(rules.permits(address_of("192.0.2.7")));
  rules.deny = blocks_of({"192.0.2.0/24"});
  EXPECT_FALSE(rules.permits(address_of("192.0.2.7")));
  EXPECT_FALSE(rules.permits(address_of("::ffff:192.0.2.7")));
  EXPECT_TRUE(rules.permits(address_of("192.0.3.7")));
  rules.allow = blocks_of({"192.0.0.0/16", "2001:db8::/32"});
  EXPECT_TRUE(rules.permits(address_of("192.0.3.7")));
  EXPECT_TRUE(rules.permits(address_of("2001:db8::7")));
  EXPECT_FALSE(rules.permits(address_of("192.0.2.7")));
  EXPECT_FALSE(rules.permits(address_of("198.51.100.1")));
  rules.allow = std::vector<CidrBlock>();
  EXPECT_FALSE(rules.permits(address_of("192.0.3.7")));
}

}  // namespace
}  // namespace sallyport::http
