#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/http/address.h"

// The PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt): what a proxy that does not
// speak HTTP puts before the first byte of a connection, also before TLS, to say who the client is. Whether
// the peer may say that is the caller's to know: anybody can write such a header.

namespace sallyport::http {

/// The longest header that is accepted. Version 1 has no more than 107 bytes; version 2 may append
/// what the proxy knows of the client's TLS session, which seldom takes a few hundred.
inline constexpr std::size_t kProxyHeaderBytesMax = 4096;

/// What the first bytes of a connection are.
struct ProxyHeader {
  enum class Kind : std::uint8_t {
    kNeedMore,   ///< cannot be told from these bytes
    kAbsent,     ///< no PROXY header: the bytes are the connection's own
    kPresent,    ///< a whole one
    kMalformed,  ///< it begins as one and breaks its rules
  };
  Kind kind = Kind::kAbsent;
  /// kPresent: how many bytes belong to the header. kNeedMore: how many must be there before it is worth
  /// asking again, more than were given and never more than `kProxyHeaderBytesMax`.
  std::size_t bytes = 0;
  /// kPresent: the client's address. Nothing if the header does not name one: LOCAL (a health check of
  /// the proxy's own), UNKNOWN, a unix socket. Then the peer's own address stands.
  std::optional<IpAddress> source = {};

  friend bool operator==(const ProxyHeader&, const ProxyHeader&) = default;
};

/// Looks at the bytes received so far, none of them consumed. Every longer prefix of the same bytes gives
/// the same answer once it is not kNeedMore. Version 2's further fields (TLVs) are skipped unread.
[[nodiscard]] ProxyHeader parse_proxy_header(std::string_view prefix) noexcept;

}  // namespace sallyport::http
