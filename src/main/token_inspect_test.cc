#include "main/token_inspect.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "core/jose/jws.h"
#include "core/jose/mint.h"
#include "feature/config/config.h"
#include "io/test_http_server.h"
#include "main/factories.h"
#include "main/status.h"

namespace sallyport::main {
namespace {

using io::test::http_answer;
using io::test::HttpServer;

constexpr WallTime kNow{std::chrono::seconds(1'000'000)};

const jose::Key& key() {
  static const jose::Key made = jose::generate_key(jose::Algorithm::kEs256, "k1").value();
  return made;
}

std::string published(const jose::Key& one) {
  return jose::export_jwks(std::array{one}).value();
}

std::string token(int life_seconds = 60) {
  const std::string payload =
      R"({"iss":"https://id.example.com","aud":"chat","sub":"ada","iat":1000000,"exp":)" +
      std::to_string(1'000'000 + life_seconds) + "}";
  return jose::sign_compact(payload, key(), jose::Algorithm::kEs256).value();
}

std::string jwt_section(const std::string& source) {
  return "[verifier.main]\ntype = \"jwt\"\nissuer = \"https://id.example.com\"\naudience = "
         "[\"chat\"]\nalgorithms = [\"ES256\"]\n" +
         source + "\n";
}

class TokenInspect : public testing::Test {
 protected:
  TokenInspect() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "sallyport-inspect-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    write("keys.json", published(key()));
    write("api.keys", std::string(64, 'a') + " service\n");
    write("secret", "0123456789abcdef0123456789abcdef\n");
  }
  ~TokenInspect() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ / name) << text;
  }
  [[nodiscard]] Inspection inspect(const std::string& text, const std::string& what,
                                   const std::string& wanted = {}) const {
    write("s.toml", text);
    const auto config = config::load((folder_ / "s.toml").string(), verifier_factories());
    if (!config) {
      ADD_FAILURE() << config::to_string(config.error().front());
      return {};
    }
    return inspect_token(*config, wanted, what, kNow);
  }

  std::filesystem::path folder_;
};

TEST_F(TokenInspect, ExplainsATokenByKeysAtHand) {
  const Inspection result = inspect(jwt_section("jwks_file = \"keys.json\""), token());
  EXPECT_EQ(result.status, kDone);
  EXPECT_TRUE(result.text.starts_with("verifier main\n  ok    ")) << result.text;
  EXPECT_TRUE(result.text.ends_with("\nacceptable\n")) << result.text;
  EXPECT_EQ(result.text.find("FAIL"), std::string::npos) << result.text;
  EXPECT_EQ(result.text.find("note"), std::string::npos) << result.text;
}

TEST_F(TokenInspect, FetchesKeysOnce) {
  const HttpServer server([](const auto&) { return http_answer(200, published(key())); });
  const Inspection result =
      inspect(jwt_section("jwks_url = \"" + server.url("/jwks") + "\""), token());
  EXPECT_EQ(result.status, kDone) << result.text;
  EXPECT_TRUE(result.text.ends_with("\nacceptable\n")) << result.text;
  EXPECT_EQ(server.questions(), 1U);
}

TEST_F(TokenInspect, FailsATokenOfAnotherKeyThanTheFetchedOnes) {
  const std::string other = published(jose::generate_key(jose::Algorithm::kEs256, "k2").value());
  const HttpServer server([&](const auto&) { return http_answer(200, other); });
  const Inspection result =
      inspect(jwt_section("jwks_url = \"" + server.url("/jwks") + "\""), token());
  EXPECT_EQ(result.status, kFailed);
  EXPECT_NE(result.text.find("FAIL"), std::string::npos) << result.text;
  EXPECT_TRUE(result.text.ends_with("\nnot acceptable\n")) << result.text;
}

TEST_F(TokenInspect, FailsWhereNoFetchedKeyFitsTheAlgorithms) {
  const std::string other = published(jose::generate_key(jose::Algorithm::kEdDsa, "k1").value());
  const HttpServer server([&](const auto&) { return http_answer(200, other); });
  const Inspection result =
      inspect(jwt_section("jwks_url = \"" + server.url("/jwks") + "\""), token());
  EXPECT_EQ(result.status, kFailed);
  EXPECT_TRUE(result.text.ends_with("\nnot acceptable\n")) << result.text;
}

