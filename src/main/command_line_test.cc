#include "main/command_line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "main/status.h"

namespace sallyport::main {
namespace {

std::expected<Command, Answer> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "sallyport");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

template <typename T>
T parsed(std::vector<const char*> words) {
  auto command = parse(std::move(words));
  EXPECT_TRUE(command) << command.error().text;
  return command ? std::get<T>(*command) : T{};
}

std::string usage_error(std::vector<const char*> words) {
  const auto command = parse(std::move(words));
  EXPECT_FALSE(command);
  if (command) return {};
  EXPECT_EQ(command.error().status, kUsage);
  EXPECT_EQ(command.error().text.find('\n'), std::string::npos);
  return command.error().text;
}

TEST(CommandLine, TakesTheServersCommands) {
  EXPECT_EQ(parsed<ServeCommand>({"serve", "--config", "a.toml"}).config, "a.toml");
  EXPECT_EQ(parsed<ServeCommand>({"serve", "-c", "a.toml"}).config, "a.toml");
  EXPECT_EQ(parsed<DemoCommand>({"demo"}).listen, "127.0.0.1:8080");
  EXPECT_EQ(parsed<DemoCommand>({"demo", "--listen", "[::1]:0"}).listen, "[::1]:0");
  EXPECT_FALSE(parsed<CheckCommand>({"check", "--config=a.toml"}).strict);
  EXPECT_TRUE(parsed<CheckCommand>({"check", "--config", "a.toml", "--strict"}).strict);
}

TEST(CommandLine, TakesKeyNew) {
  const auto key = parsed<KeyNewCommand>(
      {"key", "new", "--alg", "ES256", "--kid", "k", "--private", "p", "--jwks", "j", "--force"});
  EXPECT_EQ(key.algorithm, "ES256");
  EXPECT_EQ(key.kid, "k");
  EXPECT_EQ(key.private_file, "p");
  EXPECT_EQ(key.jwks_file, "j");
  EXPECT_TRUE(key.force);
}

TEST(CommandLine, TakesTokenMint) {
  const auto mint = parsed<TokenMintCommand>({"token",   "mint",
                                              "--key",   "k.pem",
                                              "--alg",   "ES256",
                                              "--iss",   "i",
                                              "--aud",   "a",
                                              "--aud",   "[b]",
                                              "--sub",   "s",
                                              "--scope", "x y",
                                              "--ttl",   "-60s",
                                              "--claim", "n=[1,2]",
                                              "--claim", "m={\"a\":\"b c\"}"});
  EXPECT_EQ(mint.audience, (std::vector<std::string>{"a", "[b]"}));
  EXPECT_EQ(mint.scope, "x y");
  EXPECT_EQ(mint.ttl, "-60s");
  EXPECT_EQ(mint.claims, (std::vector<std::string>{"n=[1,2]", "m={\"a\":\"b c\"}"}));
  EXPECT_EQ(parsed<TokenMintCommand>({"token", "mint", "--alg", "HS256"}).ttl, "60s");
  EXPECT_EQ(parsed<TokenMintCommand>({"token", "mint", "--alg", "HS256", "--ttl=-1h"}).ttl, "-1h");
}

TEST(CommandLine, TakesTokenInspect) {
  const auto inspect =
      parsed<TokenInspectCommand>({"token", "inspect", "--config", "c", "--verifier", "v"});
  EXPECT_EQ(inspect.config, "c");
  EXPECT_EQ(inspect.verifier, "v");
}

TEST(CommandLine, TakesTheAdminsCommands) {
  const auto access = [](std::vector<const char*> words) {
    words.insert(words.end(), {"--admin-token-file", "t"});
    return words;
  };
  const auto all = parsed<ConnectionsCommand>(access({"connections"}));
  EXPECT_EQ(all.admin.url, "http://127.0.0.1:9090");
  EXPECT_EQ(all.admin.token_file, "t");
  EXPECT_FALSE(all.subject || all.route || all.json);
  const auto some = parsed<ConnectionsCommand>(
      access({"connections", "--subject", "ada", "--route=/a", "--json", "--admin", "https://x.example"}));
  EXPECT_EQ(some.subject, "ada");
  EXPECT_EQ(some.route, "/a");
  EXPECT_TRUE(some.json);
  EXPECT_EQ(some.admin.url, "https://x.example");
  const auto revoke = parsed<RevokeCommand>(access(
      {"revoke", "--subject", "ada", "--session", "s", "--token-id", "t", "--issuer", "i", "--issued-before", "now",
       "--keep", "30d", "--reason", "logged_out"}));
  EXPECT_EQ(revoke.subject, "ada");
  EXPECT_EQ(revoke.session, "s");
  EXPECT_EQ(revoke.token_id, "t");
  EXPECT_EQ(revoke.issuer, "i");
  EXPECT_EQ(revoke.issued_before, "now");
  EXPECT_EQ(revoke.keep, "30d");
  EXPECT_EQ(revoke.reason, "logged_out");
  EXPECT_TRUE(parsed<RevokeCommand>(access({"revoke", "--list"})).list);
  EXPECT_EQ(parsed<RevokeCommand>(access({"revoke", "--lift", "7"})).lift, "7");
  const auto publish = parsed<PublishCommand>(access({"publish", "room/blue", "{\"a\":1}"}));
  EXPECT_EQ(publish.channel, "room/blue");
  EXPECT_EQ(publish.data, "{\"a\":1}");
}

TEST(CommandLine, AnEmptyValueIsNotTheSameAsNone) {
  const auto revoke = parsed<RevokeCommand>(
      {"revoke", "--subject", "", "--issued-before", "now", "--admin-token-file", "t"});
  ASSERT_TRUE(revoke.subject.has_value());
  EXPECT_EQ(*revoke.subject, "");
}

TEST(CommandLine, TheAdminsCommandsRefuseWhatContradictsItself) {
  EXPECT_EQ(usage_error({"connections"}),
            "--admin-token-file is required; for help: sallyport connections --help");
  EXPECT_EQ(usage_error({"revoke", "--list", "--subject", "ada", "--admin-token-file", "t"}),
            "--list and --subject cannot be given together; for help: sallyport revoke --help");
  EXPECT_EQ(usage_error({"revoke", "--lift", "1", "--issued-before", "now", "--admin-token-file", "t"}),
            "--lift and --issued-before cannot be given together; for help: sallyport revoke --help");
  EXPECT_EQ(usage_error({"publish", "room/blue", "--admin-token-file", "t"}),
            "data is required; for help: sallyport publish --help");
}

TEST(CommandLine, RefusesWithOneHelpfulLine) {
  EXPECT_EQ(usage_error({}),
            "a command is missing: serve, demo, check, key, token, connections, revoke or publish; for help: "
            "sallyport --help");
  EXPECT_EQ(
      usage_error({"serv"}),
      "there is no command sallyport serv; did you mean \"serve\"?; for help: sallyport --help");
  EXPECT_EQ(usage_error({"token", "mnt"}),
            "there is no command sallyport token mnt; did you mean \"mint\"?; for help: sallyport "
            "token --help");
  EXPECT_EQ(usage_error({"serve"}), "--config is required; for help: sallyport serve --help");
  EXPECT_EQ(usage_error({"connect", "ws://127.0.0.1"}),
            "not available in this version: the command connect");
  EXPECT_EQ(usage_error({"serve", "--config"}),
            "--config needs a value behind it; for help: sallyport serve --help");
  EXPECT_EQ(usage_error({"serve", "--config", "a", "b"}),
            "the command serve takes no \"b\"; options begin with --; for help: sallyport serve "
            "--help");
  EXPECT_EQ(
      usage_error({"token", "mint", "--alg", "x", "--key", "a", "--secret-file", "b"}),
      "--key and --secret-file cannot be given together; for help: sallyport token mint --help");
  EXPECT_EQ(usage_error({"check", "--config", "a", "-c", "b"}),
            "--config is given more than once; for help: sallyport check --help");
}

TEST(CommandLine, NamesEveryMissingOptionAtOnce) {
  EXPECT_EQ(usage_error({"key", "new", "--alg", "ES256"}),
            "--private and --jwks are required; for help: sallyport key new --help");
}

TEST(CommandLine, NamesAMisspeltOptionBeforeAMissingOne) {
  EXPECT_EQ(usage_error({"serve", "--cnofig", "b"}),
            "there is no option --cnofig; did you mean \"--config\"?; for help: sallyport serve "
            "--help");
  EXPECT_EQ(usage_error({"serve", "--config", "a", "--frobnicate=7"}),
            "there is no option --frobnicate; for help: sallyport serve --help");
}

TEST(CommandLine, AnswersHelpAndVersion) {
  const auto version = parse({"--version"});
  ASSERT_FALSE(version);
  EXPECT_EQ(version.error().status, kDone);
  EXPECT_TRUE(version.error().text.starts_with("sallyport "));
  const auto help = parse({"token", "mint", "--help"});
  ASSERT_FALSE(help);
  EXPECT_EQ(help.error().status, kDone);
  for (const char* const words : {"Usage: sallyport token mint", "--alg ALG REQUIRED",
                                  "--iss ISS REQUIRED", "--sub SUB REQUIRED", "this or"}) {
    EXPECT_NE(help.error().text.find(words), std::string::npos) << help.error().text;
  }
}

}  // namespace
}  // namespace sallyport::main
