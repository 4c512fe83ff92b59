#include "core/auth/credentials.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/base64url.h"
#include "core/http/head_test_support.h"

namespace sallyport::auth {
namespace {

// A word that no request holds elsewhere, so that finding it means that it has not been erased.
constexpr std::string_view kToken = "SECRET-t0ken.x_y~z";

struct Taken {
  std::expected<std::optional<Credential>, Failure> result;
  std::string text;  // the head afterwards
  bool offer_holds_one = false;
  std::vector<std::string> offered;

  [[nodiscard]] bool found(CredentialKind kind, std::string_view token = kToken) const {
    return result && *result && (*result)->kind == kind && (*result)->token.reveal() == token;
  }
  [[nodiscard]] bool nothing() const { return result && !*result; }
  [[nodiscard]] bool refused() const { return !result && result.error() == Failure::kBadRequest; }
  [[nodiscard]] bool holds_a_secret() const { return text.find("SECRET") != std::string::npos; }
};

std::string replaced(std::string_view text) {
  std::string result(text);
  for (std::size_t at; (at = result.find("$T")) != std::string::npos;)
    result.replace(at, 2, kToken);
  return result;
}

// `$T` stands for the token.
Taken take(const CredentialSet& accepted, std::string_view target, std::string_view fields = {}) {
  http::Head head = http::head_of(http::request(replaced(target), replaced(fields)));
  EXPECT_EQ(head.method(), "GET") << target << fields;
  std::vector<std::string_view> items;
  for (const std::string_view field : head.find_all("sec-websocket-protocol")) {
    for (std::size_t at = 0; at <= field.size();) {
      const std::size_t end = std::min(field.find(", ", at), field.size());
      items.push_back(field.substr(at, end - at));
      at = end + 2;
    }
  }
  http::SubprotocolOffer offer = http::split_subprotocols(items);
  Taken taken{.result = take_credential(head, &offer, {.accepted = accepted}), .text = std::string(head.text())};
  taken.offer_holds_one = !offer.credential || offer.credential->has_value();
  taken.offered = offer.applications;
  // What is left is a whole head: nothing was cut through.
  EXPECT_EQ(http::error_of(taken.text), std::nullopt) << taken.text;
  EXPECT_FALSE(taken.offer_holds_one);
  return taken;
}

const CredentialSet kEverything =
    header | subprotocol | first_message | cookie("sid") | insecure_query("token");

TEST(Credentials, TakesABearerTokenOutOfTheHeader) {
  const Taken taken = take(header, "/chat", "Authorization: Bearer $T\r\nX-Kept: 1\r\n");
  EXPECT_TRUE(taken.found(CredentialKind::kHeader));
  EXPECT_EQ(taken.text, http::request("/chat", "X-Kept: 1\r\n"));
}

TEST(Credentials, KnowsTheSchemeInEveryCaseAndSpacing) {
  for (const char* const scheme : {"Bearer ", "bearer ", "BEARER ", "bEaReR   "}) {
    const Taken taken = take(header, "/", "authorization: " + std::string(scheme) + "$T\r\n");
    EXPECT_TRUE(taken.found(CredentialKind::kHeader)) << scheme;
    EXPECT_FALSE(taken.holds_a_secret()) << scheme;
  }
}

TEST(Credentials, TakesABearerSchemeWithoutATokenAsAnEmptyOne) {
  // It goes to the verifier, which refuses it: the client meant to present something.
  EXPECT_TRUE(take(header, "/", "Authorization: Bearer\r\n").found(CredentialKind::kHeader, ""));
}

TEST(Credentials, DoesNotLetATabHideAToken) {
  const Taken taken = take(header, "/", "Authorization: Bearer\t$T\r\n");
  EXPECT_FALSE(taken.nothing());
  EXPECT_FALSE(taken.found(CredentialKind::kHeader));
  EXPECT_FALSE(taken.holds_a_secret());
  EXPECT_FALSE(take({}, "/", "Authorization: Bearer\t$T\r\n").holds_a_secret());
}

TEST(Credentials, LeavesOtherSchemesToTheApplication) {
  for (const char* const value :
       {"Basic dXNlcjpwYXNz", "Bearerx abc", "Digest a=b", "BearerToken", "Beare r"}) {
    const std::string field = "Authorization: " + std::string(value) + "\r\n";
    for (const CredentialSet& accepted : {header, CredentialSet(), kEverything}) {
      const Taken taken = take(accepted, "/", field);
      EXPECT_TRUE(taken.nothing()) << value;
      EXPECT_EQ(taken.text, http::request("/", field)) << value;
    }
  }
}

TEST(Credentials, TakesATokenOutOfTheSubprotocols) {
  const Taken taken =
      take(subprotocol, "/", "Sec-WebSocket-Protocol: chat, bearer.$T, sallyport.v1\r\n");
  EXPECT_TRUE(taken.found(CredentialKind::kSubprotocol));
  EXPECT_FALSE(taken.holds_a_secret());
  EXPECT_EQ(taken.offered, (std::vector<std::string>{"chat", "sallyport.v1"}));
  EXPECT_NE(taken.text.find("chat"), std::string::npos);
  EXPECT_NE(taken.text.find("sallyport.v1"), std::string::npos);
}

TEST(Credentials, TakesAnEncodedTokenOutOfTheSubprotocols) {
  const std::string encoded = base::base64url_encode(kToken);
  const Taken taken = take(
      subprotocol, "/",
      "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io." + encoded + ", chat\r\n");
  EXPECT_TRUE(taken.found(CredentialKind::kSubprotocol));
  EXPECT_EQ(taken.text.find(encoded), std::string::npos);
}

TEST(Credentials, RefusesAMalformedSubprotocolTokenWhereItCounts) {
  for (const char* const item : {"bearer.", "base64url.bearer.authorization.k8s.io.",
                                 "base64url.bearer.authorization.k8s.io.A"}) {
    const std::string field = "Sec-WebSocket-Protocol: chat, " + std::string(item) + "\r\n";
    EXPECT_TRUE(take(subprotocol, "/", field).refused()) << item;
    const Taken elsewhere = take(header, "/", field);
    EXPECT_TRUE(elsewhere.nothing()) << item;
    EXPECT_EQ(elsewhere.text.find(item), std::string::npos) << item;
  }
}

TEST(Credentials, TakesTheNamedCookieAndLeavesTheOthers) {
  const Taken taken = take(cookie("sid"), "/", "Cookie: theme=dark; sid=$T; lang=en\r\n");
  EXPECT_TRUE(taken.found(CredentialKind::kCookie));
  EXPECT_FALSE(taken.holds_a_secret());
  EXPECT_NE(taken.text.find("theme=dark"), std::string::npos);
  EXPECT_NE(taken.text.find("lang=en"), std::string::npos);
}

TEST(Credentials, KnowsACookieByItsExactName) {
  for (const char* const field :
       {"Cookie: Sid=$T\r\n", "Cookie: xsid=$T; sidx=$T\r\n", "X-Cookie: sid=$T\r\n"}) {
    const Taken taken = take(cookie("sid"), "/", field);
    EXPECT_TRUE(taken.nothing()) << field;
    EXPECT_EQ(taken.text, http::request("/", replaced(field)));
  }
}

TEST(Credentials, RefusesACookieThatNoBrowserWouldSend) {
  const Taken taken = take(cookie("sid"), "/", "Cookie: sid=$T\\x\r\n");
  EXPECT_TRUE(taken.refused());
  EXPECT_FALSE(taken.holds_a_secret());
}

TEST(Credentials, TakesTheNamedParameterOutOfTheQuery) {
  const Taken taken = take(insecure_query("token"), "/chat?a=1&token=$T&b=2");
  EXPECT_TRUE(taken.found(CredentialKind::kInsecureQuery));
  EXPECT_EQ(taken.text, http::request("/chat?a=1&b=2"));
}

TEST(Credentials, TakesAParameterInEverySpelling) {
  const Taken taken = take(insecure_query("token"), "/chat?%74oken=SECRET%2Dt0ken.x_y%7Ez");
  EXPECT_TRUE(taken.found(CredentialKind::kInsecureQuery));
  EXPECT_EQ(taken.text, http::request("/chat"));
}

TEST(Credentials, RefusesAParameterThatCannotBeDecoded) {
  for (const char* const value : {"SECRET%zz", "SECRET%", "SECRET%00", "SECRET%ff"}) {
    http::Head head = http::head_of(http::request("/chat?token=" + std::string(value)));
    if (head.method().empty()) continue;  // refused even earlier
    const auto result = take_credential(head, nullptr, {.accepted = insecure_query("token")});
    ASSERT_FALSE(result.has_value()) << value;
    EXPECT_EQ(result.error(), Failure::kBadRequest);
    EXPECT_EQ(head.text().find("SECRET"), std::string_view::npos) << value;
  }
}

TEST(Credentials, FindsNothingWhereNothingWasPresented) {
  const Taken taken =
      take(kEverything, "/chat?a=1", "Cookie: theme=dark\r\nSec-WebSocket-Protocol: chat\r\n");
  EXPECT_TRUE(taken.nothing());
  EXPECT_EQ(taken.text,
            http::request("/chat?a=1", "Cookie: theme=dark\r\nSec-WebSocket-Protocol: chat\r\n"));
}

// Each transport with one credential on it.
struct Transport {
  CredentialKind kind;
  CredentialSet set;
  std::string_view query;
  std::string_view field;
};
std::vector<Transport> transports() {
  return {{CredentialKind::kHeader, header, "", "Authorization: Bearer $T\r\n"},
          {CredentialKind::kSubprotocol, subprotocol, "", "Sec-WebSocket-Protocol: bearer.$T\r\n"},
          {CredentialKind::kCookie, cookie("sid"), "", "Cookie: sid=$T\r\n"},
          {CredentialKind::kInsecureQuery, insecure_query("token"), "token=$T", ""}};
}

TEST(Credentials, RefusesTwoCredentialsWhateverTheySay) {
  for (const Transport& a : transports()) {
    for (const Transport& b : transports()) {
      if (a.kind == b.kind) continue;
      const std::string target = "/?" + std::string(a.query) + std::string(b.query);
      const std::string fields = std::string(a.field) + std::string(b.field);
      const Taken taken = take(a.set | b.set, target, fields);
      EXPECT_TRUE(taken.refused()) << target << fields;
      EXPECT_FALSE(taken.holds_a_secret()) << taken.text;
    }
  }
  const Taken all =
      take(kEverything, "/?token=$T",
           "Authorization: Bearer $T\r\nCookie: sid=$T\r\nSec-WebSocket-Protocol: bearer.$T\r\n");
  EXPECT_TRUE(all.refused());
  EXPECT_FALSE(all.holds_a_secret());
}

TEST(Credentials, RefusesOneCredentialGivenTwice) {
  struct Case {
    CredentialSet accepted;
    std::string_view target;
    std::string_view fields;
  };
  const std::vector<Case> cases{
      {header, "/", "Authorization: Bearer $T\r\nAuthorization: Bearer $T\r\n"},
      {header, "/", "Authorization: Basic eDp5\r\nAuthorization: Bearer $T\r\n"},
      {header, "/", "Authorization: Bearer $T\r\nAuthorization: Basic eDp5\r\n"},
      {subprotocol, "/", "Sec-WebSocket-Protocol: bearer.$T, bearer.$T\r\n"},
      {subprotocol, "/",
       "Sec-WebSocket-Protocol: bearer.$T, chat\r\nSec-WebSocket-Protocol: bearer.SECRET2\r\n"},
      {cookie("sid"), "/", "Cookie: sid=$T; sid=$T\r\n"},
      {cookie("sid"), "/", "Cookie: sid=$T\r\nCookie: a=b; sid=\r\n"},
      {insecure_query("token"), "/?token=$T&token=$T", ""},
      {insecure_query("token"), "/?token=$T&a=1&%74oken=", ""},
  };
  for (const Case& c : cases) {
    const Taken taken = take(c.accepted, c.target, c.fields);
    EXPECT_TRUE(taken.refused()) << c.target << c.fields;
    EXPECT_FALSE(taken.holds_a_secret()) << taken.text;
  }
}

TEST(Credentials, IgnoresWhatTheRouteDoesNotListAndErasesWhatCanBeNothingElse) {
  for (const Transport& listed : transports()) {
    for (const Transport& other : transports()) {
      if (listed.kind == other.kind) continue;
      const std::string target = "/?" + std::string(listed.query) + std::string(other.query);
      const std::string fields = std::string(listed.field) + std::string(other.field);
      const Taken taken = take(listed.set, target, fields);
      EXPECT_TRUE(taken.found(listed.kind)) << target << fields;
      // A cookie or a parameter under a name that nobody listed is the application's own.
      const bool nameless =
          other.kind == CredentialKind::kHeader || other.kind == CredentialKind::kSubprotocol;
      EXPECT_EQ(taken.holds_a_secret(), !nameless) << taken.text;
    }
  }
}

TEST(Credentials, ErasesBearerTokensEvenWhereNothingIsAccepted) {
  const Taken taken = take({}, "/chat?ticket=$T&access_token=$T&a=1",
                           "Authorization: Bearer $T\r\nAuthorization: Bearer $T\r\n"
                           "Sec-WebSocket-Protocol: chat, bearer.$T, bearer.$T, eyJh.SECRET.x\r\n");
  EXPECT_TRUE(taken.nothing());
  EXPECT_FALSE(taken.holds_a_secret()) << taken.text;
  EXPECT_EQ(taken.text, http::request("/chat?a=1", "Sec-WebSocket-Protocol: chat\r\n"));
}

TEST(Credentials, ErasesTheQuerysUsualCredentialsInEverySpelling) {
  for (const char* const parameter : {"ticket", "access_token", "%74icket", "access%5Ftoken"}) {
    const Taken taken =
        take(header, "/?" + std::string(parameter) + "=$T", "Authorization: Bearer $T\r\n");
    EXPECT_TRUE(taken.found(CredentialKind::kHeader));
    EXPECT_EQ(taken.text, http::request("/")) << parameter;
  }
}

TEST(Credentials, WorksWithoutAnOffer) {
  http::Head head =
      http::head_of(http::request("/", replaced("Sec-WebSocket-Protocol: chat, bearer.$T\r\n")));
  const auto result = take_credential(head, nullptr, {.accepted = subprotocol});
  ASSERT_TRUE(result.has_value());
  EXPECT_FALSE(result->has_value());
  EXPECT_EQ(head.text(), http::request("/", "Sec-WebSocket-Protocol: chat\r\n"));
}

TEST(Credentials, AreAmbientWhereBrowsersAttachThemByThemselves) {
  using enum CredentialKind;
  for (const CredentialKind kind : {kCookie, kCertificate}) EXPECT_TRUE(ambient(kind));
  for (const CredentialKind kind :
       {kNone, kHeader, kSubprotocol, kTicket, kFirstMessage, kInsecureQuery}) {
    EXPECT_FALSE(ambient(kind)) << name(kind);
  }
}

TEST(Credentials, AreCalledWhatTheConfigurationCallsThem) {
  using enum CredentialKind;
  const std::array<std::pair<CredentialKind, std::string_view>, 8> names{
      {{kNone, "none"},
       {kHeader, "header"},
       {kSubprotocol, "subprotocol"},
       {kTicket, "ticket"},
       {kCookie, "cookie"},
       {kCertificate, "certificate"},
       {kFirstMessage, "first_message"},
       {kInsecureQuery, "insecure_query"}}};
  for (const auto& [kind, expected] : names) EXPECT_EQ(name(kind), expected);
}

}  // namespace
}  // namespace sallyport::auth
