#include "core/base/secret.h"

#include <gtest/gtest.h>

#include <ostream>
#include <type_traits>

#include "core/base/base64url.h"

namespace sallyport::base {
namespace {

template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) { out << value; };

TEST(Secret, CannotBeStreamedOrCopiedByAccident) {
  static_assert(!Streamable<Secret>);
  static_assert(!std::is_copy_constructible_v<Secret>);
  static_assert(!std::is_convertible_v<Secret, std::string_view>);
  static_assert(!std::is_convertible_v<std::string_view, Secret>);
}

TEST(Secret, LeavesNothingBehindInAMovedFromObject) {
  Secret first("a token of more than fifteen characters");
  const Secret second = std::move(first);
  EXPECT_TRUE(first.empty());
  EXPECT_EQ(second.reveal(), "a token of more than fifteen characters");
}

TEST(Secret, ComparesWholeValues) {
  EXPECT_TRUE(equal_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_constant_time("abc", "abcd"));
  EXPECT_TRUE(equal_constant_time("", ""));
}

TEST(Base64url, DecodesOnlyTheOneCanonicalSpelling) {
  EXPECT_EQ(base64url_decode("Zm9v"), "foo");
  EXPECT_EQ(base64url_decode(""), "");
  EXPECT_EQ(base64url_decode("Zg"), "f");
  EXPECT_EQ(base64url_decode("Zh"), std::nullopt);    // unused bits set
  EXPECT_EQ(base64url_decode("Zg=="), std::nullopt);  // padding
  EXPECT_EQ(base64url_decode("Z"), std::nullopt);
  EXPECT_EQ(base64url_decode("Zm9v Zm9v"), std::nullopt);
  EXPECT_EQ(base64url_decode("+/+/"), std::nullopt);
  std::string every;
  for (int i = 0; i < 256; ++i) every.push_back(static_cast<char>(i));
  for (std::size_t n = 0; n <= every.size(); ++n) {
    EXPECT_EQ(base64url_decode(base64url_encode(every.substr(0, n))), every.substr(0, n));
  }
}

}  // namespace
}  // namespace sallyport::base
