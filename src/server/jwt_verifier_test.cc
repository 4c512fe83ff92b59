// What the verifier of JSON Web Tokens makes of keys that come from elsewhere, and of tokens that are bound to a
// certificate. Routes with keys at hand: jwt_route_test.cc.

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/base64url.h"
#include "core/base/digest.h"
#include "core/jose/jws.h"
#include "core/jose/mint.h"
#include "server/keys.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;
using Search = KeySource::Search;

const jose::Key& key_of(const std::string& kid) {
  static std::map<std::string, jose::Key> keys;
  const auto found = keys.find(kid);
  if (found != keys.end()) return found->second;
  return keys.emplace(kid, *jose::generate_key(jose::Algorithm::kEs256, kid)).first->second;
}

jose::KeySet set_of(const std::vector<std::string>& kids) {
  std::vector<jose::Key> keys;
  for (const std::string& kid : kids) keys.push_back(key_of(kid));
  return kids.empty() ? jose::KeySet() : *jose::KeySet::from_jwks(*jose::export_jwks(keys));
}

// Says what the test wants it to and remembers what it was asked.
class FakeSource final : public KeySource {
 public:
  void start(const VerifierHost&) override { ++started; }
  void stop() noexcept override { ++stopped; }
  jose::KeySet current() const override { return keys; }
  bool ready() const noexcept override { return !keys.empty(); }
  std::optional<Search> recall(std::string_view kid) const override {
    recalled.emplace_back(kid);
    if (on_recall) on_recall();
    return known;
  }
  awaitable<Search> find(std::string kid) override {
    found.push_back(std::move(kid));
    if (on_find) on_find();
    co_return answer;
  }
  std::uint32_t epoch() const noexcept override { return changes; }
  std::chrono::milliseconds patience() const noexcept override { return wait; }

  jose::KeySet keys;
  std::optional<Search> known;
  Search answer = Search::kUnavailable;
  std::chrono::milliseconds wait{5000};
  std::function<void()> on_recall;
  std::function<void()> on_find;
  mutable std::vector<std::string> recalled;
  std::vector<std::string> found;
  std::uint32_t changes = 0;
  int started = 0;
  int stopped = 0;
};

class JwtVerifierTest : public ::testing::Test {
 protected:
  [[nodiscard]] Verifier make(std::vector<std::string> algorithms = {"ES256"}) {
    const auto make_source = [this](const KeyUser& given) {
      user = given;
      return source;
    };
    return jwt({.issuer = std::string(kIssuer),
                .audience = {"chat"},
                .algorithms = std::move(algorithms),
                .keys = Keys(std::make_shared<const Keys::Loaded>(Keys::Loaded{.keys = {}, .make_source = make_source})),
                .name = "main"});
  }
  static std::string token_of(const std::string& kid, TokenSpec spec = {}, const char* aud = R"(,"aud":"chat")") {
    spec.more += aud;
    return *jose::sign_compact(claims_of(spec), key_of(kid), jose::Algorithm::kEs256);
  }
  [[nodiscard]] std::optional<Verdict> now(const std::string& token) const {
    return backend().verify_now({.kind = CredentialKind::kHeader, .token = token}, wall());
  }
  [[nodiscard]] Verdict later(const std::string& token) const {
    boost::asio::io_context context(1);
    std::optional<Verdict> verdict;
    const auto ask = [&]() -> awaitable<void> {
      const Presented presented{.kind = CredentialKind::kHeader, .token = token};
      verdict = co_await backend().verify_later(presented);
    };
    boost::asio::co_spawn(context, ask(), boost::asio::detached);
    context.run();
    return *verdict;
  }
  static WallTime wall() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }
  [[nodiscard]] const VerifierBackend& backend() const { return *verifier.backends().front(); }

  std::shared_ptr<FakeSource> source = std::make_shared<FakeSource>();
  KeyUser user;
  Verifier verifier = make();
};

TEST_F(JwtVerifierTest, TellsItsSourceWhoItIs) {
  EXPECT_EQ(user.issuer, kIssuer);
  EXPECT_EQ(user.verifier, "main");
  EXPECT_EQ(user.algorithms, std::vector{jose::Algorithm::kEs256});
}

