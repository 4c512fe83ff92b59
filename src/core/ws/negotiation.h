#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::ws {

/// permessage-deflate as both ends have agreed on it. Context takeover is always off both ways.
struct DeflateAgreement {
  /// The largest window with which we may compress, 9 to 15; for `Deflater::deflate`.
  int window_bits = 0;
  /// A server's Sec-WebSocket-Extensions value; empty for a client.
  std::string response;
};

enum class NegotiationError : std::uint8_t {
  kSyntax,        ///< not as RFC 6455 section 9.1 has it: answer 400, or fail the connection
  kTooMany,       ///< more extensions or parameters than `kExtensionsMax` in all
  kNotOffered,    ///< a server's answer with an extension or parameter that we did not offer
  kBadParameter,  ///< a server's answer with a parameter that is doubled, missing or out of range
};

/// Extensions and parameters in one header, all counted together.
inline constexpr int kExtensionsMax = 64;

/// A server's side (RFC 7692 section 7.1). Reads the client's Sec-WebSocket-Extensions, all lines
/// joined by commas, and takes the first offer of permessage-deflate that can be accepted; an offer
/// with an unknown, doubled or malformed parameter is passed over, as are other extensions. Nothing
/// if there is none. `window_bits` is the largest window that we want to use, 9 to 15.
[[nodiscard]] std::expected<std::optional<DeflateAgreement>, NegotiationError> accept_offer(
    std::string_view extensions, int window_bits);

/// What a client sends as Sec-WebSocket-Extensions.
inline constexpr std::string_view kDeflateOffer =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// A client's side: reads the answer to `kDeflateOffer`. Nothing if the server declined.
[[nodiscard]] std::expected<std::optional<DeflateAgreement>, NegotiationError> accept_response(
    std::string_view extensions, int window_bits);

}  // namespace sallyport::ws
