#include "core/http/subprotocol.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/base64url.h"

namespace sallyport::http {
namespace {

using Items = std::vector<std::string_view>;
using Names = std::vector<std::string>;

TEST(Subprotocol, TakesTheTokenOutOfTheOffer) {
  const auto offer = split_subprotocols(Items{"graphql-ws", "bearer.a.b.c", "chat"});
  EXPECT_EQ(offer.applications, (Names{"graphql-ws", "chat"}));
  ASSERT_TRUE(offer.credential && *offer.credential);
  EXPECT_EQ((*offer.credential)->reveal(), "a.b.c");
}

TEST(Subprotocol, DecodesTheKubernetesSpelling) {
  const std::string item =
      std::string(kEncodedBearerPrefix) + base::base64url_encode("key=with/chars");
  const auto offer = split_subprotocols(Items{item, "v4.channel.k8s.io"});
  EXPECT_EQ(offer.applications, (Names{"v4.channel.k8s.io"}));
  ASSERT_TRUE(offer.credential && *offer.credential);
  EXPECT_EQ((*offer.credential)->reveal(), "key=with/chars");
}

TEST(Subprotocol, FindsNoCredentialWhereThereIsNone) {
  for (const Items& items : {Items{}, Items{"chat"}, Items{"bearer", "bearers.x", "xbearer.y"}}) {
    const auto offer = split_subprotocols(items);
    ASSERT_TRUE(offer.credential.has_value());
    EXPECT_FALSE(offer.credential->has_value());
    EXPECT_EQ(offer.applications.size(), items.size());
  }
}

TEST(Subprotocol, RefusesMalformedCredentials) {
  const std::string prefix(kEncodedBearerPrefix);
  for (const std::string& item :
       {std::string("bearer."), prefix, prefix + "Zh", prefix + "Zg.x", prefix + "+",
        prefix + base::base64url_encode("a b"), prefix + base::base64url_encode("a\r\nb"),
        prefix + base::base64url_encode("\xc3\xa4")}) {
    const auto offer = split_subprotocols(Items{item, "chat"});
    ASSERT_FALSE(offer.credential.has_value()) << item;
    EXPECT_EQ(offer.credential.error(), SubprotocolError::kMalformed) << item;
    EXPECT_EQ(offer.applications, (Names{"chat"}));
  }
}

TEST(Subprotocol, RefusesTwoCredentialsWhateverTheySay) {
  const std::string encoded = std::string(kEncodedBearerPrefix) + base::base64url_encode("a");
  for (const Items& items :
       {Items{"bearer.a", "bearer.b"}, Items{"bearer.a", encoded}, Items{"bearer.", "bearer.b"},
        Items{"bearer.a", "bearer.", "bearer.c"}}) {
    const auto offer = split_subprotocols(items);
    ASSERT_FALSE(offer.credential.has_value());
    EXPECT_EQ(offer.credential.error(), SubprotocolError::kSeveral);
    EXPECT_TRUE(offer.applications.empty());
  }
}

TEST(Subprotocol, SelectsByTheServersPreference) {
  const struct {
    Items offered;
    Names preferred;
    std::optional<std::string_view> selected;
  } cases[] = {
      {{"a", "b"}, {"b", "a"}, "b"},
      {{"a", "bearer.x", "b"}, {"b"}, "b"},
      {{"a", "sallyport.v1"}, {"b"}, "sallyport.v1"},
      {{"a", "sallyport.v1"}, {"a"}, "a"},
      {{"a", "sallyport.v1"}, {}, "sallyport.v1"},
      {{"bearer.x", "a", "b"}, {}, "a"},
      {{"a"}, {"b"}, std::nullopt},
      {{"A"}, {"a"}, std::nullopt},
      {{}, {"a"}, std::nullopt},
      {{}, {}, std::nullopt},
      {{"bearer.x"}, {}, std::nullopt},
      {{"bearer.x"}, {"bearer.x"}, std::nullopt},
  };
  for (const auto& c : cases) {
    const auto offer = split_subprotocols(c.offered);
    EXPECT_EQ(select_subprotocol(offer, c.preferred), c.selected);
  }
}

TEST(Subprotocol, NeverSelectsWhatLooksLikeAToken) {
  const auto offer = split_subprotocols(Items{"eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "chat"});
  ASSERT_TRUE(offer.credential.has_value());
  EXPECT_FALSE(offer.credential->has_value());
  EXPECT_EQ(select_subprotocol(offer, {}), "chat");
  EXPECT_EQ(select_subprotocol(split_subprotocols(Items{"eyJh.e30.c2ln"}), {}), std::nullopt);
}

TEST(Subprotocol, NeverSelectsATokenUnderAnyPrefix) {
  const std::string token = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";
  for (const std::string prefix : {"Bearer.", "BEARER.", "jwt.", "access_token|", "token-", "x"}) {
    const std::string item = prefix + token;
    const auto offer = split_subprotocols(Items{item});
    EXPECT_EQ(select_subprotocol(offer, {}), std::nullopt) << item;
    EXPECT_TRUE(is_credential_item(item)) << item;
  }
  EXPECT_TRUE(is_credential_item("Bearer.opaque"));
}

TEST(Subprotocol, NeverEchoesALongNameThatTheApplicationDidNotGive) {
  const std::string longest(64, 'p');
  const std::string longer(65, 'q');
  EXPECT_EQ(select_subprotocol(split_subprotocols(Items{longest}), {}), longest);
  EXPECT_EQ(select_subprotocol(split_subprotocols(Items{longer}), {}), std::nullopt);
  EXPECT_EQ(select_subprotocol(split_subprotocols(Items{longer}), std::vector<std::string>{longer}), longer);
}

}  // namespace
}  // namespace sallyport::http
