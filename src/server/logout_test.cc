// POST /.sallyport/backchannel-logout: who is ended by it, who may send it, and what it is told.

#include "server/logout.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/jose/jws.h"
#include "core/jose/key.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport::server::test {
namespace {

constexpr const char* kForm = "application/x-www-form-urlencoded";
constexpr const char* kInvalid = R"({"error":"invalid_request"})";
constexpr const char* kEvents = R"(,"events":{"http://schemas.openid.net/event/backchannel-logout":{}})";

std::int64_t now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct LogoutSpec {
  std::string members;  ///< of the claims: R"(,"sid":"s1")"
  std::int64_t issued = now_s();
  std::string fraction = {};  ///< of `issued`: ".5"
  std::int64_t life = 120;
  std::string type = "logout+jwt";
  std::string issuer = std::string(kIssuer);
  std::string events = kEvents;
  std::string token_id = {};  ///< empty: a new one
  std::string_view secret = kSecret;
};

std::string logout_token(const LogoutSpec& spec) {
  static std::atomic<int> number = 0;
  const std::string jti = spec.token_id.empty() ? "logout-" + std::to_string(++number) : spec.token_id;
  const std::string claims = R"({"iss":")" + spec.issuer + R"(","aud":"chat","jti":")" + jti + R"(","iat":)" +
                             std::to_string(spec.issued) + spec.fraction + R"(,"exp":)" + std::to_string(spec.issued + spec.life) +
                             spec.events + spec.members + "}";
  return *jose::sign_compact(claims, *jose::Key::from_secret(spec.secret), jose::Algorithm::kHs256, spec.type);
}

JwtOptions issuer_options() {
  return {.issuer = std::string(kIssuer), .audience = {}, .algorithms = {"HS256"}, .keys = secret_text(kSecret)};
}

// Keeps nothing, and fails when it is told to.
class BrokenStore final : public Store {
 public:
  std::expected<Contents, std::string> open(WallTime) override { return Contents{}; }
  std::expected<void, std::string> write(const Changes&) override {
    if (broken) return std::unexpected("the disk is full");
    return {};
  }
  void close() noexcept override {}
  std::atomic<bool> broken = false;
};

struct LogoutTest : testing::Test {
  void start(AppOptions options = {}, Verifier verifier = jwt(issuer_options())) {
    options.log = log.sink();
    server.emplace(std::move(options));
    server->app.ws("/", {.auth = {.verifier = std::move(verifier)},
                         .limits = {.connections_per_subject = 0},
                         .on_message = [](sallyport::Connection& c, Message m) { c.send(m.data); }});
    server->start();
  }
  Reply post_raw(const std::string& body, const Fields& fields) {
    Client client(server->port());
    std::string request = "POST /.sallyport/backchannel-logout HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                          std::to_string(body.size()) + "\r\n";
    for (const auto& [name, value] : fields) request += name + ": " + value + "\r\n";
    client.send_raw(request + "\r\n" + body);
    return client.read_reply();
  }
  Reply post(const std::string& token) { return post_raw("logout_token=" + token, {{"Content-Type", kForm}}); }
  Reply logout(const LogoutSpec& spec) { return post(logout_token(spec)); }
  std::unique_ptr<Client> open(const TokenSpec& spec) {
    auto client = std::make_unique<Client>(server->port());
    EXPECT_EQ(client->upgrade("/", bearer(token(spec))).status, 101);
    return client;
  }
  int status(const TokenSpec& spec) { return Client(server->port()).upgrade("/", bearer(token(spec))).status; }
  static bool talks(Client& client) { return client.send("x") && client.hear_text() == "x"; }
  static void expect_logged_out(Client& client) {
    const Heard heard = client.hear();
    EXPECT_EQ(heard.code, 3000);
    EXPECT_EQ(heard.text, "logged_out");
  }
  void expect_invalid(const Reply& reply, const std::string& what) {
    EXPECT_EQ(reply.status, 400) << what;
    EXPECT_EQ(reply.body, kInvalid) << what;
    EXPECT_EQ(reply.field("Cache-Control"), "no-store") << what;
  }

