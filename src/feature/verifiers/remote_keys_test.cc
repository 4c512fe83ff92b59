#include "feature/verifiers/remote_keys.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/jose/mint.h"
#include "feature/verifiers/test_provider.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using io::test::http_answer;
using io::test::HttpAnswer;
using server::test::eventually;
using server::test::Log;
using test::Provider;
using Search = KeySource::Search;

// Fetches often, so that tests need not wait.
constexpr JwksOptions kHasty{.timeout = 400ms,
                             .cooldown = 100ms,
                             .refresh_min = 100ms,
                             .refresh_max = 1h,
                             .refresh_default = 100ms,
                             .stale_max = 1h};
// Fetches only for unknown kids.
constexpr JwksOptions kCalm{.timeout = 2s, .cooldown = 100ms, .refresh_min = 1min};

bool has(const jose::KeySet& keys, std::string_view kid) {
  for (const jose::Key& key : keys.keys()) {
    if (key.kid() == kid) return true;
  }
  return false;
}

class RemoteKeysTest : public ::testing::Test {
 protected:
  ~RemoteKeysTest() override { stop(); }

  void make(const Keys& keys, const std::string& issuer = "https://id.example.com/") {
    source = keys.loaded().make_source(
        {.issuer = issuer, .verifier = "main", .algorithms = {jose::Algorithm::kEs256}});
  }
  // The control thread.
  void start() {
    source->start({control, log.sink()});
    thread = std::thread([this] {
      const auto guard = asio::make_work_guard(control);
      control.run();
    });
  }
  void stop() {
    control.stop();
    if (thread.joinable()) thread.join();
    if (source) source->stop();
  }
  void serve(const Keys& keys, const std::string& issuer = "https://id.example.com/") {
    make(keys, issuer);
    start();
    ASSERT_TRUE(eventually([&] { return source->ready(); }));
  }
  // All of them from this thread, as a worker would, at once.
  std::vector<Search> find(const std::vector<std::string>& kids) {
    asio::io_context worker(1);
    std::vector<Search> answers(kids.size(), Search::kUnavailable);
    for (std::size_t i = 0; i < kids.size(); ++i) {
      asio::co_spawn(
          worker,
          [](KeySource& asked, std::string kid, Search& answer) -> asio::awaitable<void> {
            answer = co_await asked.find(std::move(kid));
          }(*source, kids[i], answers[i]),
          asio::detached);
    }
    worker.run();
    return answers;
  }
  Search find(const std::string& kid) { return find(std::vector<std::string>{kid}).front(); }
  [[nodiscard]] std::size_t failures() const { return log.count("keys.fetch_failed"); }
  // Until nothing that has been fetched counts as evidence any more.
  static void cool_down() { std::this_thread::sleep_for(120ms); }

  asio::io_context control{1};
  Log log;
  std::shared_ptr<KeySource> source;
  std::thread thread;
};

TEST_F(RemoteKeysTest, AreFetchedAtTheStart) {
  Provider provider;
  make(jwks(provider.jwks_url(), kCalm));
  EXPECT_FALSE(source->ready());
  EXPECT_TRUE(source->current().empty());
  start();
  ASSERT_TRUE(eventually([&] { return source->ready(); }));
  EXPECT_TRUE(has(source->current(), "k1"));
  EXPECT_EQ(provider.fetches(), 1U);
}

TEST_F(RemoteKeysTest, AreFetchedOnceHoweverOftenTheyAreStarted) {
  Provider provider;
  make(jwks(provider.jwks_url(), kCalm));
  source->start({control, log.sink()});
  start();
  ASSERT_TRUE(eventually([&] { return source->ready(); }));
  EXPECT_EQ(find("k1"), Search::kRefreshed);
  EXPECT_EQ(provider.fetches(), 1U);
}

