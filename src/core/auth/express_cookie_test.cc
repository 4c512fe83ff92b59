#include "core/auth/express_cookie.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/digest.h"

namespace sallyport::auth {
namespace {

std::vector<base::Secret> secrets(std::initializer_list<std::string_view> texts) {
  std::vector<base::Secret> list;
  for (const std::string_view text : texts) list.emplace_back(text);
  return list;
}

// The id, or what is wrong.
std::string read(std::string_view value, const std::vector<base::Secret>& with) {
  const auto id = read_express_cookie(value, with);
  return id ? std::string(id->reveal()) : "(" + std::string(describe(id.error())) + ")";
}
constexpr const char* kMalformed = "(the cookie is malformed)";
constexpr const char* kForeign = "(the cookie is not one of express-session)";
constexpr const char* kBad = "(the cookie's signature fits none of the secrets)";

std::string sign(std::string_view id, std::string_view secret) {
  const base::Sha256 mac = base::hmac_sha256(secret, id);
  std::string text = base::base64({reinterpret_cast<const char*>(mac.data()), mac.size()});
  text.resize(43);
  return std::string(id) + "." + text;
}

// Made by the npm packages cookie-signature and cookie.
constexpr const char* kHello = "s%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI";

TEST(ExpressCookie, ReadsWhatExpressWrites) {
  EXPECT_EQ(read(kHello, secrets({"tobiiscool"})), "hello");
  EXPECT_EQ(read("s%3A0xAbC_def-123456789012345678901234.eIJs%2BimmMJv2gZDAivqnOb2Ah2TKmIP1FE1TljqZVJM",
                 secrets({"keyboard cat"})),
            "0xAbC_def-123456789012345678901234");
  EXPECT_EQ(read("s%3Aa.b.c.IQADEuvkfrkVfd6v8ZJrWuCx7QzNYGopj68QNceVvDs", secrets({std::string(100, 'x')})), "a.b.c");
}

TEST(ExpressCookie, TakesItUnescapedOrEscapedMoreThanNeeded) {
  const auto with = secrets({"tobiiscool"});
  EXPECT_EQ(read("s:hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI", with), "hello");
  EXPECT_EQ(read("%73%3ahello%2EDGDUkGlIkCzPz%2bC0B064FNgHdEjox7ch8tOBGslZ5QI", with), "hello");
}

TEST(ExpressCookie, AcceptsWhatAnyOfTheSecretsHasSigned) {
  EXPECT_EQ(read(kHello, secrets({"new", "tobiiscool"})), "hello");
  EXPECT_EQ(read(kHello, secrets({"tobiiscool", "old"})), "hello");
  EXPECT_EQ(read(kHello, secrets({"new", "old"})), kBad);
  EXPECT_EQ(read(kHello, secrets({})), kBad);
}

TEST(ExpressCookie, RefusesEveryChangeOfIdOrSignature) {
  const auto with = secrets({"tobiiscool"});
  const std::string good = "s:hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI";
  ASSERT_EQ(read(good, with), "hello");
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_TRUE(read(bad, with).starts_with('(')) << bad;
    EXPECT_TRUE(read(good.substr(0, i), with).starts_with('(')) << i;
  }
  EXPECT_EQ(read(good + "=", with), kMalformed);
  EXPECT_EQ(read(good + "A", with), kMalformed);
  EXPECT_EQ(read("s:hellO.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI", with), kBad);
  EXPECT_EQ(read("s:hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QJ", with), kBad);
}

TEST(ExpressCookie, LeavesWhatIsNotSignedToOthers) {
  const auto with = secrets({"tobiiscool"});
  for (const char* const value : {"", "hello", "j%3A%7B%7D", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "S:hello.x", "s%253Ahello"}) {
    EXPECT_EQ(read(value, with), kForeign) << value;
  }
}

TEST(ExpressCookie, RefusesBrokenEscapesAndIdsThatAreNone) {
  const auto with = secrets({"k"});
  for (const char* const value : {"s%3", "s%", "s%3Gx", "%zz", "s:hello%", "s:", "s:.", "s:hello", "s:hello."}) {
    EXPECT_EQ(read(value, with), kMalformed) << value;
  }
  // Signed as they are, and yet no ids.
  for (const std::string& id : {std::string(), std::string("a b"), std::string("a\nb"), std::string("a\0b", 3),
                                std::string("\xc3\xa4"), std::string("a\x7f")}) {
    EXPECT_EQ(read("s:" + sign(id, "k"), with), kMalformed);
  }
  std::string escaped = "s:" + sign("a\nb", "k");
  EXPECT_EQ(read(escaped.replace(3, 1, "%0A"), with), kMalformed);
}

TEST(ExpressCookie, RefusesMoreThanItsLength) {
  const auto with = secrets({"k"});
  EXPECT_EQ(read("s:" + sign(std::string(256, 'i'), "k"), with), std::string(256, 'i'));
  EXPECT_EQ(read("s:" + sign(std::string(257, 'i'), "k"), with), kMalformed);
  EXPECT_EQ(read("s:" + std::string(1'000'000, 'i'), with), kMalformed);
  std::string escaped = "s:";
  for (int i = 0; i < 100'000; ++i) escaped += "%69";
  EXPECT_EQ(read(escaped, with), kMalformed);
}

}  // namespace
}  // namespace sallyport::auth