TEST_F(JwtVerifierTest, PassesStartStopAndReadinessOn) {
  boost::asio::io_context control;
  backend().start({control, {}});
  EXPECT_EQ(source->started, 1);
  EXPECT_FALSE(backend().ready());
  source->keys = set_of({"k1"});
  EXPECT_TRUE(backend().ready());
  backend().stop();
  EXPECT_EQ(source->stopped, 1);
}

TEST_F(JwtVerifierTest, WantsNoOldAnswersBelievedWhenItsKeysHaveChanged) {
  const std::uint32_t before = backend().epoch();
  source->changes = 1;
  EXPECT_NE(backend().epoch(), before);
}

TEST_F(JwtVerifierTest, AllowsAtLeastTheTimeThatAFetchMayTake) {
  source->wait = 20s;
  EXPECT_GT(backend().deadline(), 20s);
  source->wait = 100ms;
  EXPECT_GE(backend().deadline(), 100ms);
  EXPECT_LE(backend().deadline(), 5s);
}

TEST_F(JwtVerifierTest, AcceptsAtOnceWithAKeyThatIsThere) {
  source->keys = set_of({"k1"});
  const auto verdict = now(token_of("k1"));
  ASSERT_TRUE(verdict);
  ASSERT_TRUE(verdict->accepted());
  EXPECT_EQ(verdict->principal()->subject, "ada");
  EXPECT_TRUE(source->recalled.empty());
}

TEST_F(JwtVerifierTest, RefusesAtOnceIfTheKeyIsKnownNotToExist) {
  source->keys = set_of({"k1"});
  source->known = Search::kUnknown;
  const auto verdict = now(token_of("k2"));
  ASSERT_TRUE(verdict);
  EXPECT_FALSE(verdict->accepted());
  EXPECT_EQ(verdict->failure(), Failure::kInvalidToken);
  EXPECT_EQ(source->recalled, std::vector<std::string>{"k2"});
}

TEST_F(JwtVerifierTest, IsUnavailableIfNothingIsKnownAboutTheKey) {
  source->known = Search::kUnavailable;
  const auto verdict = now(token_of("k1"));
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->failure(), Failure::kUnavailable);
}

TEST_F(JwtVerifierTest, AsksForAKeyThatIsMissingAndLooksAgain) {
  EXPECT_FALSE(now(token_of("k1")));
  source->answer = Search::kRefreshed;
  source->on_find = [this] { source->keys = set_of({"k1"}); };
  EXPECT_TRUE(later(token_of("k1")).accepted());
  EXPECT_EQ(source->found, std::vector<std::string>{"k1"});
}

TEST_F(JwtVerifierTest, RefusesWhatTheIssuerSaysItDoesNotKnow) {
  source->answer = Search::kUnknown;
  EXPECT_EQ(later(token_of("k1")).failure(), Failure::kInvalidToken);
}

TEST_F(JwtVerifierTest, IsUnavailableIfTheIssuerCannotBeAsked) {
  source->answer = Search::kUnavailable;
  EXPECT_EQ(later(token_of("k1")).failure(), Failure::kUnavailable);
}

TEST_F(JwtVerifierTest, LooksAgainWhateverItWasTold) {
  for (const Search answer : {Search::kUnknown, Search::kUnavailable}) {
    source->keys = {};
    source->answer = answer;
    source->on_find = [this] { source->keys = set_of({"k1"}); };
    EXPECT_TRUE(later(token_of("k1")).accepted());
  }
}

// Between the look at the keys and the question about them a new set may come, after which the question is answered
// with "unknown" for having been asked a moment ago.
TEST_F(JwtVerifierTest, MissesNoSetThatComesWhileItLooks) {
  source->known = Search::kUnknown;
  source->on_recall = [this] { source->keys = set_of({"k1"}); };
  const auto verdict = now(token_of("k1"));
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->accepted());
}