TEST_F(RemoteKeysTest, AreUnavailableBeforeTheStartAndAfterTheEnd) {
  Provider provider;
  make(jwks(provider.jwks_url(), kCalm));
  EXPECT_EQ(source->recall("k1"), Search::kUnavailable);
  EXPECT_EQ(find("k1"), Search::kUnavailable);
  start();
  ASSERT_TRUE(eventually([&] { return source->ready(); }));
  stop();
  EXPECT_EQ(find("k2"), Search::kUnavailable);
}

TEST_F(RemoteKeysTest, FindAKeyThatIsNewWithinOneFetchAndKeepTheOldWhileItIsPublished) {
  Provider provider;
  serve(jwks(provider.jwks_url(), kCalm));
  provider.publish({"k1", "k2"});
  cool_down();
  EXPECT_EQ(source->recall("k2"), std::nullopt);
  EXPECT_EQ(find("k2"), Search::kRefreshed);
  EXPECT_EQ(provider.fetches(), 2U);
  EXPECT_TRUE(has(source->current(), "k1"));
  EXPECT_TRUE(has(source->current(), "k2"));
  EXPECT_EQ(source->recall("k2"), Search::kRefreshed);
  provider.publish({"k2"});
  cool_down();
  EXPECT_EQ(find("k3"), Search::kUnknown);
  EXPECT_FALSE(has(source->current(), "k1"));
}

TEST_F(RemoteKeysTest, AreRefreshedWithoutBeingAsked) {
  Provider provider;
  serve(jwks(provider.jwks_url(), kHasty));
  provider.publish({"k1", "k2"});
  EXPECT_TRUE(eventually([&] { return has(source->current(), "k2"); }));
}

TEST_F(RemoteKeysTest, AskOnceInACooldownForKidsThatAreNotInTheSet) {
  Provider provider;
  serve(jwks(provider.jwks_url(), {.timeout = 2s, .cooldown = 1min}));
  EXPECT_EQ(source->recall("stranger"), std::nullopt) << "it may have been published just now";
  EXPECT_NE(find("stranger"), Search::kUnavailable);
  EXPECT_EQ(source->recall("another"), Search::kUnknown);
  EXPECT_EQ(find("another"), Search::kUnknown);
  EXPECT_EQ(provider.fetches(), 2U);
}

TEST_F(RemoteKeysTest, AreFetchedOnceForAllWhoWaitOnAColdStart) {
  Provider provider;
  provider.misbehave([&] {
    HttpAnswer answer = http_answer(200, jose::export_jwks({&test::provider_key("k1"), 1}).value());
    answer.delay = 500ms;
    return answer;
  });
  make(jwks(provider.jwks_url(), kCalm));
  start();
  const auto answers = find(std::vector<std::string>(5000, "k1"));
  EXPECT_EQ(std::count(answers.begin(), answers.end(), Search::kRefreshed), 5000);
  EXPECT_EQ(provider.fetches(), 1U);
}

TEST_F(RemoteKeysTest, LetABoundedNumberWaitAndAnswerTheOthersAtOnce) {
  Provider provider;
  provider.misbehave([] { return HttpAnswer{.bytes = "", .delay = 1h}; });
  make(jwks(provider.jwks_url(), {.timeout = 5s}));
  start();
  ASSERT_TRUE(eventually([&] { return provider.fetches() == 1; }));
  constexpr std::size_t kTooMany = 10;
  asio::io_context worker(1);
  std::vector<Search> answers;
  for (std::size_t i = 0; i < RemoteKeys::kWaitingMax + kTooMany; ++i) {
    asio::co_spawn(
        worker,
        [](KeySource& asked, std::vector<Search>& out) -> asio::awaitable<void> {
          out.push_back(co_await asked.find("k1"));
        }(*source, answers),
        asio::detached);
  }
  worker.poll();
  EXPECT_EQ(answers, std::vector<Search>(kTooMany, Search::kUnavailable));
  provider.behave();
  worker.run();  // until the fetch has run into its timeout
  EXPECT_EQ(answers.size(), RemoteKeys::kWaitingMax + kTooMany);
  EXPECT_TRUE(eventually([&] { return source->ready(); }));
  const auto again = find(std::vector<std::string>(kTooMany, "k1"));  // the places are free again
  EXPECT_EQ(again, std::vector<Search>(kTooMany, Search::kRefreshed));
}

