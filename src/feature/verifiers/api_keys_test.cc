#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "sallyport/verifiers.h"

namespace sallyport {
namespace {

// SHA-256 of "alpha" and of "beta".
constexpr const char* kAlpha = "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8";
constexpr const char* kBeta = "f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753";

class ApiKeys : public ::testing::Test {
 protected:
  ~ApiKeys() override { std::filesystem::remove(path_); }
  std::string file(const std::string& text) {
    std::ofstream(path_) << text;
    return path_;
  }
  std::string fault_of(const std::string& text) {
    try {
      (void)api_keys(file(text));
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "no fault";
  }
  static Verdict ask(const Verifier& verifier, std::string_view token) {
    return verifier.backends().front()
        ->verify_now({.kind = CredentialKind::kHeader, .token = token}, WallTime{})
        .value_or(Verdict::unavailable());
  }

  const std::string path_ = ::testing::TempDir() + "api_keys_" + std::to_string(::getpid());
};

TEST_F(ApiKeys, AcceptsTheKeyBehindADigest) {
  const Verifier keys =
      api_keys(file(std::string("# ours\n\n") + kAlpha + " reporter read,write\n" + kBeta + "\tplain\r\n"), "machines");
  const Verdict alpha = ask(keys, "alpha");
  ASSERT_TRUE(alpha.accepted());
  EXPECT_EQ(alpha.principal()->subject, "reporter");
  EXPECT_EQ(alpha.principal()->issuer, "machines");
  EXPECT_EQ(alpha.principal()->scopes, (std::vector<std::string>{"read", "write"}));
  EXPECT_FALSE(alpha.principal()->expires_at);
  EXPECT_TRUE(ask(keys, "beta").accepted());
}

TEST_F(ApiKeys, RefusesWhatIsNotAKey) {
  const Verifier keys = api_keys(file(std::string(kAlpha) + " reporter\n"));
  EXPECT_FALSE(ask(keys, "gamma").accepted());
  EXPECT_FALSE(ask(keys, "").accepted());
  EXPECT_FALSE(ask(keys, kAlpha).accepted()) << "the digest is not the key";
}

TEST_F(ApiKeys, SaysWhichLineIsAtFault) {
  EXPECT_NE(fault_of("\nalpha reporter\n").find(":2: "), std::string::npos);
  EXPECT_NE(fault_of(std::string(kAlpha) + "\n").find(":1: "), std::string::npos);
  EXPECT_NE(fault_of(std::string(kAlpha) + " a b c\n").find(":1: "), std::string::npos);
  EXPECT_NE(fault_of(std::string(kAlpha) + " a\n" + kAlpha + " b\n").find(":2: "), std::string::npos);
  EXPECT_NE(fault_of("# nothing\n").find("has no key"), std::string::npos);
}

TEST_F(ApiKeys, NeverQuotesALineThatMayBeTheKeyItself) {
  EXPECT_EQ(fault_of("alpha-secret reporter\n").find("alpha-secret"), std::string::npos);
}

}  // namespace
}  // namespace sallyport
