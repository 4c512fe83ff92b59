#include "main/token_command.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace sallyport::main {
namespace {

constexpr std::chrono::sys_seconds kNow{std::chrono::seconds(1'000'000)};

TokenMintCommand command() {
  return {.algorithm = "ES256", .issuer = "i", .audience = {"a"}, .subject = "s"};
}

std::string payload(const TokenMintCommand& mint) {
  const auto made = mint_payload(mint, kNow);
  EXPECT_TRUE(made) << made.error();
  return made.value_or("");
}

std::string error(const TokenMintCommand& mint) {
  const auto made = mint_payload(mint, kNow);
  EXPECT_FALSE(made);
  return made ? "" : made.error();
}

TEST(TokenMint, WritesTheClaims) {
  EXPECT_EQ(payload(command()), R"({"iss":"i","aud":"a","sub":"s","iat":1000000,"exp":1000060})");
  TokenMintCommand mint = command();
  mint.audience = {"a", "b"};
  mint.scope = "x y";
  mint.ttl = "1h";
  EXPECT_EQ(payload(mint),
            R"({"iss":"i","aud":["a","b"],"sub":"s","scope":"x y","iat":1000000,"exp":1003600})");
}

TEST(TokenMint, WritesExpiredTokensThatWereIssuedBefore) {
  TokenMintCommand mint = command();
  mint.ttl = "-60s";
  EXPECT_EQ(payload(mint), R"({"iss":"i","aud":"a","sub":"s","iat":999940,"exp":999940})");
}

TEST(TokenMint, LetsAGivenClaimWin) {
  TokenMintCommand mint = command();
  mint.claims = {"exp=1", "tenant=\"acme\"", "roles=[\"x\",{\"y\":null}]", "iss=\"other\""};
  EXPECT_EQ(
      payload(mint),
      R"({"iss":"other","aud":"a","sub":"s","iat":1000000,"exp":1,"tenant":"acme","roles":["x",{"y":null}]})");
}

TEST(TokenMint, NamesAllThatIsMissingAtOnce) {
  using Options = std::vector<std::string>;
  EXPECT_EQ(missing_options({}), (Options{"--key (or, for HS*, --secret-file)", "--alg", "--iss",
                                          "--aud", "--sub"}));
  TokenMintCommand mint = command();
  EXPECT_EQ(missing_options(mint), (Options{"--key (or, for HS*, --secret-file)"}));
  mint.secret_file = "s";
  EXPECT_EQ(missing_options(mint), Options{});
  mint.secret_file.clear();
  mint.key_file = "k";
  mint.subject.clear();
  EXPECT_EQ(missing_options(mint), Options{"--sub"});
  mint.claims = {"subject=7", "sub"};
  EXPECT_EQ(missing_options(mint), Options{"--sub"});
  mint.claims = {"sub=7"};
  EXPECT_EQ(missing_options(mint), Options{});
  EXPECT_EQ(payload(mint), R"({"iss":"i","aud":"a","iat":1000000,"exp":1000060,"sub":7})");
}

TEST(TokenMint, RefusesClaimsThatAreNotNameAndJson) {
  for (const char* claim :
       {"tenant", "=1", "tenant=acme", "tenant=", "tenant={\"a\":1,\"a\":2}", "tenant=1 2"}) {
    TokenMintCommand mint = command();
    mint.claims = {claim};
    EXPECT_TRUE(error(mint).starts_with("--claim ")) << claim;
  }
  TokenMintCommand mint = command();
  mint.claims = {"a=1", "a=1"};
  EXPECT_EQ(error(mint), "--claim a is given twice");
}

TEST(TokenMint, RefusesLivesThatAreNotWholeSeconds) {
  for (const char* ttl : {"", "60", "1500ms", "forever", "-"}) {
    TokenMintCommand mint = command();
    mint.ttl = ttl;
    EXPECT_TRUE(error(mint).starts_with("--ttl")) << ttl;
  }
}

}  // namespace
}  // namespace sallyport::main