TEST_F(RemoteKeysTest, AreNotFetchedMoreOftenForTenThousandStrangers) {
  Provider provider;
  serve(jwks(provider.jwks_url(), kCalm));
  const auto began = std::chrono::steady_clock::now();
  int number = 0;
  int unknown = 0;
  for (int i = 0; i < 100; ++i) {
    std::vector<std::string> kids;
    for (int k = 0; k < 100; ++k) kids.push_back("random " + std::to_string(number++));
    for (const Search answer : find(kids)) unknown += answer == Search::kUnknown ? 1 : 0;
    std::this_thread::sleep_for(5ms);
  }
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_EQ(unknown, 10'000);
  EXPECT_LE(provider.fetches(), 2U + static_cast<std::size_t>(took / kCalm.cooldown));
  EXPECT_GE(provider.fetches(), 2U);
  EXPECT_TRUE(has(source->current(), "k1"));
}

TEST_F(RemoteKeysTest, TakeATokenThatNamesNoKeyForWorthOneFetch) {
  Provider provider;
  serve(jwks(provider.jwks_url(), kCalm));
  EXPECT_EQ(find(""), Search::kRefreshed);
  EXPECT_EQ(provider.fetches(), 2U);
  EXPECT_EQ(source->recall(""), Search::kUnknown);
}

TEST_F(RemoteKeysTest, RecoverByThemselvesIfTheIssuerIsDownAtTheStart) {
  const std::uint16_t port = io::test::free_port();
  make(jwks("http://127.0.0.1:" + std::to_string(port) + "/jwks", kCalm));
  start();
  ASSERT_TRUE(eventually([&] { return failures() >= 1; }));
  EXPECT_FALSE(source->ready());
  EXPECT_EQ(log.count("keys.fetch_failed", "there are no keys"), failures());
  const Search answer = find("k1");
  EXPECT_EQ(answer, Search::kUnavailable);
  Provider provider({"k1"}, port);
  EXPECT_TRUE(eventually([&] { return source->ready(); }));
  EXPECT_EQ(find("k1"), Search::kRefreshed);
}

// What an issuer may do wrong. Good keys stay, and nothing is concluded about others.
struct Fault {
  std::string name;
  std::function<HttpAnswer()> answer;
};

std::string jwks_of_65() {
  std::string keys;
  const std::string one = jose::export_jwks({&test::provider_key("k1"), 1}).value();
  for (int i = 0; i < 65; ++i) {
    std::string key = one.substr(one.find('[') + 1, one.rfind(']') - one.find('[') - 1);
    key.replace(key.find("\"k1\""), 4, "\"n" + std::to_string(i) + "\"");
    keys += (i == 0 ? "" : ",") + key;
  }
  return "{\"keys\":[" + keys + "]}";
}

std::vector<Fault> faults() {
  const auto always = [](HttpAnswer answer) { return [answer] { return answer; }; };
  const std::string marker = "marker-in-the-body";
  HttpAnswer hang{.bytes = "", .delay = 1h};
  HttpAnswer drip = http_answer(200, marker + std::string(1000, ' '));
  drip.drip = 5ms;
  const std::string secret = R"({"kty":"oct","kid":"s","k":"bWFya2VyLWluLXRoZS1ib2R5LW1hcmtlci1pbi10aGUtYm9keQ"})";
  const std::string one = jose::export_jwks({&test::provider_key("k1"), 1}).value();
  const std::string mixed = one.substr(0, one.rfind(']')) + "," + secret + "]}";
  return {{"Refuses", always({.bytes = "", .close = true})},
          {"Status500", always(http_answer(500, marker))},
          {"Status404", always(http_answer(404, one))},
          {"Redirects", always(http_answer(302, one, "Location: http://127.0.0.1:1/" + marker + "\r\n"))},
          {"EmptyBody", always(http_answer(200, ""))},
          {"EmptySet", always(http_answer(200, R"({"keys":[]})"))},
          {"Garbage", always(http_answer(200, "<html>" + marker + "</html>"))},
          {"NoHttp", always({.bytes = marker + "\r\n\r\n", .close = true})},
          {"Huge", always(http_answer(200, R"({"keys":[],"x":")" + std::string(300'000, 'x') + "\"}"))},
          {"TooManyKeys", always(http_answer(200, jwks_of_65()))},
          {"Secrets", always(http_answer(200, "{\"keys\":[" + secret + "]}"))},
          {"Mixed", always(http_answer(200, mixed))},
          {"CutShort", always({.bytes = http_answer(200, one).bytes.substr(0, 150), .close = true})},
          {"Hangs", always(hang)},
          {"Drips", always(drip)}};
}

