#include "feature/config/route_matrix.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

namespace sallyport::config {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongLogin = std::chrono::hours(1);
constexpr milliseconds kUsualSession = std::chrono::hours(12);  // the default of max_session

bool forwards(const VerifierEntry& http, std::string_view field) {
  return std::find(http.forward.begin(), http.forward.end(), field) != http.forward.end();
}

// Cell by cell. A ticket stands for what it was issued for: whoever asks for one shows a header, or
// whatever cookie or certificate the route lists itself.
bool takes(const VerifierEntry& entry, CredentialKind kind) {
  if (kind == CredentialKind::kTicket) kind = CredentialKind::kHeader;
  switch (entry.type) {
    case VerifierType::kJwt:
    case VerifierType::kIntrospection:
    case VerifierType::kKeys:
      return kind != CredentialKind::kCertificate;
    case VerifierType::kSession:
      return kind == CredentialKind::kCookie;
    case VerifierType::kCertificate:
      return kind == CredentialKind::kCertificate;
    case VerifierType::kHttp:
      // Every token goes on as a bearer token, and nothing is said of a certificate.
      if (kind == CredentialKind::kCertificate) return false;
      return forwards(entry, kind == CredentialKind::kCookie ? "cookie" : "authorization");
    case VerifierType::kAnonymous:
      break;
  }
  return false;
}

// Asks again while a connection lives, so that what has ended elsewhere ends here.
bool asks_again(VerifierType type) {
  return type == VerifierType::kIntrospection || type == VerifierType::kSession ||
         type == VerifierType::kHttp;
}

std::string quoted_type(VerifierType type) {
  return "\"" + std::string(name(type)) + "\"";
}

class Matrix {
 public:
  Matrix(Section& route, const Reading& reading, const RouteAuthority& authority)
      : route_(route), reading_(reading), authority_(authority) {}

  void check() {
    check_sessions();
    check_verifiers();
    check_credentials();
    check_tickets();
    check_certificates();
  }

 private:
  [[nodiscard]] const PlacedCredential* find(CredentialKind kind) const {
    const auto found = std::find_if(authority_.credentials.begin(), authority_.credentials.end(),
                                    [&](const PlacedCredential& one) { return one.kind == kind; });
    return found == authority_.credentials.end() ? nullptr : &*found;
  }

  // A session verifier reads one cookie, and a route takes one.
  void check_sessions() {
    const PlacedCredential* const cookie = find(CredentialKind::kCookie);
    const VerifierEntry* first = nullptr;
    for (const PlacedVerifier& verifier : authority_.verifiers) {
      const VerifierEntry& entry = *verifier.entry;
      if (entry.type != VerifierType::kSession) continue;
      if (first == nullptr) {
        first = &entry;
        if (cookie == nullptr || cookie->spelled == "cookie:" + entry.cookie) continue;
        route_.error(cookie->line, "credentials: verifier " + in_quotes(entry.name) +
                                       " reads the cookie " + in_quotes(entry.cookie) + "; write " +
                                       in_quotes("cookie:" + entry.cookie) + ", not " +
                                       in_quotes(cookie->spelled));
      } else if (first->cookie != entry.cookie) {
        route_.error(verifier.line, "verifiers " + in_quotes(first->name) + " and " +
                                        in_quotes(entry.name) + " read different cookies (" +
                                        in_quotes(first->cookie) + " and " +
                                        in_quotes(entry.cookie) +
                                        "), and a route takes one; give each a route of its own");
      }
    }
  }

  void check_verifiers() {
    for (const PlacedVerifier& verifier : authority_.verifiers) {
      const VerifierEntry& entry = *verifier.entry;
      const bool useful =
          std::any_of(authority_.credentials.begin(), authority_.credentials.end(),
                      [&](const PlacedCredential& one) { return takes(entry, one.kind); });
      if (useful) continue;
      route_.error(verifier.line,
                   "verifier " + in_quotes(entry.name) + " of type " + quoted_type(entry.type) +
                       " takes none of the route's credentials; " + what_to_add(entry));
    }
  }

