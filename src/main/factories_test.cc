// The configuration with the library's own verifiers: each type is there, and what it finds wrong
// with its files has a line.

#include "main/factories.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "feature/config/config.h"

namespace sallyport::main {
namespace {

class Factories : public testing::Test {
 protected:
  Factories() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "sallyport-factories-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    write("secret", "0123456789abcdef0123456789abcdef\n");
    write("empty", "");
    write("api.keys", std::string(64, 'a') + " service read\n");
    write("bad.keys", "# keys\nhunter2 service\n");
  }
  ~Factories() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ / name) << text;
  }
  // The findings without the folder's name.
  [[nodiscard]] std::string findings(const std::string& text) const {
    write("s.toml", text + "[[route]]\npath = \"/*\"\nhandler = \"static\"\nroot = \".\"\n");
    const auto config = config::load((folder_ / "s.toml").string(), verifier_factories());
    std::string lines;
    for (const config::Finding& finding : config ? config->warnings : config.error()) {
      lines += config::to_string(finding) + "\n";
    }
    const std::string prefix = folder_.string() + "/";
    for (std::size_t at = lines.find(prefix); at != std::string::npos; at = lines.find(prefix)) {
      lines.erase(at, prefix.size());
    }
    return lines;
  }

  std::filesystem::path folder_;
};

std::string introspection_with(const std::string& file) {
  return "[verifier.v]\ntype = \"introspection\"\nendpoint = \"https://id.example.com\"\n"
         "client_id = \"c\"\nclient_secret_file = \"" +
         file + "\"\n";
}

std::string session_with(const std::string& file) {
  return "[verifier.v]\ntype = \"session\"\nstore = \"redis://127.0.0.1\"\nsecret_files = "
         "[\n\"secret\",\n\"" +
         file + "\",\n]\n";
}

TEST_F(Factories, MakeEveryTypeOfVerifier) {
  write("s.toml", introspection_with("secret") + R"([verifier.web]
type = "session"
secret_files = ["secret"]
store = "redis://:secret@127.0.0.1:6379/1"
[verifier.api]
type = "keys"
file = "api.keys"
[verifier.machines]
type = "certificate"
subject = "cn"
[verifier.app]
type = "http"
url = "http://127.0.0.1:3000/whoami"
[verifier.open]
type = "anonymous"
[verifier.remote]
type = "jwt"
issuer = "a"
audience = ["x"]
algorithms = ["ES256"]
jwks_url = "https://id.example.com/jwks"
[verifier.discovered]
type = "jwt"
issuer = "https://id.example.com"
audience = ["x"]
algorithms = ["ES256"]
discovery = true
)");
  const auto config = config::load((folder_ / "s.toml").string(), verifier_factories());
  ASSERT_TRUE(config) << config::to_string(config.error().front());
  EXPECT_EQ(config->verifiers.size(), 8U);
  for (const config::VerifierEntry& entry : config->verifiers) {
    EXPECT_EQ(entry.verifier.backends().size(), 1U) << entry.name;
  }
}

TEST_F(Factories, SayOnWhichLineAFileIsNamedThatIsMissing) {
  const std::string missing = "none: cannot be opened: No such file or directory\n";
  EXPECT_EQ(findings(introspection_with("none")),
            "s.toml:5: error: verifier v: client_secret_file: " + missing);
  EXPECT_EQ(findings(session_with("none")),
            "s.toml:6: error: verifier v: secret_files: " + missing);
  EXPECT_EQ(findings("[verifier.v]\ntype = \"keys\"\nfile = \"none\"\n"),
            "s.toml:3: error: verifier v: file: " + missing);
}

TEST_F(Factories, SayOnWhichLineAFileIsNamedThatIsOfNoUse) {
  for (const std::string& text : {introspection_with("empty"), session_with("empty")}) {
    EXPECT_NE(findings(text).find(": empty: "), std::string::npos) << findings(text);
  }
  const std::string bad = findings("[verifier.v]\ntype = \"keys\"\nfile = \"bad.keys\"\n");
  EXPECT_TRUE(bad.starts_with("s.toml:3: error: verifier v: file: bad.keys:2: ")) << bad;
  EXPECT_EQ(bad.find("hunter2"), std::string::npos) << bad;
}

}  // namespace
}  // namespace sallyport::main