TEST_F(JwtVerifierTest, AsksNobodyAboutATokenThatNoKeyWouldSave) {
  source->keys = set_of({"k1"});
  const struct {
    std::string token;
    Failure failure;
  } cases[] = {
      {token_of("k2", {.life = std::chrono::seconds(-60)}), Failure::kTokenExpired},
      {token_of("k2", {}, R"(,"aud":"other")"), Failure::kInvalidToken},
      {token_of("k2", {}, ""), Failure::kInvalidToken},
      {*jose::sign_compact(claims_of({.more = R"(,"aud":"chat")"}), key_of("k2"), jose::Algorithm::kEs256, "logout+jwt"),
       Failure::kInvalidToken},
  };
  for (const auto& c : cases) {
    const auto verdict = now(c.token);
    ASSERT_TRUE(verdict);
    EXPECT_FALSE(verdict->is_not_mine());
    EXPECT_EQ(verdict->failure(), c.failure);
  }
  EXPECT_TRUE(source->recalled.empty());
  EXPECT_TRUE(source->found.empty());
}

TEST_F(JwtVerifierTest, AsksNobodyAboutTokensOfOthers) {
  for (const std::string& foreign :
       {token_of("k2", {.issuer = "https://other.example.com/"}), token_of("k2", {.issuer = "https://id.example.com"}),
        std::string("opaque"), token()}) {
    const auto verdict = now(foreign);
    ASSERT_TRUE(verdict);
    EXPECT_FALSE(verdict->accepted());
  }
  EXPECT_TRUE(now(token_of("k2", {.issuer = "https://other.example.com/"}))->is_not_mine());
  EXPECT_TRUE(source->recalled.empty());
}

TEST_F(JwtVerifierTest, AsksNobodyAboutABadSignature) {
  source->keys = set_of({"k1"});
  std::string forged = token_of("k1");
  forged[forged.size() - 10] = forged[forged.size() - 10] == 'A' ? 'B' : 'A';
  EXPECT_EQ(now(forged)->failure(), Failure::kInvalidToken);
  EXPECT_TRUE(source->recalled.empty());
}

TEST_F(JwtVerifierTest, AsksNobodyAboutAnAlgorithmThatTheKeyIsNotFor) {
  source->keys = set_of({"k1"});
  const jose::Key other = *jose::generate_key(jose::Algorithm::kEdDsa, "k1");
  const std::string token = *jose::sign_compact(claims_of({.more = R"(,"aud":"chat")"}), other, jose::Algorithm::kEdDsa);
  EXPECT_EQ(now(token)->failure(), Failure::kInvalidToken);
  verifier = make({"ES256", "EdDSA"});
  EXPECT_EQ(now(token)->failure(), Failure::kInvalidToken);
  EXPECT_TRUE(source->recalled.empty());
}

// ---- Logout tokens

class JwtLogoutTest : public JwtVerifierTest {
 protected:
  using Kind = LogoutVerdict::Kind;
  static std::string logout_of(const std::string& kid, const std::string& more = R"(,"sid":"s1")",
                               const std::string& issuer = std::string(kIssuer)) {
    const TokenSpec spec{.more = R"(,"aud":"chat","jti":"t1","events":{"http://schemas.openid.net/event/backchannel-logout":{}})" + more,
                         .issuer = issuer};
    return *jose::sign_compact(claims_of(spec), key_of(kid), jose::Algorithm::kEs256, "logout+jwt");
  }
  [[nodiscard]] std::optional<LogoutVerdict> now(const std::string& token) const {
    return backend().verify_logout_now(token, wall());
  }
  [[nodiscard]] LogoutVerdict later(const std::string& token) const {
    boost::asio::io_context context(1);
    std::optional<LogoutVerdict> verdict;
    const auto ask = [&]() -> awaitable<void> { verdict = co_await backend().verify_logout_later(token); };
    boost::asio::co_spawn(context, ask(), boost::asio::detached);
    context.run();
    return *verdict;
  }
};

TEST_F(JwtLogoutTest, AcceptsAtOnceWithAKeyThatIsThere) {
  source->keys = set_of({"k1"});
  const auto verdict = now(logout_of("k1"));
  ASSERT_TRUE(verdict && verdict->logout);
  EXPECT_EQ(verdict->kind, Kind::kAccepted);
  EXPECT_EQ(verdict->logout->issuer, kIssuer);
  EXPECT_EQ(verdict->logout->subject, "ada");
  EXPECT_EQ(verdict->logout->session, "s1");
  EXPECT_EQ(verdict->logout->token_id, "t1");
  EXPECT_TRUE(source->recalled.empty());
}

