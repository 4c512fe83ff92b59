#pragma once

#include <array>
#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "core/http/head.h"
#include "core/http/subprotocol.h"

namespace sallyport::http {

inline constexpr std::size_t kSubprotocolsMax = 32;

/// A valid opening handshake (RFC 6455 section 4.2.1). It owns what it says, so it stays valid when
/// credentials are erased from the head.
struct Upgrade {
  std::array<char, 28> accept{};  ///< the Sec-WebSocket-Accept that answers the key (section 4.2.2)
  SubprotocolOffer subprotocols;
  std::string
      extensions;  ///< all Sec-WebSocket-Extensions, joined by ", "; not parsed, often empty

  [[nodiscard]] std::string_view accept_key() const noexcept {
    return {accept.data(), accept.size()};
  }
};

enum class UpgradeError {
  kNotAnUpgrade,  ///< no Upgrade field at all: 426 on a route. A proxy may have removed it
  kWrongVersion,  ///< a well-formed Sec-WebSocket-Version other than 13: 426 with the right one
  kMethod,        ///< all others: 400. Not GET
  kHttpVersion,   ///< below HTTP/1.1
  kBody,          ///< a request with a body
  kUpgrade,       ///< Upgrade names something beside, or instead of, websocket (h2c)
  kConnection,    ///< Connection does not list upgrade
  kKey,           ///< Sec-WebSocket-Key absent, repeated, or not the base64 of 16 bytes
  kVersion,       ///< Sec-WebSocket-Version absent, repeated or not a number
  kProtocols,     ///< Sec-WebSocket-Protocol malformed, with a duplicate, or over kSubprotocolsMax
};

/// A fixed description for the log.
[[nodiscard]] std::string_view describe(UpgradeError error) noexcept;

/// True for what is answered by 426; all other errors are answered by 400.
[[nodiscard]] bool wants_upgrade_required(UpgradeError error) noexcept;

/// Checks everything that makes a request a WebSocket handshake except Origin and credentials.
[[nodiscard]] std::expected<Upgrade, UpgradeError> validate_upgrade(const Head& head);

}  // namespace sallyport::http
