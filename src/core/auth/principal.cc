#include "sallyport/principal.h"

#include <algorithm>

#include "core/auth/access.h"

namespace sallyport {

bool Principal::has_scope(std::string_view scope) const noexcept {
  return std::find(scopes.begin(), scopes.end(), scope) != scopes.end();
}

std::optional<std::string> Principal::claim(std::string_view name) const {
  return auth::Claims(claims).text(name);
}

bool Principal::claim_contains(std::string_view name, std::string_view value) const {
  return auth::Claims(claims).contains(name, value);
}

}  // namespace sallyport
