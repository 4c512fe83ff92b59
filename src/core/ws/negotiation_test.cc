#include "core/ws/negotiation.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::ws {
namespace {

constexpr std::string_view kAnswer =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

TEST(Negotiation, AcceptsWhatBrowsersOffer) {
  const auto agreed = accept_offer("permessage-deflate; client_max_window_bits", 12);
  ASSERT_TRUE(agreed && *agreed);
  EXPECT_EQ((*agreed)->response, kAnswer);
  EXPECT_EQ((*agreed)->window_bits, 12);
}

TEST(Negotiation, AlwaysTurnsContextTakeoverOff) {
  for (const char* offer :
       {"permessage-deflate", "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate;server_no_context_takeover;client_no_context_takeover"}) {
    const auto agreed = accept_offer(offer, 12);
    ASSERT_TRUE(agreed && *agreed) << offer;
    EXPECT_EQ((*agreed)->response, kAnswer);
  }
}

TEST(Negotiation, UsesTheSmallerWindow) {
  for (int bits = 9; bits <= 15; ++bits) {
    const auto agreed =
        accept_offer("permessage-deflate; server_max_window_bits=" + std::to_string(bits), 12);
    ASSERT_TRUE(agreed && *agreed) << bits;
    EXPECT_EQ((*agreed)->window_bits, std::min(bits, 12));
    EXPECT_EQ((*agreed)->response, std::string(kAnswer) + "; server_max_window_bits=" +
                                       std::to_string(std::min(bits, 12)));
  }
  const auto quoted = accept_offer("permessage-deflate; server_max_window_bits=\"1\\0\"", 12);
  ASSERT_TRUE(quoted && *quoted);
  EXPECT_EQ((*quoted)->window_bits, 10);
}

TEST(Negotiation, PassesOverOffersThatItCannotAccept) {
  for (const char* offer :
       {"",
        "x-webkit-deflate-frame",
        "permessage-bzip2",
        "Permessage-Deflate",
        "permessage-deflate; unknown",
        "permessage-deflate; unknown=1",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=8",  // allowed, but zlib cannot do it
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=1",
        "permessage-deflate; server_max_window_bits=-10",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=08",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10"}) {
    const auto agreed = accept_offer(offer, 12);
    ASSERT_TRUE(agreed) << offer;
    EXPECT_FALSE(*agreed) << offer;
  }
}

TEST(Negotiation, TakesTheFirstOfferThatItCanAccept) {
  const auto agreed = accept_offer(
      "foo; bar=\"baz\", permessage-deflate; unknown, permessage-deflate; "
      "server_max_window_bits=8,,\tpermessage-deflate ; server_max_window_bits = 10 , "
      "permessage-deflate",
      12);
  ASSERT_TRUE(agreed && *agreed);
  EXPECT_EQ((*agreed)->window_bits, 10);
}

TEST(Negotiation, RefusesWhatIsNotAnExtensionList) {
  for (const char* offer :
       {";", "permessage-deflate;", "permessage-deflate; ;", "permessage-deflate; =1",
        "permessage-deflate; server_max_window_bits=", "permessage-deflate; a=\"\"",
        "permessage-deflate; a=\"b", "permessage-deflate; a=\"b c\"", "permessage-deflate; a=\"b\\",
        "permessage-deflate foo", "permessage-deflate; a=b c", "per/message",
        "\"permessage-deflate\"", "permessage-deflate\r\n", "permessage-deflate; \x80",
        "permessage-deflate=1"}) {
    const auto agreed = accept_offer(offer, 12);
    ASSERT_FALSE(agreed) << offer;
    EXPECT_EQ(agreed.error(), NegotiationError::kSyntax) << offer;
  }
  EXPECT_FALSE(accept_offer(std::string_view("permessage-deflate\0", 19), 12));
  // Also behind an offer that could be accepted.
  EXPECT_FALSE(accept_offer("permessage-deflate, ;", 12));
}

TEST(Negotiation, BoundsTheNumberOfExtensionsAndParameters) {
  std::string extensions = "a";
  for (int i = 1; i < kExtensionsMax; ++i) extensions += i % 2 != 0 ? ";p" : ",a";
  EXPECT_TRUE(accept_offer(extensions, 12));
  for (const char* more : {",a", ";p"}) {
    const auto agreed = accept_offer(extensions + more, 12);
    ASSERT_FALSE(agreed);
    EXPECT_EQ(agreed.error(), NegotiationError::kTooMany);
  }
}

TEST(Negotiation, AClientAcceptsWhatItsOfferAllows) {
  for (const std::string& answer :
       {std::string(kAnswer), std::string("permessage-deflate; server_no_context_takeover"),
        std::string(kAnswer) + "; server_max_window_bits=8"}) {
    const auto agreed = accept_response(answer, 12);
    ASSERT_TRUE(agreed && *agreed) << answer;
    EXPECT_EQ((*agreed)->window_bits, 12);
  }
  const auto declined = accept_response("", 12);
  ASSERT_TRUE(declined);
  EXPECT_FALSE(*declined);
}

TEST(Negotiation, AClientRefusesWhatItDidNotOffer) {
  const auto error = [](std::string_view answer) {
    const auto agreed = accept_response(answer, 12);
    EXPECT_FALSE(agreed) << answer;
    return agreed ? NegotiationError{255} : agreed.error();
  };
  EXPECT_EQ(error("x-other"), NegotiationError::kNotOffered);
  EXPECT_EQ(error(std::string(kAnswer) + ", x-other"), NegotiationError::kNotOffered);
  EXPECT_EQ(error(std::string(kAnswer) + ", " + std::string(kAnswer)),
            NegotiationError::kNotOffered);
  EXPECT_EQ(error(std::string(kAnswer) + "; client_max_window_bits=10"),
            NegotiationError::kNotOffered);
  EXPECT_EQ(error("permessage-deflate"), NegotiationError::kBadParameter);
  EXPECT_EQ(error(std::string(kAnswer) + "; unknown"), NegotiationError::kBadParameter);
  EXPECT_EQ(error(std::string(kAnswer) + "; server_max_window_bits=16"),
            NegotiationError::kBadParameter);
  EXPECT_EQ(error(std::string(kAnswer) + "; server_no_context_takeover"),
            NegotiationError::kBadParameter);
  EXPECT_EQ(error("permessage-deflate;"), NegotiationError::kSyntax);
}

TEST(Negotiation, AServerAcceptsTheOfferOfAClient) {
  const auto agreed = accept_offer(kDeflateOffer, 12);
  ASSERT_TRUE(agreed && *agreed);
  EXPECT_TRUE(accept_response((*agreed)->response, 12)->has_value());
}

}  // namespace
}  // namespace sallyport::ws
