#include "feature/config/config.h"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "core/base/secret.h"
#include "feature/config/reading.h"
#include "feature/config/route_section.h"
#include "feature/config/server_section.h"
#include "feature/config/tree.h"
#include "feature/config/verifier_section.h"
#include "io/tls.h"
#include "server/keys.h"

namespace sallyport::config {
namespace {

constexpr std::size_t kTokenBytesMin = 16;
constexpr std::size_t kTokenBytesMax = 4096;

std::unexpected<std::vector<Finding>> only(const std::string& file, int line, std::string text) {
  return std::unexpected(std::vector<Finding>{
      {.file = file, .line = line, .severity = Severity::kError, .text = std::move(text)}});
}

void install_route(const RouteEntry& entry, App& app) {
  if (!entry.route) {
    app.files(entry.path, entry.root);
    return;
  }
  Route route = *entry.route;
  route.keep_claims = false;  // no code of a user's asks for them
  if (entry.handler == Handler::kHub) {
    app.hub(entry.path, std::move(route));
    return;
  }
  route.on_message = [](Connection& connection, Message message) {
    connection.send(message);
  };
  app.ws(entry.path, std::move(route));
}

io::ClientAuth client_auth(const Tls& tls) {
  using Ask = io::ClientAuth::Ask;
  switch (tls.client_certificate) {
    case ClientCertificate::kNone:
      return {};
    case ClientCertificate::kOptional:
      return {.ask = Ask::kOptional, .ca_file = tls.client_ca_file};
    case ClientCertificate::kRequired:
      break;
  }
  return {.ask = Ask::kRequired, .ca_file = tls.client_ca_file};
}

// What the library itself would refuse at the start. The parts have been checked one by one, with
// better lines; this is for whatever they have missed.
void rehearse(const Config& config, Findings& findings) {
  App app({.public_url = config.app.public_url});
  for (const RouteEntry& entry : config.routes) {
    if (entry.handler == Handler::kStatic) continue;  // all it needs is its folder
    try {
      install_route(entry, app);
    } catch (const std::invalid_argument& error) {
      findings.error(entry.line, error.what());
    }
  }
}

}  // namespace

Files Files::system() {
  return {.load_keys =
              [](KeySource source, const std::string& path) {
                switch (source) {
                  case KeySource::kJwks:
                    return jwks_file(path);
                  case KeySource::kSecret:
                    return secret_file(path);
                  case KeySource::kPublicKey:
                    return public_key_file(path);
                }
                throw std::runtime_error(path + ": unknown kind of key source");
              },
          .tls_faults = io::check_pair,
          .clients_fault =
              [](const Tls& tls) {
                const auto context =
                    io::TlsContext::load(tls.certificate_file, tls.key_file, client_auth(tls));
                return context ? std::string() : context.error();
              },
          .is_folder =
              [](const std::string& path) {
                std::error_code error;
                const auto real = std::filesystem::canonical(path, error);
                return !error && std::filesystem::is_directory(real, error);
              },
          .token_fault = [](const std::string& path) -> std::string {
            std::string text;
            try {
              text = read_file(path, kTokenBytesMax);
            } catch (const std::runtime_error& error) {
              return error.what();
            }
            while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
            const std::size_t size = text.size();
            base::wipe(text.data(), text.size());
            if (size < kTokenBytesMin) {
              return path + ": a token of at least 16 characters is needed; make one with: openssl rand -hex 32";
            }
            return {};
          }};
}

std::expected<Config, std::vector<Finding>> parse(std::string_view text, const std::string& file,
                                                  const Files& files, const Factories& factories) {
  const auto tree = parse_toml(text);
  if (!tree) return only(file, tree.error().line, tree.error().text);
  Findings findings(file);
  Reading reading{.findings = findings,
                  .files = files,
                  .factories = factories,
                  .folder = std::filesystem::path(file).parent_path()};
  Config config;
  Section root(*tree, 1, {}, findings);
  read_server(root, reading, config);
  const std::vector<std::string> verifiers = read_verifiers(root, reading, config);
  read_routes(root, reading, verifiers, config);
  root.finish();
  if (!findings.has_errors()) rehearse(config, findings);
  if (findings.has_errors()) return std::unexpected(findings.take());
  config.warnings = findings.take();
  return config;
}

std::expected<Config, std::vector<Finding>> load(const std::string& path,
                                                 const Factories& factories) {
  std::string text;
  try {
    text = read_file(path, kConfigBytesMax);
  } catch (const std::runtime_error& error) {
    // The library's sentence begins with the file's name, as a finding does.
    std::string_view what = error.what();
    if (what.starts_with(path + ": ")) what.remove_prefix(path.size() + 2);
    return only(path, 1, std::string(what));
  }
  return parse(text, path, Files::system(), factories);
}

void install(const Config& config, App& app) {
  for (const RouteEntry& entry : config.routes) install_route(entry, app);
}

}  // namespace sallyport::config