class RemoteKeysFaultTest : public RemoteKeysTest, public ::testing::WithParamInterface<Fault> {};

INSTANTIATE_TEST_SUITE_P(All, RemoteKeysFaultTest, ::testing::ValuesIn(faults()),
                         [](const auto& each) { return each.param.name; });

TEST_P(RemoteKeysFaultTest, LeavesGoodKeysInUseAndUnknownOnesUnavailable) {
  Provider provider;
  serve(jwks(provider.jwks_url(), kHasty));
  provider.misbehave(GetParam().answer);
  ASSERT_TRUE(eventually([&] { return failures() >= 1; }));
  EXPECT_TRUE(source->ready());
  EXPECT_TRUE(has(source->current(), "k1"));
  EXPECT_EQ(source->current().size(), 1U);
  EXPECT_EQ(find("k2"), Search::kUnavailable);
  EXPECT_EQ(log.count("keys.fetch_failed", "last keys stay in use"), failures());
  provider.publish({"k1", "k2"});
  provider.behave();
  EXPECT_TRUE(eventually([&] { return has(source->current(), "k2"); }));
  for (const std::string& line : log.all()) EXPECT_EQ(line.find("marker"), std::string::npos) << line;
}

TEST_F(RemoteKeysTest, AreNotUsedForeverWhenTheyCannotBeFetchedAgain) {
  Provider provider;
  JwksOptions options = kHasty;
  options.stale_max = 500ms;
  serve(jwks(provider.jwks_url(), options));
  const auto began = std::chrono::steady_clock::now();
  provider.misbehave([] { return http_answer(500, ""); });
  ASSERT_TRUE(eventually([&] { return !source->ready(); }));
  EXPECT_GE(std::chrono::steady_clock::now() - began, 500ms);
  EXPECT_TRUE(source->current().empty());
  EXPECT_EQ(find("k1"), Search::kUnavailable);
  provider.behave();
  EXPECT_TRUE(eventually([&] { return source->ready(); }));
}

TEST_F(RemoteKeysTest, SayInTheLogWhatHappenedButNoMoreOftenThanTheyTry) {
  Provider provider;
  serve(jwks(provider.jwks_url(), kHasty));
  EXPECT_EQ(log.count("keys.fetched", "verifier=main keys=1 ignored=0 next_ms="), log.count("keys.fetched"));
  provider.misbehave([] { return http_answer(503, ""); });
  ASSERT_TRUE(eventually([&] { return failures() >= 1; }));
  EXPECT_EQ(log.count("keys.fetch_failed", provider.jwks_url() + " answers with status 503"), failures());
  EXPECT_EQ(log.count("keys.fetch_failed", "hint="), failures());
  std::this_thread::sleep_for(300ms);
  EXPECT_LE(failures(), 2U);
}

