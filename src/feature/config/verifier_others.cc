#include "feature/config/verifier_others.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "core/auth/express_session.h"
#include "core/http/grammar.h"
#include "feature/config/verifier_making.h"
#include "io/http_client.h"
#include "io/redis_link.h"

namespace sallyport::config {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr Range<milliseconds> kTimeouts{1ms, 1min};
// Whoever is asked less than once an hour may as well not be asked.
constexpr Range<milliseconds> kRechecks{100ms, 1h};
constexpr Range<milliseconds> kSessionRechecks{200ms, 1h};
constexpr Range<milliseconds> kCaches{0ms, 10min};

// Fields that belong to one hop (RFC 9110 section 7.6.1), or that the question has itself.
constexpr std::array<std::string_view, 10> kHopFields{
    "accept", "connection", "content-length",    "expect", "host", "keep-alive",
    "te",     "trailer",    "transfer-encoding", "upgrade"};

// A string that must be there; `hint` says what to write.
bool read_required(Section& section, std::string_view key, std::string& target,
                   const std::string& hint) {
  if (section.read_string(key, target)) return true;
  if (!section.has(key)) section.error(section.line(), std::string(key) + " is missing; " + hint);
  return false;
}

// The URL itself is not quoted: its query may hold a secret.
void read_url(Section& section, std::string_view key, std::string& target,
              const std::string& hint) {
  if (!read_required(section, key, target, hint)) return;
  const auto url = io::HttpUrl::parse(target);
  if (!url) section.error(section.line_of(key), std::string(key) + ": " + url.error());
}

void read_pointer(Section& section, std::string_view key, std::string& target) {
  if (!section.read_string(key, target)) return;
  const std::string fault = auth::ExpressPaths::fault_of(target);
  if (!fault.empty()) section.error(section.line_of(key), std::string(key) + ": " + fault);
}

void read_cookie(Section& section, std::string& cookie) {
  // A cookie's name is a token (RFC 6265 section 4.1.1).
  if (!section.read_string("cookie", cookie) || http::is_token(cookie)) return;
  section.error(section.line_of("cookie"),
                "cookie: " + in_quotes(cookie) + " is not the name of a cookie");
}

void read_secret_files(Section& section, Reading& reading, std::vector<NamedFile>& files) {
  const auto texts = section.read_texts("secret_files");
  if ((texts && texts->empty()) || !section.has("secret_files")) {
    section.error(section.line_of("secret_files"),
                  "secret_files is missing; name the files with the application's session secrets, "
                  "the newest first");
  }
  if (!texts) return;
  for (const PlacedText& text : *texts) {
    std::string path = reading.path(text.value);
    const bool again = std::any_of(files.begin(), files.end(),
                                   [&](const NamedFile& file) { return file.path == path; });
    if (again) section.error(text.line, "secret_files names " + in_quotes(text.value) + " twice");
    files.push_back({.key = "secret_files", .path = std::move(path), .line = text.line});
  }
}

void read_store(Section& section, std::string& store) {
  if (!read_required(section, "store", store,
                     "name the application's Redis, such as \"redis://127.0.0.1:6379\"")) {
    return;
  }
  const auto url = io::RedisUrl::parse(store);
  if (!url) section.error(section.line_of("store"), "store: " + url.error());
}

void read_forward(Section& section, std::vector<std::string>& forward) {
  const auto texts = section.read_texts("forward");
  if (!texts) return;
  if (texts->empty()) {
    section.error(section.line_of("forward"),
                  "forward must not be empty: the application would have nothing to judge by; "
                  "leave it out for \"cookie\" and \"authorization\"");
  }
  forward.clear();
  for (const PlacedText& text : *texts) {
    std::string field = http::lower_case(text.value);
    if (!http::is_token(field)) {
      section.error(text.line,
                    "forward: " + in_quotes(text.value) + " is not the name of a header field");
    } else if (std::find(kHopFields.begin(), kHopFields.end(), field) != kHopFields.end() ||
               field.starts_with("sec-websocket-")) {
      section.error(text.line, "forward: " + in_quotes(text.value) +
                                   " is about one connection and cannot be passed on");
    } else if (std::find(forward.begin(), forward.end(), field) != forward.end()) {
      section.error(text.line, "forward names " + in_quotes(text.value) + " twice");
    } else {
      forward.push_back(std::move(field));
    }
  }
}

std::optional<VerifierEntry> entry_of(const Section& section, VerifierType type,
                                      const std::string& name, std::optional<Verifier> verifier) {
  if (!verifier) return std::nullopt;
  return VerifierEntry{
      .name = name, .line = section.line(), .type = type, .verifier = *std::move(verifier)};
}

}  // namespace

