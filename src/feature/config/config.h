#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "feature/config/finding.h"
#include "io/tls.h"
#include "sallyport/app.h"
#include "sallyport/route.h"
#include "sallyport/verifier.h"
#include "sallyport/verifiers.h"

namespace sallyport::config {

enum class LogFormat : std::uint8_t { kJson, kText };

struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kJson;
};

enum class Handler : std::uint8_t { kEcho, kHub, kStatic };

enum class VerifierType : std::uint8_t {
  kJwt,
  kIntrospection,
  kSession,
  kKeys,
  kCertificate,
  kHttp,
  kAnonymous,
};

/// As the configuration spells it: "jwt".
[[nodiscard]] std::string_view name(VerifierType type) noexcept;

/// One `[verifier.NAME]`: the verifier itself, and what has to be known of it elsewhere.
struct VerifierEntry {
  std::string name;
  int line = 1;
  VerifierType type = VerifierType::kJwt;
  Verifier verifier;
  std::optional<JwtOptions> jwt = {};     ///< of type kJwt: what it was made from
  std::string cookie = {};                ///< of type kSession: the one that it reads
  std::vector<std::string> forward = {};  ///< of type kHttp: the fields that it passes on
};

/// One `[[route]]`. A static one has a `root` and no `route`; the others are the reverse.
struct RouteEntry {
  std::string path;
  int line = 1;
  Handler handler = Handler::kEcho;
  std::optional<Route> route = {};
  std::string root = {};
};

/// `[store]`.
struct StoreSettings {
  std::string sqlite_file = {};  ///< empty: in memory
};

/// `[admin]`.
struct AdminSettings {
  std::vector<std::string> listen = {};  ///< loopback addresses
  std::string token_file = {};
  std::vector<std::string> hosts = {};   ///< names other than loopback's under which it may be reached

  friend bool operator==(const AdminSettings&, const AdminSettings&) = default;
};

/// A configuration without errors. File names in it are relative to the working directory no more:
/// they have been joined to the configuration file's folder.
struct Config {
  AppOptions app = {};  ///< `log` is not set: whoever runs the app owns the log
  RunOptions run = {};
  LogSettings log = {};
  StoreSettings store = {};
  std::optional<AdminSettings> admin = {};
  std::vector<VerifierEntry> verifiers = {};
  std::vector<RouteEntry> routes = {};
  std::vector<Finding> warnings = {};
};

enum class KeySource : std::uint8_t { kJwks, kSecret, kPublicKey };

/// The files that a configuration names. They are looked at while it is read, so that a fault has a
/// line.
struct Files {
  /// Throws std::runtime_error that names the file and the fault.
  std::function<Keys(KeySource source, const std::string& path)> load_keys;
  /// Why the pair cannot be served.
  std::function<io::PairFaults(const std::string& certificate, const std::string& key)> tls_faults;
  /// Why clients cannot be asked for their certificates by these files, which are fit otherwise;
  /// empty if they can.
  std::function<std::string(const Tls& tls)> clients_fault;
  std::function<bool(const std::string& path)> is_folder;
  /// Why the file is no admin token; empty if it is one.
  std::function<std::string(const std::string& path)> token_fault;

  /// The file system's.
  [[nodiscard]] static Files system();
};

/// What makes the verifiers that ask others: functions of sallyport/verifiers.h, which live in a
/// folder that this one does not know. Whoever links both passes them on. One that is empty is "not
/// available in this version".
struct Factories {
  std::function<Keys(std::string url, JwksOptions options)> jwks;
  std::function<Keys(JwksOptions options)> discovered;
  std::function<Verifier(IntrospectionOptions options)> introspection;
  std::function<Verifier(SessionOptions options)> express_session;
  std::function<Verifier(HttpVerifierOptions options)> http_verifier;
  std::function<Verifier(const std::string& file, std::string name)> api_keys;
  std::function<Verifier(CertificateSubject subject, std::string name)> client_certificate;
};

/// Reads the configuration file at `path` and every file it names. Asks nobody over the network.
/// Returns all findings if at least one is an error, warnings among them.
[[nodiscard]] std::expected<Config, std::vector<Finding>> load(const std::string& path,
                                                               const Factories& factories);

/// The same for a text. `file` names it in findings, and its folder is where relative paths start.
[[nodiscard]] std::expected<Config, std::vector<Finding>> parse(std::string_view text,
                                                                const std::string& file,
                                                                const Files& files,
                                                                const Factories& factories);

/// Puts the routes into the app. Throws what `App` throws, which a configuration from `load` does
/// not make it do unless a static folder has gone since.
void install(const Config& config, App& app);

}  // namespace sallyport::config
