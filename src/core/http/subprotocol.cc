#include "core/http/subprotocol.h"

#include <algorithm>

#include "core/base/base64url.h"

namespace sallyport::http {
namespace {

bool is_visible_ascii(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

// A client library that offers "bearer" and then its token as a second item would otherwise see the
// token in the answer and in every proxy's log. A compact JWS begins with '{"', which is "eyJ".
bool looks_like_jwt(std::string_view item) noexcept {
  return item.starts_with("eyJ") && std::ranges::count(item, '.') >= 2;
}

std::expected<std::optional<base::Secret>, SubprotocolError> token_of(std::string_view item) {
  if (item.starts_with(kBearerPrefix)) {
    item.remove_prefix(kBearerPrefix.size());
    if (item.empty()) return std::unexpected(SubprotocolError::kMalformed);
    return base::Secret(item);
  }
  if (!item.starts_with(kEncodedBearerPrefix)) return std::nullopt;
  auto decoded = base::base64url_decode(item.substr(kEncodedBearerPrefix.size()));
  if (!decoded) return std::unexpected(SubprotocolError::kMalformed);
  const bool fine = is_visible_ascii(*decoded);
  base::Secret token(*decoded);
  base::wipe(decoded->data(), decoded->size());
  if (!fine) return std::unexpected(SubprotocolError::kMalformed);
  return token;
}

bool offered(const SubprotocolOffer& offer, std::string_view protocol) noexcept {
  return std::ranges::find(offer.applications, protocol) != offer.applications.end();
}

}  // namespace

bool is_credential_item(std::string_view item) noexcept {
  return item.starts_with(kBearerPrefix) || item.starts_with(kEncodedBearerPrefix) ||
         looks_like_jwt(item);
}

SubprotocolOffer split_subprotocols(std::span<const std::string_view> items) {
  SubprotocolOffer offer;
  for (const std::string_view item : items) {
    if (!is_credential_item(item)) {
      offer.applications.emplace_back(item);
      continue;
    }
    auto token = token_of(item);
    if (token && !*token) continue;  // looks like a credential, but is not presented as one
    const bool first = offer.credential.has_value() && !offer.credential->has_value();
    if (first) {
      offer.credential = std::move(token);
    } else {
      offer.credential = std::unexpected(SubprotocolError::kSeveral);
    }
  }
  return offer;
}

std::optional<std::string_view> select_subprotocol(const SubprotocolOffer& offer,
                                                   std::span<const std::string> preferred) {
  for (const std::string& protocol : preferred) {
    if (!is_credential_item(protocol) && offered(offer, protocol)) return protocol;
  }
  if (offered(offer, kControlProtocol)) return kControlProtocol;
  if (preferred.empty() && !offer.applications.empty()) return offer.applications.front();
  return std::nullopt;
}

}  // namespace sallyport::http
