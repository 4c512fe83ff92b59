#include "sallyport/principal.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/auth/access.h"

namespace sallyport {

Text::Text(std::string_view text) {
  if (text.empty()) return;
  // One allocation for the count and the characters.
  void* const memory = ::operator new(sizeof(Block) + text.size());
  block_ = new (memory) Block{.owners = 1, .size = static_cast<std::uint32_t>(text.size())};
  std::memcpy(static_cast<char*>(memory) + sizeof(Block), text.data(), text.size());
}

void Text::release() noexcept {
  if (block_ == nullptr) return;
  if (block_->owners.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  block_->~Block();
  ::operator delete(block_);
}

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