  Log log;
  std::optional<Server> server;
};

TEST_F(LogoutTest, OfASessionEndsItsSocketsAndNoOthers) {
  start();
  const auto tab = open({.more = R"(,"sid":"s1")"});
  const auto other_tab = open({.more = R"(,"sid":"s1","jti":"x")"});
  const auto phone = open({.more = R"(,"sid":"s2")"});
  const Reply reply = logout({.members = R"(,"sid":"s1")"});
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.body, "");
  EXPECT_EQ(reply.field("Cache-Control"), "no-store");
  expect_logged_out(*tab);
  expect_logged_out(*other_tab);
  EXPECT_TRUE(talks(*phone));
  EXPECT_EQ(status({.more = R"(,"sid":"s1")"}), 401);
  EXPECT_EQ(status({.more = R"(,"sid":"s2")"}), 101);
  EXPECT_EQ(log.count("logout.applied", "session=s1"), 1U);
}

TEST_F(LogoutTest, OfASessionAndASubjectNeedsBoth) {
  start();
  const auto ada = open({.subject = "ada", .more = R"(,"sid":"s1")"});
  EXPECT_EQ(logout({.members = R"(,"sub":"bob","sid":"s1")"}).status, 200);
  EXPECT_TRUE(talks(*ada));
  EXPECT_EQ(logout({.members = R"(,"sub":"ada","sid":"s1")"}).status, 200);
  expect_logged_out(*ada);
}

TEST_F(LogoutTest, OfASubjectEndsAllThatIsNotNewer) {
  start();
  const auto ada = open({.subject = "ada", .more = R"(,"sid":"s1")"});
  const auto phone = open({.subject = "ada"});
  const auto bob = open({.subject = "bob"});
  EXPECT_EQ(logout({.members = R"(,"sub":"ada")"}).status, 200);
  expect_logged_out(*ada);
  expect_logged_out(*phone);
  EXPECT_TRUE(talks(*bob));
  EXPECT_EQ(status({.subject = "bob"}), 101);
}

// The logout is a while old, so that a token of now is of a later login.
TEST_F(LogoutTest, OfASubjectLetsALaterLoginIn) {
  start();
  EXPECT_EQ(logout({.members = R"(,"sub":"ada")", .issued = now_s() - 5}).status, 200);
  EXPECT_EQ(status({.subject = "ada"}), 101);
  EXPECT_EQ(logout({.members = R"(,"sub":"ada")", .issued = now_s() + 5}).status, 200) << "within the leeway";
  EXPECT_EQ(status({.subject = "ada"}), 401);
}

// A provider may be more exact in one kind of token than in another.
TEST_F(LogoutTest, OfAFractionOfASecondMeansThatSecondAndNotTheNext) {
  start();
  const std::int64_t second = now_s() - 5;
  EXPECT_EQ(logout({.members = R"(,"sub":"ada")", .issued = second, .fraction = ".75"}).status, 200);
  const auto of_second = [](std::int64_t issued) {
    const std::string claims = R"({"iss":")" + std::string(kIssuer) + R"(","sub":"ada","iat":)" + std::to_string(issued) +
                               R"(,"exp":)" + std::to_string(issued + 600) + "}";
    return *jose::sign_compact(claims, *jose::Key::from_secret(kSecret), jose::Algorithm::kHs256);
  };
  EXPECT_EQ(Client(server->port()).upgrade("/", bearer(of_second(second))).status, 401);
  EXPECT_EQ(Client(server->port()).upgrade("/", bearer(of_second(second + 1))).status, 101);
}

TEST_F(LogoutTest, OfAnUnknownSessionIsFine) {
  start();
  EXPECT_EQ(logout({.members = R"(,"sid":"nobody")"}).status, 200);
}

TEST_F(LogoutTest, IsOfItsIssuerAlone) {
  start();
  const auto ada = open({.more = R"(,"sid":"s1")"});
  expect_invalid(logout({.members = R"(,"sid":"s1")", .issuer = "https://other.example.com/"}), "another issuer");
  expect_invalid(logout({.members = R"(,"sid":"s1")", .issuer = "https://id.example.com"}), "almost this issuer");
  EXPECT_TRUE(talks(*ada));
}