TEST_F(TokenInspect, SaysWhyThereAreNoKeys) {
  const std::string nobody = "http://127.0.0.1:" + std::to_string(io::test::free_port()) + "/jwks";
  const Inspection refused = inspect(jwt_section("jwks_url = \"" + nobody + "\""), token());
  EXPECT_EQ(refused.status, kFailed);
  EXPECT_NE(refused.text.find("  FAIL  keys: could not be fetched: "), std::string::npos)
      << refused.text;
  EXPECT_TRUE(refused.text.ends_with("\nunknown: without keys nothing can be said about a token\n"))
      << refused.text;

  const HttpServer server([](const auto&) { return http_answer(404, "no"); });
  const Inspection missing =
      inspect(jwt_section("jwks_url = \"" + server.url("/jwks") + "\""), token());
  EXPECT_EQ(missing.status, kFailed);
  EXPECT_NE(missing.text.find("404"), std::string::npos) << missing.text;
}

TEST_F(TokenInspect, NotesALongLife) {
  const std::string text = jwt_section("jwks_file = \"keys.json\"");
  const Inspection day = inspect(text, token(86'400));
  EXPECT_EQ(day.status, kDone);
  EXPECT_NE(day.text.find("  note  life: 1d, and nobody can take it back meanwhile"),
            std::string::npos)
      << day.text;
  EXPECT_EQ(inspect(text, token(3600)).text.find("note"), std::string::npos);
}

TEST_F(TokenInspect, NotesAnIssuerThatTwoVerifiersShare) {
  const std::string first = jwt_section("jwks_file = \"keys.json\"");
  std::string second = first;
  second.replace(second.find("main"), 4, "other");
  const Inspection result = inspect(first + second, token());
  EXPECT_TRUE(result.text.starts_with("note: the verifiers main and other have the same issuer"))
      << result.text;
}

TEST_F(TokenInspect, SaysWhichVerifiersHoldNoTokens) {
  const std::string text = R"([verifier.opaque]
type = "introspection"
endpoint = "https://id.example.com"
client_id = "c"
client_secret_file = "secret"
[verifier.web]
type = "session"
secret_files = ["secret"]
store = "redis://127.0.0.1"
[verifier.api]
type = "keys"
file = "api.keys"
[verifier.machines]
type = "certificate"
[verifier.app]
type = "http"
url = "https://app.example.com"
[verifier.open]
type = "anonymous"
)";
  const auto said = [&](const std::string& name) {
    const Inspection result = inspect(text, token(), name);
    EXPECT_EQ(result.status, kUsage);
    EXPECT_EQ(result.text, "");
    return result.complaint;
  };
  EXPECT_EQ(said("opaque"),
            "verifier opaque is of type \"introspection\": it asks an endpoint about each token, "
            "and only the endpoint knows what it is");
  EXPECT_EQ(said("web"),
            "verifier web is of type \"session\": it looks a session up in a store; a session "
            "cookie is no JSON Web Token");
  EXPECT_EQ(said("api"),
            "verifier api is of type \"keys\": it compares API keys with a file of their hashes; a "
            "key is no JSON Web Token");
  EXPECT_EQ(said("machines"),
            "verifier machines is of type \"certificate\": it judges client certificates, not "
            "tokens");
  EXPECT_EQ(said("app"),
            "verifier app is of type \"http\": it asks the application about each credential");
  EXPECT_EQ(said("open"),
            "verifier open is of type \"anonymous\": it lets everybody in, without a token");
  EXPECT_EQ(said("nobody"), "there is no verifier nobody");
  EXPECT_EQ(said(""), "no verifier there is of type \"jwt\"");
}

TEST_F(TokenInspect, PassesOverOtherVerifiersUnlessTheyAreNamed) {
  const std::string text = "[verifier.api]\ntype = \"keys\"\nfile = \"api.keys\"\n" +
                           jwt_section("jwks_file = \"keys.json\"");
  EXPECT_EQ(inspect(text, token()).status, kDone);
  EXPECT_EQ(inspect(text, "nonsense").status, kFailed);
}

TEST_F(TokenInspect, NeverRepeatsTheToken) {
  const std::string whole = token(86'400);
  const Inspection result = inspect(jwt_section("jwks_file = \"keys.json\""), whole);
  const std::size_t first = whole.find('.');
  const std::size_t second = whole.find('.', first + 1);
  EXPECT_EQ(result.text.find(whole.substr(0, first)), std::string::npos);
  EXPECT_EQ(result.text.find(whole.substr(first + 1, second - first - 1)), std::string::npos);
  EXPECT_EQ(result.text.find(whole.substr(second + 1)), std::string::npos);
}

}  // namespace
}  // namespace sallyport::main
