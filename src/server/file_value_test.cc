// Files of keys and secrets that change while an app runs. Those of features: their own tests.

#include "server/file_value.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "core/jose/jws.h"
#include "core/jose/mint.h"
#include "io/test_certificate.h"
#include "server/keys.h"
#include "server/test_client.h"
#include "server/test_server.h"

namespace sallyport {
namespace {

using namespace server::test;

class FileValueTest : public ::testing::Test {
 protected:
  std::string read() const {
    std::string text = read_file(path, 100);
    if (text.starts_with("bad")) throw std::runtime_error(path + ": is bad");
    return text;
  }
  void replace(const std::string& text) const { std::filesystem::rename(folder.write("next", text), path); }
  bool comes_true(const std::function<bool()>& condition) {
    return eventually([&] {
      context.run_for(20ms);
      return condition();
    });
  }
  void pass_time() { context.run_for(3 * io::FileWatch::kEvery); }

  io::test::TempFolder folder;
  const std::string path = folder.write("value", "one");
  boost::asio::io_context context;
  Log log;
  FileValue<std::string> value{"main", {path}, [this] { return read(); }};
};

TEST_F(FileValueTest, IsReadAtOnceAndAgainWhenTheFileHasChanged) {
  EXPECT_EQ(*value.current(), "one");
  value.start({context, log.sink()});
  const auto held = value.current();
  const std::uint32_t epoch = value.epoch();
  replace("two");
  ASSERT_TRUE(comes_true([&] { return *value.current() == "two"; }));
  EXPECT_GT(value.epoch(), epoch) << "nothing that was cached before counts";
  EXPECT_EQ(*held, "one") << "for whoever is using it";
  EXPECT_EQ(log.count("keys.reloaded", "verifier=main file=" + path), 1U);
}

TEST_F(FileValueTest, StaysWhereTheNewContentIsBad) {
  value.start({context, log.sink()});
  const std::uint32_t epoch = value.epoch();
  replace("bad secret");
  ASSERT_TRUE(comes_true([&] { return log.count("keys.reload_failed") == 1; }));
  EXPECT_EQ(log.count("keys.reload_failed", "verifier=main file=" + path + " detail=" + path + ": is bad"), 1U);
  EXPECT_EQ(log.count("keys.reload_failed", "secret"), 0U) << "of the content nothing is said";
  pass_time();
  EXPECT_EQ(log.count("keys.reload_failed"), 1U) << "once for one change";
  EXPECT_EQ(*value.current(), "one");
  EXPECT_EQ(value.epoch(), epoch);
  replace("two");
  ASSERT_TRUE(comes_true([&] { return *value.current() == "two"; }));
}

TEST_F(FileValueTest, StaysWhereTheFileHasGoneUntilItIsBack) {
  value.start({context, log.sink()});
  std::filesystem::remove(path);
  ASSERT_TRUE(comes_true([&] { return log.count("keys.reload_failed", "cannot be opened") == 1; }));
  EXPECT_EQ(*value.current(), "one");
  replace("two");
  ASSERT_TRUE(comes_true([&] { return *value.current() == "two"; }));
}

// Reading it would have the whole app wait for a writer.
TEST_F(FileValueTest, StaysWhereAPipeStandsInTheFilesPlace) {
  value.start({context, log.sink()});
  ASSERT_EQ(::mkfifo((folder.path() + "/pipe").c_str(), 0600), 0);
  std::filesystem::rename(folder.path() + "/pipe", path);
  ASSERT_TRUE(comes_true([&] { return log.count("keys.reload_failed", "no regular file") == 1; }));
  EXPECT_EQ(*value.current(), "one");
}

TEST_F(FileValueTest, OfSeveralFilesIsReadAsAWhole) {
  const std::string second = folder.write("second", "b");
  FileValue<std::string> both("pair", {path, second}, [&] { return read() + read_file(second, 100); });
  both.start({context, log.sink()});
  std::filesystem::rename(folder.write("next", "c"), second);
  ASSERT_TRUE(comes_true([&] { return *both.current() == "onec"; }));
  EXPECT_EQ(log.count("keys.reloaded", "file=" + second), 1U) << "the one that has changed";
}

TEST_F(FileValueTest, NoticesWhatHasChangedBetweenTheReadingAndTheStart) {
  replace("two");
  value.start({context, log.sink()});
  EXPECT_TRUE(comes_true([&] { return *value.current() == "two"; }));
}

TEST_F(FileValueTest, IsLeftAloneOnceItHasStopped) {
  value.start({context, log.sink()});
  value.start({context, log.sink()});
  value.stop();
  replace("two");
  pass_time();
  EXPECT_EQ(*value.current(), "one");
  context.restart();
  value.start({context, log.sink()});
  EXPECT_TRUE(comes_true([&] { return *value.current() == "two"; })) << "a second life";
}

TEST_F(FileValueTest, ThrowsWhatIsWrongTheFirstTime) {
  replace("bad");
  EXPECT_THROW(FileValue<std::string>("main", {path}, [this] { return read(); }), std::runtime_error);
}

// ---- The keys of a `jwt` verifier, in a running app

class KeyRotationTest : public ::testing::Test {
 protected:
  void serve(Keys keys, std::vector<std::string> algorithms) {
    server.app.ws("/", {.auth = {.verifier = jwt({.issuer = std::string(kIssuer),
                                                  .audience = {},
                                                  .algorithms = std::move(algorithms),
                                                  .keys = std::move(keys),
                                                  .name = "main"})},
                        .on_message = [](Connection& c, Message m) { c.send(m.data); }});
    server.start();
  }
  int status(const std::string& presented) { return Client(server.port()).upgrade("/", bearer(presented)).status; }
  void replace(const std::string& path, const std::string& text) const {
    std::filesystem::rename(folder.write("next", text), path);
  }
  static std::string signed_with(const jose::Key& key, jose::Algorithm algorithm, const std::string& subject = "ada") {
    return *jose::sign_compact(claims_of({.subject = subject}), key, algorithm);
  }
  static jose::Key secret(std::string_view text) { return *jose::Key::from_secret(text); }

