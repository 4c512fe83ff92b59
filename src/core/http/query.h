#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::http {

enum class QueryError {
  kDuplicate,  ///< the name occurs twice, in whatever spelling
  kMalformed,  ///< a broken escape, or a value that is not UTF-8 or has a NUL
};

/// Finds a parameter in a query (what stands behind the question mark) and decodes it as browsers
/// encode it: %XX, and `+` for a space. Names are compared decoded. A name without `=` has an empty
/// value. Nothing if the parameter is absent. If the value is a credential, wrap it in a
/// base::Secret and wipe the string.
[[nodiscard]] std::expected<std::optional<std::string>, QueryError> find_query_parameter(
    std::string_view query, std::string_view name);

}  // namespace sallyport::http
