#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace sallyport {

/// Where a credential came from (docs/credentials.md).
enum class CredentialKind : std::uint8_t {
  kNone,
  kHeader,         ///< `Authorization: Bearer T` (RFC 6750 section 2.1)
  kSubprotocol,    ///< an item `bearer.T` of Sec-WebSocket-Protocol
  kTicket,         ///< `?ticket=T`, single use
  kCookie,         ///< the named cookie; ambient: browsers attach it to every request
  kCertificate,    ///< the TLS client certificate; ambient likewise
  kFirstMessage,   ///< `{"type":"auth","token":T}` as the first message
  kInsecureQuery,  ///< `?NAME=T`: lands in logs and histories
};

[[nodiscard]] std::string_view name(CredentialKind kind) noexcept;

/// A header field of the handshake, as it was sent; the name in lower case.
struct PresentedField {
  std::string_view name;
  std::string_view value;
};

/// What a peer presents: untrusted and secret. Everything in it is valid until the verifier has answered.
struct Presented {
  CredentialKind kind = CredentialKind::kNone;
  /// The credential's text; of a certificate, its DER encoding.
  std::string_view token;
  /// The TLS client certificate in DER, if the peer proved to have one, whatever the credential is: a token
  /// may be bound to it (RFC 8705 section 3).
  std::string_view certificate = {};
  /// The header fields that the verifier has asked for (`VerifierBackend::wanted_fields`).
  std::span<const PresentedField> fields = {};
};

/// The transports that a route accepts. Combine them with `|`; what is not listed is not a credential
/// there.
class CredentialSet {
 public:
  constexpr CredentialSet() = default;
  explicit CredentialSet(CredentialKind kind) : kinds_(bit(kind)) {}
  CredentialSet(CredentialKind kind, std::string name) : kinds_(bit(kind)) {
    (kind == CredentialKind::kCookie ? cookie_ : query_) = std::move(name);
  }

  [[nodiscard]] bool contains(CredentialKind kind) const noexcept { return (kinds_ & bit(kind)) != 0; }
  [[nodiscard]] bool empty() const noexcept { return kinds_ == 0; }
  [[nodiscard]] const std::string& cookie_name() const noexcept { return cookie_; }
  [[nodiscard]] const std::string& query_name() const noexcept { return query_; }

  /// Those of it that are of one of two kinds; likewise, all but one.
  [[nodiscard]] CredentialSet only(CredentialKind a, CredentialKind b) const {
    CredentialSet set = *this;
    set.kinds_ &= static_cast<std::uint16_t>(bit(a) | bit(b));
    return set;
  }
  [[nodiscard]] CredentialSet without(CredentialKind kind) const {
    CredentialSet set = *this;
    set.kinds_ &= static_cast<std::uint16_t>(~bit(kind));
    return set;
  }

  friend CredentialSet operator|(CredentialSet a, const CredentialSet& b) {
    a.kinds_ |= b.kinds_;
    if (!b.cookie_.empty()) a.cookie_ = b.cookie_;
    if (!b.query_.empty()) a.query_ = b.query_;
    return a;
  }

 private:
  static constexpr std::uint16_t bit(CredentialKind kind) noexcept {
    return static_cast<std::uint16_t>(1U << static_cast<unsigned>(kind));
  }
  std::uint16_t kinds_ = 0;
  std::string cookie_;
  std::string query_;
};

inline const CredentialSet header{CredentialKind::kHeader};
inline const CredentialSet subprotocol{CredentialKind::kSubprotocol};
inline const CredentialSet first_message{CredentialKind::kFirstMessage};
/// `?ticket=T` from `POST /.sallyport/ticket`: single use, 30 s, bound to path, origin and the credential it was
/// issued for.
inline const CredentialSet ticket{CredentialKind::kTicket};
/// The TLS client certificate. Ambient: an Origin that is there is checked.
inline const CredentialSet certificate{CredentialKind::kCertificate};

/// The cookie of that name. Such a route checks Origin, which must then be present.
[[nodiscard]] inline CredentialSet cookie(std::string name) {
  return {CredentialKind::kCookie, std::move(name)};
}
/// A token in the query string. It ends up in access logs, histories and Referer headers: prefer any
/// other transport.
[[nodiscard]] inline CredentialSet insecure_query(std::string name) {
  return {CredentialKind::kInsecureQuery, std::move(name)};
}

}  // namespace sallyport