  io::test::TempFolder folder;
  Log log;
  // What these tests have refused is more than an address may.
  Server server{AppOptions{.limits = {.failures_per_address = {1'000'000, 1min}}, .log = log.sink()}};
};

constexpr std::string_view kOther = "another secret of more than 32 bytes, for tests only";

TEST_F(KeyRotationTest, OfASecretRefusesTheOldAndLeavesOpenSocketsAlone) {
  const std::string path = folder.write("secret", std::string(kSecret) + "\n");
  serve(secret_file(path), {"HS256"});
  const std::string before = token();
  const std::string after = signed_with(secret(kOther), jose::Algorithm::kHs256);
  Client open(server.port());
  ASSERT_EQ(open.upgrade("/", bearer(before)).status, 101);
  EXPECT_EQ(status(before), 101);
  // Also what has been refused a moment ago is asked about again.
  EXPECT_EQ(status(after), 401);
  replace(path, "short");
  ASSERT_TRUE(eventually([&] { return log.count("keys.reload_failed", path) == 1; }));
  EXPECT_EQ(log.count("keys.reload_failed", "short\""), 0U);
  EXPECT_EQ(status(before), 101);
  replace(path, std::string(kOther));
  ASSERT_TRUE(eventually([&] { return status(before) == 401; }));
  EXPECT_EQ(status(after), 101);
  EXPECT_TRUE(open.send("x"));
  EXPECT_EQ(open.hear_text(), "x");
}

TEST_F(KeyRotationTest, OfAKeySetTakesTheNewKeysAndNoneThatDoNotFit) {
  const jose::Key one = *jose::generate_key(jose::Algorithm::kEs256, "k1");
  const jose::Key two = *jose::generate_key(jose::Algorithm::kEs256, "k2");
  const jose::Key edwards = *jose::generate_key(jose::Algorithm::kEdDsa, "k3");
  const auto jwks = [](const jose::Key& key) { return *jose::export_jwks({&key, 1}); };
  const std::string path = folder.write("keys.json", jwks(one));
  serve(jwks_file(path), {"ES256"});
  EXPECT_EQ(status(signed_with(one, jose::Algorithm::kEs256)), 101);
  EXPECT_EQ(status(signed_with(two, jose::Algorithm::kEs256)), 401);
  for (const std::string& bad : {jwks(edwards), std::string("{\"keys\":[]}"), std::string("{\"keys\":[{"), std::string()}) {
    const std::size_t failures = log.count("keys.reload_failed");
    replace(path, bad);
    ASSERT_TRUE(eventually([&] { return log.count("keys.reload_failed") == failures + 1; })) << bad;
    EXPECT_EQ(status(signed_with(one, jose::Algorithm::kEs256)), 101);
  }
  replace(path, jwks(two));
  const std::string fresh = signed_with(two, jose::Algorithm::kEs256, "bob");
  ASSERT_TRUE(eventually([&] { return status(fresh) == 101; }));
  EXPECT_EQ(status(signed_with(one, jose::Algorithm::kEs256)), 401);
}

TEST_F(KeyRotationTest, OfAPublicKeyTakesTheNewOne) {
  const jose::Key one = *jose::generate_key(jose::Algorithm::kEs256);
  const jose::Key two = *jose::generate_key(jose::Algorithm::kEs256);
  const auto token_of = [](const jose::Key& key) {
    return *jose::sign_compact_with_header(R"({"alg":"ES256"})", claims_of({}), key, jose::Algorithm::kEs256);
  };
  const std::string path = folder.write("key.pem", *jose::export_public_pem(one));
  serve(public_key_file(path), {"ES256"});
  EXPECT_EQ(status(token_of(one)), 101);
  replace(path, *jose::export_public_pem(two));
  ASSERT_TRUE(eventually([&] { return status(token_of(two)) == 101; }));
  EXPECT_EQ(status(token_of(one)), 401);
}

}  // namespace
}  // namespace sallyport
