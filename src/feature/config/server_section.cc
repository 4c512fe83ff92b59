#include "feature/config/server_section.h"

#include <chrono>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "core/http/address.h"
#include "core/http/origin.h"
#include "feature/config/spelling.h"
#include "feature/config/store_section.h"
#include "io/address.h"

namespace sallyport::config {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;
using namespace sallyport::literals;

constexpr std::uint32_t kWorkersMax = 1024;
constexpr std::uint32_t kPendingMax = 10'000'000;

const Table& table_of(const Entry& entry) {
  return std::get<Table>(entry.node.value);
}

void read_listen(Section& server, Reading& reading, Config& config) {
  const auto addresses = server.read_texts("listen");
  if (!addresses) return;
  if (addresses->empty()) {
    server.error(server.line_of("listen"),
                 "listen must name at least one address, such as \"127.0.0.1:8080\"");
    return;
  }
  const bool plain = !config.app.tls && !server.has("tls");
  std::set<std::string> seen;
  config.run.listen.clear();
  for (const PlacedText& address : *addresses) {
    const auto endpoint = io::parse_endpoint(address.value);
    if (!endpoint) {
      server.error(address.line, "listen: " + endpoint.error());
      continue;
    }
    if (endpoint->port() != 0 && !seen.insert(endpoint->text()).second) {
      server.error(address.line, "listen names " + in_quotes(address.value) + " twice");
      continue;
    }
    config.run.listen.push_back(address.value);
    if (endpoint->loopback()) continue;
    reading.off_loopback = true;
    if (!plain) continue;
    if (config.app.insecure_plaintext) {
      server.warning(address.line,
                     "listen: " + in_quotes(address.value) +
                         " serves plain text to other machines (insecure_plaintext); whoever is "
                         "on the way can read and reuse every token");
    } else {
      server.error(address.line,
                   "listen: " + in_quotes(address.value) +
                       " is not a loopback address, so TLS is required; write [server.tls], or "
                       "insecure_plaintext = true if something in front of it ends TLS");
    }
  }
}

void read_public_url(Section& server, Config& config) {
  std::string url;
  if (!server.read_string("public_url", url)) return;
  const auto origin = http::Origin::parse(url);
  if (!origin) {
    server.error(server.line_of("public_url"),
                 "public_url " + in_quotes(url) + ": " +
                     std::string(http::describe(origin.error())) +
                     "; write for example \"https://chat.example.com\"");
  } else if (origin->scheme() != "https" && origin->scheme() != "http") {
    server.error(server.line_of("public_url"),
                 "public_url " + in_quotes(url) +
                     " must begin with https:// or http://, as browsers name a page");
  } else {
    config.app.public_url = url;
    if (origin->scheme() == "http" && server.has("tls")) {
      server.warning(
          server.line_of("public_url"),
          "public_url " + in_quotes(url) +
              " begins with http://, but the listeners speak TLS: pages of https:// would "
              "be refused as foreign");
    }
  }
}

// False if the two keys do not go together.
bool read_client_certificate(Section& tls, Reading& reading, Tls& files) {
  tls.read_choice("client_certificate", files.client_certificate,
                  {{"none", ClientCertificate::kNone},
                   {"optional", ClientCertificate::kOptional},
                   {"required", ClientCertificate::kRequired}});
  std::string authority;
  if (tls.read_string("client_ca", authority)) files.client_ca_file = reading.path(authority);
  reading.asks_for_certificates = files.client_certificate != ClientCertificate::kNone;
  if (reading.asks_for_certificates && !tls.has("client_ca")) {
    tls.error(tls.line_of("client_certificate"),
              "client_certificate needs client_ca: name the PEM file of those who sign your "
              "clients' certificates");
    return false;
  }
  if (tls.has("client_ca") && !tls.has("client_certificate")) {
    tls.warning(tls.line_of("client_ca"),
                "client_ca alone changes nothing: no client is asked for a certificate; write "
                "client_certificate = \"optional\" or \"required\"");
  }
  return true;
}

void read_tls(Section& server, Reading& reading, Config& config) {
  const Entry* const entry = server.read_table("tls");
  if (entry == nullptr) return;
  Section tls(table_of(*entry), entry->node.line, "[server.tls]", reading.findings);
  Tls files;
  std::string certificate;
  std::string key;
  const bool has_certificate = tls.read_string("certificate", certificate);
  const bool has_key = tls.read_string("key", key);
  if (!tls.has("certificate"))
    tls.error(tls.line(), "certificate is missing; name the PEM file of the chain");
  if (!tls.has("key"))
    tls.error(tls.line(), "key is missing; name the PEM file of the private key");
  const bool whole = read_client_certificate(tls, reading, files);
  tls.finish();
  if (!has_certificate || !has_key || !whole) return;
  files.certificate_file = reading.path(certificate);
  files.key_file = reading.path(key);
  const io::PairFaults faults = reading.files.tls_faults(files.certificate_file, files.key_file);
  if (!faults.certificate.empty()) tls.error(tls.line_of("certificate"), faults.certificate);
  if (!faults.key.empty()) tls.error(tls.line_of("key"), faults.key);
  if (faults.certificate.empty() && faults.key.empty() && reading.asks_for_certificates) {
    const std::string fault = reading.files.clients_fault(files);
    if (!fault.empty()) tls.error(tls.line_of("client_ca"), fault);
  }
  config.app.tls = std::move(files);
}

void read_trusted_proxies(Section& server, Config& config) {
  const auto texts = server.read_texts("trusted_proxies");
  if (!texts) return;
  for (const PlacedText& text : *texts) {
    const auto block = http::CidrBlock::parse(text.value);
    if (!block) {
      server.error(text.line, "trusted_proxies: " + block.error());
    } else if (text.value.ends_with("/0")) {
      server.warning(text.line, "trusted_proxies: " + in_quotes(text.value) +
                                    " lets every client choose the address that it is seen "
                                    "under; list your proxies' own addresses");
    }
    config.app.trusted_proxies.push_back(text.value);
  }
}

void read_limits(Section& server, Reading& reading, Config& config) {
  const Entry* const entry = server.read_table("limits");
  if (entry == nullptr) return;
  ServerLimits& limits = config.app.limits;
  Section section(table_of(*entry), entry->node.line, "[server.limits]", reading.findings);
  section.read_duration("handshake_timeout", limits.handshake_timeout, {1ms, 1h});
  section.read_size("header_bytes", limits.header_bytes, {256_B, 1_MiB});
  section.read_integer("pending", limits.pending, {1, kPendingMax});
  section.read_integer("pending_per_address", limits.pending_per_address, {1, kPendingMax});
  section.read_rate("failures_per_address", limits.failures_per_address);
  section.read_rate("verifications", limits.verifications);
  section.finish();
}

void read_server_table(Section& root, Reading& reading, Config& config) {
  const Entry* const entry = root.read_table("server");
  if (entry == nullptr) return;
  Section server(table_of(*entry), entry->node.line, "[server]", reading.findings);
  server.read_boolean("insecure_plaintext", config.app.insecure_plaintext);
  read_public_url(server, config);
  read_tls(server, reading, config);
  read_listen(server, reading, config);
  std::uint32_t workers = 0;
  if (server.read_integer("workers", workers, {0, kWorkersMax})) config.run.workers = workers;
  server.read_duration("drain", config.run.drain, {0ms, 1h});
  read_trusted_proxies(server, config);
  read_limits(server, reading, config);
  for (const char* const key : {"handshake_timeout", "header_bytes", "pending",
                                "pending_per_address", "failures_per_address", "verifications"}) {
    server.refuse(key, std::string(key) + " belongs into [server.limits]");
  }
  for (const char* const key : {"certificate", "key", "client_ca", "client_certificate"}) {
    server.refuse(key, std::string(key) + " belongs into [server.tls]");
  }
  server.finish();
}

void read_log(Section& root, Reading& reading, Config& config) {
  const Entry* const entry = root.read_table("log");
  if (entry == nullptr) return;
  Section log(table_of(*entry), entry->node.line, "[log]", reading.findings);
  log.read_choice("level", config.log.level,
                  {{"trace", LogLevel::kTrace},
                   {"debug", LogLevel::kDebug},
                   {"info", LogLevel::kInfo},
                   {"warn", LogLevel::kWarn},
                   {"error", LogLevel::kError}});
  log.read_choice("format", config.log.format,
                  {{"json", LogFormat::kJson}, {"text", LogFormat::kText}});
  log.finish();
}

}  // namespace

void read_server(Section& root, Reading& reading, Config& config) {
  read_server_table(root, reading, config);
  read_log(root, reading, config);
  read_store(root, reading, config);
  read_admin(root, reading, config);
}

}  // namespace sallyport::config
