#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::http {

inline constexpr std::size_t kOriginBytesMax = 512;

enum class OriginError {
  kEmpty,
  kNull,       ///< the opaque origin of sandboxed frames and local files (RFC 6454 section 7.3)
  kTooLong,    ///< over kOriginBytesMax
  kMalformed,  ///< not `scheme://host[:port]`
  kHasMore,    ///< user information, a path, a query or a fragment
  kHost,       ///< an empty or overlong label, a trailing dot, or a character no host name has
};

/// A fixed description for logs and configuration errors.
[[nodiscard]] std::string_view describe(OriginError error) noexcept;

/// An origin (RFC 6454): scheme, host and port, and nothing else. Two origins are equal if all
/// three are; nothing is ever compared by prefix, suffix or substring.
class Origin {
 public:
  /// Scheme and host are lower-cased, a default port (http 80, https 443) is the same as none, an
  /// IPv6 host takes its canonical form. A host in punycode is compared as it is; other than ASCII
  /// is refused, since browsers never send it.
  [[nodiscard]] static std::expected<Origin, OriginError> parse(std::string_view text);

  [[nodiscard]] const std::string& scheme() const noexcept { return scheme_; }
  /// With brackets if it is an IPv6 address.
  [[nodiscard]] const std::string& host() const noexcept { return host_; }
  /// 0 if the scheme has no default port and none was given.
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  /// As a browser would send it.
  [[nodiscard]] std::string text() const;

  friend bool operator==(const Origin&, const Origin&) = default;

 private:
  friend class OriginPolicy;
  std::string scheme_;
  std::string host_;
  std::uint16_t port_ = 0;
};

/// The origins under which a listener on a loopback address is reached when no public URL is
/// configured: 127.0.0.1, localhost and [::1] with the listener's own port.
[[nodiscard]] std::vector<Origin> loopback_origins(std::uint16_t port, bool tls);

/// Which web pages may open connections. Built from the configuration, immutable, shared freely.
class OriginPolicy {
 public:
  /// `origins = "same"`: the origin of `public_url`, or the `loopback_origins`. An empty list
  /// refuses every request that has an Origin.
  [[nodiscard]] static OriginPolicy same(std::vector<Origin> origins);
  /// A list of origins, `https://app.example.com`, and patterns, `https://*.example.com`, in which
  /// the asterisk stands for exactly one label. The error is a sentence for the reader of a
  /// configuration.
  [[nodiscard]] static std::expected<OriginPolicy, std::string> list(
      std::span<const std::string> entries);
  /// Any origin that is well-formed. Opens the door to cross-site WebSocket hijacking.
  [[nodiscard]] static OriginPolicy insecure_any();

  [[nodiscard]] bool is_insecure_any() const noexcept { return any_; }
  [[nodiscard]] bool matches(const Origin& origin) const noexcept;

 private:
  struct Entry {
    Origin origin;
    bool wildcard = false;  // one label in front of the host
  };
  std::vector<Entry> entries_;
  bool any_ = false;
};

enum class OriginDecision {
  kAllowed,  ///< the origin matches, or there is none and none is needed
  kRefused,  ///< there is one and it does not match, or it is no origin
  kMissing,  ///< there is none and the credential demands one
};

struct OriginDemand {
  /// The browser adds the credential by itself (cookie, client certificate, address).
  bool ambient_credential = false;
  /// There must be an Origin (cookie): machines that hold the credential are not browsers' victims.
  bool required = false;
};

/// Decides over all Origin fields of a request, whatever its credential. Several fields, an empty
/// one, `null` and anything malformed are refused. The one exception: `insecure_any` without an
/// ambient credential accepts `null` and `file://`, which native shells send.
[[nodiscard]] OriginDecision evaluate(const OriginPolicy& policy,
                                      std::span<const std::string_view> origin_fields,
                                      OriginDemand demand) noexcept;

/// True if a Host field names this machine's loopback: localhost, 127.0.0.0/8 or [::1], with or
/// without a port. A server on a loopback address that answers other names can be reached by a web
/// page whose name is made to resolve to 127.0.0.1 (DNS rebinding).
[[nodiscard]] bool host_is_loopback(std::string_view host_field);

}  // namespace sallyport::http