TEST_F(JwtLogoutTest, AsksForAKeyThatIsMissingAndLooksAgain) {
  EXPECT_FALSE(now(logout_of("k1")));
  source->answer = Search::kRefreshed;
  source->on_find = [this] { source->keys = set_of({"k1"}); };
  EXPECT_EQ(later(logout_of("k1")).kind, Kind::kAccepted);
  EXPECT_EQ(source->found, std::vector<std::string>{"k1"});
}

TEST_F(JwtLogoutTest, SaysWhetherAMissingKeyIsTheTokensFaultOrNobodys) {
  source->known = Search::kUnknown;
  EXPECT_EQ(now(logout_of("k1"))->kind, Kind::kRefused);
  source->known = Search::kUnavailable;
  EXPECT_EQ(now(logout_of("k1"))->kind, Kind::kUnavailable);
  source->answer = Search::kUnknown;
  EXPECT_EQ(later(logout_of("k1")).kind, Kind::kRefused);
  source->answer = Search::kUnavailable;
  EXPECT_EQ(later(logout_of("k1")).kind, Kind::kUnavailable);
}

TEST_F(JwtLogoutTest, MissesNoSetThatComesWhileItLooks) {
  source->known = Search::kUnknown;
  source->on_recall = [this] { source->keys = set_of({"k1"}); };
  EXPECT_EQ(now(logout_of("k1"))->kind, Kind::kAccepted);
}

TEST_F(JwtLogoutTest, AsksNobodyAboutWhatNoKeyWouldSave) {
  source->keys = set_of({"k1"});
  EXPECT_EQ(now(logout_of("k2", R"(,"sid":"s1","nonce":"n")"))->kind, Kind::kRefused);
  EXPECT_EQ(now(token_of("k2"))->kind, Kind::kRefused) << "an access token";
  EXPECT_EQ(now(logout_of("k2", R"(,"sid":"s1")", "https://other.example.com/"))->kind, Kind::kNotMine);
  EXPECT_EQ(now("opaque")->kind, Kind::kNotMine);
  EXPECT_TRUE(source->recalled.empty());
  EXPECT_TRUE(source->found.empty());
}

// ---- RFC 8705

class BoundTokenTest : public JwtVerifierTest {
 protected:
  void SetUp() override { source->keys = set_of({"k1"}); }
  [[nodiscard]] Verdict present(const std::string& cnf, std::string_view presented) const {
    const std::string token = token_of("k1", {.more = R"(,"cnf":)" + cnf});
    return *backend().verify_now({.kind = CredentialKind::kHeader, .token = token, .certificate = presented}, wall());
  }
  static std::string thumbprint(std::string_view certificate) {
    const auto digest = base::sha256(certificate);
    return base::base64url_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
  }
  const std::string certificate = "the DER of a certificate";
  const std::string bound = R"({"x5t#S256":")" + thumbprint(certificate) + "\"}";
};

TEST_F(BoundTokenTest, IsAcceptedWithItsCertificateOnly) {
  EXPECT_TRUE(present(bound, certificate).accepted());
  for (const std::string& other : {std::string(), std::string("another certificate"), certificate + "x"}) {
    const Verdict verdict = present(bound, other);
    EXPECT_FALSE(verdict.accepted());
    EXPECT_EQ(verdict.failure(), Failure::kInvalidToken);
  }
}

TEST_F(BoundTokenTest, MayBePresentedWithACertificateThatItIsNotBoundTo) {
  EXPECT_TRUE(now(token_of("k1"))->accepted());
  EXPECT_TRUE(backend()
                  .verify_now({.kind = CredentialKind::kHeader, .token = token_of("k1"), .certificate = certificate},
                              wall())
                  ->accepted());
}

TEST_F(BoundTokenTest, IsRefusedIfItIsBoundInAWayThatIsNotChecked) {
  EXPECT_FALSE(present(R"({"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})", certificate).accepted());
  std::string both = bound;
  both.insert(both.size() - 1, R"(,"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")");
  EXPECT_FALSE(present(both, certificate).accepted());
  EXPECT_FALSE(present(R"({"x5t#S256":"short"})", certificate).accepted());
  EXPECT_FALSE(present(R"({"x5t#S256":null})", "").accepted());
}

}  // namespace
}  // namespace sallyport
