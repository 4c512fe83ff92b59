#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sallyport::base {

/// base64url without padding (RFC 4648 section 5, RFC 7515 section 2).
[[nodiscard]] std::string base64url_encode(std::string_view data);

/// Strict: no padding, no white space, no other alphabet, and the unused bits of the last character
/// must be zero, so that each value has exactly one spelling. Nothing on anything else.
[[nodiscard]] std::optional<std::string> base64url_decode(std::string_view text);

}  // namespace sallyport::base
