#include "core/http/subprotocol.h"

#include <algorithm>

#include "core/base/base64url.h"

namespace sallyport::http {
namespace {

bool is_visible_ascii(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

// No protocol that an application did not name itself is echoed beyond this: the longest names of the IANA
// registry have some 40 characters, tokens have more.
constexpr std::size_t kEchoedBytesMax = 64;

// A client library that offers "bearer" and then its token as a second item, or under a prefix of its own, would
// otherwise see the token in the answer and in every proxy's log. A compact JWS begins with '{"', which is "eyJ".
bool looks_like_jwt(std::string_view item) noexcept {
  const std::size_t start = item.find("eyJ");
  return start != std::string_view::npos && std::ranges::count(item.substr(start), '.') >= 2;
}

// Protocol names are case-sensitive, and so is what counts as a credential. What a client meant as one may be
// spelled "Bearer." all the same.
bool begins_like(std::string_view item, std::string_view prefix) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return item.size() >= prefix.size() &&
         std::ranges::equal(item.substr(0, prefix.size()), prefix, {}, lower, lower);
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
  return begins_like(item, kBearerPrefix) || begins_like(item, kEncodedBearerPrefix) ||
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
  if (!preferred.empty()) return std::nullopt;
  const auto first = std::ranges::find_if(offer.applications, [](const std::string& protocol) {
    return protocol.size() <= kEchoedBytesMax;
  });
  if (first == offer.applications.end()) return std::nullopt;
  return *first;
}

}  // namespace sallyport::http