TEST_F(RemoteKeysTest, SayWhenNoKeyFitsTheAlgorithms) {
  Provider provider;
  source = jwks(provider.jwks_url(), kCalm)
               .loaded()
               .make_source({.issuer = "i", .verifier = "main", .algorithms = {jose::Algorithm::kEdDsa}});
  start();
  ASSERT_TRUE(eventually([&] { return source->ready(); }));
  EXPECT_TRUE(eventually([&] { return log.count("keys.unfit", "ES256") == 1; }));
}

TEST_F(RemoteKeysTest, AreFreshForAsLongAsTheIssuerSaysWithinBounds) {
  const struct {
    std::string fields;
    std::int64_t most;
  } cases[] = {{"", 600'000},
               {"Cache-Control: public, max-age=120\r\n", 120'000},
               {"Cache-Control: max-age=120\r\nAge: 30\r\n", 90'000},
               {"Cache-Control: max-age=1\r\n", 60'000},
               {"Cache-Control: no-store\r\n", 60'000},
               {"Cache-Control: max-age=99999999\r\n", 3'600'000}};
  for (const auto& c : cases) {
    Provider provider;
    provider.add_fields(c.fields);
    Log own;
    asio::io_context context(1);
    source = jwks(provider.jwks_url(), {.refresh_max = 1h})
                 .loaded()
                 .make_source({.issuer = "i", .verifier = "main", .algorithms = {jose::Algorithm::kEs256}});
    source->start({context, own.sink()});
    while (!source->ready()) context.run_one();
    context.poll();
    source->stop();
    const std::string line = own.all().front();
    const std::int64_t next = std::stoll(line.substr(line.find("next_ms=") + 8));
    EXPECT_LE(next, c.most) << c.fields;
    EXPECT_GE(next, c.most * 9 / 10 - 1) << c.fields;
  }
}

TEST_F(RemoteKeysTest, EndInTheMiddleOfAFetchAndMayBeStartedAgain) {
  Provider provider;
  provider.misbehave([] { return HttpAnswer{.bytes = "", .delay = 1h}; });
  make(jwks(provider.jwks_url(), kCalm));
  {
    asio::io_context first(1);
    source->start({first, log.sink()});
    first.run_for(100ms);
    EXPECT_EQ(provider.fetches(), 1U);
    source->stop();
    first.run_for(50ms);  // nothing may happen any more
  }
  provider.behave();
  start();
  EXPECT_TRUE(eventually([&] { return source->ready(); }));
}

TEST_F(RemoteKeysTest, CanBeFetchedOnceForACommand) {
  Provider provider;
  const KeyUser user{.issuer = provider.issuer(), .verifier = "main", .algorithms = {jose::Algorithm::kEs256}};
  const auto keys = fetch_keys(discovered(kCalm), user);
  ASSERT_TRUE(keys) << keys.error();
  EXPECT_TRUE(has(*keys, "k1"));
  provider.misbehave([] { return http_answer(500, ""); });
  const auto none = fetch_keys(jwks(provider.jwks_url(), kCalm), user);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().find("status 500"), std::string::npos) << none.error();
}

// ---- Discovery

TEST_F(RemoteKeysTest, AreFoundThroughTheIssuersMetadata) {
  Provider provider;
  serve(discovered(kCalm), provider.issuer());
  EXPECT_TRUE(has(source->current(), "k1"));
  EXPECT_EQ(provider.discoveries(), 1U);
  EXPECT_EQ(provider.fetches(), 1U);
}

TEST_F(RemoteKeysTest, AreAskedForWithoutTheMetadataWhenAKidIsUnknown) {
  Provider provider;
  serve(discovered(kCalm), provider.issuer());
  cool_down();
  EXPECT_EQ(find("k2"), Search::kUnknown);
  EXPECT_EQ(provider.fetches(), 2U);
  EXPECT_EQ(provider.discoveries(), 1U);
}

TEST_F(RemoteKeysTest, FollowTheMetadataWhenTheyAreRefreshed) {
  Provider provider;
  serve(discovered(kHasty), provider.issuer());
  Provider other({"k2"});
  provider.misguide(R"({"issuer":")" + provider.issuer() + R"(","jwks_uri":")" + other.jwks_url() + "\"}");
  EXPECT_TRUE(eventually([&] { return has(source->current(), "k2"); }));
}

TEST_F(RemoteKeysTest, AreNotTakenFromMetadataOfAnotherIssuer) {
  Provider provider;
  serve(discovered(kHasty), provider.issuer());
  Provider evil({"k2"});
  provider.misguide(R"({"issuer":")" + evil.issuer() + R"(","jwks_uri":")" + evil.jwks_url() + "\"}");
  ASSERT_TRUE(eventually([&] { return failures() >= 1; }));
  EXPECT_EQ(log.count("keys.fetch_failed", "not that of the issuer"), failures());
  EXPECT_TRUE(has(source->current(), "k1"));
  EXPECT_EQ(evil.fetches(), 0U);
}

TEST_F(RemoteKeysTest, ReadTheMetadataAgainAfterAFailure) {
  Provider provider;
  serve(discovered(kCalm), provider.issuer());
  provider.misbehave([] { return http_answer(404, ""); });
  cool_down();
  EXPECT_EQ(find("k2"), Search::kUnavailable);
  const std::size_t before = provider.discoveries();
  Provider other({"k2"});
  provider.misguide(R"({"issuer":")" + provider.issuer() + R"(","jwks_uri":")" + other.jwks_url() + "\"}");
  EXPECT_TRUE(eventually([&] { return has(source->current(), "k2"); }));
  EXPECT_GT(provider.discoveries(), before);
}

// ---- Options

TEST(RemoteKeysOptions, RefuseWhatCannotBeMeant) {
  const std::string url = "https://id.example.com/jwks";
  EXPECT_NO_THROW((void)jwks(url));
  for (const char* const bad : {"", "id.example.com", "http://id.example.com/jwks", "ftp://id.example.com/",
                                "https://u:p@id.example.com/", "https://id.example.com/#x"}) {
    EXPECT_THROW((void)jwks(bad), std::invalid_argument) << bad;
  }
  const JwksOptions cases[] = {{.timeout = 0ms},
                               {.timeout = -1ms},
                               {.cooldown = -1ms},
                               {.refresh_min = 0ms},
                               {.refresh_min = 2min, .refresh_max = 1min},
                               {.refresh_max = 24h * 400},
                               {.refresh_default = 0ms},
                               {.stale_max = -1ms},
                               {.stale_max = 24h * 400}};
  for (const JwksOptions& bad : cases) {
    EXPECT_THROW((void)jwks(url, bad), std::invalid_argument);
    EXPECT_THROW((void)discovered(bad), std::invalid_argument);
  }
}

TEST(RemoteKeysOptions, RefuseAVerifierThatTheyCannotServe) {
  const auto made = [](Keys keys, std::string issuer, std::string algorithm) {
    return jwt({.issuer = std::move(issuer), .audience = {}, .algorithms = {std::move(algorithm)},
                .keys = std::move(keys)});
  };
  EXPECT_NO_THROW((void)made(discovered(), "https://id.example.com", "RS256"));
  EXPECT_THROW((void)made(discovered(), "my-issuer", "RS256"), std::invalid_argument);
  EXPECT_NO_THROW((void)made(jwks("https://id.example.com/jwks"), "my-issuer", "RS256"));
  // Whoever can fetch an HMAC secret can make tokens.
  EXPECT_THROW((void)made(jwks("https://id.example.com/jwks"), "my-issuer", "HS256"), std::invalid_argument);
}

}  // namespace
}  // namespace sallyport