  [[nodiscard]] std::string what_to_add(const VerifierEntry& entry) const {
    switch (entry.type) {
      case VerifierType::kSession:
        return "add " + in_quotes("cookie:" + entry.cookie) + " to credentials";
      case VerifierType::kCertificate:
        return "add \"certificate\" to credentials";
      case VerifierType::kHttp:
        if (find(CredentialKind::kCookie) != nullptr) return "add \"cookie\" to its forward";
        if (find(CredentialKind::kCertificate) != nullptr) break;
        return "add \"authorization\" to its forward";
      case VerifierType::kJwt:
      case VerifierType::kIntrospection:
      case VerifierType::kKeys:
      case VerifierType::kAnonymous:
        break;
    }
    return "add one that carries a token, such as \"header\"";
  }

  void check_credentials() {
    if (!authority_.complete || !route_.has("credentials")) return;
    for (const PlacedCredential& credential : authority_.credentials) {
      // Whether it can be had is a question of the others.
      if (credential.kind == CredentialKind::kTicket) continue;
      const bool taken = std::any_of(
          authority_.verifiers.begin(), authority_.verifiers.end(),
          [&](const PlacedVerifier& verifier) { return takes(*verifier.entry, credential.kind); });
      if (taken || authority_.verifiers.empty()) continue;
      route_.error(credential.line, "credentials: none of the route's verifiers takes " +
                                        in_quotes(credential.spelled) +
                                        "; leave it out, or list a verifier that does, such as "
                                        "one of type \"" +
                                        std::string(taker_of(credential.kind)) + "\"");
    }
  }

  static std::string_view taker_of(CredentialKind kind) {
    return kind == CredentialKind::kCertificate ? "certificate" : "jwt";
  }

  void check_tickets() {
    const PlacedCredential* const query = find(CredentialKind::kInsecureQuery);
    if (find(CredentialKind::kTicket) != nullptr && query != nullptr &&
        query->spelled == "insecure_query:ticket") {
      route_.error(query->line,
                   "credentials: the parameter \"ticket\" is that of one-time tickets; take "
                   "another name for \"insecure_query:NAME\"");
    }
  }

  void check_certificates() {
    const PlacedCredential* const certificate = find(CredentialKind::kCertificate);
    if (certificate == nullptr || reading_.asks_for_certificates) return;
    route_.error(certificate->line,
                 "credentials: no client is asked for a certificate; write client_ca, and "
                 "client_certificate = \"optional\" or \"required\", under [server.tls]");
  }

  Section& route_;
  const Reading& reading_;
  const RouteAuthority& authority_;
};

}  // namespace

void check_matrix(Section& route, const Reading& reading, const RouteAuthority& authority) {
  Matrix(route, reading, authority).check();
}

void warn_of_shadowed(Section& route, const RouteAuthority& authority) {
  for (auto one = authority.verifiers.begin(); one != authority.verifiers.end(); ++one) {
    if (!one->entry->jwt) continue;
    const auto first =
        std::find_if(authority.verifiers.begin(), one, [&](const PlacedVerifier& other) {
          return other.entry->jwt && other.entry->jwt->issuer == one->entry->jwt->issuer;
        });
    if (first == one) continue;
    route.warning(one->line, "verifier " + in_quotes(one->entry->name) +
                                 " is never asked: " + in_quotes(first->entry->name) +
                                 " has the same issuer and comes first; put all keys and "
                                 "audiences of one issuer into one verifier");
  }
}

void warn_of_long_logins(Section& route, const RouteAuthority& authority,
                         milliseconds max_session) {
  if (max_session <= kLongLogin || authority.verifiers.empty() || !authority.complete) return;
  const int line = route.line_of("max_session");
  for (const PlacedVerifier& verifier : authority.verifiers) {
    if (verifier.entry->type != VerifierType::kKeys) continue;
    return route.warning(line, "verifier " + in_quotes(verifier.entry->name) +
                                   ": API keys do not expire, so a connection lasts until "
                                   "max_session (" +
                                   format_duration(max_session) +
                                   "); write max_session = \"1h\" or less");
  }
  // What a token's life is, only its issuer knows. The default is nobody's statement that it is
  // long; a longer one is.
  if (max_session <= kUsualSession) return;
  const auto forgetful =
      std::find_if(authority.verifiers.begin(), authority.verifiers.end(),
                   [](const PlacedVerifier& one) { return !asks_again(one.entry->type); });
  if (forgetful == authority.verifiers.end()) return;
  route.warning(line, "max_session is " + format_duration(max_session) + ", and verifier " +
                          in_quotes(forgetful->entry->name) +
                          " never asks again: a login that has ended elsewhere goes on here as "
                          "long as its credential; keep those to an hour, or use a verifier that "
                          "asks");
}

}  // namespace sallyport::config
