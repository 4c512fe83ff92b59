#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/secret.h"

namespace sallyport::http {

/// The protocol under which this library's own control messages are spoken.
inline constexpr std::string_view kControlProtocol = "sallyport.v1";

/// Browsers cannot set a header on a WebSocket, so a credential may come as an item of
/// Sec-WebSocket-Protocol, in one of two spellings: the token itself behind the first prefix, or
/// its base64url behind the second (the convention of Kubernetes, for tokens that are not tchar).
inline constexpr std::string_view kBearerPrefix = "bearer.";
inline constexpr std::string_view kEncodedBearerPrefix = "base64url.bearer.authorization.k8s.io.";

enum class SubprotocolError {
  kSeveral,    ///< more than one credential item: the request is refused, whatever they say
  kMalformed,  ///< nothing behind the prefix, not canonical base64url, or not visible ASCII
};

/// What a client offered, sorted into what may be selected and what must never be seen again.
struct SubprotocolOffer {
  /// The offered protocols in the client's order, without credential items.
  std::vector<std::string> applications;
  /// The token; empty if none was offered. A route that does not list `subprotocol` among its
  /// credentials ignores it, and the items are removed from the head all the same.
  std::expected<std::optional<base::Secret>, SubprotocolError> credential;
};

/// True for an item that carries a credential or looks as if it did (a compact JWS): such an item
/// is never selected, echoed, forwarded or logged.
[[nodiscard]] bool is_credential_item(std::string_view item) noexcept;

/// Sorts an offer. The items are copied: nothing refers to the request afterwards.
[[nodiscard]] SubprotocolOffer split_subprotocols(std::span<const std::string_view> items);

/// What goes into the 101 answer: the first of `preferred` (the application's list, best first)
/// that was offered; else `sallyport.v1` if offered; else, if the application has no list, the
/// first offered protocol of at most 64 characters. Nothing if no such item exists, in particular if only a credential item
/// was offered. Browsers then fail the connection, since they offered and nothing was selected:
/// such a client must offer `sallyport.v1` beside its token. The view points into `offer` or
/// `preferred`.
[[nodiscard]] std::optional<std::string_view> select_subprotocol(
    const SubprotocolOffer& offer, std::span<const std::string> preferred);

}  // namespace sallyport::http
