#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string_view>

namespace sallyport::http {

enum class CookieError {
  kDuplicate,  ///< the name occurs twice: which one counts would depend on who reads
  kMalformed,  ///< the named cookie's value has characters that RFC 6265 section 4.1.1 forbids
};

/// Finds a cookie by its name (case-sensitive) in the values of the request's Cookie fields. The
/// value is as it was sent, not decoded, without the double quotes that may surround it. Other
/// cookies, set by whomever, are not judged: their faults are no reason to refuse this one. Nothing
/// if the cookie is absent. The view points into the fields.
[[nodiscard]] std::expected<std::optional<std::string_view>, CookieError> find_cookie(
    std::span<const std::string_view> cookie_fields, std::string_view name);

}  // namespace sallyport::http
