// The configuration reader: no text may crash it, and what it finds must have a place and a
// printable line. It is given files of its own; nothing is read from the disk.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/jose/mint.h"
#include "feature/config/config.h"

namespace {

using namespace sallyport;

config::Files files() {
  return {
      .load_keys =
          [](config::KeySource source, const std::string& path) {
            static const Keys set = jwks_text(
                jose::export_jwks(std::array{jose::generate_key(jose::Algorithm::kEs256).value()})
                    .value());
            if (path.ends_with("none")) throw std::runtime_error(path + ": is not there");
            return source == config::KeySource::kSecret ? secret_text(std::string(64, 's')) : set;
          },
      .tls_faults =
          [](const std::string&, const std::string& key) {
            return io::PairFaults{.certificate = {}, .key = key.ends_with("x") ? "no" : ""};
          },
      .clients_fault = [](const Tls& tls) { return tls.client_ca_file.ends_with("x") ? "no" : ""; },
      .is_folder =
          [](const std::string& path) {
            return !path.ends_with("none");
          }};
}

Verifier stub(const std::string& name) {
  return verifier([](Presented) -> awaitable<Verdict> { co_return Verdict::refuse(); },
                  {.name = name});
}

config::Factories factories() {
  static const Keys keys = jwks_text(
      jose::export_jwks(std::array{jose::generate_key(jose::Algorithm::kEs256).value()}).value());
  return {.jwks = [](const std::string&, JwksOptions) { return keys; },
          .discovered = [](JwksOptions) { return keys; },
          .introspection = [](const IntrospectionOptions& options) { return stub(options.name); },
          .express_session = [](const SessionOptions& options) { return stub(options.name); },
          .http_verifier = [](const HttpVerifierOptions& options) { return stub(options.name); },
          .api_keys =
              [](const std::string& file, const std::string& name) {
                if (file.ends_with("none")) throw std::runtime_error(file + ": is not there");
                return stub(name);
              },
          .client_certificate = [](CertificateSubject, const std::string& name) { return stub(name); }};
}

void inspect(const std::vector<config::Finding>& findings, std::string_view text) {
  const auto lines = 1 + static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  for (const config::Finding& finding : findings) {
    if (finding.line < 1 || finding.line > lines || finding.text.empty()) std::abort();
    for (const char c : config::to_string(finding)) {
      if (static_cast<unsigned char>(c) < 0x20) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const config::Files kFiles = files();
  static const config::Factories kFactories = factories();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = config::parse(text, "fuzz.toml", kFiles, kFactories);
  if (!parsed) {
    if (parsed.error().empty()) std::abort();
    inspect(parsed.error(), text);
    return 0;
  }
  inspect(parsed->warnings, text);
  // What was found good must be what the library takes.
  for (const config::RouteEntry& route : parsed->routes) {
    if (route.handler != config::Handler::kStatic && route.route->auth.verifier.backends().empty())
      std::abort();
  }
  return 0;
}
