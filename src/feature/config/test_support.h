#pragma once

// Configurations for this folder's tests: a file system of a few names, and findings as text.

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/jose/mint.h"
#include "feature/config/config.h"

namespace sallyport::config {

/// "es256.jwks" and "rs256.jwks" are key sets, "long.secret" is a secret for every HS*,
/// "short.secret" is 16 bytes, "site" a folder, "good.crt" with "good.key" a pair; everything else
/// is missing.
inline Files fake_files() {
  return {
      .load_keys =
          [](KeySource, const std::string& path) {
            const auto set = [](jose::Algorithm algorithm, int bits = 2048) {
              return jwks_text(
                  jose::export_jwks(std::array{jose::generate_key(algorithm, "k1", bits).value()})
                      .value());
            };
            static const Keys es256 = set(jose::Algorithm::kEs256);
            static const Keys rs256 = set(jose::Algorithm::kRs256);
            if (path == "conf/es256.jwks") return es256;
            if (path == "conf/rs256.jwks") return rs256;
            if (path == "conf/long.secret")
              return secret_text(std::string(32, 'x') + std::string(32, 'y'));
            if (path == "conf/short.secret") return secret_text("0123456789abcdef");
            throw std::runtime_error(path + ": cannot be opened: No such file or directory");
          },
      .tls_fault = [](const std::string& certificate, const std::string& key) -> std::string {
        if (certificate != "conf/good.crt") return certificate + ": cannot be opened";
        return key == "conf/good.key" ? "" : key + ": does not belong to the certificate";
      },
      .is_folder =
          [](const std::string& path) {
            return path == "conf/site" || path == "/srv/site";
          }};
}

inline std::expected<Config, std::vector<Finding>> parse_fake(std::string_view text) {
  return parse(text, "conf/s.toml", fake_files());
}

/// All findings, a line each, without the file's name: "3: error: text".
inline std::string findings_of(std::string_view text) {
  const auto config = parse_fake(text);
  std::string lines;
  for (const Finding& finding : config ? config->warnings : config.error()) {
    lines += to_string(finding).substr(std::string_view("conf/s.toml:").size()) + "\n";
  }
  return lines;
}

/// A verifier and a route without faults, on lines 1 to 10.
inline constexpr std::string_view kGood = R"([verifier.main]
type = "jwt"
issuer = "https://id.example.com/"
audience = ["chat"]
algorithms = ["ES256"]
jwks_file = "es256.jwks"
[[route]]
path = "/echo"
handler = "echo"
verifiers = ["main"]
)";

}  // namespace sallyport::config
