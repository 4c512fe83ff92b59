#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "sallyport/revocation.h"
#include "server/control.h"

// What callers of the API send, parsed strictly: a misspelt member would otherwise revoke more than was
// meant. Each error is a sentence for the caller that repeats nothing but names that it knows.

namespace sallyport::admin {

inline constexpr std::size_t kBodyBytesMax = 64 * 1024;

[[nodiscard]] std::expected<RevokeRequest, std::string> parse_revocation(std::string_view body);

struct Publish {
  std::string channel;
  std::string data;  ///< JSON text, as it was sent
};
[[nodiscard]] std::expected<Publish, std::string> parse_publish(std::string_view body);

/// `query` is what stands behind the question mark.
[[nodiscard]] std::expected<server::ConnectionQuery, std::string> parse_connection_query(
    std::string_view query);

}  // namespace sallyport::admin