std::optional<VerifierEntry> read_introspection(Section& section, Reading& reading,
                                                const std::string& name) {
  const std::size_t errors = reading.findings.error_count();
  IntrospectionOptions options{.endpoint = {}, .client_id = {}, .client_secret_file = {}};
  options.name = name;
  read_url(section, "endpoint", options.endpoint,
           "write the URL of the introspection endpoint (RFC 7662)");
  read_required(section, "client_id", options.client_id,
                "write the id under which the endpoint knows this server");
  if (read_required(section, "client_secret_file", options.client_secret_file,
                    "name the file with this server's secret at the endpoint")) {
    options.client_secret_file = reading.path(options.client_secret_file);
  }
  section.read_string("issuer", options.issuer);
  section.read_duration("cache", options.cache, kCaches);
  section.read_duration("recheck", options.recheck, kRechecks);
  section.read_duration("timeout", options.timeout, kTimeouts);
  if (reading.findings.error_count() != errors) return std::nullopt;
  const NamedFile secret{.key = "client_secret_file",
                         .path = options.client_secret_file,
                         .line = section.line_of("client_secret_file")};
  return entry_of(section, VerifierType::kIntrospection, name,
                  make_part<Verifier>({.section = section, .verifier = name, .files = {&secret, 1}},
                                      reading.factories.introspection, std::move(options)));
}

std::optional<VerifierEntry> read_session(Section& section, Reading& reading,
                                          const std::string& name) {
  const std::size_t errors = reading.findings.error_count();
  SessionOptions options;
  options.name = name;
  read_cookie(section, options.cookie);
  std::vector<NamedFile> secrets;
  read_secret_files(section, reading, secrets);
  for (const NamedFile& file : secrets) options.secret_files.push_back(file.path);
  read_store(section, options.store);
  section.read_string("prefix", options.prefix, Empty::kAllowed);
  read_pointer(section, "subject", options.subject);
  read_pointer(section, "scopes", options.scopes);
  section.read_duration("recheck", options.recheck, kSessionRechecks);
  if (reading.findings.error_count() != errors) return std::nullopt;
  std::string cookie = options.cookie;
  auto entry =
      entry_of(section, VerifierType::kSession, name,
               make_part<Verifier>({.section = section, .verifier = name, .files = secrets},
                                   reading.factories.express_session, std::move(options)));
  if (entry) entry->cookie = std::move(cookie);
  return entry;
}

std::optional<VerifierEntry> read_api_keys(Section& section, Reading& reading,
                                           const std::string& name) {
  std::string file;
  if (!read_required(section, "file", file,
                     "name the file with a line \"sha256hex subject scope,scope\" for each key")) {
    return std::nullopt;
  }
  return entry_of(section, VerifierType::kKeys, name,
                  make_part<Verifier>({.section = section, .verifier = name, .key = "file"},
                                      reading.factories.api_keys, reading.path(file), name));
}

std::optional<VerifierEntry> read_certificate(Section& section, Reading& reading,
                                              const std::string& name) {
  const std::size_t errors = reading.findings.error_count();
  CertificateSubject subject = CertificateSubject::kSanUri;
  section.read_choice("subject", subject,
                      {{"san_uri", CertificateSubject::kSanUri},
                       {"san_dns", CertificateSubject::kSanDns},
                       {"san_email", CertificateSubject::kSanEmail},
                       {"cn", CertificateSubject::kCommonName}});
  if (reading.findings.error_count() != errors) return std::nullopt;
  return entry_of(section, VerifierType::kCertificate, name,
                  make_part<Verifier>({.section = section, .verifier = name},
                                      reading.factories.client_certificate, subject, name));
}

std::optional<VerifierEntry> read_http(Section& section, Reading& reading,
                                       const std::string& name) {
  const std::size_t errors = reading.findings.error_count();
  HttpVerifierOptions options;
  options.name = name;
  read_url(section, "url", options.url,
           "write the URL of the application that answers who somebody is");
  read_forward(section, options.forward);
  section.read_duration("timeout", options.timeout, kTimeouts);
  section.read_duration("recheck", options.recheck, kRechecks);
  section.read_string("issuer", options.issuer);
  if (reading.findings.error_count() != errors) return std::nullopt;
  std::vector<std::string> forward = options.forward;
  auto entry = entry_of(section, VerifierType::kHttp, name,
                        make_part<Verifier>({.section = section, .verifier = name},
                                            reading.factories.http_verifier, std::move(options)));
  if (entry) entry->forward = std::move(forward);
  return entry;
}

}  // namespace sallyport::config
