#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "sallyport/verifier.h"

// The verifiers that ask others, and those of credentials other than tokens. All of them may be made at any
// time and cost nothing before an app runs; what they ask happens on the app's control thread. A function
// throws `std::invalid_argument` on options that cannot be meant and `std::runtime_error`, with a message that
// names the file, on a file that cannot be used.

namespace sallyport {

// ---- Keys over the network

struct JwksOptions {
  std::chrono::milliseconds timeout{5000};          ///< for one fetch, from the name to the last byte
  /// Least time between two fetches that an unknown `kid` causes. It never delays the refresh that is due.
  std::chrono::milliseconds cooldown{30'000};
  std::chrono::milliseconds refresh_min{60'000};    ///< bounds what Cache-Control says
  std::chrono::milliseconds refresh_max{24 * 3'600'000};
  std::chrono::milliseconds refresh_default{600'000};  ///< where the answer says nothing
  /// How long keys are used that could not be fetched again; then tokens are "unavailable".
  std::chrono::milliseconds stale_max{24 * 3'600'000};
};

/// A JSON Web Key Set at a URL: https, or http on loopback. Fetched in the background and again before it is
/// stale; an unknown `kid` causes at most one fetch per cooldown. A failed or empty answer never replaces
/// good keys. Throws `std::invalid_argument` if the URL is neither.
[[nodiscard]] Keys jwks(std::string url, JwksOptions options = {});

/// The key set that the verifier's issuer names in its metadata (OpenID Connect Discovery 1.0 section 4):
/// ISSUER/.well-known/openid-configuration, whose `issuer` must be exactly the verifier's.
[[nodiscard]] Keys discovered(JwksOptions options = {});

// ---- Opaque tokens

struct IntrospectionOptions {
  std::string endpoint;                        ///< https, or http on loopback; required
  std::string client_id;                       ///< for client_secret_basic; required
  std::string client_secret_file;              ///< one trailing newline is not part of it; required
  std::string issuer;                          ///< the principals' issuer; empty: the endpoint's origin
  std::chrono::milliseconds cache{10'000};     ///< an answer is used again for so long, never beyond `exp`
  std::chrono::milliseconds recheck{60'000};   ///< how often a live connection's token is asked about
  std::chrono::milliseconds timeout{2000};
  std::string name = "introspection";
};
/// OAuth 2.0 Token Introspection (RFC 7662). One question at a time for one token, however many wait.
[[nodiscard]] Verifier introspection(IntrospectionOptions options);

// ---- Express sessions

struct SessionOptions {
  std::string cookie = "connect.sid";          ///< must be the route's cookie credential
  std::vector<std::string> secret_files;       ///< the newest first; any of them may have signed; required
  std::string store;                           ///< "redis://[user:password@]host[:port][/database]"; required
  std::string prefix = "sess:";
  std::string subject = "/passport/user";      ///< JSON pointer (RFC 6901) into the session
  std::string scopes = {};                     ///< likewise; a string or an array; empty: none
  std::chrono::milliseconds recheck{30'000};   ///< a session that is gone closes its connections within that
  std::chrono::milliseconds timeout{2000};
  std::string name = "session";
};
/// Sessions of express-session in Redis, as connect-redis keeps them.
[[nodiscard]] Verifier express_session(SessionOptions options);

// ---- The application itself

struct HttpVerifierOptions {
  std::string url;                             ///< https, or http on loopback; required
  std::vector<std::string> forward = {"cookie", "authorization"};
  std::chrono::milliseconds timeout{2000};
  std::chrono::milliseconds recheck{60'000};   ///< also the life of an answer without `exp`
  std::string issuer = {};                     ///< the principals' issuer; empty: the URL's origin
  std::string name = "http";
};
/// Asks a URL with a GET that carries the named header fields. 200 with `{"sub","exp","scope",...}` accepts,
/// 401 and 403 refuse, everything else is "unavailable".
[[nodiscard]] Verifier http_verifier(HttpVerifierOptions options);

// ---- Keys and certificates

/// Static API keys: a file with one `sha256hex subject scope,scope` a line; empty lines and lines that begin
/// with # are skipped.
[[nodiscard]] Verifier api_keys(const std::string& file, std::string name = "keys");

/// What of a certificate is the subject: an alternative name of that type, or the common name.
enum class CertificateSubject : std::uint8_t { kSanUri, kSanDns, kSanEmail, kCommonName };
/// TLS client certificates (`Tls::client_ca_file`), verified by the handshake; the connection closes when the
/// certificate ends. The subject must be there exactly once, in printable UTF-8; host names are taken in lower
/// case. The principals' issuer is `name`, their token id the certificate's SHA-256 thumbprint in base64url
/// (`x5t#S256`, RFC 8705), by which one certificate can be revoked; `issued_at` is its notBefore. Claims are
/// "subject_dn", "issuer_dn" (RFC 4514) and "x5t#S256". Other credentials are left to the route's other verifiers.
[[nodiscard]] Verifier client_certificate(CertificateSubject subject = CertificateSubject::kSanUri,
                                          std::string name = "certificate");

}  // namespace sallyport