TEST_F(LogoutTest, IsRefusedForWhatIsWrongWithIt) {
  start();
  const auto ada = open({.more = R"(,"sid":"s1")"});
  const struct {
    const char* what;
    LogoutSpec spec;
  } cases[] = {
      {"neither subject nor session", {}},
      {"a nonce", {.members = R"(,"sid":"s1","nonce":"n")"}},
      {"a nonce of null", {.members = R"(,"sid":"s1","nonce":null)"}},
      {"no events", {.members = R"(,"sid":"s1")", .events = ""}},
      {"another event", {.members = R"(,"sid":"s1")", .events = R"(,"events":{"urn:x":{}})"}},
      {"events in a list", {.members = R"(,"sid":"s1")", .events = R"(,"events":["http://schemas.openid.net/event/backchannel-logout"])"}},
      {"an access token's type", {.members = R"(,"sid":"s1")", .type = "at+jwt"}},
      {"an ID token's type", {.members = R"(,"sid":"s1")", .type = "JWT"}},
      {"no type", {.members = R"(,"sid":"s1")", .type = ""}},
      {"expired", {.members = R"(,"sid":"s1")", .issued = now_s() - 200, .life = 100}},
      {"old", {.members = R"(,"sid":"s1")", .issued = now_s() - 700, .life = 7000}},
      {"of the future", {.members = R"(,"sid":"s1")", .issued = now_s() + 300}},
      {"another key", {.members = R"(,"sid":"s1")", .secret = "a secret of more than 32 bytes of somebody else"}},
  };
  for (const auto& c : cases) expect_invalid(logout(c.spec), c.what);
  expect_invalid(post(token({.more = R"(,"sid":"s1")"})), "an access token");
  expect_invalid(post("rubbish"), "no token");
  expect_invalid(post(std::string(9000, 'x')), "a long one");
  EXPECT_TRUE(talks(*ada));
  EXPECT_GE(log.count("logout.refused"), std::size(cases) + 3);
}

TEST_F(LogoutTest, CountsOnce) {
  start();
  const std::string once = logout_token({.members = R"(,"sid":"s1")", .token_id = "once"});
  EXPECT_EQ(post(once).status, 200);
  expect_invalid(post(once), "the same");
  expect_invalid(logout({.members = R"(,"sid":"s2")", .token_id = "once"}), "another of the same jti");
  EXPECT_EQ(logout({.members = R"(,"sid":"s2")", .token_id = "twice"}).status, 200);
}

TEST_F(LogoutTest, ThatComesTwentyTimesAtOnceHasOneWinner) {
  start();
  const std::string once = logout_token({.members = R"(,"sid":"s1")"});
  std::atomic<int> good = 0;
  std::atomic<int> bad = 0;
  std::vector<std::thread> crowd;
  for (int i = 0; i < 20; ++i) {
    crowd.emplace_back([&] {
      const int answer = post(once).status;
      ++(answer == 200 ? good : bad);
    });
  }
  for (std::thread& thread : crowd) thread.join();
  EXPECT_EQ(good, 1);
  EXPECT_EQ(bad, 19);
}

TEST_F(LogoutTest, ThatCouldNotBeKeptMayComeAgain) {
  const auto store = std::make_shared<BrokenStore>();
  start({.store = store});
  const auto ada = open({.more = R"(,"sid":"s1")"});
  store->broken = true;
  const std::string token = logout_token({.members = R"(,"sid":"s1")"});
  const Reply reply = post(token);
  EXPECT_EQ(reply.status, 503);
  EXPECT_FALSE(reply.field("Retry-After").empty());
  EXPECT_EQ(reply.field("Cache-Control"), "no-store");
  expect_logged_out(*ada);
  store->broken = false;
  EXPECT_EQ(post(token).status, 200);
  expect_invalid(post(token), "now it is used");
}

TEST_F(LogoutTest, IsAFormWithOneToken) {
  start();
  const std::string token = logout_token({.members = R"(,"sid":"s1")"});
  const std::string body = "logout_token=" + token;
  const Fields form{{"Content-Type", kForm}};
  const struct {
    const char* what;
    std::string body;
    Fields fields;
  } cases[] = {
      {"no type", body, {}},
      {"JSON", R"({"logout_token":")" + token + "\"}", {{"Content-Type", "application/json"}}},
      {"multipart", body, {{"Content-Type", "multipart/form-data; boundary=x"}}},
      {"two types", body, {{"Content-Type", kForm}, {"Content-Type", kForm}}},
      {"another encoding", body, {{"Content-Type", std::string(kForm) + "; charset=utf-16"}}},
      {"nothing", "", form},
      {"another parameter", "token=" + token, form},
      {"an empty one", "logout_token=", form},
      {"two tokens", body + "&" + body, form},
      {"two tokens, one spelled otherwise", body + "&logout%5Ftoken=x", form},
      {"a broken escape", body + "%2", form},
  };
  for (const auto& c : cases) expect_invalid(post_raw(c.body, c.fields), c.what);
  EXPECT_EQ(post_raw(body + "&other=1", {{"content-type", "Application/X-WWW-Form-Urlencoded; Charset=UTF-8"}}).status, 200)
      << "none of these has used it up";
}

TEST_F(LogoutTest, IsPostedAndNotLarge) {
  start();
  for (const char* const method : {"GET", "PUT", "OPTIONS", "HEAD"}) {
    const Reply reply = Client(server->port()).request(method, "/.sallyport/backchannel-logout");
    EXPECT_EQ(reply.status, 405) << method;
    EXPECT_EQ(reply.field("Allow"), "POST") << method;
    EXPECT_EQ(reply.field("Cache-Control"), "no-store") << method;
  }
  const Reply large = post_raw("logout_token=" + std::string(17 * 1024, 'x'), {{"Content-Type", kForm}});
  EXPECT_EQ(large.status, 413);
  EXPECT_EQ(large.field("Cache-Control"), "no-store");
}

TEST_F(LogoutTest, OfWhoGuessesIsPutOff) {
  start({.limits = {.failures_per_address = {5, std::chrono::minutes(10)}}});
  std::vector<int> answers;
  for (int i = 0; i < 12; ++i) answers.push_back(post("rubbish").status);
  EXPECT_EQ(std::vector<int>(answers.begin(), answers.begin() + 5), std::vector<int>(5, 400));
  EXPECT_EQ(std::vector<int>(answers.begin() + 5, answers.end()), std::vector<int>(7, 429));
}

// Each of them costs a signature.
TEST_F(LogoutTest, OfWhoRepeatsOneIsPutOff) {
  start({.limits = {.failures_per_address = {5, std::chrono::minutes(10)}}});
  const std::string once = logout_token({.members = R"(,"sid":"s1")"});
  EXPECT_EQ(post(once).status, 200);
  std::vector<int> answers;
  for (int i = 0; i < 12; ++i) answers.push_back(post(once).status);
  EXPECT_EQ(std::vector<int>(answers.begin(), answers.begin() + 5), std::vector<int>(5, 400));
  EXPECT_EQ(std::vector<int>(answers.begin() + 5, answers.end()), std::vector<int>(7, 429));
}

TEST_F(LogoutTest, LeavesNoTokenInTheLog) {
  start();
  const std::string good = logout_token({.members = R"(,"sid":"s1")"});
  const std::string bad = logout_token({.members = R"(,"sid":"s1","nonce":"n")"});
  EXPECT_EQ(post(good).status, 200);
  EXPECT_EQ(post(bad).status, 400);
  for (const std::string& line : log.all()) {
    for (const std::string& token : {good, bad}) {
      EXPECT_EQ(line.find(token.substr(token.find('.'))), std::string::npos) << line;
      EXPECT_EQ(line.find(token.substr(token.rfind('.') + 1)), std::string::npos) << line;
    }
  }
}

// ---- Which verifier is asked

TEST_F(LogoutTest, IsForOneOfItsOwnAudienceWhereThatIsAnother) {
  JwtOptions options = issuer_options();
  options.audience = {"https://api.example.com/"};
  start({}, jwt(options));
  expect_invalid(logout({.members = R"(,"sid":"s1")"}), "its aud is the client");
  server.reset();
  options.logout_audience = {"chat"};
  start({}, jwt(options));
  EXPECT_EQ(logout({.members = R"(,"sid":"s1")"}).status, 200);
  EXPECT_EQ(status({.more = R"(,"aud":"chat")"}), 401) << "which is nobody's access";
  EXPECT_EQ(status({.more = R"(,"aud":"https://api.example.com/")"}), 101);
}

TEST_F(LogoutTest, OfTheWordJwtIsTakenWhereTheOperatorSaysSo) {
  JwtOptions options = issuer_options();
  options.logout_token_types = {"logout+jwt", "JWT"};
  start({}, jwt(options));
  EXPECT_EQ(logout({.members = R"(,"sid":"s1")", .type = "JWT"}).status, 200);
  EXPECT_EQ(logout({.members = R"(,"sid":"s1")", .type = ""}).status, 200);
  expect_invalid(post(token({.more = R"(,"sid":"s1","jti":"a","aud":"chat")"})), "an access token");
  const std::string logout = logout_token({.members = R"(,"sub":"ada","sid":"s3")", .type = "JWT"});
  EXPECT_EQ(Client(server->port()).upgrade("/", bearer(logout)).status, 401) << "and it opens nothing";
}

TEST_F(LogoutTest, IsProvenByAnyVerifierOfItsIssuer) {
  JwtOptions other = issuer_options();
  other.issuer = "https://other.example.com/";
  other.keys = secret_text("a secret of more than 32 bytes of somebody else");
  JwtOptions narrow = issuer_options();
  narrow.audience = {"https://api.example.com/"};
  start({}, any_of({jwt(other), jwt(narrow), jwt(issuer_options())}));
  EXPECT_EQ(logout({.members = R"(,"sid":"s1")"}).status, 200);
  EXPECT_EQ(logout({.members = R"(,"sid":"s1")", .issuer = other.issuer, .secret = "a secret of more than 32 bytes of somebody else"}).status, 200);
  expect_invalid(logout({.members = R"(,"sid":"s1")", .issuer = other.issuer}), "signed by another issuer");
}

TEST_F(LogoutTest, IsNobodysWhereNoVerifierHasAnIssuer) {
  start({}, insecure_anonymous());
  expect_invalid(logout({.members = R"(,"sid":"s1")"}), "no issuer");
}

// A backend that is somebody else's code.
class LaterBackend final : public VerifierBackend {
 public:
  explicit LaterBackend(LogoutVerdict verdict) : verdict_(std::move(verdict)) {}
  std::optional<Verdict> verify_now(const Presented&, WallTime) const override { return Verdict::not_mine(); }
  std::optional<LogoutVerdict> verify_logout_now(std::string_view, WallTime) const override { return std::nullopt; }
  awaitable<LogoutVerdict> verify_logout_later(std::string) const override {
    co_await pause_for(std::chrono::milliseconds(5));
    co_return verdict_;
  }
  std::string_view name() const noexcept override { return "later"; }

 private:
  const LogoutVerdict verdict_;
};

TEST_F(LogoutTest, WaitsForAVerifierThatAnswersLater) {
  using Kind = LogoutVerdict::Kind;
  const Logout logout{.issuer = "later",
                      .subject = "ada",
                      .token_id = "1",
                      .issued_at = {},
                      .valid_until = WallTime(std::chrono::seconds(now_s() + 60))};
  const struct {
    LogoutVerdict verdict;
    int status;
  } cases[] = {
      {{.kind = Kind::kAccepted, .logout = logout}, 200},
      {{.kind = Kind::kAccepted}, 400},
      {{.kind = Kind::kRefused}, 400},
      {{.kind = Kind::kUnavailable}, 503},
      {{.kind = Kind::kNotMine}, 400},
  };
  for (const auto& c : cases) {
    start({}, Verifier(std::make_shared<LaterBackend>(c.verdict)));
    const Reply reply = post("x");
    EXPECT_EQ(reply.status, c.status);
    EXPECT_EQ(reply.field("Retry-After").empty(), c.status != 503);
    server.reset();
  }
}

// The one that could not be asked may be the one that would have accepted.
TEST_F(LogoutTest, IsUnavailableRatherThanRefused) {
  const auto unavailable = std::make_shared<LaterBackend>(LogoutVerdict{.kind = LogoutVerdict::Kind::kUnavailable});
  JwtOptions narrow = issuer_options();
  narrow.audience = {"https://api.example.com/"};
  start({}, any_of({jwt(narrow), Verifier(unavailable), jwt(narrow)}));
  EXPECT_EQ(logout({.members = R"(,"sid":"s1")"}).status, 503);
}

}  // namespace
}  // namespace sallyport::server::test
