#pragma once

// Configurations for this folder's tests: a file system of a few names, and findings as text.

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/jose/mint.h"
#include "feature/config/config.h"

namespace sallyport::config {

/// What the fake factories were asked to make, in the file's order.
struct Made {
  std::vector<std::string> jwks = {};
  int discovered = 0;
  std::vector<IntrospectionOptions> introspection = {};
  std::vector<SessionOptions> session = {};
  std::vector<HttpVerifierOptions> http = {};
  std::vector<std::string> api_keys = {};
  std::vector<CertificateSubject> certificate = {};
};

inline Verifier stub_verifier(const std::string& name) {
  return verifier([](Presented) -> awaitable<Verdict> { co_return Verdict::refuse(); },
                  {.name = name});
}

/// A file called "conf/missing" is missing.
inline void open_fake(const std::string& path) {
  if (path == "conf/missing") throw std::runtime_error(path + ": cannot be opened: No such file");
}

/// Verifiers that refuse everything, made of what is written down in `made`.
inline Factories fake_factories(Made& made) {
  static const Keys keys = jwks_text(
      jose::export_jwks(std::array{jose::generate_key(jose::Algorithm::kEs256, "k1").value()})
          .value());
  return {.jwks =
              [&made](std::string url, JwksOptions) {
                made.jwks.push_back(std::move(url));
                return keys;
              },
          .discovered =
              [&made](JwksOptions) {
                ++made.discovered;
                return keys;
              },
          .introspection =
              [&made](IntrospectionOptions options) {
                open_fake(options.client_secret_file);
                made.introspection.push_back(options);
                return stub_verifier(options.name);
              },
          .express_session =
              [&made](SessionOptions options) {
                for (const std::string& file : options.secret_files) open_fake(file);
                made.session.push_back(options);
                return stub_verifier(options.name);
              },
          .http_verifier =
              [&made](HttpVerifierOptions options) {
                if (options.issuer == "?") {
                  throw std::invalid_argument("verifier " + options.name + ": cannot be meant");
                }
                made.http.push_back(options);
                return stub_verifier(options.name);
              },
          .api_keys =
              [&made](const std::string& file, std::string name) {
                open_fake(file);
                made.api_keys.push_back(file);
                return stub_verifier(name);
              },
          .client_certificate =
              [&made](CertificateSubject subject, std::string name) {
                made.certificate.push_back(subject);
                return stub_verifier(name);
              }};
}

/// "es256.jwks" and "rs256.jwks" are key sets, "long.secret" is a secret for every HS*,
/// "short.secret" is 16 bytes, "site" a folder, "good.crt" with "good.key" a pair,
/// "clients.pem" signs clients; everything else is missing.
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
      .tls_faults = [](const std::string& certificate, const std::string& key) -> io::PairFaults {
        const bool good = certificate == "conf/good.crt";
        return {.certificate = good ? "" : certificate + ": cannot be opened",
                .key = key == "conf/good.key" ? "" : key + ": does not belong to the certificate"};
      },
      .clients_fault = [](const Tls& tls) -> std::string {
        return tls.client_ca_file == "conf/clients.pem" ? ""
                                                        : tls.client_ca_file + ": cannot be opened";
      },
      .is_folder =
          [](const std::string& path) {
            return path == "conf/site" || path == "/srv/site";
          },
      .token_fault = [](const std::string& path) -> std::string {
        return path == "conf/admin.token" ? "" : path + ": cannot be opened";
      }};
}

inline std::expected<Config, std::vector<Finding>> parse_fake(std::string_view text) {
  Made made;
  return parse(text, "conf/s.toml", fake_files(), fake_factories(made));
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
