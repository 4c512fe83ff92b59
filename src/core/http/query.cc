#include "core/http/query.h"

#include <algorithm>

#include "core/http/grammar.h"

namespace sallyport::http {

std::expected<std::optional<std::string>, QueryError> find_query_parameter(std::string_view query,
                                                                           std::string_view name) {
  std::optional<std::string_view> found;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const auto decoded = percent_decode(pair.substr(0, equals), Plus::kIsSpace);
    if (!decoded) return std::unexpected(QueryError::kMalformed);
    if (*decoded != name) continue;
    if (found) return std::unexpected(QueryError::kDuplicate);
    found = pair.substr(std::min(equals + 1, pair.size()));
  }
  if (!found) return std::nullopt;
  auto value = percent_decode(*found, Plus::kIsSpace);
  if (!value || !is_utf8(*value) || value->find('\0') != std::string::npos) {
    return std::unexpected(QueryError::kMalformed);
  }
  return value;
}

}  // namespace sallyport::http
